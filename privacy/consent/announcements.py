"""What the audit log is told of consent: one event for each thing that can happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from policies.vocabulary import ConsentAction, EventTag, RetentionClass
from privacy.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPurpose(Event):
    """Something about one person and one purpose."""

    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    purpose: str
    register_revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGiven(OnPurpose):
    """A person consented."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_GIVEN


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRefused(OnPurpose):
    """A person refused."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentWithdrawn(OnPurpose):
    """A person withdrew."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_WITHDRAWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequested(OnPurpose):
    """A person was asked; nothing changes by it."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_REQUESTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRenewed(OnPurpose):
    """A person consented again before the consent ended by the clock."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_RENEWED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentExpired(OnPurpose):
    """A consent's term ran out; noted afterwards, for it ended by the clock."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRevoked(OnPurpose):
    """The controller ended a consent; the reason is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_REVOKED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentInvalidated(OnPurpose):
    """A consent turned out never to have been valid; the reason is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_INVALIDATED


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionMade(OnPurpose):
    """A person objected to a purpose. Source: GDPR Art. 21."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_OBJECTION_MADE


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionLifted(OnPurpose):
    """A person took their objection back, or consented expressly after it."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_OBJECTION_LIFTED


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentLookedUp(Event):
    """Somebody at the desk asked what was permitted with a person's data at a past moment."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_MOMENT_LOOKED_UP
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPublished(Event):
    """A revision of the register came into force; the evidence names its notices."""

    tag: ClassVar[EventTag] = EventTag.REGISTER_REVISION_PUBLISHED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    register_revision: str


ConsentRecorded = (
    ConsentRequested
    | ConsentGiven
    | ConsentRefused
    | ConsentWithdrawn
    | ConsentRenewed
    | ConsentExpired
    | ConsentRevoked
    | ConsentInvalidated
)

RECORDED: Final[Mapping[ConsentAction, type[ConsentRecorded]]] = MappingProxyType(
    {
        ConsentAction.REQUESTED: ConsentRequested,
        ConsentAction.GIVEN: ConsentGiven,
        ConsentAction.REFUSED: ConsentRefused,
        ConsentAction.WITHDRAWN: ConsentWithdrawn,
        ConsentAction.RENEWED: ConsentRenewed,
        ConsentAction.EXPIRED: ConsentExpired,
        ConsentAction.REVOKED: ConsentRevoked,
        ConsentAction.INVALIDATED: ConsentInvalidated,
    }
)
"""Which entry of the audit log each action is recorded as."""
