"""Tables of the audit log.

`audit_entry`, `audit_leaf` and `audit_checkpoint` are insert-only, by trigger. `audit_payload`
alone ties an entry to a person, and its rows go when the person's data of that class goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.bulk import Insert
from privacy.database import Door
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class Entry(Base):
    """What the log says: the exact bytes of the leaf, and our proof that we wrote them."""

    __tablename__ = "audit_entry"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    entry_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    leaf: Mapped[bytes] = mapped_column(sa.LargeBinary)
    intake_tag: Mapped[bytes] = mapped_column(sa.LargeBinary(32))


class Payload(Base):
    """Whom the entry is about and what happened, sealed under that person's key."""

    __tablename__ = "audit_payload"
    __table_args__ = (
        sa.Index(None, "holder", "retention"),
        {"info": OPERATIONAL},
    )

    entry_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id"), primary_key=True
    )
    holder: Mapped[str] = mapped_column(sa.String(32))
    retention: Mapped[str] = mapped_column(sa.String(32))
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)


class Opening(Base):
    """Why an entry's payload is gone: its opening in an erasure leaf's commitment."""

    __tablename__ = "audit_opening"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    entry_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id"), primary_key=True
    )
    erasure_entry_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id")
    )
    opening: Mapped[str] = mapped_column(sa.Text)


class Pending(Base):
    """Entries that the sequencer has not placed yet, in the order they came."""

    __tablename__ = "audit_pending"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    ordinal: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    entry_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id"), unique=True
    )
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class Leaf(Base):
    """The place of an entry in the tree, given once by the sequencer."""

    __tablename__ = "audit_leaf"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    leaf_index: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    entry_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id"), unique=True
    )


class Tile(Base):
    """Up to 256 neighbouring hashes of one level of the tree. Source: C2SP tlog-tiles."""

    __tablename__ = "audit_tile"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tile_index: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    hashes: Mapped[bytes] = mapped_column(sa.LargeBinary)


class SignedCheckpoint(Base):
    """A signed statement of the tree's size and root."""

    __tablename__ = "audit_checkpoint"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    tree_size: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    )
    note: Mapped[str] = mapped_column(sa.Text)
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)


RowT = TypeVar("RowT", Payload, Opening)


_ADD_ENTRIES = Insert(cast("sa.Table", Entry.__table__), ("entry_id", "leaf", "intake_tag"))
_ADD_PAYLOADS = Insert(
    cast("sa.Table", Payload.__table__), ("entry_id", "holder", "retention", "sealed")
)
_ADD_PENDING = Insert(cast("sa.Table", Pending.__table__), ("entry_id", "at"))
_ADD_LEAVES = Insert(cast("sa.Table", Leaf.__table__), ("leaf_index", "entry_id"))


class NewEntry(NamedTuple):
    """An entry on its way into the log: columns of `Entry` and `Payload`."""

    entry_id: str
    leaf: bytes
    intake_tag: bytes
    holder: str
    retention: str
    sealed: bytes


def add(door: Door, entries: Sequence[NewEntry], *, at: datetime) -> None:
    """Add entries with their payloads, to wait for their places in this order."""
    _ADD_ENTRIES.run_values(door, [(each.entry_id, each.leaf, each.intake_tag) for each in entries])
    _ADD_PAYLOADS.run_values(
        door, [(each.entry_id, each.holder, each.retention, each.sealed) for each in entries]
    )
    _ADD_PENDING.run_values(door, [(each.entry_id, at) for each in entries])


def latest_checkpoint(session: Session) -> SignedCheckpoint | None:
    """Return the newest signed checkpoint."""
    query = sa.select(SignedCheckpoint).order_by(SignedCheckpoint.tree_size.desc()).limit(1)
    return session.scalars(query).first()


def pending(
    session: Session, limit: int, *, after: int | None = None
) -> Sequence[tuple[int, str, bytes, bytes]]:
    """Return (ordinal, entry id, leaf, intake tag) of up to `limit` unplaced entries.

    Args:
        session: a snapshot or the caller's transaction.
        limit: how many at most.
        after: only those whose ordinal is higher.
    """
    query = (
        sa.select(Pending.ordinal, Entry.entry_id, Entry.leaf, Entry.intake_tag)
        .join(Entry, Entry.entry_id == Pending.entry_id)
        .order_by(Pending.ordinal)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Pending.ordinal > after)
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(query)]


def pending_count(session: Session) -> int:
    """Return how many entries wait for their place."""
    return session.scalar(sa.select(sa.func.count()).select_from(Pending)) or 0


def place_entries(session: Session, first_index: int, placed: Sequence[tuple[int, str]]) -> None:
    """Give (ordinal, entry id) pairs consecutive places and take them off the queue."""
    _ADD_LEAVES.run(
        session,
        [
            {"leaf_index": first_index + offset, "entry_id": entry_id}
            for offset, (_ordinal, entry_id) in enumerate(placed)
        ],
    )
    session.execute(sa.delete(Pending).where(Pending.ordinal.in_([o for o, _entry in placed])))


