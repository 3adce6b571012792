"""What a person has been asked and has not answered, for the top of their privacy centre."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from policies.decision import PurposeRule
from policies.vocabulary import ConsentAction
from privacy.consent.double_opt_in import Asked, DoubleOptIn
from privacy.consent.model import State, Status, purpose_rule, status_of
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
        register, states = self.consents.register, self.consents.current(session, subject_id)

        def is_settled(unit: str, since: datetime) -> bool:
            return _is_settled(states.get(unit), purpose_rule(register, unit), since, now)

        asked = [
            Waiting(
                who=name,
                title=title_of(register, each.unit),
                since=each.asked_at,
                until=each.expires_at,
                answer_url=f"{PAGE}/{each.request_id}",
            )
            for each, name in self.requests.open_to(session, subject_id, now)
            if not is_settled(each.unit, each.asked_at)
        ]
        typed = [
            self._to_confirm(session, each)
            for each in self.double_opt_in.waiting_for(session, subject_id, now)
            if not is_settled(each.purpose.id, each.request.at)
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
            is_typed=True,
            by_letter=asked.by_letter,
        )


def _is_settled(
    state: State | None, rule: PurposeRule | None, since: datetime, now: datetime
) -> bool:
    """Whether the person has said something of a unit since, or what is asked for holds already.

    A consent to other words, past its term, not express where it must be, or a minor's own holds
    nothing; and where the clock ended one meanwhile, nobody has spoken.
    """
    said = state.consent if state else None
    if said is None:
        return False
    if said.at >= since and said.action is not ConsentAction.EXPIRED:
        return True
    if rule is None or (rule.explicit and not said.explicit):
        return False
    return status_of(said, rule, now) is Status.GIVEN
