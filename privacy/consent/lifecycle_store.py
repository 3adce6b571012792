"""Tables and queries of a consent's life: who was asked, who was reminded, what is to end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.consent_history import YES
from privacy.consent.model import ConsentEvent
from privacy.consent.store import EventRow, StateRow
from privacy.subjects.store import SubjectRow, all_ids
from privacy.tables import OPERATIONAL, Base, UtcDateTime

ID = sa.String(32)
#: Events named in one statement.
_PAGE = 500
_YES = sorted(action.value for action in YES)


class AskedOnceRow(Base):
    """A person was asked for a consent under a material revision of its notice: not again."""

    __tablename__ = "consent_asked"

    subject_id: Mapped[str] = mapped_column(
        ID, sa.ForeignKey("subject.subject_id"), primary_key=True
    )
    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(ID)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReminderRow(Base):
    """A person was reminded that a consent ends soon: of each consent once.

    Operational: it says nothing of what the person wants.
    """

    __tablename__ = "consent_reminder"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    event_id: Mapped[str] = mapped_column(ID, primary_key=True)
    subject_id: Mapped[str] = mapped_column(ID, sa.ForeignKey("subject.subject_id"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class EndingRow(Base):
    """An order of the controller's to end many consents; the worker carries it out in batches.

    Operational: the order has its own entry, and so has each consent that it ends.

    Attributes:
        action: `revoked` or `invalidated`.
        recorded_by: only what this actor recorded; None: whoever did.
        given_until: only what was given by then; later ones are under other circumstances.
        people: how many there were when it was ordered.
        consents: and how many consents; None where the order is older than this column.
        done: how many consents it has ended so far.
        after_subject, after_purpose: the last consent that was looked at; None before the first.
    """

    __tablename__ = "consent_ending"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    ending_id: Mapped[str] = mapped_column(ID, primary_key=True)
    action: Mapped[str] = mapped_column(sa.String(16))
    notice: Mapped[str] = mapped_column(sa.String(64))
    version: Mapped[int]
    recorded_by: Mapped[str | None] = mapped_column(sa.String(200))
    reason: Mapped[str] = mapped_column(sa.String(500))
    ordered_by: Mapped[str] = mapped_column(sa.String(200))
    given_until: Mapped[datetime] = mapped_column(UtcDateTime)
    people: Mapped[int]
    consents: Mapped[int | None]
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    after_subject: Mapped[str | None] = mapped_column(ID)
    after_purpose: Mapped[str | None] = mapped_column(sa.String(64))
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


Pair = tuple[str, str]
"""(subject id, purpose)."""


def was_asked(session: Session, subject_id: str, purpose: str, version: int) -> bool:
    """Tell whether the person was asked, under whichever id of theirs."""
    query = sa.select(AskedOnceRow.event_id).where(
        AskedOnceRow.subject_id.in_(all_ids(subject_id)),
        AskedOnceRow.purpose == purpose,
        AskedOnceRow.version == version,
    )
    return session.scalars(query.limit(1)).first() is not None


def note_asked(session: Session, event: ConsentEvent, version: int) -> None:
    """Remember that the person was asked; the caller holds the person."""
    session.add(
        AskedOnceRow(
            subject_id=event.subject_id,
            purpose=event.purpose,
            version=version,
            event_id=event.event_id,
            at=event.at,
        )
    )


def _of_the_living() -> sa.Select[str, str]:
    """Consents in force, of people who are neither erased nor an alias."""
    return (
        sa.select(StateRow.subject_id, StateRow.purpose)
        .join(SubjectRow, SubjectRow.subject_id == StateRow.subject_id)
        .where(
            StateRow.action.in_(_YES),
            SubjectRow.erased_at.is_(None),
            SubjectRow.merged_into.is_(None),
        )
    )


def run_out(session: Session, now: datetime, limit: int) -> list[Pair]:
    """Return whose consents have run out by the clock and are not noted as expired.

    A state whose event is gone cannot be ended in the words it was given under: the verification of
    the log reports it, and it stands in nobody's way here.
    """
    query = (
        _of_the_living()
        .join(EventRow, EventRow.event_id == StateRow.event_id)
        .where(StateRow.expires_at <= now)
    )
    rows = session.execute(query.order_by(StateRow.expires_at, StateRow.subject_id).limit(limit))
    return [(row.subject_id, row.purpose) for row in rows]


def ending_soon(
    session: Session,
    purpose: str,
    *,
    after: datetime,
    until: datetime,
    beyond: tuple[datetime, str] | None,
    limit: int,
) -> list[tuple[str, str, datetime]]:
    """Return (subject id, event id, end) of consents that end soon and nobody was reminded of.

    Args:
        session: the caller's.
        purpose: of one unit.
        after: aware; those that end later than this.
        until: aware; and at this instant at the latest.
        beyond: (end, subject id) of the last one of the page before.
        limit: at most so many.
    """
    query = (
        _of_the_living()
        .add_columns(StateRow.event_id, StateRow.expires_at)
        .outerjoin(ReminderRow, ReminderRow.event_id == StateRow.event_id)
        .where(
            StateRow.purpose == purpose,
            StateRow.expires_at > after,
            StateRow.expires_at <= until,
            ReminderRow.event_id.is_(None),
        )
        .order_by(StateRow.expires_at, StateRow.subject_id)
        .limit(limit)
    )
    if beyond is not None:
        end, subject_id = beyond
        query = query.where(
            sa.or_(
                StateRow.expires_at > end,
                sa.and_(StateRow.expires_at == end, StateRow.subject_id > subject_id),
            )
        )
    rows = session.execute(query)
    return [(row.subject_id, row.event_id, row.expires_at) for row in rows]


def was_reminded(session: Session, event_id: str) -> bool:
    """Tell whether the person was reminded of this consent's end."""
    return session.get(ReminderRow, event_id, populate_existing=True) is not None


