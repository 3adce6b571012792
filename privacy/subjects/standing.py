"""Death and restriction: what stops every use of a person's data, and how it ends.

Each function joins the caller's transaction, takes the reason as evidence and is a member of the
desk's doing; `docs/law/decisions.md` says what each does to a decision.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from policies.errors import Conflict
from privacy.subjects import store
from privacy.subjects.fact_store import FactKind, note
from privacy.subjects.model import (
    DeathCorrected,
    LiftingAnnounced,
    RestrictionLifted,
    SubjectDeceased,
    SubjectRestricted,
    UnknownSubject,
)
from privacy.unit_of_work import UnitOfWork

#: Between telling the person and lifting: time to read it and to answer. The law says "before".
#: Source: GDPR Art. 18(3).
LIFT_NOTICE: Final = timedelta(days=3)


def mark_deceased(uow: UnitOfWork, subject_id: str, *, reason: str) -> bool:
    """Note that the person has died; tell whether it is new. Source: LOPDGDD Art. 3.

    Raises:
        UnknownSubject: there is no such person.
    """
    row = _row(uow, subject_id)
    if row.deceased_at is not None:
        return False
    row.deceased_at = uow.now
    entry_id = uow.record(SubjectDeceased(subject_id=row.subject_id), {"reason": reason})
    note(uow, row.subject_id, FactKind.DECEASED, True, entry_id=entry_id)
    return True


def correct_death(uow: UnitOfWork, subject_id: str, *, reason: str) -> bool:
    """Take a death back that was noted by mistake; tell whether one was noted.

    Raises:
        UnknownSubject: there is no such person.
    """
    row = _row(uow, subject_id)
    if row.deceased_at is None:
        return False
    row.deceased_at = None
    entry_id = uow.record(DeathCorrected(subject_id=row.subject_id), {"reason": reason})
    note(uow, row.subject_id, FactKind.DECEASED, False, entry_id=entry_id)
    return True


def restrict(uow: UnitOfWork, subject_id: str, *, reason: str) -> bool:
    """Restrict processing; tell whether it was not restricted. Source: GDPR Art. 18(1), (2).

    A restriction that was to be lifted stays, and must be announced anew.

    Raises:
        UnknownSubject: there is no such person.
    """
    row = _row(uow, subject_id)
    if row.restricted_at is not None and row.lift_told_at is None:
        return False
    is_new = row.restricted_at is None
    row.restricted_at, row.lift_told_at = row.restricted_at or uow.now, None
    entry_id = uow.record(SubjectRestricted(subject_id=row.subject_id), {"reason": reason})
    if is_new:
        note(uow, row.subject_id, FactKind.RESTRICTED, True, entry_id=entry_id)
    return is_new


def announce_lifting(uow: UnitOfWork, subject_id: str, *, reason: str, told: str) -> None:
    """Note that the person is told that the restriction is to be lifted. Source: GDPR Art. 18(3).

    Args:
        uow: of the member of staff; the caller sends the letter in it.
        subject_id: the person.
        reason: why it can be lifted.
        told: by which way they are told.

    Raises:
        UnknownSubject: there is no such person.
        Conflict: there is no restriction to lift.
    """
    row = _row(uow, subject_id)
    if row.restricted_at is None:
        raise Conflict("there is no restriction to lift")
    row.lift_told_at = uow.now
    uow.record(LiftingAnnounced(subject_id=row.subject_id), {"reason": reason, "told": told})


def lift_restriction(uow: UnitOfWork, subject_id: str, *, reason: str) -> None:
    """End a restriction that the person was told of. Source: GDPR Art. 18(3).

    Raises:
        UnknownSubject: there is no such person.
        Conflict: there is no restriction, or the person was not told, or less than `LIFT_NOTICE`
            ago.
    """
    row = _row(uow, subject_id)
    if row.restricted_at is None:
        raise Conflict("there is no restriction to lift")
    if row.lift_told_at is None or uow.now < row.lift_told_at + LIFT_NOTICE:
        raise Conflict("the person must be told first, and have time to answer")
    row.restricted_at = row.lift_told_at = None
    entry_id = uow.record(RestrictionLifted(subject_id=row.subject_id), {"reason": reason})
    note(uow, row.subject_id, FactKind.RESTRICTED, False, entry_id=entry_id)


def _row(uow: UnitOfWork, subject_id: str) -> store.SubjectRow:
    """Return the person's row, held."""
    held = store.hold_current(uow.session, subject_id)
    if held is None:
        raise UnknownSubject("there is no such person")
    return uow.session.get_one(store.SubjectRow, held, populate_existing=True)
