"""What the log says of an event for ever: no identifier, only a commitment to the payload."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import rfc8785

from policies.vocabulary import EventTag
from privacy.audit.encoding import HASH_BYTES, FormatError, b64url, unb64url
from privacy.audit.tiles import MAX_ENTRY_BYTES

LEAF_VERSION = 1
NONCE_BYTES = 32
MAX_PAYLOAD_BYTES = 1_048_576
MAX_PAYLOAD_DEPTH = 32

_TYPE = re.compile(r"[a-z][a-z0-9-]*(?::[a-z][a-z0-9-]*){2}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")  # no space, no @: neither prose nor an address
_MAX_NAME = 128
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
#: Canonical for what `_is_plain` lets pass: no white space, sorted members, the fewest escapes.
_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
#: Integers that every reader of JSON holds exactly. Source: RFC 7493 s. 2.2.
_EXACT: Final = 2**53 - 1


class LeafError(FormatError):
    """A leaf, a payload or a nonce is not of the agreed form."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An event as the tree holds it.

    Attributes:
        type: the event's tag, `capability:subject:action`.
        purpose: the purpose's name in the register, or None where the event has none.
        policy_version: which revision of the register held, or None where none mattered.
        at: aware; the encoding keeps UTC and whole seconds, cutting off the rest.
        c: `commitment` to the payload, 32 bytes.
        erased: for `audit:erasure:executed` alone, the root over the erased entries, 32 bytes.
        v: version of this form.
    """

    type: str
    purpose: str | None
    policy_version: str | None
    at: datetime
    c: bytes
    erased: bytes | None = None
    v: int = LEAF_VERSION

    def __post_init__(self) -> None:
        if self.v != LEAF_VERSION:
            raise LeafError("a leaf's version is 1")
        if len(self.type) > _MAX_NAME or not _TYPE.fullmatch(self.type):
            raise LeafError("a leaf's type is capability:subject:action")
        for name in (self.purpose, self.policy_version):
            if name is not None and (len(name) > _MAX_NAME or not _NAME.fullmatch(name)):
                raise LeafError("a purpose or policy version is a name of at most 128 characters")
        if self.at.tzinfo is None:
            raise LeafError("a leaf's time has a time zone")
        if len(self.c) != HASH_BYTES:
            raise LeafError("a commitment is 32 bytes")
        if (self.erased is not None) != (self.type == EventTag.AUDIT_ERASURE_EXECUTED):
            raise LeafError("an erasure, and nothing else, names the root of what it erased")
        if self.erased is not None and len(self.erased) != HASH_BYTES:
            raise LeafError("the root of what was erased is 32 bytes")


def commitment(nonce: bytes, payload: Mapping[str, object]) -> bytes:
    """The hash that binds a payload and tells nothing of it: SHA-256(nonce || JCS(payload)).

    Args:
        nonce: 32 random bytes, of this entry alone; it is as secret as the payload.
        payload: a JSON object of at most 1 MiB in canonical form and 32 levels.

    Raises:
        LeafError: another nonce length, or a payload that canonical JSON cannot hold.

    Source: RFC 8785.
    """
    return sha256(opening(nonce, payload)).digest()


def opening(nonce: bytes, payload: Mapping[str, object]) -> bytes:
    """What `commitment` hashes, and what is sealed beside the leaf: nonce || JCS(payload).

    Raises:
        LeafError: as `commitment`.
    """
    if len(nonce) != NONCE_BYTES:
        raise LeafError("a nonce is 32 bytes")
    return nonce + _canonical(payload)


def encode_leaf(leaf: Leaf) -> bytes:
    """The leaf's bytes, canonical JSON: what the tree hashes.

    `purpose` and `policy_version` are always present, null where there is none; `erased` is present
    in an erasure alone.

    Raises:
        LeafError: longer than a log entry may be.

    Source: RFC 8785, RFC 3339.
    """
    at = leaf.at.astimezone(UTC).replace(microsecond=0, tzinfo=None)
    members: dict[str, object] = {
        "v": LEAF_VERSION,
        "type": leaf.type,
        "purpose": leaf.purpose,
        "policy_version": leaf.policy_version,
        "at": f"{at.isoformat()}Z",
        "c": b64url(leaf.c),
    }
    if leaf.erased is not None:
        members["erased"] = b64url(leaf.erased)
    return _canonical(members)


def parse_leaf(data: bytes) -> Leaf:
    """Which leaf the bytes are; of each leaf there is exactly one form.

    Raises:
        LeafError: not canonical JSON of exactly the agreed members.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise LeafError("a leaf is at most 65535 bytes")
    try:
        members = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise LeafError("a leaf is JSON") from None
    match members:
        case {
            "v": int(),
            "type": str() as type_,
            "purpose": (str() | None) as purpose,
            "policy_version": (str() | None) as policy_version,
            "at": str() as at,
            "c": str() as c,
            **more,
        } if more.keys() <= {"erased"}:
            leaf = Leaf(
                v=members["v"],
                type=type_,
                purpose=purpose,
                policy_version=policy_version,
                at=_parse_at(at),
                c=_parse_hash(c),
                erased=_parse_hash(more["erased"]) if more else None,
            )
        case _:
            raise LeafError("a leaf has exactly the agreed members")
    if encode_leaf(leaf) != data:
        raise LeafError("a leaf is canonical JSON")
    return leaf


