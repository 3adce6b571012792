"""The file that carries entries to an outsider: one JSON object, written and read strictly.

`bundle.verify` checks it; `docs/decisions/0003-audit-log-encoding.md` describes each member.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn, Self

from privacy.audit.encoding import HASH_BYTES, MAX_UINT64, FormatError, b64, unb64
from privacy.audit.erasure import Opening
from privacy.audit.leaf import NONCE_BYTES
from privacy.audit.note import Verifier
from privacy.audit.proof import MAX_PROOF_HASHES

FORMAT = "placet-export@1"
ENTRY_ID_BYTES = 16


class BundleError(FormatError):
    """The document is no export at all, so that nothing of it can be checked."""


@dataclass(frozen=True, slots=True)
class ExportEntry:
    """An entry as the export shows it.

    Either payload and nonce are there, or neither is and there may be an opening.

    Attributes:
        index: place in the log.
        entry_id: 16 bytes by which the company finds the entry; the log does not prove it.
        leaf: the leaf's exact bytes.
        proof: audit path under the export's checkpoint.
        payload: what the event was, or None where it was erased.
        nonce: 32 bytes that open the commitment, or None where they were erased.
        opening: proof that the entry is among those of an erasure, or None.
    """

    index: int
    entry_id: bytes
    leaf: bytes
    proof: tuple[bytes, ...]
    payload: Mapping[str, object] | None
    nonce: bytes | None
    opening: Opening | None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_UINT64:
            raise FormatError("a leaf's index is 0 to 2^64 - 1")
        if len(self.entry_id) != ENTRY_ID_BYTES:
            raise FormatError("an entry's id is 16 bytes")
        if len(self.proof) > MAX_PROOF_HASHES:
            raise FormatError("a proof has at most 64 hashes")
        if (self.payload is None) != (self.nonce is None):
            raise FormatError("payload and nonce are there together or not at all")
        if self.payload is not None and self.opening is not None:
            raise FormatError("an erased entry has no payload")

    def to_json(self) -> dict[str, object]:
        """The entry as a JSON object, its bytes in base64, its id in hex, its leaf as text."""
        return {
            "index": self.index,
            "entry_id": self.entry_id.hex(),
            "leaf": self.leaf.decode(),
            "proof": [b64(node) for node in self.proof],
            "payload": None if self.payload is None else dict(self.payload),
            "nonce": None if self.nonce is None else b64(self.nonce),
            "opening": None if self.opening is None else self.opening.to_json(),
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Which entry a JSON object holds; nothing is verified yet.

        Raises:
            FormatError: other members, other types, or bytes not in the agreed text form.
        """
        match value:
            case {
                "index": int() as index,
                "entry_id": str() as entry_id,
                "leaf": str() as leaf,
                "proof": list() as proof,
                "payload": (dict() | None) as payload,
                "nonce": (str() | None) as nonce,
                "opening": opening,
                **more,
            } if not more and not isinstance(index, bool):
                if len(proof) > MAX_PROOF_HASHES or not all(isinstance(p, str) for p in proof):
                    raise FormatError("a proof is at most 64 texts")
                return cls(
                    index=index,
                    entry_id=_unhex(entry_id),
                    leaf=_utf8(leaf),
                    proof=tuple(unb64(node, HASH_BYTES) for node in proof),
                    payload=payload,
                    nonce=None if nonce is None else unb64(nonce, NONCE_BYTES),
                    opening=None if opening is None else Opening.from_json(opening),
                )
            case _:
                raise FormatError("an entry has exactly the agreed members")


def compose(
    verifier: Verifier,
    checkpoint: str,
    entries: Iterable[ExportEntry],
    *,
    meta: Mapping[str, object],
    register: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """The export as a JSON object.

    Args:
        verifier: the log's key; its name is the log's origin.
        checkpoint: the signed note under which each entry's proof stands.
        entries: what is exported.
        meta: who exported what and when, for people; the check does not rely on it.
        register: the register's revisions that the entries refer to, for people, or None.
    """
    document: dict[str, object] = {
        "format": FORMAT,
        "origin": verifier.name,
        "vkey": verifier.vkey,
        "checkpoint": checkpoint,
        "entries": [entry.to_json() for entry in entries],
        "meta": dict(meta),
    }
    if register is not None:
        document["register"] = dict(register)
    return document


def stream(
    verifier: Verifier,
    checkpoint: str,
    entries: Iterable[ExportEntry],
    closing: Callable[[], Mapping[str, object]],
) -> Iterator[bytes]:
    """The same export piece by piece, so that thousands of entries need no memory.

    Args:
        verifier: as for `compose`.
        checkpoint: as for `compose`.
        entries: what is exported, drawn one by one.
        closing: gives the members `meta` and, if any, `register`, once the entries are through.
    """
    head = {
        "format": FORMAT,
        "origin": verifier.name,
        "vkey": verifier.vkey,
        "checkpoint": checkpoint,
    }
    yield (_json(head)[:-1] + ',\n"entries":[').encode()
    separator = "\n"
    for entry in entries:
        yield (separator + _json(entry.to_json())).encode()
        separator = ",\n"
    yield ("\n],\n" + _json(closing())[1:] + "\n").encode()


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def load(data: bytes) -> Mapping[str, object]:
    """The JSON object in a file's bytes, read without latitude.

    Raises:
        BundleError: not UTF-8, not JSON, a member twice in one object, NaN or Infinity, nested too
            deep, or not an object.
    """
    try:
        document = json.loads(
            data.decode(), object_pairs_hook=_members_once, parse_constant=_no_constant
        )
    except BundleError:
        raise
    except (ValueError, RecursionError):
        raise BundleError("the export is not JSON") from None
    if not isinstance(document, dict):
        raise BundleError("an export is a JSON object")
    return document


def _members_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BundleError("a member stands twice in one object")
    return members


def _no_constant(_name: str) -> NoReturn:
    raise BundleError("NaN and Infinity are not JSON")


def _unhex(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise FormatError("an entry's id is 32 lower-case hex digits") from None
    if data.hex() != text:
        raise FormatError("an entry's id is 32 lower-case hex digits")
    return data


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FormatError("a leaf is UTF-8") from None
