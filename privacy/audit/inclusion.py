"""Where an entry stands in the signed tree, and the proof of it: what readers hand out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from privacy.audit import store
from privacy.audit.proof import TlogProof
from privacy.audit.tiles import TileTree


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry that has its place in the signed tree.

    Attributes:
        entry_id: 32 hexadecimal digits; the log does not prove it.
        index: place in the log, from 0.
        leaf: the leaf's exact bytes.
        hashes: the audit path under the checkpoint of the `Inclusions` that made this.
    """

    entry_id: str
    index: int
    leaf: bytes
    hashes: tuple[bytes, ...]


class Inclusions:
    """Proofs under the newest checkpoint of one snapshot, all for the same tree.

    Attributes:
        checkpoint: the newest signed note, or None before the first.
        size: leaves of the tree that it signs; 0 before the first.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        latest = store.latest_checkpoint(session)
        self.checkpoint = None if latest is None else latest.note
        self.size = 0 if latest is None else latest.tree_size
        self._tree = TileTree(self.size, lambda level, n: store.read_tile(session, level, n))

    def of(self, entry_ids: Sequence[str]) -> Iterator[Placed]:
        """Yield those of the entries that have their place, in the order of the log."""
        indexes = store.indexes_of(self._session, entry_ids)
        placed = sorted((n, entry_id) for entry_id, n in indexes.items() if n < self.size)
        leaves = {
            entry.entry_id: entry.leaf
            for entry in store.entries(self._session, [entry_id for _n, entry_id in placed])
        }
        for index, entry_id in placed:
            path = tuple(self._tree.inclusion_proof(index))
            yield Placed(entry_id, index, leaves[entry_id], path)

    def find(self, entry_id: str) -> Placed | None:
        """Return the entry's place and proof, or None while it is pending or where it is unknown."""
        return next(self.of([entry_id]), None)

    def tlog_proof(self, placed: Placed) -> str:
        """Return the text of the entry's `.tlog-proof` file. Source: C2SP tlog-proof."""
        if self.checkpoint is None:
            raise ValueError("nothing is placed before the first checkpoint")
        return TlogProof(placed.index, placed.hashes, self.checkpoint).encode()
