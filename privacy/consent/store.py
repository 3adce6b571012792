"""Queries of consent: events, current states, objections.

`consent_event` is never updated, by trigger; its rows go when the evidence's own term ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.decision import Facts
from privacy.consent.acknowledgement_store import delete_acknowledgements
from privacy.consent.attachment_store import delete_attachments
from privacy.consent.event_store import (
    EventFilter,
    EventRow,
    ObjectionRow,
    StateRow,
    fact_of,
    row_of,
    to_event,
    to_word,
)
from privacy.consent.guardian_store import delete_guardianships, has_guardian
from privacy.consent.model import (
    TYPED_BY_THE_PERSON,
    ConsentEvent,
    Objection,
    Sighting,
    State,
)
from privacy.consent.notice_store import (
    InForceRow,
    NoticeTextRow,
    RegisterRevisionRow,
    all_rules,
    keep_rules,
    kept_words,
    note_in_force,
    publish_register,
    register_is_published,
    revision_in_force,
    rules_of,
    shown_in,
)
from privacy.consent.standing_store import (
    LATEST,
    drop_states,
    move_states,
    stand_on,
    standing_event,
    standings,
)
from privacy.consent.suppression_store import excluded, suppressed_since
from privacy.pseudonyms.store import DomainRow, PseudonymRow
from privacy.subjects.fact_store import delete_facts
from privacy.subjects.store import IdentifierRow, SubjectRow, all_ids
from privacy.tables import UtcDateTime

#: What was said, what stands and what was published have files of their own and are reached from here.
__all__ = [
    "LATEST",
    "EventFilter",
    "EventRow",
    "InForceRow",
    "NoticeTextRow",
    "ObjectionRow",
    "RegisterRevisionRow",
    "StateRow",
    "all_rules",
    "drop_states",
    "fact_of",
    "keep_rules",
    "kept_words",
    "move_states",
    "note_in_force",
    "publish_register",
    "register_is_published",
    "revision_in_force",
    "row_of",
    "rules_of",
    "shown_in",
    "stand_on",
    "standing_event",
    "standings",
    "to_event",
    "to_word",
]


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
_IS_DECEASED = sa.select(_SUBJECT.c.subject_id).where(
    _SUBJECT.c.subject_id == sa.bindparam("of_subject"), _SUBJECT.c.deceased_at.is_not(None)
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
    if wanted.recorded_since is not None:
        yield sa.func.coalesce(EventRow.recorded_at, EventRow.at) >= wanted.recorded_since
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
    return _state(row, minor_until(session, subject_id)) if row else State(purpose=purpose)


def states_of(session: Session, subject_id: str) -> dict[str, State]:
    """Return the last words of a person, by purpose; only those about which they said something.

    Raises:
        ValueError: a row holds what was never written.
    """
    query = sa.select(StateRow).where(StateRow.subject_id == subject_id)
    until = minor_until(session, subject_id)
    return {row.purpose: _state(row, until) for row in session.scalars(query)}


def is_deceased(session: Session, subject_id: str) -> bool:
    """Tell whether the person's death is noted."""
    return session.scalar(_IS_DECEASED, {"of_subject": subject_id}) is not None


def minor_until(session: Session, subject_id: str) -> datetime | None:
    """Return from when on the person consents alone; None: never a minor that we know of."""
    return session.scalar(
        sa.select(SubjectRow.minor_until).where(SubjectRow.subject_id == subject_id)
    )


def _state(row: StateRow, minor_until: datetime | None) -> State:
    return State(purpose=row.purpose, consent=fact_of(row, minor_until), event_id=row.event_id)


_PURPOSE: sa.BindParameter[str] = sa.bindparam("of_purpose")
_PROVED = (
    sa.exists()
    .where(
        _IDENTIFIER.c.subject_id == _SUBJECT.c.subject_id,
        _IDENTIFIER.c.verified_at.is_not(None),
    )
    .correlate(_SUBJECT)
)


