"""Where a network address is, from data on this machine: nobody is asked over the network.

The country comes from the registries' allocations, which the package `iptocc` carries. City and
coordinates come from a database in MaxMind's format that the operator gives; without one there
are none, and impossible travel cannot be seen. Source: MaxMind DB File Format 2.0.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import iptocc
import maxminddb

from privacy.network import parse_address
from privacy.settings import SettingsError

log = logging.getLogger("placet.risk")

#: A database of cities may begin with networks of which only the country is known.
_LOOKED_AT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address is, as far as it is known.

    Attributes:
        country: ISO 3166-1 alpha-2.
        city: its English name.
        latitude: degrees north, to 0.1 (some 10 km): no more is needed, nor true.
        longitude: degrees east, likewise.
    """

    country: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Places:
    """The data of one deployment.

    Args:
        city_database: the operator's file, or None.

    Raises:
        SettingsError: the file is not there, or is no database with coordinates.
    """

    def __init__(self, city_database: Path | None) -> None:
        self._cities = None if city_database is None else _open(city_database)
        if city_database is None:
            log.info("impossible travel is not looked at: PLACET_CITY_DATABASE is not set")

    @property
    def knows_cities(self) -> bool:
        """Tell whether there is a city database, and so impossible travel is looked at."""
        return self._cities is not None

    def country(self, address: str | None) -> str | None:
        """Return the country that an address is allocated to."""
        parsed = parse_address(address)
        return None if parsed is None else iptocc.country_code(str(parsed))

    def find(self, address: str | None) -> Place:
        """Return where an address is; an empty place where nothing is known."""
        parsed = parse_address(address)
        if parsed is None:
            return Place()
        country = iptocc.country_code(str(parsed))
        if self._cities is None or (
            parsed.version == 6 and self._cities.metadata().ip_version == 4
        ):
            return Place(country)
        record = self._cities.get(str(parsed))
        if not isinstance(record, Mapping):
            return Place(country)
        coordinates = _coordinates(record)
        if coordinates is None:
            return Place(country, _city(record))
        return Place(country, _city(record), *coordinates)


def _open(path: Path) -> maxminddb.Reader:
    try:
        reader = maxminddb.open_database(path)
        for _network, record in islice(reader, _LOOKED_AT):
            if isinstance(record, Mapping) and _coordinates(record) is not None:
                return reader
    except (OSError, maxminddb.InvalidDatabaseError, ValueError) as error:
        raise SettingsError(
            f"PLACET_CITY_DATABASE: {path} is not a readable MaxMind database ({error})"
        ) from None
    reader.close()
    raise SettingsError(f"PLACET_CITY_DATABASE: {path} has no coordinates: take one of cities")


def _coordinates(record: Mapping[str, object]) -> tuple[float, float] | None:
    """Return latitude and longitude, as MaxMind nests them or as flat databases name them."""
    nested = record.get("location")
    location = nested if isinstance(nested, Mapping) else record
    found = [location.get(name) for name in ("latitude", "longitude")]
    try:
        latitude, longitude = (float(str(value)) for value in found)
    except ValueError:
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return round(latitude, 1), round(longitude, 1)


def _city(record: Mapping[str, object]) -> str | None:
    city = record.get("city")
    if isinstance(city, Mapping):
        names = city.get("names")
        city = names.get("en") if isinstance(names, Mapping) else None
    return city if isinstance(city, str) and city else None
