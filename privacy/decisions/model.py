"""What is asked and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from policies.decision import Decision
from policies.vocabulary import DecisionReason
from privacy.clock import rfc3339

APPLICATION: Final = "application"
PERSON: Final = "person"
#: Stands in an evidence id where no consent event is behind the answer.
NO_EVENT: Final = "-"


@dataclass(frozen=True, slots=True)
class Question:
    """One access evaluation. Source: AuthZEN Authorization API 1.0 s. 5.

    Attributes:
        subject_type: who asks; `application`.
        subject_id: its client id.
        action: the purpose.
        resource_type: whose data; `person`.
        resource_id: the application's pseudonym for the person.
    """

    subject_type: str
    subject_id: str
    action: str
    resource_type: str
    resource_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision and what it was made from.

    Attributes:
        evidence_id: `<consent event or ->:<register revision>:<time>`, from which the answer can be
            computed again; the event under this application's name for it.
        subject_id: whom it is about; None where nobody is known by that name.
    """

    decision: Decision
    evidence_id: str
    subject_id: str | None


class Outcome(StrEnum):
    """What was answered, as uses are counted."""

    PERMIT = "permit"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Use:
    """How often an application asked about a person and a purpose in one day.

    Attributes:
        domain: the application's pseudonymisation domain.
        day: in the controller's time zone.
    """

    domain: str
    purpose: str
    day: date
    outcome: Outcome
    count: int


def denied(reason: DecisionReason) -> Decision:
    """A deny for one reason."""
    return Decision(permit=False, reasons=(reason,))


def evidence_id(event: str | None, register_revision: str, at: datetime) -> str:
    """What an answer is computed again from: the event's name, the register and the instant."""
    return f"{event or NO_EVENT}:{register_revision}:{rfc3339(at)}"
