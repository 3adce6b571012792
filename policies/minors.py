"""When a person consents alone: ages by country, and the birthday as an instant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, tzinfo
from types import MappingProxyType
from typing import Final

AGE_WITHOUT_A_LAW: Final = 16
"""Where the country has set no lower age. Source: GDPR Art. 8(1)."""

_COUNTRIES_BY_AGE: Final = {
    13: "BE EE FI IS LV MT NO PT SE",
    14: "AT BG CY ES IT LT",
    15: "CZ DK FR GR SI",
    16: "DE HR HU IE LI LU NL PL RO SK",
}

AGES_OF_CONSENT: Final[Mapping[str, int]] = MappingProxyType(
    {country: age for age, codes in _COUNTRIES_BY_AGE.items() for country in codes.split()}
)
"""ISO 3166-1 code of each EEA country -> from which age a person consents alone.

Spain: LOPDGDD Art. 7(1). The rest: Commission staff working document SWD(2020) 115, p. 17; Denmark
and Slovenia as their laws stand since 2024 and 2023. A default: whoever works outside Spain looks
up their own law and writes the age into the register.
"""

OLDEST_YEARS: Final = 120
"""Nobody has lived much longer: an earlier year is a slip of the finger."""

_FORM: Final = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})-(?P<day>[0-9]{2}))?")


class NotABirthdate(ValueError):
    """The text is no day or year of birth of somebody alive."""


@dataclass(frozen=True, slots=True)
class Birthdate:
    """A day of birth, or the year alone.

    Attributes:
        day: None where the person gave the year alone.
    """

    year: int
    day: date | None


def read_birthdate(text: str, today: date) -> Birthdate:
    """The birthdate that a text tells: `YYYY-MM-DD` or `YYYY`.

    Args:
        text: as it is kept.
        today: in the controller's time zone.

    Raises:
        NotABirthdate: another form, no such day, in the future, or more than 120 years ago.

    Source: OpenID Connect Core s. 5.1 (birthdate).
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise NotABirthdate("write YYYY-MM-DD, or the year alone")
    year = int(match["year"])
    if not today.year - OLDEST_YEARS <= year <= today.year:
        raise NotABirthdate(f"between {OLDEST_YEARS} years ago and today")
    if match["day"] is None:
        return Birthdate(year, None)
    try:
        day = date(year, int(match["month"]), int(match["day"]))
    except ValueError:
        raise NotABirthdate("there is no such day") from None
    if day > today:
        raise NotABirthdate("not in the future")
    return Birthdate(year, day)


def minor_until(born: Birthdate, age_of_consent: int, zone: tzinfo) -> datetime:
    """The instant from which the person consents alone: UTC, half-open.

    It is midnight in the controller's time zone at the start of the birthday. Of somebody born on
    29 February the birthday in a common year is 1 March, and of somebody whose year alone is known
    it is the first day of the year after: nobody is taken for older than they are.

    Source: GDPR Art. 8(1); LOPDGDD Art. 7(1).
    """
    year = born.year + age_of_consent
    if born.day is None:
        birthday = date(year + 1, 1, 1)
    else:
        try:
            birthday = born.day.replace(year=year)
        except ValueError:  # 29 February in a common year
            birthday = date(year, 3, 1)
    return datetime.combine(birthday, time.min, zone).astimezone(UTC)
