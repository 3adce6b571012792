"""What happens to a password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

RECOVERY_LIFETIME: Final = timedelta(hours=1)
"""How long the mailed link of a recovery may be used; its code is shorter-lived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSet(Event):
    """An account has a new password; what listens ends the sessions of the old one.

    But where the person chose to keep them: then `sessions_kept` is true.
    """

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_PASSWORD_SET
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    sessions_kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCompromised(Event):
    """The password in use must be changed: it is among leaked ones, or somebody else may know it."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_PASSWORD_COMPROMISED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetRequested(Event):
    """Somebody asked to recover an account."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_PASSWORD_RESET_REQUESTED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


OFFER_LIFETIME: Final = timedelta(days=7)
"""After the waiting time a lost second factor may be removed for so long."""


class RecoveryEnd(StrEnum):
    """How the recovery of a lost second factor ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class PendingRecovery:
    """A lost second factor's recovery whose waiting time has begun.

    Attributes:
        recovery_id: 32 hexadecimal digits, random.
        ready_at: from when the factor may be removed.
    """

    recovery_id: str
    ready_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _FactorRecovery(Event):
    """A stage of the recovery of a lost second factor."""

    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    recovery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRecoveryRequested(_FactorRecovery):
    """Somebody says that the account's last second factor is lost; `by_staff` began it or not."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_FACTOR_RECOVERY_REQUESTED
    by_staff: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRecoveryBegun(_FactorRecovery):
    """Two independent proofs were shown, and the waiting time runs; `proofs` names them."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_FACTOR_RECOVERY_BEGUN
    proofs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRecoveryCancelled(_FactorRecovery):
    """The recovery was ended before its time; `by` is `link`, `person` or `sign-in`."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_FACTOR_RECOVERY_CANCELLED
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRecoveryCompleted(_FactorRecovery):
    """The second factors were removed; what listens ends sessions and devices."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_FACTOR_RECOVERY_COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRecoveryExpired(_FactorRecovery):
    """Nobody completed the recovery in time."""

    tag: ClassVar[EventTag] = EventTag.CREDENTIALS_FACTOR_RECOVERY_EXPIRED
