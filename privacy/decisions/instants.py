"""Instants as whole numbers: microseconds since 1970, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400


def micros(moment: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    since = moment - EPOCH
    return (since.days * _DAY_SECONDS + since.seconds) * 1_000_000 + since.microseconds


def rfc3339_of(moment: int) -> bytes:
    """Return microseconds since 1970 as `rfc3339` writes the instant."""
    minutes, rest = divmod(moment // 1000, 60_000)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return b"%bT%02d:%02d:%02d.%03dZ" % (_date(day), hour, minute, rest // 1000, rest % 1000)


@lru_cache(maxsize=4096)
def _date(day: int) -> bytes:
    return (EPOCH + timedelta(days=day)).date().isoformat().encode()
