"""Is the stored log what was written and signed? Recomputes everything from the rows.

Finds an altered, removed or added row and names the first bad entry. It needs the database, the
log's verification key and the deployment's keys; an export is checked by `bundle.verify` without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.orm import Session

from privacy.audit import store, tiles
from privacy.audit.checkpoint import Checkpoint, open_checkpoint
from privacy.audit.encoding import HASH_BYTES, FormatError
from privacy.audit.erasure import Opening, verify_opening
from privacy.audit.leaf import parse_leaf
from privacy.audit.log import AuditLog
from privacy.audit.merkle import EMPTY_ROOT, leaf_hash, node_hash
from privacy.audit.note import Verifier
from privacy.audit.tiles import WIDTH

MAX_PROBLEMS = 100
BLOCK = 2_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        index: the entry's number in the log; None where it has none yet.
        message: what is wrong, in one sentence.
    """

    index: int | None
    message: str


@dataclass(slots=True)
class Verification:
    """What a verification found.

    Attributes:
        size: entries that the newest checkpoint covers.
        pending: entries that still wait for their place.
        findings: at most `MAX_PROBLEMS`.
        erased: entries whose payload is gone by a proven erasure.
        first_bad: the number of the first bad entry that has one.
    """

    size: int = 0
    pending: int = 0
    erased: int = 0
    findings: list[Finding] = field(default_factory=list)
    first_bad: int | None = None

    @property
    def ok(self) -> bool:
        """Tell whether nothing was found."""
        return not self.findings

    def find(self, index: int | None, message: str) -> None:
        """Add a finding unless there are too many already; the first bad entry always counts."""
        if index is not None and (self.first_bad is None or index < self.first_bad):
            self.first_bad = index
        if len(self.findings) < MAX_PROBLEMS:
            self.findings.append(Finding(index, message))


class Frontier:
    """The roots of the complete subtrees at the right edge: all a growing tree needs."""

    def __init__(self) -> None:
        self._subtrees: list[tuple[int, bytes]] = []
        self.size = 0

    def add(self, hash_: bytes) -> None:
        """Append a leaf hash."""
        height = 0
        while self._subtrees and self._subtrees[-1][0] == height:
            hash_ = node_hash(self._subtrees.pop()[1], hash_)
            height += 1
        self._subtrees.append((height, hash_))
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        root = self._subtrees[-1][1]
        for _height, subtree in reversed(self._subtrees[:-1]):
            root = node_hash(subtree, root)
        return root


#: A capability's own look: yields (entry id, what is wrong) for rows that differ from the log.
CrossCheck = Callable[[Session, AuditLog], Iterator[tuple[str, str]]]
Progress = Callable[[int, int], None]


def verify_log(
    session: Session,
    log: AuditLog,
    verifier: Verifier,
    *,
    kept: Sequence[str] = (),
    cross_checks: Sequence[CrossCheck] = (),
    progress: Progress | None = None,
) -> Verification:
    """Recompute the whole log and compare it with what was signed.

    Args:
        session: one snapshot.
        log: opens payloads and knows our own entries.
        verifier: the log's public key, from outside the database.
        kept: checkpoints that were kept outside the database; a log that was cut or rewritten
            together with its own checkpoints does not fit them.
        cross_checks: compare business rows with the entries that recorded them.
        progress: called with (entries done, entries in all).
    """
    result = Verification()
    signed = _signed_checkpoints(session, verifier, result)
    result.size = max(signed, default=0)
    result.pending = store.pending_count(session)
    _add_kept(signed, kept, verifier, result)
    walk = _Walk(session, log, result, signed, _erasure_roots(session, log))
    for start in range(0, result.size, BLOCK):
        stop = min(start + BLOCK, result.size)
        walk.block(start, stop)
        if progress:
            progress(stop, result.size)
    walk.upper_tiles()
    added = store.first_index_outside(session, result.size)
    if added is not None:
        result.find(added, "the entry was added without a signature")
    for entry_id in store.orphans(session):
        result.find(None, f"entry {entry_id} lost its place or its turn")
    for entry_id in store.placed_and_pending(session):
        result.find(store.index_of(session, entry_id), "the entry has a place and waits for one")
    walk.pending()
    for cross_check in cross_checks:
        for entry_id, message in cross_check(session, log):
            result.find(store.index_of(session, entry_id), message)
    return result


