"""Consent events and the people they are about, many in one statement."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.consent_history import Word
from privacy.consent.model import ConsentEvent
from privacy.consent.store import EventRow, move_states, row_of
from privacy.subjects.store import SubjectRow

_EVENT = cast("sa.Table", EventRow.__table__)
_SUBJECT = cast("sa.Table", SubjectRow.__table__)

#: People named in one statement.
_PAGE: Final = 500

# Built once: making a statement costs more than the database needs to answer it.
_ADD_EVENT = sa.insert(_EVENT)
_ADD_EVENTS = _ADD_EVENT.returning(_EVENT.c.ordinal, sort_by_parameter_order=True)
_HOLD_MANY = (
    sa.select(
        _SUBJECT.c.subject_id,
        _SUBJECT.c.minor_until,
        _SUBJECT.c.deceased_at.is_not(None).label("deceased"),
    )
    .where(
        _SUBJECT.c.subject_id.in_(sa.bindparam("of_subjects", expanding=True)),
        _SUBJECT.c.erased_at.is_(None),
        _SUBJECT.c.merged_into.is_(None),
    )
    .order_by(_SUBJECT.c.subject_id)
    .with_for_update()
)


def append_many(
    session: Session,
    events: Sequence[ConsentEvent],
    stood: Mapping[tuple[str, str], Word],
) -> list[int]:
    """Append events, move the current states to what stands now, and return their ordinals.

    Ordinals grow in the order of `events`.

    Args:
        session: the caller's, which holds the people.
        events: any number of any people.
        stood: `store.standings` of their people and purposes before.
    """
    rows = [row_of(event) for event in events]
    if len(rows) == 1:
        added = cast("sa.CursorResult[Any]", session.execute(_ADD_EVENT, rows[0]))
        ordinals = [cast("tuple[int]", added.inserted_primary_key)[0]]
    else:
        ordinals = list(session.execute(_ADD_EVENTS, rows).scalars())
    move_states(session, events, stood)
    return ordinals


class Held(NamedTuple):
    """Somebody who is held: until when a minor, and whether they have died."""

    minor_until: datetime | None
    deceased: bool


def hold_many(session: Session, subject_ids: Collection[str]) -> dict[str, Held]:
    """Hold people until the transaction ends, in one order, so that nobody waits in a ring.

    Returns:
        Subject id -> what stands in a consent's way, for those neither erased nor another's alias.
    """
    held: dict[str, Held] = {}
    wanted = sorted(subject_ids)
    for start in range(0, len(wanted), _PAGE):
        found = session.execute(_HOLD_MANY, {"of_subjects": wanted[start : start + _PAGE]})
        held.update({row.subject_id: Held(row.minor_until, row.deceased) for row in found})
    return held
