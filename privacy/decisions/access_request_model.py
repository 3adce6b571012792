"""An application asks a person for the consent that it was denied for lack of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.errors import Conflict
from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

KEPT: Final = timedelta(days=90)
"""How long an ask is kept after it has run out; one that says "do not ask me again" longer."""


class NotRequestable(Conflict):
    """The answer is no denial, or none that asking the person may change now."""

    code = "not-requestable"


class AlreadyAsked(Conflict):
    """The person has been asked about this purpose and may still answer."""

    code = "already-asked"


class AskState(StrEnum):
    """How an ask stands."""

    OPEN = "open"
    GIVEN = "given"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """An ask.

    Attributes:
        request_id: 32 hexadecimal digits.
        unit: the purpose.
        client_id: which application.
        return_to: where the person goes on afterwards; None: nowhere.
        evidence_id: of the denial that led to it.
        expires_at: aware UTC, half-open.
        answered_at: None until the person answers.
        given: what they answered.
        never: they want not to be asked about it again.
    """

    request_id: str
    subject_id: str
    unit: str
    client_id: str
    return_to: str | None
    evidence_id: str
    asked_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None
    given: bool = False
    never: bool = False

    def state(self, at: datetime) -> AskState:
        """How it stands at an instant."""
        if self.answered_at is None:
            return AskState.OPEN if at < self.expires_at else AskState.EXPIRED
        return AskState.GIVEN if self.given else AskState.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequested(Event):
    """An application asked a person for a consent; the denial's evidence id is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.DECISIONS_ACCESS_REQUESTED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    request_id: str
    client_id: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessAnswered(Event):
    """The person answered that ask; the answer is a consent event of its own."""

    tag: ClassVar[EventTag] = EventTag.DECISIONS_ACCESS_ANSWERED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    request_id: str
    client_id: str
    purpose: str
