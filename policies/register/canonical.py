"""Content as canonical JSON (RFC 8785), so that anybody can compute a digest with another program."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping


def plain(value: object) -> object:
    """The same value in the types that JSON knows; of an entry, what is at its default goes."""
    if dataclasses.is_dataclass(value):
        content = {each: getattr(value, each.name) for each in dataclasses.fields(value)}
        return {each.name: plain(held) for each, held in content.items() if held != each.default}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return value


def digest(content: object) -> str:
    """SHA-256 in hex of content's canonical JSON."""
    # With ASCII keys, texts and whole numbers alone, this is RFC 8785.
    encoded = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest()