def note_reminded(session: Session, event_id: str, subject_id: str, at: datetime) -> None:
    """Remember that the person was reminded; the caller holds the person."""
    session.add(ReminderRow(event_id=event_id, subject_id=subject_id, at=at))


def forget(session: Session, subject_id: str) -> None:
    """Delete that the person was asked and reminded; their events go with their own term."""
    for table in (AskedOnceRow, ReminderRow):
        session.execute(sa.delete(table).where(table.subject_id == subject_id))


def in_force_after(
    session: Session, after: Pair | None, limit: int
) -> list[tuple[str, str, str | None]]:
    """Return (subject id, purpose, event id) of a page of consents in force, in their one order.

    Args:
        session: the caller's.
        after: the last one of the page before; None begins with the first.
        limit: at most so many.
    """
    query = (
        sa.select(StateRow.subject_id, StateRow.purpose, StateRow.event_id)
        .where(StateRow.action.in_(_YES))
        .order_by(StateRow.subject_id, StateRow.purpose)
        .limit(limit)
    )
    if after is not None:
        beyond = sa.tuple_(StateRow.subject_id, StateRow.purpose)
        query = query.where(beyond > sa.tuple_(*map(sa.literal, after)))
    return [(row.subject_id, row.purpose, row.event_id) for row in session.execute(query)]


def in_force_of_merged(session: Session, since: datetime) -> list[str]:
    """Return the ids of the events on which consents of people stand who were merged since then."""
    ids = sa.select(SubjectRow.merged_into).where(SubjectRow.merged_at >= since)
    query = sa.select(StateRow.event_id).where(
        StateRow.subject_id.in_(ids), StateRow.action.in_(_YES), StateRow.event_id.is_not(None)
    )
    return [event_id for event_id in session.scalars(query) if event_id]


def _given_under(
    notice: str, version: int, recorded_by: str | None, until: datetime
) -> sa.Select[str, str]:
    query = (
        _of_the_living()
        .join(EventRow, EventRow.event_id == StateRow.event_id)
        .where(
            EventRow.notice == notice,
            EventRow.notice_version == version,
            sa.func.coalesce(EventRow.recorded_at, EventRow.at) <= until,
        )
    )
    return query if recorded_by is None else query.where(EventRow.recorded_by == recorded_by)


def given_under(session: Session, order: EndingRow, events: Sequence[str]) -> list[Pair]:
    """Return whose consents an order ends, among those that stand on certain events."""
    query = _given_under(order.notice, order.version, order.recorded_by, order.given_until)
    found: list[Pair] = []
    for start in range(0, len(events), _PAGE):
        some = query.where(EventRow.event_id.in_(events[start : start + _PAGE]))
        found += [(row.subject_id, row.purpose) for row in session.execute(some)]
    return found


def count_given_under(
    session: Session, notice: str, version: int, recorded_by: str | None, until: datetime
) -> tuple[int, int]:
    """Return how many (people, consents) those are."""
    found = _given_under(notice, version, recorded_by, until).subquery()
    people = sa.func.count(sa.distinct(found.c.subject_id))
    row = session.execute(sa.select(people, sa.func.count()).select_from(found)).one()
    return row[0], row[1]


def unfinished(session: Session) -> EndingRow | None:
    """Return the oldest order that is not carried out yet, held until the commit."""
    query = (
        sa.select(EndingRow)
        .where(EndingRow.finished_at.is_(None))
        .order_by(EndingRow.given_until, EndingRow.ending_id)
        .limit(1)
    )
    return session.scalars(query.with_for_update(skip_locked=True)).first()


def endings(session: Session, limit: int = 20) -> Sequence[EndingRow]:
    """Return the newest orders."""
    query = sa.select(EndingRow).order_by(EndingRow.given_until.desc()).limit(limit)
    return session.scalars(query).all()
