"""Instants as whole numbers: microseconds since 1970, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY_SECONDS: Final = 86_400


def micros(moment: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def rfc3339_of(moment: int) -> bytes:
    """Return microseconds since 1970 as `rfc3339` writes the instant."""
    seconds, micro = divmod(moment, 1_000_000)
    day, second = divmod(seconds, _DAY_SECONDS)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return b"%bT%02d:%02d:%02d.%03dZ" % (_date(day), hour, minute, second, micro // 1000)


@lru_cache(maxsize=4096)
def _date(day: int) -> bytes:
    return (EPOCH + timedelta(days=day)).date().isoformat().encode()
