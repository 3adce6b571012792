"""Tables and queries of consent: published words, events, current states, objections.

`consent_event` is never updated, by trigger; its rows go when the evidence's own term ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.decision import ConsentFact, Facts
from policies.vocabulary import ConsentAction, ConsentChannel
from privacy.consent.acknowledgement_store import delete_acknowledgements
from privacy.consent.model import (
    TYPED_BY_THE_PERSON,
    ConsentEvent,
    Objection,
    Shown,
    Sighting,
    State,
)
from privacy.database import Base, UtcDateTime
from privacy.pseudonyms.store import DomainRow, PseudonymRow
from privacy.subjects.store import IdentifierRow, SubjectRow, all_ids

ID = sa.String(32)
NAME = sa.String(64)
DIGEST = sa.String(64)
LANGUAGE = sa.String(16)


class NoticeTextRow(Base):
    """A published wording, so that evidence reproduces it whatever becomes of the files."""

    __tablename__ = "notice_text"

    notice: Mapped[str] = mapped_column(NAME, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    language: Mapped[str] = mapped_column(LANGUAGE, primary_key=True)
    text: Mapped[str] = mapped_column(sa.Text)
    digest: Mapped[str] = mapped_column(DIGEST)
    material: Mapped[bool]
    published_on: Mapped[date] = mapped_column(sa.Date)


class RegisterRevisionRow(Base):
    """A revision of the register that was in force."""

    __tablename__ = "register_revision"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)


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


class StateRow(Base):
    """The last event of a person and a purpose, for one indexed read."""

    __tablename__ = "consent_state"

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


class ObjectionRow(Base):
    """An objection in force; its history is in the audit log.

    Those of a merged subject stay as they stood at the merge; the survivor's own count.
    """

    __tablename__ = "objection"

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
    """

    purpose: str | None = None
    action: ConsentAction | None = None
    channel: ConsentChannel | None = None
    since: datetime | None = None
    until: datetime | None = None
    subject_id: str | None = None


_EVENT = cast("sa.Table", EventRow.__table__)
_STATE = cast("sa.Table", StateRow.__table__)
_OBJECTION = cast("sa.Table", ObjectionRow.__table__)
_SUBJECT = cast("sa.Table", SubjectRow.__table__)
_IDENTIFIER = cast("sa.Table", IdentifierRow.__table__)
_PSEUDONYM = cast("sa.Table", PseudonymRow.__table__)
_DOMAIN = cast("sa.Table", DomainRow.__table__)

# Built once: making a statement costs more than the database needs to answer it.
_LOCK_SUBJECT = (
    sa.select(_SUBJECT.c.subject_id, _SUBJECT.c.merged_into)
    .where(_SUBJECT.c.subject_id == sa.bindparam("of_subject"), _SUBJECT.c.erased_at.is_(None))
    .with_for_update()
)
_IS_MINOR = sa.select(_SUBJECT.c.subject_id).where(
    _SUBJECT.c.subject_id == sa.bindparam("of_subject"),
    _SUBJECT.c.minor_until > sa.bindparam("of_at"),
)
_ADD_EVENT = sa.insert(_EVENT)
_ADD_STATE = sa.insert(_STATE)
_LATEST = ("event_id", "action", "at", "notice_version", "expires_at", "explicit", "channel")
_MOVE_STATE = (
    sa.update(_STATE)
    .where(
        _STATE.c.subject_id == sa.bindparam("of_subject"),
        _STATE.c.purpose == sa.bindparam("of_purpose"),
    )
    .values({name: sa.bindparam(name) for name in _LATEST})
)


def lock_subject(session: Session, subject_id: str) -> str | None:
    """Hold the person until the transaction ends, so that their words are recorded in order.

    Returns:
        Under which id: another where the person was merged into it, meanwhile or before. None
        where there is no such person, or an erased one.
    """
    row = session.execute(_LOCK_SUBJECT, {"of_subject": subject_id}).one_or_none()
    if row is None or row.merged_into is None:
        return row.subject_id if row else None
    return lock_subject(session, row.merged_into)


