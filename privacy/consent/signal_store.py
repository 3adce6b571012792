"""The table of browser signals: the last that each source said of a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.subjects.store import all_ids
from privacy.tables import Base, UtcDateTime


class SignalRow(Base):
    """Whether a person's Global Privacy Control is on, as one source saw it last.

    Attributes:
        source: `portal` for our own pages, else the application's client id.
        on: the signal.
        since: when it changed to that, aware UTC.
    """

    __tablename__ = "gpc_signal"

    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), primary_key=True
    )
    source: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    on: Mapped[bool] = mapped_column("is_on")
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    entry_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("audit_entry.entry_id"))


def row_of(session: Session, subject_id: str, source: str) -> SignalRow | None:
    """Return what a source said last of a person."""
    return session.get(SignalRow, (subject_id, source), populate_existing=True)


def rows_of(session: Session, subject_id: str) -> Sequence[SignalRow]:
    """Return what every source said last of a person, oldest first."""
    query = sa.select(SignalRow).where(SignalRow.subject_id.in_(all_ids(subject_id)))
    return session.scalars(query.order_by(SignalRow.since, SignalRow.source)).all()


def delete_signals(session: Session, subject_id: str) -> None:
    """Delete what the sources said of a person."""
    session.execute(sa.delete(SignalRow).where(SignalRow.subject_id == subject_id))
