"""What an administrator may do with an account, and what is shown of one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final

from identity.accounts.model import Account
from policies.assurance import Factor
from policies.errors import InvalidInput
from policies.vocabulary import EventTag, RetentionClass, Role
from privacy.events import Event

MAX_REASON: Final = 500


class Act(StrEnum):
    """What is done to somebody else's account; each asks for a confirmation first."""

    RESET = "reset"
    FACTOR_RECOVERY = "factor-recovery"
    END_SESSIONS = "end-sessions"
    END_SESSION = "end-session"
    DISABLE = "disable"
    ENABLE = "enable"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """One account with a role, for the list.

    Attributes:
        email: the address it signs in with; None where none is kept any more.
        factors: by kind.
        last_sign_in_at: None where the log holds none any more.
    """

    account: Account
    email: str | None
    factors: Collection[Factor]
    last_sign_in_at: datetime | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that still works; its link is shown once and kept nowhere."""

    invitation_id: str
    role: Role
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLookedUp(Event):
    """An administrator looked an account up by its exact address, and saw its standing."""

    tag: ClassVar[EventTag] = EventTag.ADMINISTRATION_ACCOUNT_LOOKED_UP
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


def masked(address: str) -> str:
    """Return an address as an administrator reads it: `a…@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def checked_reason(text: str) -> str:
    """Return a reason as it is kept.

    Raises:
        InvalidInput: it is empty, too long or not printable.
    """
    reason = " ".join(text.split())
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise InvalidInput(f"1 to {MAX_REASON} printable characters", field="reason")
    return reason
