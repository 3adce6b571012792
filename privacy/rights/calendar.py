"""The controller's public holidays, as dates for `policies.deadlines`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import lru_cache

from policies.deadlines import Holidays


def holidays_of(region: str) -> Holidays:
    """Return the national and regional holidays of `region`, a year at a time.

    Municipal days are not among them: a reply is then due a day earlier than it could be, never
    later.

    Args:
        region: ISO 3166-2 code ("ES-MD"), or a country ("ES").

    Raises:
        ValueError: no calendar is known for that region.

    Source: LOPDGDD DA 3.a (a); Regulation (EEC, Euratom) 1182/71 Art. 3(4).
    """
    import holidays  # noqa: PLC0415 - a tenth of a second that most processes never need

    country, _, subdivision = region.partition("-")

    @lru_cache(maxsize=64)
    def of_year(year: int) -> Collection[date]:
        return frozenset(holidays.country_holidays(country, subdivision or None, years=year))

    try:
        of_year(2026)
    except NotImplementedError:
        raise ValueError(f"no calendar of holidays is known for {region}") from None
    return of_year


def holidays_when_asked(region: str) -> Holidays:
    """Return what `holidays_of` does, worked out at the first question; set-up checks the region."""

    @lru_cache(maxsize=1)
    def of_region() -> Holidays:
        return holidays_of(region)

    def of_year(year: int) -> Collection[date]:
        return of_region()(year)

    return of_year
