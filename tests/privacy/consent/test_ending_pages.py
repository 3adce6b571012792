"""The DPO ends consents; nothing ends before a page has said how many people it concerns."""

import pytest

from policies.vocabulary import Role
from tests.privacy.consent.test_lifecycle import history, run_worker
from tests.privacy.decisions.test_moment import sits_at_the_desk
from tests.support.cast import Person, give, introduce
from tests.support.forms import forms, hidden_fields, submit
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ALL = {"revision": "newsletter:2", "action": "revoked", "reason": "Se vende la marca"}
ONE = {"person": "ana@example.com", "purpose": "newsletter"} | {
    "action": "invalidated",
    "reason": "Casilla premarcada",
}


def test_a_collection_ends_once_the_number_of_people_was_confirmed(
    world: World, ana: Person
) -> None:
    sits_at_the_desk(world)
    bruno = introduce(world, "bruno@example.com")
    give(world, ana)
    give(world, bruno)
    world.clock.advance(minutes=1)
    browser = world.client
    page = submit(browser, "/dpo/endings", ALL, to="/dpo/endings/collection")
    assert "los consentimientos de 2 personas" in page.text
    assert run_worker(world) == 0
    [form] = [e for e in forms(page.text) if 'action="/dpo/endings/collection"' in e]
    done = browser.post("/dpo/endings/collection", data=hidden_fields(form))
    assert done.status_code == 303
    assert run_worker(world) == 2
    assert history(world, bruno)[-1].action == "revoked"
    listed = browser.get("/dpo/endings").text
    assert "Terminado" in listed
    again = submit(browser, "/dpo/endings", ALL, to="/dpo/endings/collection")
    assert again.status_code == 422


def test_one_person_s_consent_ends_after_a_confirmation(world: World, ana: Person) -> None:
    sits_at_the_desk(world)
    browser = world.client
    nothing = submit(browser, "/dpo/endings", ONE, to="/dpo/endings/person")
    assert (nothing.status_code, 'href="#purpose"' in nothing.text) == (422, True)
    give(world, ana)
    page = submit(browser, "/dpo/endings", ONE | {"reason": ""}, to="/dpo/endings/person")
    assert (page.status_code, 'href="#reason"' in page.text) == (422, True)
    page = submit(browser, "/dpo/endings", ONE, to="/dpo/endings/person")
    assert "los consentimientos de 1 persona?" in page.text
    assert len(history(world, ana)) == 1
    [form] = [each for each in forms(page.text) if 'action="/dpo/endings/person"' in each]
    assert browser.post("/dpo/endings/person", data=hidden_fields(form)).status_code == 303
    assert history(world, ana)[-1].action == "invalidated"


def test_staff_ends_nobody_s_consent(world: World, ana: Person) -> None:
    give(world, ana)
    sits_at_the_desk(world, Role.STAFF)
    assert world.client.get("/dpo/endings").status_code == 403
    sits_at_the_desk(world)
    browser = world.client
    page = submit(browser, "/dpo/endings", ONE, to="/dpo/endings/person")
    [form] = [each for each in forms(page.text) if 'action="/dpo/endings/person"' in each]
    sits_at_the_desk(world, Role.STAFF)
    assert browser.post("/dpo/endings/person", data=hidden_fields(form)).status_code == 403
    assert len(history(world, ana)) == 1
