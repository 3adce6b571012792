"""The check of an export by an outsider, offline.

Of the file only the log's signature is trusted; everything else is proven from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from privacy.audit import merkle
from privacy.audit.checkpoint import Checkpoint, open_checkpoint
from privacy.audit.encoding import MAX_UINT64, FormatError
from privacy.audit.export import FORMAT, BundleError, ExportEntry
from privacy.audit.leaf import Leaf, commitment, parse_leaf
from privacy.audit.note import NoteError, Verifier

MAX_ENTRIES = 1_000_000

_MEMBERS = {"format", "origin", "vkey", "checkpoint", "entries", "meta"}
_OPTIONAL = {"register"}


class ProblemCode(StrEnum):
    """What can be wrong with an export. The values are printed: they never change."""

    CHECKPOINT_UNVERIFIED = "checkpoint-unverified"
    ENTRY_MALFORMED = "entry-malformed"
    DUPLICATE_INDEX = "duplicate-index"
    DUPLICATE_ENTRY_ID = "duplicate-entry-id"
    LEAF_NOT_CANONICAL = "leaf-not-canonical"
    NOT_IN_TREE = "not-in-tree"
    PAYLOAD_MISMATCH = "payload-mismatch"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        index: index in the log of the entry at fault; None for the whole document, or where the
            entry tells no index.
        code: which kind.
        message: one English sentence; quotes nothing of the document.
    """

    index: int | None
    code: ProblemCode
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the check found.

    Attributes:
        problems: in the order of the file, at most one an entry; none means that all holds.
        warnings: English sentences for whoever relies on the export.
        origin: the log's name.
        key_fingerprint: SHA-256, hex, of the key that was used; its first 8 digits are the key id.
        key_trusted: whether the reader gave the key; else it is only the file's own word.
        size: leaves of the signed tree, or None where the signature does not hold.
        root: root of the signed tree, 32 bytes, or None likewise.
        checked: entries examined.
        disclosed: entries whose payload is there and is what the log committed to.
        erased: entries whose payload is gone by a proven erasure.
        withheld: entries whose payload is missing without one.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    origin: str
    key_fingerprint: str
    key_trusted: bool
    size: int | None = None
    root: bytes | None = None
    checked: int = 0
    disclosed: int = 0
    erased: int = 0
    withheld: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is no problem; a warning is none."""
        return not self.problems

    @property
    def first_bad(self) -> int | None:
        """Index in the log of the first bad entry of the file, where it tells one."""
        return next((p.index for p in self.problems if p.index is not None), None)


def verify(document: Mapping[str, object], trusted_vkey: str | None) -> Report:
    """Whether an export is what the log recorded, and what is missing from it.

    For each entry: the leaf is canonical, it stands in the signed tree, and its payload is what it
    committed to. A missing payload is accepted only where an opening leads to the root in an
    erasure's leaf that comes later in the log, is in the export, and is proven itself. Which
    entries the export leaves out altogether shows only in `checked` beside `size`.

    Args:
        document: the export, as `load` gives it; it may be hostile.
        trusted_vkey: the log's published key, got by another way; None to use the file's own, which
            then shows only that the file fits itself.

    Raises:
        BundleError: the document is no export, or a key is malformed.
    """
    note, entries, claimed, origin = _read_head(document)
    verifier = claimed if trusted_vkey is None else _read_key(trusted_vkey)
    warnings = _warnings(claimed, verifier, given=trusted_vkey is not None)
    try:
        checkpoint = _open(note, verifier, origin)
    except FormatError as error:
        problem = Problem(None, ProblemCode.CHECKPOINT_UNVERIFIED, f"The checkpoint: {error}.")
        return Report(
            problems=(problem,),
            warnings=warnings,
            origin=verifier.name,
            key_fingerprint=verifier.fingerprint,
            key_trusted=trusted_vkey is not None,
        )
    examination = _Examination(checkpoint)
    examination.run(entries)
    return Report(
        problems=tuple(problem for _, problem in sorted(examination.problems.items())),
        warnings=warnings,
        origin=verifier.name,
        key_fingerprint=verifier.fingerprint,
        key_trusted=trusted_vkey is not None,
        size=checkpoint.size,
        root=checkpoint.root,
        checked=len(entries),
        disclosed=examination.disclosed,
        erased=examination.erased,
        withheld=examination.withheld,
    )


class _RefusedError(Exception):
    """An entry fails; becomes a `Problem`."""

    def __init__(self, code: ProblemCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class _Proven:
    """An entry whose leaf is proven to be in the log."""

    entry: ExportEntry
    leaf: Leaf
    leaf_hash: bytes


class _Examination:
    """The entries of one export under one verified checkpoint.

    Attributes:
        problems: position in the file -> what is wrong there.
        disclosed, erased, withheld: counts as in `Report`.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.problems: dict[int, Problem] = {}
        self.disclosed = self.erased = self.withheld = 0
        self._checkpoint = checkpoint
        self._indexes: set[int] = set()
        self._entry_ids: set[bytes] = set()

    def run(self, entries: list[object]) -> None:
        """Proves all leaves first, because an erasure may stand anywhere in the file."""
        proven: dict[int, _Proven] = {}
        for position, raw in enumerate(entries):
            try:
                proven[position] = self._prove(raw)
            except _RefusedError as refusal:
                self._note(position, _index_of(raw), refusal)
        erasures: dict[bytes, int] = {}  # root -> the last index of a leaf that carries it
        for found in proven.values():
            if found.leaf.erased is not None:
                index = found.entry.index
                erasures[found.leaf.erased] = max(index, erasures.get(found.leaf.erased, index))
        for position, found in proven.items():
            try:
                self._check_payload(found, erasures)
            except _RefusedError as refusal:
                self._note(position, found.entry.index, refusal)

    def _note(self, position: int, index: int | None, refusal: _RefusedError) -> None:
        message = f"entries[{position}]: {refusal.message}."
        self.problems[position] = Problem(index, refusal.code, message)

    def _prove(self, raw: object) -> _Proven:
        try:
            entry = ExportEntry.from_json(raw)
        except FormatError as error:
            raise _RefusedError(ProblemCode.ENTRY_MALFORMED, str(error)) from None
        if entry.index in self._indexes:
            raise _RefusedError(ProblemCode.DUPLICATE_INDEX, "another entry has this index")
        if entry.entry_id in self._entry_ids:
            raise _RefusedError(ProblemCode.DUPLICATE_ENTRY_ID, "another entry has this id")
        self._indexes.add(entry.index)
        self._entry_ids.add(entry.entry_id)
        try:
            leaf = parse_leaf(entry.leaf)
        except FormatError as error:
            raise _RefusedError(ProblemCode.LEAF_NOT_CANONICAL, str(error)) from None
        leaf_hash = merkle.leaf_hash(entry.leaf)
        if not merkle.verify_inclusion(
            leaf_hash, entry.index, self._checkpoint.size, entry.proof, self._checkpoint.root
        ):
            raise _RefusedError(
                ProblemCode.NOT_IN_TREE, "the leaf does not stand at that index of the signed tree"
            )
        return _Proven(entry, leaf, leaf_hash)

    def _check_payload(self, found: _Proven, erasures: Mapping[bytes, int]) -> None:
        entry = found.entry
        if entry.payload is not None and entry.nonce is not None:
            try:
                held = commitment(entry.nonce, entry.payload) == found.leaf.c
            except FormatError as error:
                raise _RefusedError(ProblemCode.PAYLOAD_MISMATCH, str(error)) from None
            if not held:
                raise _RefusedError(
                    ProblemCode.PAYLOAD_MISMATCH, "the payload is not what the leaf committed to"
                )
            self.disclosed += 1
            return
        root = None if entry.opening is None else entry.opening.root(found.leaf_hash)
        erased_at = None if root is None else erasures.get(root)
        if erased_at is None or erased_at <= entry.index:
            self.withheld += 1
            raise _RefusedError(
                ProblemCode.WITHHELD,
                "the payload is missing, and no later erasure in the export covers it",
            )
        self.erased += 1


