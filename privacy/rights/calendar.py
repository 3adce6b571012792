"""The controller's public holidays, as dates for `policies.deadlines`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from functools import lru_cache

import holidays

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
    country, _, subdivision = region.partition("-")

    @lru_cache(maxsize=64)
    def of_year(year: int) -> Collection[date]:
        return frozenset(holidays.country_holidays(country, subdivision or None, years=year))

    try:
        of_year(2026)
    except NotImplementedError:
        raise ValueError(f"no calendar of holidays is known for {region}") from None
    return of_year
