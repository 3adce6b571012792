"""Table of imports: which file was read, how far, and what became of its rows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.vocabulary import SaidBy
from privacy.consent.store import EventRow
from privacy.tables import OPERATIONAL, Base, UtcDateTime

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_PAGE: Final = 500
#: Whose word an imported row is kept as.
_IMPORTED: Final = (SaidBy.IMPORT.value, SaidBy.GUARDIAN.value)


class ImportRecord(Base):
    """One file. Its progress is committed with the rows that it tells of."""

    __tablename__ = "consent_import"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    import_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    source: Mapped[str] = mapped_column(sa.String(200))
    position: Mapped[int] = mapped_column(_BIG)
    line: Mapped[int] = mapped_column(_BIG)
    recorded: Mapped[int] = mapped_column(_BIG)
    repeated: Mapped[int] = mapped_column(_BIG)
    refused: Mapped[int] = mapped_column(_BIG)
    refused_bytes: Mapped[int] = mapped_column(_BIG)
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def of_digest(session: Session, digest: str) -> ImportRecord | None:
    """Return the import of a file of this content."""
    return session.scalars(
        sa.select(ImportRecord).where(ImportRecord.digest == digest)
    ).one_or_none()


def advance(session: Session, import_id: str, before: int, values: dict[str, Any]) -> bool:
    """Note how far an import has come; False where it was not at `before` any more."""
    moved = session.execute(
        sa.update(ImportRecord)
        .where(
            ImportRecord.import_id == import_id,
            ImportRecord.position == before,
            ImportRecord.finished_at.is_(None),
        )
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", moved).rowcount == 1


def imported(session: Session, subject_ids: Collection[str]) -> set[tuple[str, str, str, datetime]]:
    """Return (subject id, purpose, action, at) of what was imported of these people before."""
    found: set[tuple[str, str, str, datetime]] = set()
    listed = sorted(subject_ids)
    for start in range(0, len(listed), _PAGE):
        query = sa.select(
            EventRow.subject_id, EventRow.purpose, EventRow.action, EventRow.at
        ).where(
            EventRow.subject_id.in_(listed[start : start + _PAGE]),
            EventRow.said_by.in_(_IMPORTED),
        )
        found.update((row[0], row[1], row[2], row[3]) for row in session.execute(query))
    return found
