"""The current states: what stands of each person and purpose, moved as events are appended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.consent_history import Word, standing
from policies.decision import ConsentFact
from policies.vocabulary import ConsentAction, SaidBy
from privacy.consent.event_store import (
    EventRow,
    StateRow,
    row_of,
    to_event,
    to_word,
)
from privacy.consent.model import (
    ConsentEvent,
)
from privacy.subjects.store import all_ids

_STATE = cast("sa.Table", StateRow.__table__)

_ADD_STATE = sa.insert(_STATE)
LATEST = (
    "event_id",
    "action",
    "at",
    "notice_version",
    "expires_at",
    "explicit",
    "channel",
    "said_by",
)
_CHUNK = 500
_STATE_OF_ONE = sa.select(_STATE).where(
    _STATE.c.subject_id == sa.bindparam("of_subject"),
    _STATE.c.purpose == sa.bindparam("of_purpose"),
)
_STATES_OF = sa.select(_STATE).where(
    _STATE.c.subject_id.in_(sa.bindparam("of_subjects", expanding=True)),
    _STATE.c.purpose.in_(sa.bindparam("of_purposes", expanding=True)),
)
_MOVE_STATE = (
    sa.update(_STATE)
    .where(
        _STATE.c.subject_id == sa.bindparam("of_subject"),
        _STATE.c.purpose == sa.bindparam("of_purpose"),
    )
    .values({name: sa.bindparam(name) for name in LATEST})
)


def move_states(
    session: Session, events: Sequence[ConsentEvent], stood: Mapping[tuple[str, str], Word]
) -> None:
    """Move the current states to what stands, now that these events are appended.

    The rule is `policies.consent_history.standing`: an event that came late overrules nothing that
    was said after it. The caller holds the people, under whose own ids the events are.

    Args:
        session: the caller's.
        events: new ones, of any people and purposes, already in the table.
        stood: `standings` of their people and purposes before.
    """
    by_pair: dict[tuple[str, str], list[ConsentEvent]] = defaultdict(list)
    for event in events:
        if event.action is not ConsentAction.REQUESTED:
            by_pair[event.subject_id, event.purpose].append(event)
    fresh, moved = [], []
    for (subject_id, purpose), new in by_pair.items():
        last = stood.get((subject_id, purpose))
        if last is not None and last.fact.action is ConsentAction.EXPIRED:
            winner = standing_event(session, subject_id, purpose)
        else:
            words = [to_word(event) for event in new]
            found = standing(words if last is None else [last, *words])
            winner = next((e for e in new if found and e.event_id == found.event_id), None)
        if winner is None:
            continue
        row = row_of(winner)
        latest = {name: row[name] for name in LATEST}
        if last is None:
            fresh.append({"subject_id": subject_id, "purpose": purpose} | latest)
        elif last.event_id != winner.event_id:
            moved.append({"of_subject": subject_id, "of_purpose": purpose} | latest)
    if fresh:
        session.execute(_ADD_STATE, fresh)
    if moved:
        session.execute(_MOVE_STATE, moved)


def standings(session: Session, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Word]:
    """Return, by person and purpose, the word that the current state stands on; set-based.

    Args:
        session: the caller's, which holds the people.
        pairs: (subject id, purpose).

    Raises:
        ValueError: a row holds what was never written.
    """
    if len(pairs) == 1:
        [(subject_id, purpose)] = pairs
        row = session.execute(
            _STATE_OF_ONE, {"of_subject": subject_id, "of_purpose": purpose}
        ).one_or_none()
        return {} if row is None else {pairs[0]: word_of(row)}
    found: dict[tuple[str, str], Word] = {}
    for start in range(0, len(pairs), _CHUNK):
        subjects, purposes = zip(*pairs[start : start + _CHUNK], strict=True)
        of = {"of_subjects": sorted(set(subjects)), "of_purposes": sorted(set(purposes))}
        for row in session.execute(_STATES_OF, of):
            found[row.subject_id, row.purpose] = word_of(row)
    return found


def word_of(row: Any) -> Word:  # noqa: ANN401 - a row with the columns of a state
    """Return the word that a person's current state stands on.

    Raises:
        ValueError: the row holds what was never written.
    """
    fact = ConsentFact(
        action=ConsentAction(row.action),
        at=row.at,
        notice_version=row.notice_version,
        expires_at=row.expires_at,
        explicit=row.explicit,
        said_by=SaidBy(row.said_by),
    )
    return Word(row.event_id, fact, row.at)


def standing_event(session: Session, subject_id: str, purpose: str) -> ConsentEvent | None:
    """Return the event that stands by a person's whole history, said under any id of theirs."""
    query = sa.select(EventRow).where(
        EventRow.subject_id.in_(all_ids(subject_id)), EventRow.purpose == purpose
    )
    events = {row.event_id: to_event(row) for row in session.scalars(query)}
    word = standing(to_word(event) for event in events.values())
    return events[word.event_id] if word else None


def stand_on(session: Session, subject_id: str, event: ConsentEvent) -> None:
    """Move a person's current state to an event, theirs or an alias's."""
    row = row_of(event)
    latest = {name: row[name] for name in LATEST}
    of = {"of_subject": subject_id, "of_purpose": event.purpose}
    moved = cast("sa.CursorResult[Any]", session.execute(_MOVE_STATE, of | latest))
    if moved.rowcount == 0:
        key = {"subject_id": subject_id, "purpose": event.purpose}
        session.execute(_ADD_STATE, key | latest)


def drop_states(session: Session, subject_id: str) -> None:
    """Delete the current states under an id under which nothing holds any more."""
    session.execute(sa.delete(StateRow).where(StateRow.subject_id == subject_id))
