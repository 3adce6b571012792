from __future__ import annotations

import csv
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.deadlines import (
    EXTENDED_MONTHS,
    REPLY_MONTHS,
    Deadline,
    Holidays,
    add_months,
    days_left,
    months_after,
    next_working_day,
    reply_deadline,
)

MADRID = ZoneInfo("Europe/Madrid")
VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors" / "rights_deadlines.csv"
NAIVE = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - what is refused


def of_region(region: str) -> Holidays:
    country, _, subdivision = region.partition("-")

    def of_year(year: int) -> Collection[date]:
        return frozenset(holidays.country_holidays(country, subdivision or None, years=year))

    return of_year


def no_holidays(_: int) -> Collection[date]:
    return frozenset()


def due(received: str, region: str, months: Literal[1, 3]) -> Deadline:
    noon = datetime.fromisoformat(received).replace(hour=12, tzinfo=MADRID)
    return reply_deadline(noon, months=months, zone=MADRID, holidays=of_region(region))


@pytest.mark.parametrize(
    ("received", "region", "nominal1", "effective1", "nominal3", "effective3"),
    [
        ("2026-01-31", "ES", "2026-02-28", "2026-03-02", "2026-04-30", "2026-04-30"),
        ("2026-03-06", "ES-CT", "2026-04-06", "2026-04-07", "2026-06-06", "2026-06-08"),
        ("2026-03-06", "ES-MD", "2026-04-06", "2026-04-06", "2026-06-06", "2026-06-08"),
        ("2026-05-24", "ES-CT", "2026-06-24", "2026-06-25", "2026-08-24", "2026-08-24"),
        ("2026-08-31", "ES", "2026-09-30", "2026-09-30", "2026-11-30", "2026-11-30"),
        ("2026-11-25", "ES", "2026-12-25", "2026-12-28", "2027-02-25", "2027-02-25"),
        ("2026-12-01", "ES", "2027-01-01", "2027-01-04", "2027-03-01", "2027-03-01"),
        ("2026-12-06", "ES", "2027-01-06", "2027-01-07", "2027-03-06", "2027-03-08"),
        ("2023-08-31", "ES", "2023-09-30", "2023-10-02", "2023-11-30", "2023-11-30"),
        ("2028-01-31", "ES", "2028-02-29", "2028-02-29", "2028-04-30", "2028-05-02"),
        ("2028-01-31", "ES-MD", "2028-02-29", "2028-02-29", "2028-04-30", "2028-05-03"),
    ],
)
def test_a_reply_is_due_on_the_dates_of_the_calendar_in_force(
    received: str, region: str, nominal1: str, effective1: str, nominal3: str, effective3: str
) -> None:
    one = due(received, region, REPLY_MONTHS)
    three = due(received, region, EXTENDED_MONTHS)

    assert (one.nominal.isoformat(), one.effective.isoformat()) == (nominal1, effective1)
    assert (three.nominal.isoformat(), three.effective.isoformat()) == (nominal3, effective3)


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors folder is not beside the project")
def test_the_dates_agree_with_vectors_that_this_code_did_not_compute() -> None:
    with VECTORS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    assert rows
    for row in rows:
        one = due(row["received"], row["region"], REPLY_MONTHS)
        three = due(row["received"], row["region"], EXTENDED_MONTHS)
        found = [one.nominal, one.effective, three.nominal, three.effective]
        names = ["nominal_1m", "effective_1m", "nominal_3m", "effective_3m"]
        assert [day.isoformat() for day in found] == [row[name] for name in names], row


@pytest.mark.parametrize(
    ("received", "nominal"),
    [
        ("2026-01-31T22:59:59.999999+00:00", date(2026, 2, 28)),
        ("2026-01-31T23:00:00+00:00", date(2026, 3, 1)),
        ("2026-01-31T23:30:00+00:00", date(2026, 3, 1)),
    ],
)
def test_the_day_of_receipt_is_the_controllers(received: str, nominal: date) -> None:
    deadline = reply_deadline(
        datetime.fromisoformat(received), months=1, zone=MADRID, holidays=no_holidays
    )

    assert deadline.nominal == nominal


