"""Instants as whole numbers: microseconds since 1970, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400
#: The parts of an instant's text behind its date: numbers are slow to write out each time.
_MINUTES: Final = [b"T%02d:%02d:" % divmod(minute, 60) for minute in range(24 * 60)]
_SECONDS: Final = [b"%02d." % second for second in range(60)]
_MILLIS: Final = [b"%03dZ" % milli for milli in range(1000)]


def micros(moment: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    since = moment - EPOCH
    return (since.days * _DAY_SECONDS + since.seconds) * 1_000_000 + since.microseconds


def rfc3339_of(moment: int) -> bytes:
    """Return microseconds since 1970 as `rfc3339` writes the instant."""
    day, rest = divmod(moment // 1000, _DAY_SECONDS * 1000)
    minute, rest = divmod(rest, 60_000)
    return b"%b%b%b%b" % (
        _date(day),
        _MINUTES[minute],
        _SECONDS[rest // 1000],
        _MILLIS[rest % 1000],
    )


@lru_cache(maxsize=4096)
def _date(day: int) -> bytes:
    return (EPOCH + timedelta(days=day)).date().isoformat().encode()
