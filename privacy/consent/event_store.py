"""The tables of what people said, and the values that their rows hold.

`consent_event` is never updated, by trigger; its rows go when the evidence's own term ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from policies.consent_history import Word
from policies.decision import ConsentFact
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.consent.model import (
    ConsentEvent,
)
from privacy.tables import DECIDES, Base, UtcDateTime

ID = sa.String(32)
NAME = sa.String(64)
DIGEST = sa.String(64)
LANGUAGE = sa.String(16)


class EventRow(Base):
    """One thing a person said about one purpose."""

    __tablename__ = "consent_event"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["notice", "notice_version", "language"],
            ["notice_text.notice", "notice_text.version", "notice_text.language"],
        ),
        sa.Index(None, "subject_id", "purpose"),
    )

    ordinal: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    event_id: Mapped[str] = mapped_column(ID, unique=True)
    subject_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("subject.subject_id"))
    purpose: Mapped[str] = mapped_column(NAME)
    action: Mapped[str] = mapped_column(sa.String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    notice: Mapped[str] = mapped_column(NAME)
    notice_version: Mapped[int]
    notice_digest: Mapped[str] = mapped_column(DIGEST)
    language: Mapped[str] = mapped_column(LANGUAGE)
    channel: Mapped[str] = mapped_column(sa.String(16))
    register_revision: Mapped[str] = mapped_column(DIGEST)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    explicit: Mapped[bool]
    recorded_by: Mapped[str] = mapped_column(sa.String(200))
    entry_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("audit_entry.entry_id"), unique=True)
    carries: Mapped[str | None] = mapped_column(ID)
    said_by: Mapped[str] = mapped_column(sa.String(16), server_default="person")
    recorded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attachment: Mapped[str | None] = mapped_column(DIGEST)
    follows: Mapped[str | None] = mapped_column(ID)


#: The rows of `consent_state` that a search for a purpose's people reads, and nothing but the index.
INDEX_OF_GIVEN: Final = "ix_consent_state_given"
#: Which they are: something was given, and ended by nobody but perhaps the clock.
IS_GIVEN: Final = "action IN ('given', 'renewed')"


class StateRow(Base):
    """The last event of a person and a purpose, for one indexed read."""

    __tablename__ = "consent_state"
    __table_args__ = (
        sa.Index(None, "expires_at"),
        sa.Index(
            INDEX_OF_GIVEN,
            *("purpose", "subject_id", "at", "notice_version", "expires_at"),
            *("explicit", "channel", "said_by", "action"),
            sqlite_where=sa.text(IS_GIVEN),
            postgresql_where=sa.text(IS_GIVEN),
        ),
        {"info": DECIDES},
    )

    subject_id: Mapped[str] = mapped_column(
        ID, sa.ForeignKey("subject.subject_id"), primary_key=True
    )
    purpose: Mapped[str] = mapped_column(NAME, primary_key=True)
    event_id: Mapped[str] = mapped_column(ID)
    action: Mapped[str] = mapped_column(sa.String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    notice_version: Mapped[int]
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    explicit: Mapped[bool]
    channel: Mapped[str] = mapped_column(sa.String(16))
    said_by: Mapped[str] = mapped_column(sa.String(16), server_default="person")


class ObjectionRow(Base):
    """An objection in force; its history is in the audit log.

    Those of a merged subject stay as they stood at the merge; the survivor's own count.
    """

    __tablename__ = "objection"
    __table_args__ = {"info": DECIDES}  # noqa: RUF012 - SQLAlchemy's own form

    subject_id: Mapped[str] = mapped_column(
        ID, sa.ForeignKey("subject.subject_id"), primary_key=True
    )
    purpose: Mapped[str] = mapped_column(NAME, primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    entry_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("audit_entry.entry_id"))


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are asked for; None asks for all.

    Attributes:
        since: aware; events at this instant and after.
        until: aware, half-open; events before this instant.
        subject_id: the person, under whichever of their ids it was said.
        recorded_since: aware; events that were written down at this instant and after.
    """

    purpose: str | None = None
    action: ConsentAction | None = None
    channel: ConsentChannel | None = None
    since: datetime | None = None
    until: datetime | None = None
    subject_id: str | None = None
    recorded_since: datetime | None = None


#: The columns of an event that are the members of `ConsentEvent`; the ordinal is the database's.
_COLUMNS = tuple(
    column.name
    for column in cast("sa.Table", EventRow.__table__).columns
    if column.name != "ordinal"
)


def to_event(row: EventRow) -> ConsentEvent:
    """The event that a row holds.

    Raises:
        ValueError: it holds what was never written.
    """
    return ConsentEvent(
        event_id=row.event_id,
        subject_id=row.subject_id,
        purpose=row.purpose,
        action=ConsentAction(row.action),
        at=row.at,
        notice=row.notice,
        notice_version=row.notice_version,
        notice_digest=row.notice_digest,
        language=row.language,
        channel=ConsentChannel(row.channel),
        register_revision=row.register_revision,
        expires_at=row.expires_at,
        explicit=row.explicit,
        recorded_by=row.recorded_by,
        carries=row.carries,
        said_by=SaidBy(row.said_by),
        recorded_at=row.recorded_at,
        attachment=row.attachment,
        follows=row.follows,
        entry_id=row.entry_id,
        ordinal=row.ordinal,
    )


def to_word(event: ConsentEvent) -> Word:
    """The event as the fold needs it."""
    fact = ConsentFact(
        action=event.action,
        at=event.at,
        notice_version=event.notice_version,
        expires_at=event.expires_at,
        explicit=event.explicit,
        said_by=event.said_by,
    )
    return Word(event.event_id, fact, event.recorded_at or event.at, event.follows)


def fact_of(row: StateRow | EventRow | sa.Row[Any], minor_until: datetime | None) -> ConsentFact:
    """The fact of a state, seen with the age as we know it by now.

    What a guardian said counts for a minor alone, and ends at the birthday wherever a correction
    has moved it.
    """
    said_by, expires_at = SaidBy(row.said_by), row.expires_at
    while_minor = minor_until is not None and row.at < minor_until
    if said_by is SaidBy.GUARDIAN and minor_until and expires_at:
        expires_at = min(expires_at, minor_until)
    return ConsentFact(
        action=ConsentAction(row.action),
        at=row.at,
        notice_version=int(row.notice_version),
        expires_at=expires_at,
        explicit=row.explicit,
        by_minor=not while_minor if said_by is SaidBy.GUARDIAN else while_minor,
        said_by=said_by,
    )


def row_of(event: ConsentEvent) -> dict[str, object]:
    """The row of `consent_event` that holds an event."""
    row = {name: getattr(event, name) for name in _COLUMNS}
    return row | {
        "action": event.action.value,
        "channel": event.channel.value,
        "said_by": event.said_by.value,
    }
