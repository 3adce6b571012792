"""Which of the staff looked at whose data: an entry in the audit log for each look at the desk.

Source: GDPR Art. 5(1)(f), 5(2), 32(1)(b).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, cast

from flask import session as session_cookie

from privacy.events import Json
from privacy.http import current_actor
from privacy.subjects import store
from privacy.subjects.model import PersonLookedUp
from privacy.unit_of_work import Runtime

#: Pages about one person that are opened within this time are one look.
SAME_LOOK: Final = timedelta(minutes=1)
#: Where the session cookie keeps who has just looked at what: (both ids -> POSIX seconds).
#: It is signed, and an old one that is played back is as old as it says.
LOOKED_AT: Final = "looked-at"


def note_look(
    runtime: Runtime, subject_id: str | None, page: str, *, request_id: str | None = None
) -> None:
    """Record that the caller looks at a person's data, or for somebody who is not there; commits.

    What was looked for stands nowhere: of whom we do not know, we keep nothing.

    Args:
        runtime: the writing door.
        subject_id: any id of whom was found; None: nobody.
        page: which page of the desk, for the sealed evidence.
        request_id: a request that is looked at, whether or not we know whose it is.
    """
    if subject_id is not None:
        with runtime.snapshot() as session:
            subject_id = store.current(session, subject_id)
            if session.get(store.SubjectRow, subject_id) is None:
                subject_id = None
    now = int(runtime.clock().timestamp())
    kept = cast("dict[str, int]", session_cookie.get(LOOKED_AT, {}))
    recent = {each: at for each, at in kept.items() if 0 <= now - at < SAME_LOOK.total_seconds()}
    actor = current_actor()
    seen = f"{actor.account_id} {subject_id or request_id}"
    if seen in recent:
        return
    evidence: dict[str, Json] = {"page": page, "found": subject_id is not None}
    if request_id is not None:
        evidence["request_id"] = request_id
    with runtime.unit_of_work(actor) as uow:
        uow.record(PersonLookedUp(subject_id=subject_id), evidence)
        uow.commit()
    if subject_id or request_id:
        session_cookie[LOOKED_AT] = recent | {seen: now}
