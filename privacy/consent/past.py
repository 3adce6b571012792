"""What decisions read of a person at a past moment, from the histories that are never overwritten.

Consent from its events, the rest from the journal of facts, guardianships from their own rows. An
exclusion list of others is known as it stands: for moments before its last import nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.consent_history import standing
from policies.decision import Facts
from policies.vocabulary import ConsentChannel
from privacy.consent import store
from privacy.consent.guardian_store import in_force_at
from privacy.consent.model import NOBODY, TYPED_BY_THE_PERSON, Sighting
from privacy.consent.suppression_store import ALL_MARKETING, ExclusionListRow, ExclusionRow
from privacy.subjects.fact_store import FactKind, FactRow, facts_of
from privacy.subjects.store import IdentifierRow, SubjectRow, all_ids


def sighting_at(
    session: Session,
    subject_id: str,
    purpose: str,
    at: datetime,
    known_at: datetime | None = None,
) -> Sighting:
    """Return what was known of a person and a purpose at a past moment.

    Args:
        session: one snapshot.
        subject_id: any id of the person; before a merge each id was somebody of its own.
        purpose: a unit of the register.
        at: aware; the moment asked about.
        known_at: aware; what was written down later does not count. None: at that very moment, so
            the answer is the one that was given then.

    Returns:
        `NOBODY` where there was no such person then, or an erased one.

    Raises:
        ValueError: a row holds what was never written.
    """
    known_at = at if known_at is None else known_at
    ids = session.scalars(all_ids(subject_id)).all()
    journal = _Journal(facts_of(session, ids), at, known_at)
    person = journal.person(subject_id)
    row = session.get(SubjectRow, person)
    if row is None or row.created_at > at or journal.holds(person, FactKind.ERASED):
        return NOBODY
    minor = journal.last(person, FactKind.MINOR)
    minor_until = minor.value_at if minor else None
    said = [each for each in ids if journal.person(each) == person]
    event = _event_at(session, said, purpose, at, known_at)
    is_minor = minor_until is not None and minor_until > at
    return Sighting(
        subject_id=person,
        event_id=event.event_id if event else None,
        facts=Facts(
            known=True,
            verified=journal.holds(person, FactKind.VERIFIED) or not _typed(event),
            restricted=journal.holds(person, FactKind.RESTRICTED)
            or journal.holds(person, FactKind.LEAVING),
            blocked=journal.holds(person, FactKind.BLOCKED),
            objected=journal.holds(person, FactKind.OBJECTED, purpose),
            deceased=journal.holds(person, FactKind.DECEASED),
            minor_without_guardian=is_minor
            and not any(
                journal.person(each.noted_for or each.child_id) == person
                for each in in_force_at(session, ids, at)
            ),
            suppressed_since=journal.suppressed_since(said, purpose),
            excluded=_was_excluded(session, ids, journal, person, at),
            consent=store.fact_of(event, minor_until) if event else None,
        ),
    )


class _Journal:
    """The notes of a person that count at a moment."""

    def __init__(self, rows: Sequence[FactRow], at: datetime, known_at: datetime) -> None:
        counted = [row for row in rows if row.at <= at and row.recorded_at <= known_at]
        #: Whose an address was then, where a merge gave it to somebody else afterwards.
        self._owners: dict[str, str] = {}
        for row in rows:  # in the order in which they were written
            if row.kind == FactKind.MOVED and row.into and row.at > at:
                self._owners.setdefault(row.into, row.subject_id)
        self._last: dict[tuple[str, str, str | None], FactRow] = {}
        for row in sorted(counted, key=lambda each: (each.at, each.ordinal)):
            self._last[row.subject_id, row.kind, row.purpose] = row

    def last(self, subject_id: str, kind: FactKind, purpose: str | None = None) -> FactRow | None:
        return self._last.get((subject_id, kind.value, purpose))

    def holds(self, subject_id: str, kind: FactKind, purpose: str | None = None) -> bool:
        row = self.last(subject_id, kind, purpose)
        return row is not None and row.on

    def person(self, subject_id: str) -> str:
        """Who an id was then: itself, or whom it was merged into by then."""
        row = self.last(subject_id, FactKind.MERGED)
        return self.person(row.into) if row is not None and row.into else subject_id

    def owner(self, identifier_id: str, now: str) -> str:
        """Whose an address was then; `now`: whose it is, where no merge is known to have moved it."""
        return self._owners.get(identifier_id, now)

    def suppressed_since(self, ids: Sequence[str], purpose: str) -> datetime | None:
        rows: list[FactRow] = []
        for each in ids:
            own = self.last(each, FactKind.SUPPRESSED, purpose)
            of_all = self.last(each, FactKind.SUPPRESSED, ALL_MARKETING)
            if own is not None and own.on:
                rows.append(own)
            if of_all is not None and of_all.on and not _is_wanted(own, of_all):
                rows.append(of_all)
        return max((row.value_at for row in rows if row.value_at), default=None)


def _is_wanted(own: FactRow | None, of_all: FactRow) -> bool:
    """Whether the person wanted one purpose again after an objection to all marketing."""
    if own is None or own.on or own.value_at is None:
        return False
    return (own.at, own.ordinal) > (of_all.at, of_all.ordinal)


def _event_at(
    session: Session, said_by: Sequence[str], purpose: str, at: datetime, known_at: datetime
) -> store.EventRow | None:
    """Return the event on which the state stood."""
    query = sa.select(store.EventRow).where(
        store.EventRow.subject_id.in_(said_by), store.EventRow.purpose == purpose
    )
    rows = {row.event_id: row for row in session.scalars(query)}
    words = (store.to_word(store.to_event(row)) for row in rows.values())
    word = standing(words, at=at, known_at=known_at)
    return rows[word.event_id] if word else None


def _typed(event: store.EventRow | None) -> bool:
    """Whether nobody of ours took the word, so that the address must be proved."""
    return event is not None and ConsentChannel(event.channel) in TYPED_BY_THE_PERSON


def _was_excluded(
    session: Session, ids: Sequence[str], journal: _Journal, person: str, at: datetime
) -> bool:
    """Whether an address was on a list of others that was somebody's of these ids at the moment."""
    query = (
        sa.select(IdentifierRow.identifier_id, IdentifierRow.subject_id)
        .select_from(ExclusionRow)
        .join(ExclusionListRow, ExclusionListRow.in_force == ExclusionRow.import_id)
        .join(
            IdentifierRow,
            sa.and_(
                IdentifierRow.kind == ExclusionRow.kind,
                IdentifierRow.index_version == ExclusionRow.index_version,
                IdentifierRow.blind_index == ExclusionRow.blind_index,
            ),
        )
        .where(
            IdentifierRow.subject_id.in_(ids),
            IdentifierRow.created_at <= at,
            ExclusionListRow.imported_at <= at,
        )
    )
    return any(journal.owner(each, now) == person for each, now in session.execute(query))
