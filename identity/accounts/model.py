"""What an account is, what happens to one, and what may go wrong before there is one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.errors import DomainError
from policies.vocabulary import EventTag, RetentionClass, Role
from privacy.events import Event

REGISTRATION_LIFETIME: Final = timedelta(hours=24)
"""How long the mailed link of a registration may be used."""

INVITATION_LIFETIME: Final = timedelta(hours=24)

CLOSING_GRACE: Final = timedelta(days=14)
"""For so long a person may take back the closing of their account; then they are erased."""

#: Roles that see other people's data: they need a second factor, and come by invitation.
PRIVILEGED: Final = frozenset({Role.STAFF, Role.DPO, Role.ADMINISTRATOR})


class AccountStatus(StrEnum):
    """Whether an account lets anybody in."""

    ACTIVE = "active"
    DISABLED = "disabled"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Account:
    """A person's way in.

    Attributes:
        account_id: 32 hexadecimal digits, random.
        subject_id: the person.
        role: what the person may do here.
        status: only an active account lets anybody in; a closing one shows the way back alone.
        language: of letters to the person.
        created_at: when the address was proven.
        closing_until: of a closing account, the instant at which the person is erased.
    """

    account_id: str
    subject_id: str
    role: Role
    status: AccountStatus
    language: str
    created_at: datetime
    closing_until: datetime | None = None


class LinkNotValid(DomainError):
    """The mailed link or code was used, has expired, was replaced or never was."""

    code = "link-not-valid"


class WrongCode(DomainError):
    """The typed code is not the expected one; a few more tries are left."""

    code = "wrong-code"

    def __init__(self) -> None:
        super().__init__("the code is not the expected one", field="code")


class WrongCredentials(DomainError):
    """Address and password do not belong together; the answer never says which is wrong."""

    code = "wrong-credentials"

    def __init__(self) -> None:
        super().__init__("the address or the password is not right", field="password")


class LastAdministrator(DomainError):
    """Nobody would be left to administer."""

    code = "last-administrator"


class OwnAccount(DomainError):
    """An administrator does not act upon their own account."""

    code = "own-account"


class AccountIsDisabled(DomainError):
    """Address and password belong together, and the account was disabled by the company."""

    code = "account-disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRegistered(Event):
    """A person opened an account."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ACCOUNT_REGISTERED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountVerified(Event):
    """The address was proven; `by` is `link`, `code` or `provider` (an authoritative one said so)."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ACCOUNT_VERIFIED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountClosed(Event):
    """An account lets nobody in any more."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ACCOUNT_CLOSED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDisabled(Event):
    """Somebody of ours shut an account; the reason is in the evidence. Consents go on counting."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ACCOUNT_DISABLED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEnabled(Event):
    """A disabled account lets its person in again; the reason is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ACCOUNT_ENABLED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingBegun(Event):
    """A person closes their account; at `until` (RFC 3339) they are erased."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_CLOSING_BEGUN
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingUndone(Event):
    """A person took the closing back in time; `by` is `link` or `sign-in`."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_CLOSING_UNDONE
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationCreated(Event):
    """Somebody may register with a role; the event is about nobody yet."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_INVITATION_CREATED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    invitation_id: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationUsed(Event):
    """The invited person proved an address."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_INVITATION_USED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    invitation_id: str
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGranted(Event):
    """An account holds a role that sees other people's data."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ROLE_GRANTED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRemoved(Event):
    """An account lost a role that sees other people's data."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_ROLE_REMOVED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRevoked(Event):
    """An invitation was taken back before anybody used it."""

    tag: ClassVar[EventTag] = EventTag.ACCOUNTS_INVITATION_REVOKED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    invitation_id: str
