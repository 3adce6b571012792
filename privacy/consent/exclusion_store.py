"""Queries of exclusion lists and of imports under way.

Each import's rows stand beside the last one's until it has ended; then the list moves to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from privacy.consent.suppression_store import ExclusionImportRow, ExclusionListRow, ExclusionRow
from privacy.keys.blind_index import INDEX_VERSION

DELETE_BATCH: Final = 20_000

_EXCLUSION = cast("sa.Table", ExclusionRow.__table__)
_IMPORT = cast("sa.Table", ExclusionImportRow.__table__)
_ADD = {
    "sqlite": sqlite.insert(_EXCLUSION).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(_EXCLUSION).on_conflict_do_nothing(),
}


def add(session: Session, import_id: str, addresses: Sequence[tuple[str, bytes]]) -> None:
    """Add (kind, blind index) pairs to an import; one that is there already changes nothing."""
    if not addresses:
        return
    rows = [
        {
            "kind": kind,
            "index_version": INDEX_VERSION,
            "blind_index": index,
            "import_id": import_id,
        }
        for kind, index in addresses
    ]
    session.execute(_ADD[session.get_bind().dialect.name], rows)


def count(session: Session, import_id: str) -> int:
    """Return how many addresses an import holds."""
    query = sa.select(sa.func.count()).where(ExclusionRow.import_id == import_id)
    return session.scalar(query) or 0


def import_of(session: Session, name: str) -> ExclusionImportRow | None:
    """Return the import of a list that has begun and not ended, held until the transaction ends."""
    return session.get(ExclusionImportRow, name, populate_existing=True, with_for_update=True)


def list_named(session: Session, name: str) -> ExclusionListRow | None:
    """Return a list in force."""
    return session.get(ExclusionListRow, name, populate_existing=True)


def lists(session: Session) -> Sequence[ExclusionListRow]:
    """Return every list in force, by name."""
    return session.scalars(sa.select(ExclusionListRow).order_by(ExclusionListRow.name)).all()


def delete_forgotten(session: Session) -> int:
    """Delete a batch of rows that no list and no import under way holds; return how many."""
    kept = sa.union(
        sa.select(ExclusionListRow.in_force).where(ExclusionListRow.in_force.is_not(None)),
        sa.select(ExclusionImportRow.import_id),
    ).subquery()
    forgotten = session.scalar(
        sa.select(_EXCLUSION.c.import_id)
        .where(_EXCLUSION.c.import_id.not_in(sa.select(kept)))
        .limit(1)
    )
    if forgotten is None:
        return 0
    some = (
        sa.select(_EXCLUSION.c.blind_index)
        .where(_EXCLUSION.c.import_id == forgotten)
        .limit(DELETE_BATCH)
    )
    gone = session.execute(
        sa.delete(_EXCLUSION).where(
            _EXCLUSION.c.import_id == forgotten, _EXCLUSION.c.blind_index.in_(some)
        )
    )
    return cast("sa.CursorResult[Any]", gone).rowcount


def begin(
    session: Session, name: str, import_id: str, source_digest: str, at: datetime
) -> ExclusionImportRow:
    """Return the import of a file that has begun, or begin it, in place of one of another file.

    One statement: of two that begin the same one at once, both go on with the first.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    added = (sqlite.insert(_IMPORT) if is_sqlite else postgresql.insert(_IMPORT)).values(
        name=name,
        import_id=import_id,
        source_digest=source_digest,
        lines_done=0,
        refused=0,
        begun_at=at,
    )
    moved = ("import_id", "source_digest", "lines_done", "refused", "begun_at")
    session.execute(
        added.on_conflict_do_update(
            index_elements=["name"],
            set_={column: added.excluded[column] for column in moved},
            where=_IMPORT.c.source_digest != added.excluded.source_digest,
        )
    )
    row = import_of(session, name)
    assert row is not None  # noqa: S101 - it was there, or it was added
    return row