def took_their_word(state: sa.Table) -> sa.ColumnElement[bool]:
    """Return, for a larger statement, that nobody typed an address of their own to say this."""
    # Compared one by one: a list would be written into the statement anew at each execution.
    others = sa.and_(*(state.c.channel != each.value for each in sorted(TYPED_BY_THE_PERSON)))
    return sa.or_(state.c.channel.is_(None), others)


#: False where somebody typed an address, consented, and has not proved it theirs.
_VERIFIED = sa.or_(took_their_word(_STATE), _PROVED)


def sighting_by(
    purpose: sa.ColumnElement[str], people: sa.FromClause = _SUBJECT
) -> sa.Select[*tuple[Any, ...]]:
    """Return what a decision reads of people and a purpose, to be narrowed to those asked about.

    Everybody but the erased. One statement for whoever decides, so that all see the same.

    Args:
        purpose: the unit, or the column of `people` that names it.
        people: what joins the table of subjects to whom is asked about.
    """
    return (
        sa.select(
            _SUBJECT.c.subject_id,
            sa.or_(_SUBJECT.c.restricted_at.is_not(None), _SUBJECT.c.leaving_at.is_not(None)).label(
                "restricted"
            ),
            _SUBJECT.c.blocked_at.is_not(None).label("blocked"),
            sa.and_(
                _SUBJECT.c.minor_until.is_not(None),
                _SUBJECT.c.minor_until > sa.bindparam("of_at", type_=UtcDateTime),
                ~has_guardian(_SUBJECT),
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
            _STATE.c.said_by,
            _SUBJECT.c.deceased_at.is_not(None).label("deceased"),
            suppressed_since(_SUBJECT, purpose).label("suppressed_since"),
            excluded(_SUBJECT).label("excluded"),
        )
        .select_from(people)
        .outerjoin(
            _STATE,
            sa.and_(_STATE.c.subject_id == _SUBJECT.c.subject_id, _STATE.c.purpose == purpose),
        )
        .outerjoin(
            _OBJECTION,
            sa.and_(
                _OBJECTION.c.subject_id == _SUBJECT.c.subject_id, _OBJECTION.c.purpose == purpose
            ),
        )
        .where(_SUBJECT.c.erased_at.is_(None))
    )


#: One person and one purpose, in one indexed read.
_SIGHTING = sighting_by(_PURPOSE)
_SIGHTING_OF_SUBJECT = _SIGHTING.where(_SUBJECT.c.subject_id == sa.bindparam("of_subject"))
#: Whom a pseudonym was issued for: the person, or an alias that leads to the person.
_NAMED = _SUBJECT.alias("named")
SIGHTING_OF_PSEUDONYM = (
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
    return to_sighting(session.execute(_SIGHTING_OF_SUBJECT, wanted).one_or_none())


def sighting_of_pseudonym(
    session: Session, domain: str, value: str, purpose: str, at: datetime
) -> Sighting | None:
    """Return what is known of whom a pseudonym names in a domain; None where it names nobody.

    Raises:
        ValueError: a row holds what was never written.
    """
    wanted = {"of_domain": domain, "of_value": value, "of_purpose": purpose, "of_at": at}
    return to_sighting(session.execute(SIGHTING_OF_PSEUDONYM, wanted).one_or_none())


def to_sighting(row: sa.Row[*tuple[Any, ...]] | None) -> Sighting | None:
    """What a row of `sighting_by` tells.

    Raises:
        ValueError: it holds what was never written.
    """
    if row is None:
        return None
    consent = None
    if row.event_id is not None:
        consent = fact_of(row, row.minor_until)
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
            deceased=row.deceased,
            suppressed_since=row.suppressed_since,
            excluded=row.excluded,
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


def delete_of(session: Session, subject_id: str) -> None:
    """Delete what an erased person said, once the term of its evidence has ended."""
    delete_acknowledgements(session, subject_id)
    delete_guardianships(session, subject_id)
    delete_attachments(session, subject_id)
    delete_facts(session, subject_id)
    for table in (ObjectionRow, StateRow, EventRow):
        session.execute(sa.delete(table).where(table.subject_id == subject_id))
