"""A person's consent events in the order of time, a page at a time."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from privacy.consent.event_store import EventRow, to_event
from privacy.consent.model import ConsentEvent
from privacy.subjects.store import all_ids


def events_newest_first(
    session: Session, subject_id: str, *, before: ConsentEvent | None, limit: int
) -> list[ConsentEvent]:
    """Return a page of what the person said, by when it was said.

    Args:
        session: the caller's.
        subject_id: any id of the person.
        before: the last one of the page before; None begins with the newest.
        limit: at most so many.
    """
    query = sa.select(EventRow).where(EventRow.subject_id.in_(all_ids(subject_id)))
    if before is not None:
        query = query.where(
            sa.or_(
                EventRow.at < before.at,
                sa.and_(EventRow.at == before.at, EventRow.ordinal < before.ordinal),
            )
        )
    rows = session.scalars(query.order_by(EventRow.at.desc(), EventRow.ordinal.desc()).limit(limit))
    return [to_event(row) for row in rows]
