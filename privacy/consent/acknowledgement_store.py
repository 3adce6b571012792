"""Tables and queries of what people accepted, were told, and were asked about notices.

`notice_acknowledgement` is never updated; its rows go when the evidence's own term ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.clock import rfc3339
from privacy.events import Json
from privacy.subjects.store import all_ids
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class AcknowledgementRow(Base):
    """A person accepted a notice of the account, or was told of it."""

    __tablename__ = "notice_acknowledgement"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["notice", "version", "language"],
            ["notice_text.notice", "notice_text.version", "notice_text.language"],
        ),
        sa.Index(None, "subject_id", "notice"),
    )

    acknowledgement_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    subject_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("subject.subject_id"))
    notice: Mapped[str] = mapped_column(sa.String(64))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(sa.String(64))
    language: Mapped[str] = mapped_column(sa.String(16))
    manner: Mapped[str] = mapped_column(sa.String(16))
    channel: Mapped[str] = mapped_column(sa.String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    register_revision: Mapped[str] = mapped_column(sa.String(64))
    recorded_by: Mapped[str] = mapped_column(sa.String(200))
    entry_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id"), unique=True
    )


class AskedRow(Base):
    """A person was asked about a purpose's new notice and put it off: they are not asked again.

    Operational: it says nothing of what the person wants.
    """

    __tablename__ = "notice_asked"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), primary_key=True
    )
    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    version: Mapped[int]
    at: Mapped[datetime] = mapped_column(UtcDateTime)


def acknowledgements_of(session: Session, subject_id: str) -> Sequence[AcknowledgementRow]:
    """Return what a person accepted and was told, under any id of theirs, oldest first."""
    query = (
        sa.select(AcknowledgementRow)
        .where(AcknowledgementRow.subject_id.in_(all_ids(subject_id)))
        .order_by(AcknowledgementRow.at, AcknowledgementRow.acknowledgement_id)
    )
    return session.scalars(query).all()


def asked_versions(session: Session, subject_id: str) -> dict[str, int]:
    """Return, by purpose, the newest notice version that a person was asked about and put off."""
    query = sa.select(AskedRow.purpose, AskedRow.version).where(AskedRow.subject_id == subject_id)
    return {row.purpose: row.version for row in session.execute(query)}


def note_asked(session: Session, subject_id: str, purpose: str, version: int, at: datetime) -> None:
    """Remember that a person put off a notice; the caller holds the person."""
    row = session.get(AskedRow, (subject_id, purpose))
    if row is None:
        row = AskedRow(subject_id=subject_id, purpose=purpose)
        session.add(row)
    row.version, row.at = version, at


def forget_asked(session: Session, subject_id: str) -> None:
    """Delete what a person put off."""
    session.execute(sa.delete(AskedRow).where(AskedRow.subject_id == subject_id))


def delete_acknowledgements(session: Session, subject_id: str) -> None:
    """Delete what an erased person accepted, once the term of its evidence has ended."""
    session.execute(
        sa.delete(AcknowledgementRow).where(AcknowledgementRow.subject_id == subject_id)
    )


def collect(session: Session, subject_id: str) -> Mapping[str, Json]:
    """Return what is held of a person's acknowledgements. Source: GDPR Art. 15(1)."""
    return {
        "acknowledgements": [
            {
                "notice": row.notice,
                "version": row.version,
                "digest": row.digest,
                "language": row.language,
                "manner": row.manner,
                "channel": row.channel,
                "at": rfc3339(row.at),
                "entry_id": row.entry_id,
            }
            for row in acknowledgements_of(session, subject_id)
        ],
        "put_off": [
            {"purpose": purpose, "notice_version": version}
            for purpose, version in asked_versions(session, subject_id).items()
        ],
    }
