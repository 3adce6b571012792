"""What happens to a password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final

from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

RECOVERY_LIFETIME: Final = timedelta(hours=1)
"""How long the mailed link of a recovery may be used; its code is shorter-lived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSet(Event):
    """An account has a new password; what listens ends the sessions of the old one."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_PASSWORD_SET
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetRequested(Event):
    """Somebody asked to recover an account."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_PASSWORD_RESET_REQUESTED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
