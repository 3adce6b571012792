"""When somebody who lost the last second factor may get into the account without it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from policies.deadlines import aware

WAITING: Final = timedelta(hours=72)
"""Between the proofs and the removal, every address is told and may cancel.

Source: NIST SP 800-63B-4 s. 4.2 (notice of recovery); OWASP ASVS 5.0 6.4.4.
"""

REMINDER: Final = timedelta(hours=24)
"""So long before the end of the waiting time every address is told once more."""

KNOWN_DEVICE_AGE: Final = timedelta(days=30)
"""A browser counts as a proof once it has been the account's for so long.

So one that was made known by a mailed code, shortly before, adds nothing to the mailbox.
"""

MIN_PROOFS: Final = 2


class Proof(StrEnum):
    """What speaks for it that this is the person."""

    MAILBOX = "mailbox"
    PASSWORD = "password"  # noqa: S105 - a proof's name
    RECOVERY_CODE = "recovery-code"
    KNOWN_DEVICE = "known-device"
    STAFF = "staff"


def independent(proofs: Collection[Proof], *, password_set_by_mail: bool) -> frozenset[Proof]:
    """Which of the proofs do not follow from another of them.

    A password that was last set through the mailbox is only the mailbox once more.
    """
    shown = frozenset(proofs)
    if password_set_by_mail and Proof.MAILBOX in shown:
        return shown - {Proof.PASSWORD}
    return shown


def enough(proofs: Collection[Proof], *, password_set_by_mail: bool, privileged: bool) -> bool:
    """Whether the waiting time may begin: two independent proofs, one of them the mailbox.

    Args:
        proofs: what was shown.
        password_set_by_mail: the password was last set by nothing but the mailbox.
        privileged: the account sees other people's data; then somebody of the staff must have
            started it, who knows the person.

    Source: NIST SP 800-63B-4 s. 4.2; OWASP ASVS 5.0 6.4.4.
    """
    counted = independent(proofs, password_set_by_mail=password_set_by_mail)
    if privileged and Proof.STAFF not in counted:
        return False
    return Proof.MAILBOX in counted and len(counted) >= MIN_PROOFS


def is_known(first_seen_at: datetime, at: datetime) -> bool:
    """Whether a browser has been the account's for long enough to be a proof.

    Raises:
        ValueError: a moment is naive.
    """
    return aware(at, "at") - aware(first_seen_at, "first_seen_at") >= KNOWN_DEVICE_AGE