def is_minor(session: Session, subject_id: str, at: datetime) -> bool:
    """Tell whether the person is known to be below the age of consent at this instant."""
    return session.scalar(_IS_MINOR, {"of_subject": subject_id, "of_at": at}) is not None


def append(session: Session, event: ConsentEvent) -> int:
    """Append an event, move the current state to it, and return its ordinal."""
    row = {
        "event_id": event.event_id,
        "subject_id": event.subject_id,
        "purpose": event.purpose,
        "action": event.action.value,
        "at": event.at,
        "notice": event.notice,
        "notice_version": event.notice_version,
        "notice_digest": event.notice_digest,
        "language": event.language,
        "channel": event.channel.value,
        "register_revision": event.register_revision,
        "expires_at": event.expires_at,
        "explicit": event.explicit,
        "recorded_by": event.recorded_by,
        "carries": event.carries,
        "entry_id": event.entry_id,
    }
    added = cast("sa.CursorResult[Any]", session.execute(_ADD_EVENT, row))
    _stand_on(session, event.subject_id, row)
    return cast("tuple[int]", added.inserted_primary_key)[0]


def stand_on(session: Session, subject_id: str, event: ConsentEvent) -> None:
    """Move a person's current state to an event, theirs or an alias's."""
    latest = {name: getattr(event, name) for name in _LATEST}
    latest |= {"action": event.action.value, "channel": event.channel.value}
    _stand_on(session, subject_id, latest | {"purpose": event.purpose})


def _stand_on(session: Session, subject_id: str, row: Mapping[str, object]) -> None:
    latest = {name: row[name] for name in _LATEST}
    of = {"of_subject": subject_id, "of_purpose": row["purpose"]}
    moved = cast("sa.CursorResult[Any]", session.execute(_MOVE_STATE, of | latest))
    if moved.rowcount == 0:
        key = {"subject_id": subject_id, "purpose": row["purpose"]}
        session.execute(_ADD_STATE, key | latest)


def drop_states(session: Session, subject_id: str) -> None:
    """Delete the current states under an id under which nothing holds any more."""
    session.execute(sa.delete(StateRow).where(StateRow.subject_id == subject_id))


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
        entry_id=row.entry_id,
        ordinal=row.ordinal,
    )


def _where(wanted: EventFilter) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.purpose is not None:
        yield EventRow.purpose == wanted.purpose
    if wanted.action is not None:
        yield EventRow.action == wanted.action.value
    if wanted.channel is not None:
        yield EventRow.channel == wanted.channel.value
    if wanted.since is not None:
        yield EventRow.at >= wanted.since
    if wanted.until is not None:
        yield EventRow.at < wanted.until
    if wanted.subject_id is not None:
        yield EventRow.subject_id.in_(all_ids(wanted.subject_id))


