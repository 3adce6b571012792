"""Guardianships as personal data: of the child and of the guardian; and how one is closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from privacy.clock import rfc3339
from privacy.consent import guardian_store as store
from privacy.consent.guardian_model import GuardianEnded, GuardianshipEnd
from privacy.events import Json
from privacy.subjects.model import SubjectsMerged
from privacy.unit_of_work import UnitOfWork


def close(uow: UnitOfWork, row: store.GuardianshipRow, how: GuardianshipEnd, reason: str) -> None:
    """End a guardianship or an invitation, and record why; joins the caller's transaction."""
    row.ended_at, row.end, row.token_digest = uow.now, how.value, None
    if row.accepted_at is None:  # somebody who was invited and never came is nobody of ours
        row.contact_sealed = None
    evidence: dict[str, Json] = {"end": how.value, "at": rfc3339(uow.now)}
    if reason:
        evidence["reason"] = reason
    uow.record(
        GuardianEnded(subject_id=row.child_id, guardianship_id=row.guardianship_id), evidence
    )
    uow.session.flush()


class GuardianSource:
    """The guardianships as a source of personal data.

    Args:
        contact: opens the address that was invited, by the id of its guardianship.
    """

    #: What this source of personal data is called in an access file.
    name = "guardianships"

    def __init__(self, contact: Callable[[Session, str], str | None]) -> None:
        self._contact = contact

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return a person's guardians, and whose guardian they are. Source: GDPR Art. 15(1)."""
        mine: list[Json] = [
            _described(row) | {"invited": self._contact(session, row.guardianship_id)}
            for row in store.of_child(session, subject_id)
        ]
        theirs: list[Json] = [_described(row) for row in store.of_guardian(session, subject_id)]
        return {"guardians": mine, "children": theirs}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """End what the person is part of. That it was so stays with the evidence of consent."""
        rows = [
            *store.of_child(uow.session, subject_id),
            *store.of_guardian(uow.session, subject_id),
        ]
        for row in rows:
            if row.ended_at is None:
                close(uow, row, GuardianshipEnd.ERASED, "")
            row.token_digest = None
            if row.guardian_id == subject_id:
                row.guardian_id = row.contact_sealed = None
        uow.session.flush()

    def on_subjects_merged(self, uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let the guardianships of the alias be the survivor's; nobody is their own guardian."""
        survivor = event.subject_id or ""
        store.move(uow.session, source=event.alias_id, target=survivor)
        for row in store.of_child(uow.session, survivor):
            uow.session.refresh(row)
            if row.guardian_id == survivor and row.ended_at is None:
                close(uow, row, GuardianshipEnd.DESK, "the child and the guardian are one")


def _described(row: store.GuardianshipRow) -> dict[str, Json]:
    return {
        "relation": row.relation,
        "invited_at": rfc3339(row.invited_at),
        "accepted_at": rfc3339(row.accepted_at) if row.accepted_at else None,
        "ended_at": rfc3339(row.ended_at) if row.ended_at else None,
        "end": row.end,
    }
