"""What a guardianship is, how it ends, and what the audit log says of it. Pure.

Source: GDPR Art. 8; LOPDGDD Art. 7(2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.errors import Conflict, DomainError
from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

#: For how long a mailed invitation can be accepted.
INVITATION_LIFETIME: Final = timedelta(days=14)
#: Open invitations of one child: nobody mails the world in a child's name.
MAX_OPEN_INVITATIONS: Final = 3
#: Invitations of one child in `INVITED_WITHIN`, those taken back as well: two parents, each with an
#: address mistyped once, and one more. Taking one back must not make room for letters without end.
MAX_INVITATIONS: Final = 5
INVITED_WITHIN: Final = timedelta(days=1)
#: Invitations to one address without a day's pause, of whichever children: a mother or father of
#: several is invited by each of them, and a stranger's mailbox is not flooded from many accounts.
MAX_TO_ADDRESS: Final = 5


class TooManyOpen(Conflict):
    """As many invitations of a child as may be are open."""


class TooManyInvitations(Conflict):
    """As many invitations as may be went out within a day: of a child, or to an address."""


class InvitationNotValid(DomainError):
    """The link was used, has expired, was taken back, or never was."""

    code = "link-not-valid"


class NotAMinor(Conflict):
    """The person is of age, or we know no age: nobody consents for them."""


class Relation(StrEnum):
    """What a guardian is to a child. Source: LOPDGDD Art. 7(2): "patria potestad o tutela"."""

    PARENT = "parent"
    GUARDIAN = "guardian"


class GuardianshipEnd(StrEnum):
    """Why a guardianship ended."""

    BIRTHDAY = "birthday"
    DESK = "desk"
    GUARDIAN = "guardian"
    ERASED = "erased"
    TAKEN_BACK = "taken-back"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Guardianship:
    """A guardianship, invited or in force or ended.

    Attributes:
        guardian_id: None while nobody has accepted, or where the guardian has no account.
        accepted_at: aware UTC; None while it is an invitation.
        ended_at: aware UTC.
        end: why it ended.
        invitation_ends_at: aware UTC.
        attachment: SHA-256 in hex of the proof that staff saw; None: accepted by an account.
    """

    guardianship_id: str
    child_id: str
    guardian_id: str | None
    relation: Relation | None
    invited_at: datetime
    invited_by: str
    invitation_ends_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    end: GuardianshipEnd | None
    attachment: str | None

    @property
    def in_force(self) -> bool:
        """Whether the guardian may consent, as far as the child's age allows it."""
        return self.accepted_at is not None and self.ended_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfGuardianship(Event):
    """Something about one guardianship; `subject_id` is the child."""

    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    guardianship_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianInvited(_OfGuardianship):
    """Somebody was asked by mail to be a child's guardian here."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_GUARDIAN_INVITED


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianAccepted(_OfGuardianship):
    """A parent or guardian proved who they are and may consent for a child."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_GUARDIAN_ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianEnded(_OfGuardianship):
    """A guardianship or an invitation ended; why is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_GUARDIAN_ENDED
