"""Where an address is, by data on this machine alone."""

import logging
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from identity.risk.places import Place, Places
from privacy.settings import SettingsError
from tests.identity.risk.people import MADRID, PARIS, TOKYO

NOWHERE = "203.0.113.7"


def city_database(folder: Path, *, flat: bool = False) -> Path:
    """Make a database of Madrid and Tokyo, in MaxMind's shape or in the flat one."""
    writer = MMDBWriter(6, "GeoLite2-City", ipv4_compatible=True)
    for network, city, latitude, longitude in (
        ("88.1.0.0/16", "Madrid", 40.4168, -3.7038),
        ("126.0.0.0/8", "Tokyo", 35.6762, 139.6503),
    ):
        nested = {
            "city": {"names": {"en": city, "es": "otro"}},
            "location": {"latitude": latitude, "longitude": longitude},
        }
        plain = {"city": city, "latitude": latitude, "longitude": longitude}
        writer.insert_network(IPSet([network]), plain if flat else nested)
    writer.insert_network(IPSet(["80.10.0.0/16"]), {"city": {}, "location": {"latitude": 999.0}})
    path = folder / "cities.mmdb"
    writer.to_db_file(str(path))
    return path


def test_without_a_city_database_the_country_is_known_and_it_is_said_that_no_city_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "placet.risk"):
        places = Places(None)
    assert "impossible travel is not looked at" in caplog.text
    assert not places.knows_cities
    assert [places.country(each) for each in (MADRID, PARIS, TOKYO)] == ["ES", "FR", "JP"]
    assert places.country("2a02:9000::1") == "ES"
    assert places.country("::ffff:88.1.2.3") == "ES"
    assert places.find(MADRID) == Place("ES")
    for unknown in (None, "", "no address", "127.0.0.1", NOWHERE):
        assert places.find(unknown) == Place()


@pytest.mark.parametrize("flat", [False, True])
def test_a_city_database_gives_city_and_coordinates_to_a_tenth_of_a_degree(
    tmp_path: Path, flat: bool
) -> None:
    places = Places(city_database(tmp_path, flat=flat))
    assert places.knows_cities
    assert places.find(MADRID) == Place("ES", "Madrid", 40.4, -3.7)
    assert places.find(PARIS) == Place("FR")  # its entry makes no sense
    assert places.find(NOWHERE) == Place()
    assert places.find("2a02:9000::1") == Place("ES")


def test_a_wrong_city_database_is_refused_at_the_start_by_its_setting(tmp_path: Path) -> None:
    text, countries = tmp_path / "text.mmdb", tmp_path / "countries.mmdb"
    text.write_text("no database")
    writer = MMDBWriter(4, "GeoLite2-Country")
    writer.insert_network(IPSet(["88.1.0.0/16"]), {"country": {"iso_code": "ES"}})
    writer.to_db_file(str(countries))
    for path in (text, countries, tmp_path / "none.mmdb", tmp_path):
        with pytest.raises(SettingsError, match="PLACET_CITY_DATABASE"):
            Places(path)
