"""What happens to second factors and passkeys, what may go wrong, and the fixed numbers."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from pyotp import TOTP

from policies.errors import DomainError
from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event
from privacy.ids import Ids

STEP_SECONDS: Final = 30
WINDOW_STEPS: Final = 1
"""A code one step early or late is accepted: clocks differ. Source: RFC 6238 s. 5.2."""

SECRET_BYTES: Final = 20
"""160 bits, the length of the HMAC. Source: RFC 4226 s. 4 (R6)."""

ENROLMENT_LIFETIME: Final = timedelta(minutes=30)
RECOVERY_CODES: Final = 10
RECOVERY_CODE_BYTES: Final = 15
"""120 bits each: above the 112 from which a plain hash is enough. Source: ASVS 5.0 6.5.2."""

FEW_CODES: Final = 3
"""With so few recovery codes left, or fewer, the person is told to make new ones."""

CEREMONY_LIFETIME: Final = timedelta(minutes=5)
"""How long a person may take over a passkey. Source: WebAuthn L3 s. 15.1 (300 to 600 s)."""

CHALLENGE_BYTES: Final = 32
HANDLE_BYTES: Final = 32
"""The random name of an account towards authenticators. Source: WebAuthn L3 s. 14.6.1."""

MAX_PASSKEYS: Final = 20
MAX_NAME: Final = 60

_GROUP: Final = 4


class CeremonyKind(StrEnum):
    """What a passkey ceremony is for."""

    REGISTRATION = "registration"
    SIGN_IN = "sign-in"
    STEP_UP = "step-up"


@dataclass(frozen=True, slots=True)
class Ceremony:
    """A ceremony that has begun.

    Attributes:
        ceremony_id: names it, a secret; belongs in the cookie of the browser that began it.
        options: for the browser, JSON.
    """

    ceremony_id: str = field(repr=False)
    options: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """One of a person's passkeys, as it is shown to them.

    Attributes:
        passkey_id: 32 hexadecimal digits.
        name: the person's own, at most 60 characters.
        created_at: when it was added.
        last_used_at: None was never used to sign in.
        synced: whether its maker keeps copies of it (the backup state).
        flagged_at: since when it is suspended, because its counter went backwards.
    """

    passkey_id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    synced: bool
    flagged_at: datetime | None


@dataclass(frozen=True, slots=True)
class Asserted:
    """A passkey was shown.

    Attributes:
        account_id: whose it is.
        passkey_id: which.
        methods: RFC 8176 values, sorted.
    """

    account_id: str
    passkey_id: str
    methods: tuple[str, ...]


class CeremonyEnded(DomainError):
    """The ceremony was used, has expired, or is not this browser's or account's: begin again."""

    code = "passkey-ceremony-ended"


class PasskeyRefused(DomainError):
    """What the browser sent is not a passkey of ours for this site."""

    code = "passkey-refused"


class PasskeySuspended(DomainError):
    """The passkey may have been copied; it opens nothing until the person has looked at it."""

    code = "passkey-suspended"


class FactorStillNeeded(DomainError):
    """Without this factor the person could not sign in, or the account would be too weak.

    Attributes:
        by_password: True where the password is too short to stand alone; False where there is no
            other way in.
    """

    code = "factor-still-needed"

    def __init__(self, *, by_password: bool) -> None:
        super().__init__(
            "the password is too short to be the only factor"
            if by_password
            else "there is no other way to sign in"
        )
        self.by_password = by_password


def new_secret(ids: Ids) -> str:
    """Return a TOTP secret in base32, 32 characters."""
    return base64.b32encode(ids.random_bytes(SECRET_BYTES)).decode()


def new_recovery_code(ids: Ids) -> str:
    """Return a recovery code as it is shown: six groups of four base32 characters."""
    plain = base64.b32encode(ids.random_bytes(RECOVERY_CODE_BYTES)).decode()
    return "-".join(plain[start : start + _GROUP] for start in range(0, len(plain), _GROUP))


def plain_code(typed: str) -> str:
    """Return what was typed without the spaces and hyphens that make it readable, in capitals."""
    return "".join(typed.split()).replace("-", "").upper()


def step_of(secret: str, code: str, at: datetime) -> int | None:
    """Return the time step whose code this is, the newest first, or None.

    Args:
        secret: base32.
        code: six digits, as `plain_code` leaves them.
        at: our own clock, aware.

    Source: RFC 6238 s. 4.2.
    """
    totp = TOTP(secret, interval=STEP_SECONDS)
    now = int(at.timestamp()) // STEP_SECONDS
    found = None
    for step in range(now - WINDOW_STEPS, now + WINDOW_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            found = step
    return found


def enrolment_uri(secret: str, *, account: str, issuer: str) -> str:
    """Return the address that authenticator applications read from the QR code."""
    return TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=account, issuer_name=issuer)


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpEnrolled(Event):
    """An account asks for a code of an authenticator application from now on."""

    tag: ClassVar[EventTag] = EventTag.MFA_TOTP_ENROLLED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpRemoved(Event):
    """An account no longer asks for a code; what listens ends the other sessions."""

    tag: ClassVar[EventTag] = EventTag.MFA_TOTP_REMOVED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyAdded(Event):
    """A person registered a passkey."""

    tag: ClassVar[EventTag] = EventTag.MFA_PASSKEY_ADDED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    passkey_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRenamed(Event):
    """A person gave a passkey another name."""

    tag: ClassVar[EventTag] = EventTag.MFA_PASSKEY_RENAMED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    passkey_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRemoved(Event):
    """A passkey opens nothing any more; what listens ends the other sessions."""

    tag: ClassVar[EventTag] = EventTag.MFA_PASSKEY_REMOVED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    passkey_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyFlagged(Event):
    """A passkey's counter went backwards: it may have been copied, and is suspended."""

    tag: ClassVar[EventTag] = EventTag.MFA_PASSKEY_FLAGGED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    passkey_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyConfirmed(Event):
    """The person says that a suspended passkey is theirs: it opens again."""

    tag: ClassVar[EventTag] = EventTag.MFA_PASSKEY_CONFIRMED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    passkey_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodesReplaced(Event):
    """An account got new recovery codes; the old ones are void."""

    tag: ClassVar[EventTag] = EventTag.MFA_RECOVERY_CODES_REPLACED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