def _parse_at(text: str) -> datetime:
    if not _AT.fullmatch(text):
        raise LeafError("a leaf's time is UTC with whole seconds and a Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise LeafError("a leaf's time is a date of the calendar") from None


def _parse_hash(text: object) -> bytes:
    if not isinstance(text, str):
        raise LeafError("a hash is a text")
    try:
        return unb64url(text, HASH_BYTES)
    except FormatError as error:
        raise LeafError(f"a hash: {error}") from None


def _canonical(value: Mapping[str, object]) -> bytes:
    """The canonical JSON of an object. Source: RFC 8785."""
    try:
        # The same bytes by the C encoder where it may: every recorded event waits for them. The
        # library's type excludes nothing at run time: what is not JSON it refuses itself.
        data: bytes = (
            _ENCODE(value).encode() if _is_plain(value) else rfc8785.dumps(dict(value))  # type: ignore[arg-type]  # its own JSON type
        )
    except ValueError:  # its own error, and UnicodeEncodeError for a surrogate
        raise LeafError("a value that canonical JSON cannot hold") from None
    if len(data) > MAX_PAYLOAD_BYTES:
        raise LeafError("a payload is at most 1 MiB")
    return data


def _is_plain(value: object) -> bool:
    """Tell whether an ordinary encoder writes a value canonically; see that it is not too deep.

    It holds no number with a fraction, and only names whose order is the same in UTF-16 and UTF-8.

    Raises:
        LeafError: more levels than agreed.
    """
    plain = True
    layer = [value]
    for _ in range(MAX_PAYLOAD_DEPTH):
        below: list[object] = []
        for node in layer:
            if node is None or isinstance(node, str):
                continue
            if type(node) is dict:  # before the wider question, which costs ten times more
                plain = plain and _have_one_order(node)
                below.extend(node.values())
            elif isinstance(node, int):
                plain = plain and -_EXACT <= node <= _EXACT
            elif isinstance(node, list | tuple):
                below.extend(node)
            elif isinstance(node, Mapping):
                plain = False
                below.extend(node.values())
            else:
                plain = False
        if not below:
            return plain
        layer = below
    raise LeafError("a payload has at most 32 levels")


def _have_one_order(names: Iterable[str]) -> bool:
    """Tell whether all are texts that UTF-16 and UTF-8 put in the same order."""
    try:
        return "".join(names).isascii()
    except TypeError:  # one is no text
        return False
