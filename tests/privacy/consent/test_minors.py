"""Somebody below the age of consent: every use is denied until the birthday, by the clock alone."""

from datetime import datetime, timedelta

import pytest

from policies.errors import InvalidInput
from policies.vocabulary import Attribute
from privacy.actor import SYSTEM
from privacy.consent.model import GuardianNeeded
from tests.privacy.consent.test_pages import press
from tests.privacy.consent.test_service import counts
from tests.support.cast import Person, ask, give, withdraw
from tests.support.world import World

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def born(world: World, person: Person, birthdate: str | None) -> datetime | None:
    """Keep a birthdate and return until when the person is a minor."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.rectify(uow, person.subject_id, Attribute.BIRTHDATE, birthdate)
        uow.commit()
        return world.placet.subjects.minor_until(uow.session, person.subject_id)


def reasons(world: World, person: Person, purpose: str) -> list[str]:
    return list(ask(world, person, purpose).get_json()["context"]["reasons"])


def test_the_fourteenth_birthday_permits_at_its_first_instant_with_no_job(
    world: World, ana: Person
) -> None:
    give(world, ana)
    until = born(world, ana, "2012-03-04")  # fourteen tomorrow
    assert until is not None
    assert reasons(world, ana, "loyalty") == ["minor-without-guardian"]
    world.clock.now = until - timedelta(microseconds=1)
    assert reasons(world, ana, "loyalty") == ["minor-without-guardian"]
    assert reasons(world, ana, "newsletter") == ["minor-without-guardian", "no-consent"]
    world.clock.now = until
    assert reasons(world, ana, "loyalty") == ["contract"]
    assert reasons(world, ana, "newsletter") == ["no-consent"]  # what a minor said is none
    assert "sin tener edad" in world.client.get("/privacy").text
    assert press(world.client, "newsletter", "grant").status_code == 303
    assert reasons(world, ana, "newsletter") == ["consent-given"]


@on_sqlite
@pytest.mark.parametrize("after", ["told", "removed", "corrected"])
def test_a_minors_consent_does_not_come_of_age_whenever_the_age_is_told(
    world: World, ana: Person, after: str
) -> None:
    give(world, ana)
    if after != "told":
        born(world, ana, "2012-03-04")
    world.clock.advance(days=2)
    born(world, ana, {"told": "2012-03-04", "removed": None, "corrected": "1990"}[after])
    expected = "consent-given" if after == "corrected" else "no-consent"
    assert reasons(world, ana, "newsletter") == [expected]


@on_sqlite
def test_a_minor_cannot_grant_by_service_api_or_portal_but_can_always_say_no(
    world: World, ana: Person
) -> None:
    give(world, ana, "recommendations", version=1)
    born(world, ana, "2013")
    before = counts(world)
    with pytest.raises(GuardianNeeded):
        give(world, ana)
    word = {"subject": ana.pseudonym, "purpose": "newsletter", "notice_version": 2}
    word |= {"language": "es", "channel": "web"}
    answer = world.client.post("/v1/consents", json=word)
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["type"] == "/problems/guardian-needed"
    client = world.client
    page = press(client, "newsletter", "grant")
    assert page.status_code == 409
    assert "Tienes menos de 14 años" in page.text
    assert "en «Quién decide por ti»" in page.text
    assert counts(world) == before
    assert "Tienes menos de 14 años" in client.get("/privacy").text
    assert press(client, "newsletter", "refuse").status_code == 303
    withdraw(world, ana, "recommendations")


@on_sqlite
def test_a_minor_is_not_of_age_by_deleting_the_birthdate_and_a_correction_moves_it(
    world: World, ana: Person
) -> None:
    until = born(world, ana, "2012")
    assert until is not None
    assert born(world, ana, None) == until
    with pytest.raises(GuardianNeeded):
        give(world, ana)
    assert born(world, ana, "2020-01-01") != until
    assert born(world, ana, "1990-05-31") is None  # of whom we first knew of age nothing is kept
    give(world, ana)
    assert born(world, ana, "2020-01-01") is not None
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
        assert world.placet.subjects.minor_until(uow.session, ana.subject_id) is None


@on_sqlite
def test_what_is_no_birthdate_of_somebody_alive_is_refused(world: World, ana: Person) -> None:
    for bad in ("2026-03-04", "1905", "31/05/1990", "mañana"):
        with pytest.raises(InvalidInput) as refused:
            born(world, ana, bad)
        assert refused.value.field == "birthdate", bad