def _read_head(document: Mapping[str, object]) -> tuple[str, list[object], Verifier, str]:
    """Checkpoint note, entries, the key in the file, and the origin that it names."""
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise BundleError("not a placet-export@1")
    if not _MEMBERS <= document.keys() <= _MEMBERS | _OPTIONAL:
        raise BundleError("an export has exactly the agreed members")
    if not all(isinstance(document.get(name, {}), Mapping) for name in ("meta", "register")):
        raise BundleError("meta and register are objects")
    match document["origin"], document["vkey"], document["checkpoint"], document["entries"]:
        case str() as origin, str() as vkey, str() as checkpoint, list() as entries:
            if len(entries) > MAX_ENTRIES:
                raise BundleError("an export has at most 1,000,000 entries")
            return checkpoint, entries, _read_key(vkey), origin
        case _:
            raise BundleError("origin, vkey and checkpoint are texts, and entries is a list")


def _open(note: str, verifier: Verifier, origin: str) -> Checkpoint:
    if origin != verifier.name:
        raise FormatError("the export names another log than the key does")
    return open_checkpoint(note, [verifier], origin)


def _read_key(vkey: str) -> Verifier:
    try:
        return Verifier.from_vkey(vkey)
    except NoteError as error:
        raise BundleError(f"the log's key: {error}") from None


def _warnings(claimed: Verifier, used: Verifier, *, given: bool) -> tuple[str, ...]:
    if not given:
        warning = (
            "No trusted key was given: the key in the file was used, which anybody could have "
            "put there. Compare its fingerprint with the one that the company publishes."
        )
        return (warning,)
    if claimed != used:
        return ("The file names another key than the trusted one, which alone was used.",)
    return ()


def _index_of(raw: object) -> int | None:
    """The index that a bad entry claims, where it is one."""
    match raw:
        case {"index": int() as index} if not isinstance(index, bool) and 0 <= index <= MAX_UINT64:
            return index
        case _:
            return None