@pytest.mark.parametrize(
    ("received", "ends_at"),
    [
        ("2026-01-10", "2026-02-10T23:00:00+00:00"),  # winter
        ("2026-07-10", "2026-08-10T22:00:00+00:00"),  # summer
        ("2026-02-28", "2026-03-30T22:00:00+00:00"),  # Saturday, on over the change of clocks
    ],
)
def test_the_period_ends_with_the_last_hour_of_the_effective_day(
    received: str, ends_at: str
) -> None:
    deadline = due(received, "ES", 1)

    assert deadline.ends_at.isoformat() == ends_at
    assert deadline.ends_at.tzinfo is UTC
    last = (deadline.ends_at - timedelta(microseconds=1)).astimezone(MADRID)
    assert last.date() == deadline.effective


def test_a_local_holiday_can_be_added() -> None:
    def with_san_isidro(year: int) -> Collection[date]:
        return {date(year, 5, 15)}

    received = datetime(2026, 4, 15, 9, tzinfo=MADRID)
    deadline = reply_deadline(received, months=1, zone=MADRID, holidays=with_san_isidro)

    assert deadline.nominal == date(2026, 5, 15)
    assert deadline.effective == date(2026, 5, 18)


def test_the_search_asks_for_the_next_years_holidays_too() -> None:
    asked = []

    def record(year: int) -> Collection[date]:
        asked.append(year)
        return {date(2027, 12, 31), date(2028, 1, 3)}

    assert next_working_day(date(2027, 12, 31), record) == date(2028, 1, 4)
    assert set(asked) == {2027, 2028}


def test_a_reply_is_due_in_one_or_three_months_and_nothing_else() -> None:
    with pytest.raises(ValueError, match="1 or 3 months, not 2"):
        reply_deadline(
            datetime(2026, 1, 1, tzinfo=UTC),
            months=2,  # type: ignore[arg-type] # what is refused
            zone=MADRID,
            holidays=no_holidays,
        )


def test_naive_instants_are_refused() -> None:
    with pytest.raises(ValueError, match="received must carry a time zone"):
        reply_deadline(NAIVE, months=1, zone=MADRID, holidays=no_holidays)
    with pytest.raises(ValueError, match="now must carry a time zone"):
        days_left(due("2026-01-10", "ES", 1), NAIVE, zone=MADRID)
    with pytest.raises(ValueError, match="start must carry a time zone"):
        months_after(NAIVE, 1, MADRID)


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("2026-02-28T12:00:00+01:00", 30),
        ("2026-03-29T23:59:59+02:00", 1),
        ("2026-03-30T00:00:00+02:00", 0),
        ("2026-03-30T23:59:59+02:00", 0),
        ("2026-03-31T00:00:00+02:00", -1),
    ],
)
def test_days_left_counts_the_controllers_days_over_a_change_of_clocks(now: str, left: int) -> None:
    deadline = due("2026-02-28", "ES", 1)

    assert days_left(deadline, datetime.fromisoformat(now), zone=MADRID) == left


@pytest.mark.parametrize(
    ("day", "months", "found"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 10, 15), 3, date(2027, 1, 15)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
        (date(2026, 5, 5), 0, date(2026, 5, 5)),
        (date(1, 2, 28), -1, date(1, 1, 28)),
        (date(9999, 11, 30), 1, date(9999, 12, 30)),
    ],
)
def test_a_month_ends_on_the_same_day_number_or_the_months_last(
    day: date, months: int, found: date
) -> None:
    assert add_months(day, months) == found


@pytest.mark.parametrize(("day", "months"), [(date.max, 1), (date.min, -1)])
def test_a_result_outside_the_calendar_is_refused(day: date, months: int) -> None:
    with pytest.raises(ValueError, match="outside the calendar"):
        add_months(day, months)


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(0, 60))
def test_added_months_land_in_the_right_month_and_never_on_a_later_day(
    day: date, months: int
) -> None:
    found = add_months(day, months)

    assert (found.year * 12 + found.month) - (day.year * 12 + day.month) == months
    assert found.day == day.day or (
        found.day < day.day and (found + timedelta(days=1)).month != found.month
    )


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)), st.data())  # noqa: DTZ001 - a bound
def test_the_effective_day_is_the_first_working_day_from_the_nominal(
    received: datetime, data: st.DataObject
) -> None:
    received = received.replace(year=2000 + received.year % 100, day=min(received.day, 28))
    first = received.date()
    free = data.draw(st.frozensets(st.dates(first, first + timedelta(days=60)), max_size=20))

    found = reply_deadline(received, months=1, zone=MADRID, holidays=lambda _: free)

    skipped = [
        found.nominal + timedelta(days=n) for n in range((found.effective - found.nominal).days)
    ]
    assert all(day.weekday() >= 5 or day in free for day in skipped)
    assert found.effective.weekday() < 5
    assert found.effective not in free
