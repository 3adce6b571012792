"""Global Privacy Control: an objection by the browser, written once a change, never by a check."""

import pytest
from werkzeug.test import TestResponse

from policies.vocabulary import EventTag
from tests.privacy.consent.test_service import counts
from tests.privacy.consent.test_suppression import reasons, tags
from tests.support.cast import PURPOSES, Person, application, ask, calls_as, give
from tests.support.sample import PAGES
from tests.support.world import World

pytestmark = PAGES
UNIT = "partner-advertising"
ON = {"Sec-GPC": "1", "Accept": "text/html"}


def changes(world: World) -> int:
    return tags(world).count(EventTag.CONSENT_SIGNAL_CHANGED.value)


@pytest.fixture(autouse=True)
def shop(world: World, ana: Person) -> None:
    """The application that calls may ask about a purpose that honours the signal."""
    calls_as(world, application(purposes=PURPOSES | {UNIT}))


def test_a_hundred_signals_write_one_change_and_only_the_exact_value_is_one(
    world: World, ana: Person
) -> None:
    client, unit = world.client, UNIT
    for value in ("0", "true", "1, 1", "1;x", ""):
        client.get("/privacy", headers={"Sec-GPC": value})
    world.client.post("/access/v1/evaluation", json={}, headers=ON)
    ask(world, ana, unit)
    assert changes(world) == 0
    page = client.get("/privacy", headers=ON)
    assert "Global Privacy Control" in page.text
    assert "objected" in reasons(world, ana, unit)
    before = counts(world)
    for _ in range(50):
        assert "Lo hemos anotado" not in client.get("/privacy/signal", headers=ON).text
    fresh = world.client  # another browser of the same person
    for _ in range(50):
        fresh.get("/privacy/signal", headers=ON)
    assert counts(world) == before
    assert changes(world) == 1


def test_an_express_consent_prevails_until_the_signal_goes_off_and_on_again(
    world: World, ana: Person
) -> None:
    client, unit = world.client, UNIT
    client.get("/privacy", headers=ON)
    world.clock.advance(seconds=1)
    notice = world.placet.register.notice_of(unit)
    assert notice
    give(world, ana, unit, version=notice.version)
    for _ in range(3):
        client.get("/privacy", headers=ON)
    world.client.get("/privacy")  # a browser that never sent it says nothing by its silence
    assert reasons(world, ana, unit) == ["consent-given"]
    client.get("/privacy")  # off: nothing is said by it
    assert reasons(world, ana, unit) == ["consent-given"]
    world.clock.advance(seconds=1)
    client.get("/privacy", headers=ON)
    assert "objected" in reasons(world, ana, unit)
    assert changes(world) == 3


def test_an_application_that_tells_on_and_off_again_and_again_is_held_up_and_no_objection_is(
    world: World, ana: Person
) -> None:
    def tell(on: bool) -> TestResponse:
        return world.client.post("/v1/signals", json={"subject": ana.pseudonym, "gpc": on})

    notice = world.placet.register.notice_of(UNIT)
    assert notice
    assert tell(True).get_json()["objected"] == [UNIT]
    before = counts(world)
    world.clock.advance(seconds=0.5)
    for _ in range(20):
        refused = tell(False)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3600")
        assert refused.get_json()["type"] == "/problems/too-many-attempts"
        assert not tell(True).get_json()["changed"]
    assert counts(world) == before
    for _ in range(3):  # each consent can be objected to, at once
        world.clock.advance(seconds=1)
        give(world, ana, UNIT, version=notice.version)
        assert tell(False).get_json()["changed"]
        assert reasons(world, ana, UNIT) == ["consent-given"]
        world.clock.advance(seconds=1)
        assert tell(True).get_json()["objected"] == [UNIT]
        assert "objected" in reasons(world, ana, UNIT)
    assert tell(False).status_code == 429
    world.clock.advance(minutes=60)
    assert tell(False).get_json()["changed"]
    assert tell(True).get_json()["changed"]
    assert changes(world) == 9
    client = world.client
    for headers in (ON, {}, ON, {}):  # the person's own browser is not held up
        assert client.get("/privacy", headers=headers).status_code == 200
    assert changes(world) == 13


def facts(world: World, person: Person, unit: str) -> list[str]:
    with world.placet.runtime.snapshot() as session:
        found = world.placet.consents.facts(session, person.subject_id, unit, at=world.clock())
    return ["objected"] if found.objected else []


def test_an_application_tells_the_signal_and_is_told_of_its_own_purposes_alone(
    world: World, ana: Person
) -> None:
    client, units = world.client, world.placet.people.signals.units
    body = {"subject": ana.pseudonym, "gpc": True}
    first = client.post("/v1/signals", json=body).get_json()
    assert first["changed"]
    assert first["objected"] == [UNIT]
    assert len(units) > 1
    for each in units:
        assert "objected" in facts(world, ana, each)
    before = counts(world)
    for _ in range(100):
        assert not client.post("/v1/signals", json=body).get_json()["changed"]
    assert counts(world) == before
    assert client.post("/v1/signals", json=body | {"gpc": 1}).status_code == 422
    assert client.post("/v1/signals", json=body | {"subject": "x"}).status_code == 404
    known = client.get("/.well-known/gpc.json")
    assert known.mimetype == "application/json"
    assert known.get_json() == {"gpc": True, "lastUpdate": "2026-11-22"}
