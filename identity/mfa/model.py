"""What happens to a second factor, and its fixed numbers."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from pyotp import TOTP

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
RECOVERY_CODE_BYTES: Final = 10
"""80 bits each. Source: OWASP ASVS 5.0 6.5.2."""

_GROUP: Final = 4


def new_secret(ids: Ids) -> str:
    """Return a TOTP secret in base32, 32 characters."""
    return base64.b32encode(ids.random_bytes(SECRET_BYTES)).decode()


def new_recovery_code(ids: Ids) -> str:
    """Return a recovery code as it is shown: four groups of four base32 characters."""
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
