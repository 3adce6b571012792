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
    seconds, micro = divmod(moment, 1_000_000)
    return b"%b.%03dZ" % (_second(seconds), micro // 1000)


def rfc3339_now(moment: int) -> bytes:
    """As `rfc3339_of`, sooner where the second is that of one of the last calls."""
    return b"%b.%03dZ" % (_this_second(moment // 1_000_000), moment // 1000 % 1000)


def _second(seconds: int) -> bytes:
    day, second = divmod(seconds, _DAY_SECONDS)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return b"%bT%02d:%02d:%02d" % (_date(day), hour, minute, second)


_this_second = lru_cache(maxsize=16)(_second)


@lru_cache(maxsize=4096)
def _date(day: int) -> bytes:
    return (EPOCH + timedelta(days=day)).date().isoformat().encode()