class _Walk:
    """One pass over the placed entries, in order."""

    def __init__(
        self,
        session: Session,
        log: AuditLog,
        result: Verification,
        signed: Mapping[int, Checkpoint],
        erasures: Mapping[str, _ErasureLeaf],
    ) -> None:
        self._session = session
        self._log = log
        self._result = result
        self._signed = signed
        self._erasures = erasures
        self._frontier = Frontier()
        self._sound_until = 0

    def block(self, start: int, stop: int) -> None:
        """Check the entries `start <= index < stop`."""
        rows = {row[0]: row[1:] for row in store.leaves(self._session, start, stop)}
        entry_ids = [entry_id for entry_id, _leaf, _tag in rows.values()]
        payloads = store.by_entry(self._session, store.Payload, entry_ids)
        openings = store.by_entry(self._session, store.Opening, entry_ids)
        self._log.look_up(self._session, payloads.values())
        row_of_tiles = {
            number: store.read_tile(self._session, 0, number)
            for number in range(start // WIDTH, (stop - 1) // WIDTH + 1)
        }
        for index in range(start, stop):
            if index not in rows:
                self._result.find(index, "the entry was removed")
                self._step(index, bytes(HASH_BYTES))
                continue
            entry_id, leaf, tag = rows[index]
            if not self._log.is_ours(entry_id, leaf, tag):
                self._result.find(index, "the entry was altered, or not written by this deployment")
            hash_ = leaf_hash(leaf)
            place = index % WIDTH * HASH_BYTES
            if row_of_tiles[index // WIDTH][place : place + HASH_BYTES] != hash_:
                self._result.find(index, "the entry is not the one that the tree holds")
            self._check_payload(index, leaf, payloads.get(entry_id), openings.get(entry_id))
            self._step(index, hash_)

    def pending(self) -> None:
        """Check the entries that still wait for their place."""
        after: int | None = None
        while rows := store.pending(self._session, BLOCK, after=after):
            after = rows[-1][0]
            entry_ids = [entry_id for _ordinal, entry_id, _leaf, _tag in rows]
            payloads = store.by_entry(self._session, store.Payload, entry_ids)
            openings = store.by_entry(self._session, store.Opening, entry_ids)
            self._log.look_up(self._session, payloads.values())
            for _ordinal, entry_id, leaf, tag in rows:
                if not self._log.is_ours(entry_id, leaf, tag):
                    self._result.find(
                        None, f"pending entry {entry_id} was not written by this deployment"
                    )
                    continue
                self._check_payload(None, leaf, payloads.get(entry_id), openings.get(entry_id))

    def upper_tiles(self) -> None:
        """Compare each tile with the tiles below it, and look for tiles that nobody needs."""
        size, level = self._result.size, 0
        for tile_level, tile_index in store.tile_keys(self._session):
            if not tiles.tile_width(size, tile_level, tile_index):
                first = tile_index << tiles.HEIGHT * (tile_level + 1)
                self._result.find(max(first, size), "a tile was added without a signature")
        while size >> tiles.HEIGHT * level:
            span = 1 << tiles.HEIGHT * level  # leaves under one hash of this level
            for number in range(-(-(size // span) // WIDTH)):
                width = tiles.tile_width(size, level, number)
                tile = store.read_tile(self._session, level, number)
                if len(tile) != width * HASH_BYTES:
                    self._find_between(
                        min((number * WIDTH + len(tile) // HASH_BYTES) * span, size),
                        min((number + 1) * WIDTH * span, size) + 1,
                        "the tile there is longer or shorter than the tree",
                    )
                for place in range(width) if level else ():
                    below = store.read_tile(self._session, level - 1, number * WIDTH + place)
                    start = (number * WIDTH + place) * span
                    if tile[place * HASH_BYTES :][:HASH_BYTES] != tiles.tile_root(below):
                        self._find_between(
                            start, start + span, "from here on a tile is not that of its entries"
                        )
            level += 1

    def _find_between(self, start: int, stop: int, message: str) -> None:
        """Report entry `start`, unless an entry up to `stop` was found bad: that is the cause."""
        if not any(f.index is not None and start <= f.index < stop for f in self._result.findings):
            self._result.find(start, message)

    def _step(self, index: int, hash_: bytes) -> None:
        self._frontier.add(hash_)
        checkpoint = self._signed.get(index + 1)
        if checkpoint is None:
            return
        if checkpoint.root == self._frontier.root():
            self._sound_until = index + 1
        elif self._result.first_bad is None:
            self._result.find(self._sound_until, "from here on the entries are not those signed")

    def _check_payload(
        self,
        index: int | None,
        leaf: bytes,
        payload: store.Payload | None,
        opening: store.Opening | None,
    ) -> None:
        if payload is None:
            if opening is not None and self._is_erased(index, leaf, opening):
                self._result.erased += 1
            else:
                self._result.find(index, "the payload was removed without a proven erasure")
            return
        if opening is not None:
            self._result.find(index, "the entry has a payload and the proof that it was erased")
        try:
            opened = self._log.open(self._session, payload)
            committed = parse_leaf(leaf).c
        except Exception as error:  # noqa: BLE001 - whatever an altered row provokes is the finding
            self._result.find(index, f"the payload cannot be opened: {type(error).__name__}")
            return
        if sha256(opened).digest() != committed:
            self._result.find(index, "the payload is not the one that the entry commits to")

    def _is_erased(self, index: int | None, leaf: bytes, opening: store.Opening) -> bool:
        """Tell whether the log itself says, later on, that this entry's payload was erased."""
        erasure = self._erasures.get(opening.erasure_entry_id)
        if erasure is None:
            return False
        if erasure.index is not None and (index is None or erasure.index <= index):
            return False
        try:
            parsed = Opening.from_json(json.loads(opening.opening))
        except ValueError:
            return False
        return verify_opening(leaf_hash(leaf), parsed, erasure.root)


def _signed_checkpoints(
    session: Session, verifier: Verifier, result: Verification
) -> dict[int, Checkpoint]:
    signed: dict[int, Checkpoint] = {}
    for row in session.scalars(sa.select(store.SignedCheckpoint)):
        try:
            checkpoint = open_checkpoint(row.note, [verifier], verifier.name)
        except FormatError as error:
            result.find(None, f"the checkpoint of size {row.tree_size} is not ours: {error}")
            continue
        if checkpoint.size != row.tree_size:
            result.find(None, f"the checkpoint of size {row.tree_size} states {checkpoint.size}")
        signed[checkpoint.size] = checkpoint
    return signed


def _add_kept(
    signed: dict[int, Checkpoint], kept: Sequence[str], verifier: Verifier, result: Verification
) -> None:
    """Add checkpoints from outside to those that the entries must fit."""
    for note in kept:
        try:
            checkpoint = open_checkpoint(note, [verifier], verifier.name)
        except FormatError as error:
            result.find(None, f"a kept checkpoint is not ours: {error}")
            continue
        if checkpoint.size > result.size:
            result.find(result.size, f"the log was cut: {checkpoint.size} entries were signed")
        elif signed.setdefault(checkpoint.size, checkpoint).root != checkpoint.root:
            result.find(None, f"two checkpoints of size {checkpoint.size} were signed")


@dataclass(frozen=True, slots=True)
class _ErasureLeaf:
    """What an erasure's leaf commits to, and its place; None while it waits for one."""

    root: bytes
    index: int | None


def _erasure_roots(session: Session, log: AuditLog) -> Mapping[str, _ErasureLeaf]:
    """Return erasure entry id -> its leaf, for leaves that we wrote.

    An erasure that still waits for its place counts: its intake tag proves that it is ours.
    """
    named = sorted(set(session.scalars(sa.select(store.Opening.erasure_entry_id).distinct())))
    roots = {}
    indexes = store.indexes_of(session, named)
    for entry in store.entries(session, named):
        if not log.is_ours(entry.entry_id, entry.leaf, entry.intake_tag):
            continue
        erased = parse_leaf(entry.leaf).erased
        if erased is not None:
            roots[entry.entry_id] = _ErasureLeaf(erased, indexes.get(entry.entry_id))
    return roots