def read_tile(session: Session, level: int, tile_index: int) -> bytes:
    """Return the hashes of a tile so far; empty where there are none."""
    query = sa.select(Tile.hashes).where(Tile.level == level, Tile.tile_index == tile_index)
    return session.scalar(query) or b""


def tile_keys(session: Session) -> list[tuple[int, int]]:
    """Return (level, index) of every stored tile."""
    query = sa.select(Tile.level, Tile.tile_index).order_by(Tile.level, Tile.tile_index)
    return [(row[0], row[1]) for row in session.execute(query)]


def write_tiles(session: Session, tiles: Mapping[tuple[int, int], bytes]) -> None:
    """Write changed tiles."""
    for (level, tile_index), hashes in tiles.items():
        session.merge(Tile(level=level, tile_index=tile_index, hashes=hashes))
    session.flush()


def index_of(session: Session, entry_id: str) -> int | None:
    """Return the place of an entry, or None while it is pending."""
    return session.scalar(sa.select(Leaf.leaf_index).where(Leaf.entry_id == entry_id))


def indexes_of(session: Session, entry_ids: Sequence[str]) -> dict[str, int]:
    """Return the places of those entries that have one."""
    found: dict[str, int] = {}
    for start in range(0, len(entry_ids), 500):
        query = sa.select(Leaf.entry_id, Leaf.leaf_index).where(
            Leaf.entry_id.in_(entry_ids[start : start + 500])
        )
        found.update({row[0]: row[1] for row in session.execute(query)})
    return found


def leaves(session: Session, start: int, stop: int) -> Iterator[tuple[int, str, bytes, bytes]]:
    """Yield (index, entry id, leaf, intake tag) for `start <= index < stop` that exist."""
    query = (
        sa.select(Leaf.leaf_index, Entry.entry_id, Entry.leaf, Entry.intake_tag)
        .join(Entry, Entry.entry_id == Leaf.entry_id)
        .where(Leaf.leaf_index >= start, Leaf.leaf_index < stop)
        .order_by(Leaf.leaf_index)
    )
    for row in session.execute(query.execution_options(yield_per=1000)):
        yield row[0], row[1], row[2], row[3]


def first_index_outside(session: Session, size: int) -> int | None:
    """Return the first index below 0 or from `size` on: a place given behind our back."""
    outside = (Leaf.leaf_index < 0) | (Leaf.leaf_index >= size)
    return session.scalar(sa.select(sa.func.min(Leaf.leaf_index)).where(outside))


def placed_and_pending(session: Session) -> list[str]:
    """Return ids of entries that have a place and a turn in the queue all the same."""
    query = sa.select(Leaf.entry_id).join(Pending, Pending.entry_id == Leaf.entry_id)
    return list(session.scalars(query.order_by(Leaf.leaf_index)))


def orphans(session: Session) -> list[str]:
    """Return ids of entries that have neither a place nor a turn in the queue."""
    query = (
        sa.select(Entry.entry_id)
        .outerjoin(Leaf, Leaf.entry_id == Entry.entry_id)
        .outerjoin(Pending, Pending.entry_id == Entry.entry_id)
        .where(Leaf.entry_id.is_(None), Pending.entry_id.is_(None))
    )
    return list(session.scalars(query))


def payloads_of(
    session: Session, holder: str, retentions: Iterable[str] | None = None
) -> list[Payload]:
    """Return what the log holds about `holder`, oldest entries first where placed."""
    query = sa.select(Payload).where(Payload.holder == holder)
    if retentions is not None:
        query = query.where(Payload.retention.in_(tuple(retentions)))
    query = query.outerjoin(Leaf, Leaf.entry_id == Payload.entry_id).order_by(
        Leaf.leaf_index.is_(None), Leaf.leaf_index
    )
    return list(session.scalars(query))


def entries(session: Session, entry_ids: Sequence[str]) -> Iterator[Entry]:
    """Yield the entries of these ids."""
    for start in range(0, len(entry_ids), 500):
        query = sa.select(Entry).where(Entry.entry_id.in_(entry_ids[start : start + 500]))
        yield from session.scalars(query)


def replace_payloads(session: Session, erasure_entry_id: str, openings: Mapping[str, str]) -> None:
    """Delete the payloads of these entries and keep the openings that justify it."""
    session.execute(
        sa.insert(Opening),
        [
            {"entry_id": entry_id, "erasure_entry_id": erasure_entry_id, "opening": opening}
            for entry_id, opening in openings.items()
        ],
    )
    entry_ids = list(openings)
    for start in range(0, len(entry_ids), 500):
        session.execute(
            sa.delete(Payload).where(Payload.entry_id.in_(entry_ids[start : start + 500]))
        )


def by_entry(session: Session, table: type[RowT], entry_ids: Sequence[str]) -> dict[str, RowT]:
    """Return entry id -> its row in `table`, for those of the entries that have one."""
    found: dict[str, RowT] = {}
    for start in range(0, len(entry_ids), 500):
        query = sa.select(table).where(table.entry_id.in_(entry_ids[start : start + 500]))
        found.update({row.entry_id: row for row in session.scalars(query)})
    return found
