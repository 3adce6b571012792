"""When a person consents alone, by the day of birth or the year."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from policies.minors import NotABirthdate, minor_until, read_birthdate

TODAY = date(2026, 3, 3)
MADRID = ZoneInfo("Europe/Madrid")


@pytest.mark.parametrize(
    ("text", "age", "until"),
    [
        ("2012-03-04", 14, "2026-03-03T23:00:00+00:00"),  # midnight in Madrid, winter
        ("2012-07-01", 14, "2026-06-30T22:00:00+00:00"),  # summer
        ("2012-02-29", 14, "2026-02-28T23:00:00+00:00"),  # 1 March, in a common year
        ("2012-02-29", 16, "2028-02-28T23:00:00+00:00"),  # 29 February, in a leap year
        ("2012", 14, "2026-12-31T23:00:00+00:00"),  # perhaps born on New Year's Eve
    ],
)
def test_a_person_consents_alone_from_the_midnight_of_the_birthday(
    text: str, age: int, until: str
) -> None:
    assert minor_until(read_birthdate(text, TODAY), age, MADRID).isoformat() == until


@pytest.mark.parametrize("text", ["2026-03-03", "1906-01-01", "1906", "2026", "2024-02-29"])
def test_a_birthdate_is_a_day_or_a_year_of_somebody_alive(text: str) -> None:
    assert str(read_birthdate(text, TODAY).year) == text[:4]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04",
        "2027",
        "1905-12-31",
        "0000",
        "2025-02-29",
        "2025-13-01",
        "2025-3-1",
        "20250301",
        "25",
        "٢٠١٢",
        "2012-03-04T00:00",
        "",
    ],
)
def test_whatever_else_is_no_birthdate(text: str) -> None:
    with pytest.raises(NotABirthdate):
        read_birthdate(text, TODAY)
