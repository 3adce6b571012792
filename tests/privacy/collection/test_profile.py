"""The person's profile: what we hold, for what, and nothing asked that nothing needs."""

import re

import pytest

from identity.provider.grant_store import GrantRow
from policies.vocabulary import Attribute
from privacy.actor import SYSTEM, Actor
from privacy.rights.sources import ProfileSource
from tests.privacy.collection.test_requests import SHOP, client_named
from tests.support.cast import Person, give, introduce, signed_in_as, withdraw
from tests.support.forms import csrf_token
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
PAGE = "/account/profile"


@pytest.fixture
def ana(world: World) -> Person:
    person = introduce(world)
    signed_in_as(world, person)
    return person


def offered(world: World) -> list[str]:
    """The attributes that the page asks for or shows."""
    return re.findall(r'name="attribute" value="([^"]+)"', world.client.get(PAGE).text)


def post(world: World, attribute: str, value: str, action: str = "save") -> tuple[int, str]:
    client = world.client
    token = csrf_token(client.get(PAGE).text)
    form = {"attribute": attribute, "value": value, "action": action, "csrf_token": token}
    answer = client.post(PAGE, data=form)
    return answer.status_code, answer.text


def profile(world: World, person: Person) -> dict[Attribute, str]:
    with world.placet.runtime.snapshot() as session:
        return dict(world.placet.subjects.profile(session, person.subject_id))


def signed_in_to(world: World, person: Person, client: Actor) -> None:
    """Leave what a sign-in to an application leaves."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.add(
            GrantRow(
                client_id=client.client_id,
                subject_id=person.subject_id,
                scope="openid",
                made_at=uow.now,
                last_used_at=uow.now,
            )
        )
        world.placet.subjects.rectify(uow, person.subject_id, Attribute.LOCALE, "es")
        uow.commit()


def test_nothing_is_asked_until_a_consent_or_a_contract_in_use_needs_it(
    world: World, ana: Person
) -> None:
    assert offered(world) == []
    assert "No nos has contado nada" in world.client.get(PAGE).text
    give(world, ana)
    assert offered(world) == ["given_name"]
    assert post(world, "phone", "600 000 000")[0] == 404
    signed_in_to(world, ana, client_named(world, "La tienda", SHOP))
    assert offered(world) == ["given_name", "family_name", "phone", "postal_address", "birthdate"]
    page = world.client.get(PAGE).text
    assert '<a href="/privacy#orders">Tus pedidos</a>. Sin este dato puede que no funcione.' in page


def test_what_is_held_can_be_changed_and_removed_whoever_wants_it(
    world: World, ana: Person
) -> None:
    give(world, ana)
    assert post(world, "given_name", " Ana ")[0] == 303
    assert profile(world, ana) == {Attribute.GIVEN_NAME: "Ana"}
    withdraw(world, ana)
    assert offered(world) == ["given_name"]
    assert "Ahora mismo nada lo usa" in world.client.get(PAGE).text
    status, page = post(world, "given_name", "x" * 201)
    assert (status, 'href="#given_name"' in page) == (422, True)
    assert post(world, "given_name", "Eva")[0] == 303
    assert post(world, "given_name", "", "remove")[0] == 303
    assert profile(world, ana) == {}
    assert post(world, "given_name", "Eva")[0] == 404
    assert post(world, "shoe_size", "41")[0] == 422
    world.settle()
    assert world.verify().ok


def test_a_birthdate_is_typed_the_day_first_or_as_a_year(world: World, ana: Person) -> None:
    signed_in_to(world, ana, client_named(world, "La tienda", SHOP))
    for typed, kept, shown in (
        ("31/5/1990", "1990-05-31", "31/05/1990"),
        ("1990-05-30", "1990-05-30", "30/05/1990"),
        (" 1990 ", "1990", "1990"),
    ):
        assert post(world, "birthdate", typed)[0] == 303
        assert profile(world, ana)[Attribute.BIRTHDATE] == kept
        assert f'value="{shown}"' in world.client.get(PAGE).text
    status, page = post(world, "birthdate", "05/31/1990")
    assert status == 422
    assert "Escribe una fecha como 31/05/1990" in page


def test_a_minor_who_deletes_the_birthdate_is_told_what_stays_and_may_correct_it(
    world: World, ana: Person
) -> None:
    signed_in_to(world, ana, client_named(world, "La tienda", SHOP))
    assert post(world, "birthdate", "04/03/2013")[0] == 303
    assert post(world, "birthdate", "", "remove")[0] == 303
    assert profile(world, ana).keys() == {Attribute.LOCALE}
    page = world.client.get(PAGE).text
    assert "cumples 14 años el 4 de marzo de 2027. Aunque la borres" in page
    with world.placet.runtime.snapshot() as session:
        source = ProfileSource(world.placet.subjects, world.placet.pseudonyms)
        held = source.collect(session, ana.subject_id)
    assert "2027-03-03T23:00:00.000Z" in str(held)  # the copy holds what is held
    assert post(world, "birthdate", "1990")[0] == 303
    assert "Aunque la borres" not in world.client.get(PAGE).text