def select_events(
    session: Session,
    wanted: EventFilter,
    *,
    after_ordinal: int | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> list[ConsentEvent]:
    """Return one page of events by their ordinal.

    Args:
        session: the caller's.
        wanted: which events.
        after_ordinal: the last ordinal of the page before; None begins.
        limit: the most to return.
        newest_first: go from the last event to the first.
    """
    query = sa.select(EventRow).where(*_where(wanted)).limit(limit)
    if after_ordinal is not None:
        beyond = (
            EventRow.ordinal < after_ordinal if newest_first else (EventRow.ordinal > after_ordinal)
        )
        query = query.where(beyond)
    order = EventRow.ordinal.desc() if newest_first else EventRow.ordinal
    return [to_event(row) for row in session.scalars(query.order_by(order))]


def count_events(session: Session, wanted: EventFilter) -> int:
    """Return how many events there are."""
    query = sa.select(sa.func.count()).select_from(EventRow).where(*_where(wanted))
    return session.scalar(query) or 0


def event_by_id(session: Session, event_id: str) -> ConsentEvent | None:
    """Return the event of this id."""
    row = session.scalars(sa.select(EventRow).where(EventRow.event_id == event_id)).one_or_none()
    return to_event(row) if row else None


def state_of(session: Session, subject_id: str, purpose: str) -> State:
    """Return the last word of a person on a purpose.

    Raises:
        ValueError: the row holds what was never written.
    """
    row = session.get(StateRow, (subject_id, purpose), populate_existing=True)
    return _state(row, _minor_until(session, subject_id)) if row else State(purpose=purpose)


def states_of(session: Session, subject_id: str) -> dict[str, State]:
    """Return the last words of a person, by purpose; only those about which they said something.

    Raises:
        ValueError: a row holds what was never written.
    """
    query = sa.select(StateRow).where(StateRow.subject_id == subject_id)
    until = _minor_until(session, subject_id)
    return {row.purpose: _state(row, until) for row in session.scalars(query)}


def _minor_until(session: Session, subject_id: str) -> datetime | None:
    return session.scalar(
        sa.select(SubjectRow.minor_until).where(SubjectRow.subject_id == subject_id)
    )


def _by_minor(at: datetime, minor_until: datetime | None) -> bool:
    return minor_until is not None and at < minor_until


def _state(row: StateRow, minor_until: datetime | None) -> State:
    fact = ConsentFact(
        action=ConsentAction(row.action),
        at=row.at,
        notice_version=row.notice_version,
        expires_at=row.expires_at,
        explicit=row.explicit,
        by_minor=_by_minor(row.at, minor_until),
    )
    return State(purpose=row.purpose, consent=fact, event_id=row.event_id)


_PURPOSE: sa.BindParameter[str] = sa.bindparam("of_purpose")
_PROVED = (
    sa.exists()
    .where(
        _IDENTIFIER.c.subject_id == _SUBJECT.c.subject_id,
        _IDENTIFIER.c.verified_at.is_not(None),
    )
    .correlate(_SUBJECT)
)
#: False where somebody typed an address, consented, and has not proved it theirs.
_VERIFIED = sa.or_(
    _STATE.c.channel.is_(None),
    # Compared one by one: a list would be written into the statement anew at each execution.
    sa.and_(*(_STATE.c.channel != channel.value for channel in sorted(TYPED_BY_THE_PERSON))),
    _PROVED,
)
#: One person and one purpose, in one indexed read.
_SIGHTING = (
    sa.select(
        _SUBJECT.c.subject_id,
        sa.or_(_SUBJECT.c.restricted_at.is_not(None), _SUBJECT.c.leaving_at.is_not(None)).label(
            "restricted"
        ),
        _SUBJECT.c.blocked_at.is_not(None).label("blocked"),
        sa.and_(
            _SUBJECT.c.minor_until.is_not(None),
            _SUBJECT.c.minor_until > sa.bindparam("of_at", type_=UtcDateTime),
        ).label("minor"),
        _SUBJECT.c.minor_until,
        _VERIFIED.label("verified"),
        _OBJECTION.c.subject_id.is_not(None).label("objected"),
        _STATE.c.event_id,
        _STATE.c.action,
        _STATE.c.at,
        _STATE.c.notice_version,
        _STATE.c.expires_at,
        _STATE.c.explicit,
    )
    .select_from(_SUBJECT)
    .outerjoin(
        _STATE,
        sa.and_(_STATE.c.subject_id == _SUBJECT.c.subject_id, _STATE.c.purpose == _PURPOSE),
    )
    .outerjoin(
        _OBJECTION,
        sa.and_(_OBJECTION.c.subject_id == _SUBJECT.c.subject_id, _OBJECTION.c.purpose == _PURPOSE),
    )
    .where(_SUBJECT.c.erased_at.is_(None))
)
_SIGHTING_OF_SUBJECT = _SIGHTING.where(_SUBJECT.c.subject_id == sa.bindparam("of_subject"))
#: Whom a pseudonym was issued for: the person, or an alias that leads to the person.
_NAMED = _SUBJECT.alias("named")
_SIGHTING_OF_PSEUDONYM = (
    _SIGHTING.join(
        _NAMED, _SUBJECT.c.subject_id == sa.func.coalesce(_NAMED.c.merged_into, _NAMED.c.subject_id)
    )
    .join(_PSEUDONYM, _PSEUDONYM.c.subject_id == _NAMED.c.subject_id)
    .join(_DOMAIN, _DOMAIN.c.domain_id == _PSEUDONYM.c.domain_id)
    .where(
        _DOMAIN.c.name == sa.bindparam("of_domain"),
        _PSEUDONYM.c.value == sa.bindparam("of_value"),
    )
)


def sighting_of_subject(
    session: Session, subject_id: str, purpose: str, at: datetime
) -> Sighting | None:
    """Return what is known of a person and a purpose; None where there is no such person.

    Raises:
        ValueError: a row holds what was never written.
    """
    wanted = {"of_subject": subject_id, "of_purpose": purpose, "of_at": at}
    return _sighting(session.execute(_SIGHTING_OF_SUBJECT, wanted).one_or_none())


def sighting_of_pseudonym(
    session: Session, domain: str, value: str, purpose: str, at: datetime
) -> Sighting | None:
    """Return what is known of whom a pseudonym names in a domain; None where it names nobody.

    Raises:
        ValueError: a row holds what was never written.
    """
    wanted = {"of_domain": domain, "of_value": value, "of_purpose": purpose, "of_at": at}
    return _sighting(session.execute(_SIGHTING_OF_PSEUDONYM, wanted).one_or_none())


def _sighting(row: sa.Row[*tuple[Any, ...]] | None) -> Sighting | None:
    if row is None:
        return None
    consent = None
    if row.event_id is not None:
        consent = ConsentFact(
            action=ConsentAction(row.action),
            at=row.at,
            notice_version=int(row.notice_version),
            expires_at=row.expires_at,
            explicit=row.explicit,
            by_minor=_by_minor(row.at, row.minor_until),
        )
    return Sighting(
        subject_id=row.subject_id,
        event_id=row.event_id,
        facts=Facts(
            known=True,
            verified=row.verified,
            restricted=row.restricted,
            blocked=row.blocked,
            minor_without_guardian=bool(row.minor),
            objected=row.objected,
            consent=consent,
        ),
    )


def objection_of(session: Session, subject_id: str, purpose: str) -> ObjectionRow | None:
    """Return the objection in force."""
    return session.get(ObjectionRow, (subject_id, purpose))


def objections_of(session: Session, subject_id: str) -> list[Objection]:
    """Return a person's objections in force, oldest first."""
    query = (
        sa.select(ObjectionRow)
        .where(ObjectionRow.subject_id == subject_id)
        .order_by(ObjectionRow.since, ObjectionRow.purpose)
    )
    return [
        Objection(row.subject_id, row.purpose, row.since, row.entry_id)
        for row in session.scalars(query)
    ]


def kept_words(session: Session, notice: str, version: int) -> dict[str, NoticeTextRow]:
    """Return a published revision's wordings by language; empty where it was never published."""
    query = sa.select(NoticeTextRow).where(
        NoticeTextRow.notice == notice, NoticeTextRow.version == version
    )
    return {row.language: row for row in session.scalars(query)}


def shown_in(session: Session, notice: str, version: int, language: str) -> Shown:
    """Return the exact words of a published revision.

    Raises:
        LookupError: they were never published, which the foreign key of an event rules out.
    """
    row = session.get(NoticeTextRow, (notice, version, language))
    if row is None:
        raise LookupError(f"{notice} {version} was never published in {language}")
    return Shown(row.notice, row.version, row.digest, row.language, row.text)


_REVISION = sa.select(RegisterRevisionRow.digest).where(
    RegisterRevisionRow.digest == sa.bindparam("of_digest")
)


def register_is_published(session: Session, digest: str) -> bool:
    """Tell whether this revision of the register was published."""
    return session.scalar(_REVISION, {"of_digest": digest}) is not None


def publish_register(
    session: Session, digest: str, words: Sequence[NoticeTextRow], at: datetime
) -> None:
    """Keep a revision of the register and the wordings that are new with it."""
    session.add(RegisterRevisionRow(digest=digest, published_at=at))
    session.add_all(words)
    session.flush()


def delete_of(session: Session, subject_id: str) -> None:
    """Delete what an erased person said, once the term of its evidence has ended."""
    delete_acknowledgements(session, subject_id)
    for table in (ObjectionRow, StateRow, EventRow):
        session.execute(sa.delete(table).where(table.subject_id == subject_id))
