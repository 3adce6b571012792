"""How long a failed sign-in makes the next one wait. Counting and storing are the caller's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from policies.deadlines import aware

FREE_FAILURES: Final = 3
"""Slips of the hand that cost nothing."""

FIRST_WAIT: Final = timedelta(seconds=1)
"""After the first failure beyond those; each further one doubles it."""

LONGEST_WAIT: Final = timedelta(minutes=15)
"""The cap: a person who comes back after a coffee is let try again."""

MAX_CONSECUTIVE_FAILURES: Final = 100
"""At this many the authenticator is closed until it is replaced (a password: reset).

The account is not: its other ways in stay open. Source: NIST SP 800-63B-4 s. 3.2.2.
"""

NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""What `allowed_at` answers for an authenticator that is closed."""

_DOUBLINGS_TO_CAP: Final = (LONGEST_WAIT // FIRST_WAIT).bit_length()


def wait_after(failures: int) -> timedelta:
    """How long to wait after so many consecutive failures of one authenticator of one account.

    0 up to `FREE_FAILURES`, then 1 s, 2 s, 4 s and so on, at most `LONGEST_WAIT`. It never
    shrinks as failures grow.

    Raises:
        ValueError: `failures` is negative.

    Source: NIST SP 800-63B-4 s. 3.2.2; OWASP ASVS 5.0 6.3.1.
    """
    if failures < 0:
        msg = f"failures cannot be negative: {failures}"
        raise ValueError(msg)
    if failures <= FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - FREE_FAILURES - 1, _DOUBLINGS_TO_CAP)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def is_closed(failures: int) -> bool:
    """Whether the authenticator has used up its allowance and must be replaced."""
    return failures >= MAX_CONSECUTIVE_FAILURES


def allowed_at(failures: int, last_failure_at: datetime) -> datetime:
    """From which instant, in UTC, the next attempt is looked at; `NEVER` once closed.

    Args:
        failures: consecutive, of one authenticator of one account.
        last_failure_at: aware; when the last of them happened.

    Raises:
        ValueError: `last_failure_at` is naive, or `failures` is negative.
    """
    aware(last_failure_at, "last_failure_at")
    wait = wait_after(failures)
    return NEVER if is_closed(failures) else last_failure_at.astimezone(UTC) + wait
