"""What a person has been asked and has not answered, for the top of their privacy centre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from privacy.consent.double_opt_in import Asked, DoubleOptIn
from privacy.consent.model import IN_FORCE, State
from privacy.consent.portal_waiting import PAGE as PAGE_TO_CONFIRM
from privacy.consent.service import Consents
from privacy.consent.waiting_model import Waiting
from privacy.consent.words import title_of
from privacy.decisions.access_request_pages import PAGE
from privacy.decisions.access_requests import AccessRequests

#: How the recorder of an event that an application made begins. Source: `Actor.name`.
_APPLICATION: Final = "application:"


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """The questions that are open to a person: applications' asks, and consents to confirm."""

    consents: Consents
    double_opt_in: DoubleOptIn
    requests: AccessRequests

    def to(self, session: Session, subject_id: str, now: datetime) -> list[Waiting]:
        """Return what a person can answer, what ends first before the others.

        Args:
            session: one snapshot.
            subject_id: the person.
            now: aware.
        """
        states = self.consents.current(session, subject_id)
        asked = [
            Waiting(
                who=name,
                title=title_of(self.consents.register, each.unit),
                since=each.asked_at,
                until=each.expires_at,
                answer_url=f"{PAGE}/{each.request_id}",
            )
            for each, name in self.requests.open_to(session, subject_id, now)
            if not _has_spoken(states, each.unit, each.asked_at)
        ]
        typed = [
            self._to_confirm(session, each)
            for each in self.double_opt_in.waiting_for(session, subject_id, now)
            if not _has_spoken(states, each.purpose.id, each.request.at)
        ]
        return sorted([*asked, *typed], key=lambda each: each.until)

    def _to_confirm(self, session: Session, asked: Asked) -> Waiting:
        by = asked.request.recorded_by
        client_id = by.removeprefix(_APPLICATION) if by.startswith(_APPLICATION) else None
        return Waiting(
            who=self.requests.name_of(session, client_id) if client_id else None,
            title=title_of(self.consents.register, asked.purpose.id),
            since=asked.request.at,
            until=asked.until,
            answer_url=f"{PAGE_TO_CONFIRM}/{asked.request.event_id}",
            by_letter=asked.by_letter,
        )


def _has_spoken(states: Mapping[str, State], unit: str, since: datetime) -> bool:
    """Whether the person has said something of a unit since, or what is asked for holds already."""
    state = states.get(unit)
    if state is None or state.consent is None:
        return False
    return state.consent.at >= since or state.consent.action in IN_FORCE
