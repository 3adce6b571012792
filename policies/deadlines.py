"""When the law's periods end: calendar months, working days, the reply to a rights request."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal

REPLY_MONTHS: Final = 1
"""Months to answer a rights request, from its receipt. Source: GDPR Art. 12(3)."""

EXTENDED_MONTHS: Final = 3
"""Months in all, still from receipt, once extended by two. Source: GDPR Art. 12(3)."""

_SATURDAY: Final = 5
_MONTHS_A_YEAR: Final = 12

Holidays = Callable[[int], Collection[date]]
"""From a year to its public holidays where the controller is: national, regional and local."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when an answer is in time.

    Attributes:
        nominal: same day number as the receipt, or the month's last: the day to aim at.
        effective: the nominal day or the next working day after it: the last day in law.
        ends_at: UTC, half-open: the first instant after the effective day in the controller's
            zone. An answer before it is in time; at it, late.
    """

    nominal: date
    effective: date
    ends_at: datetime


def add_months(day: date, months: int) -> date:
    """The same day number so many months later, or that month's last day if it has none.

    Args:
        day: where the period starts.
        months: how many; negative counts back.

    Raises:
        ValueError: the result is outside the years 1 to 9999.

    Source: LOPDGDD DA 3.a (c); Regulation (EEC, Euratom) 1182/71 Art. 3(2)(c).
    """
    year, month0 = divmod(day.year * _MONTHS_A_YEAR + day.month - 1 + months, _MONTHS_A_YEAR)
    if not date.min.year <= year <= date.max.year:
        msg = f"{months} months from {day} is outside the calendar"
        raise ValueError(msg)
    last = calendar.monthrange(year, month0 + 1)[1]
    return date(year, month0 + 1, min(day.day, last))


def months_after(start: datetime, months: int, zone: tzinfo) -> datetime:
    """The instant, in UTC, when the zone's clocks show the same time so many months later.

    Where clocks show that time twice, the first; where they skip it, the instant that reads an
    hour less: a period is never stretched by a change of clocks.

    Args:
        start: aware.
        months: how many.
        zone: whose calendar and clocks count.

    Raises:
        ValueError: `start` is naive, or the result is outside the calendar.
    """
    local = aware(start, "start").astimezone(zone)
    wall = datetime.combine(add_months(local.date(), months), local.time(), tzinfo=zone)
    return min(wall.replace(fold=0).astimezone(UTC), wall.replace(fold=1).astimezone(UTC))


def reply_deadline(
    received: datetime, *, months: Literal[1, 3], zone: tzinfo, holidays: Holidays
) -> Deadline:
    """Until when a rights request must be answered.

    The extension counts from receipt, not from the end of the first month.

    Args:
        received: aware; its date in `zone` is the day of receipt.
        months: `REPLY_MONTHS`, or `EXTENDED_MONTHS` where the extension was notified in time.
        zone: the controller's.
        holidays: the controller's public holidays; asked for each year that the search touches.

    Raises:
        ValueError: `received` is naive, or `months` is neither 1 nor 3.

    Source: GDPR Art. 12(3); LOPDGDD DA 3.a (a), (c), (d); Regulation 1182/71 Art. 3.
    """
    if months not in (REPLY_MONTHS, EXTENDED_MONTHS):
        msg = f"a reply is due in {REPLY_MONTHS} or {EXTENDED_MONTHS} months, not {months}"
        raise ValueError(msg)
    nominal = add_months(aware(received, "received").astimezone(zone).date(), months)
    effective = next_working_day(nominal, holidays)
    after = datetime.combine(effective + timedelta(days=1), time.min, tzinfo=zone)
    return Deadline(nominal=nominal, effective=effective, ends_at=after.astimezone(UTC))


def next_working_day(day: date, holidays: Holidays) -> date:
    """The day itself if it is a working day, else the next that is.

    Source: LOPDGDD DA 3.a (a), (d): not Saturday, Sunday or public holiday.
    """
    while day.weekday() >= _SATURDAY or day in holidays(day.year):
        day += timedelta(days=1)
    return day


def days_left(deadline: Deadline, now: datetime, *, zone: tzinfo) -> int:
    """How many calendar days remain: 0 on the last day itself, negative when it has passed.

    Args:
        deadline: what is counted down to.
        now: aware.
        zone: the controller's; its date is "today".

    Raises:
        ValueError: `now` is naive.
    """
    return (deadline.effective - aware(now, "now").astimezone(zone).date()).days


def aware(at: datetime, name: str) -> datetime:
    """The instant itself, once known to carry its offset.

    Raises:
        ValueError: it is naive; `name` says which one.
    """
    if at.utcoffset() is None:
        msg = f"{name} must carry a time zone"
        raise ValueError(msg)
    return at
