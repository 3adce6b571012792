"""Time as an argument: aware UTC, one instant per transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def rfc3339(moment: datetime) -> str:
    """Return `moment` in UTC as RFC 3339 with milliseconds, `2026-03-03T11:00:00.000Z`."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
