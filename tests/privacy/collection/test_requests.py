"""An application asks for attributes; the person sees for what, and gives or refuses."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.provider.client_settings import ClientSettings
from policies.vocabulary import Attribute, Scope
from privacy.actor import SYSTEM, Actor
from privacy.collection.housekeeping import Housekeeping
from privacy.collection.model import NotOpen
from tests.support.cast import (
    Person,
    application,
    calls_as,
    give,
    introduce,
    signed_in_as,
    withdraw,
)
from tests.support.forms import submit
from tests.support.world import World

SHOP = "https://shop.example"
API = "/v1/attribute-requests"
PURPOSES = frozenset({"orders", "newsletter", "tastings"})


@pytest.fixture
def shop(world: World) -> Actor:
    """The shop as a real client, calling."""
    return client_named(world, "La tienda", SHOP)


@pytest.fixture
def ana(world: World, shop: Actor) -> Person:
    """Ana, signed in and known to the shop."""
    person = introduce(world, domain=shop.domain)
    signed_in_as(world, person)
    return person


def client_named(world: World, name: str, origin: str) -> Actor:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        added, _secret = world.placet.clients.add(
            uow,
            ClientSettings(
                name=name,
                redirect_uris=[f"{origin}/callback"],
                scopes=["openid", "profile:request"],
                purposes=PURPOSES,
            ),
        )
    scopes = frozenset({Scope.PROFILE_REQUEST})
    caller = application(added.client_id, purposes=PURPOSES, scopes=scopes)
    calls_as(world, caller)
    return caller


def asked(
    world: World, person: Person, point: str = "delivery-details", **more: Any
) -> TestResponse:
    body = {
        "subject": person.pseudonym,
        "collection_point": point,
        "return_to": f"{SHOP}/checkout?cart=7",
    }
    return world.client.post(API, json=body | more)


def path_of(answer: TestResponse) -> str:
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["url"]).removeprefix("http://localhost:8000")


def answered(client: FlaskClient, path: str, action: str = "give", **values: str) -> TestResponse:
    return submit(client, path, {**values, "action": action})


def problem(answer: TestResponse) -> str:
    return str(answer.get_json()["type"]).removeprefix("/problems/")


def fields(world: World, answer: TestResponse) -> dict[str, dict[str, Any]]:
    found = world.client.get(f"{API}/{answer.get_json()['id']}").get_json()
    return {each["attribute"]: each for each in found["fields"]}


WHOLE = {"given_name": "Ana", "family_name": "García", "postal_address": "Calle Mayor, 1"}


def test_the_person_sees_who_asks_and_why_gives_some_and_the_application_gets_those_alone(
    world: World, ana: Person
) -> None:
    made = asked(world, ana)
    assert made.headers["Location"] == f"{API}/{made.get_json()['id']}"
    assert [f["required"] for f in made.get_json()["fields"]] == [True, True, True, False]
    client, path = world.client, path_of(made)
    page = client.get(path).text
    assert "La tienda te pregunta" in page
    assert page.count("Para: Tus pedidos.") == 4
    done = answered(client, path, **WHOLE)
    assert done.headers["Location"] == f"{path}?done=1"
    back = client.get(done.headers["Location"]).headers["Refresh"]
    assert back == f"0;url={SHOP}/checkout?cart=7&status=answered"
    told = fields(world, made)
    assert {name: each.get("value") for name, each in told.items()} == WHOLE | {"phone": None}
    assert told["phone"]["answer"] == "refused"
    with world.placet.runtime.snapshot() as session:
        profile = world.placet.subjects.profile(session, ana.subject_id)
    assert profile[Attribute.POSTAL_ADDRESS] == "Calle Mayor, 1"
    world.settle()
    assert world.verify().ok


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
class TestOnOneDatabase:
    def test_a_required_field_left_empty_keeps_nothing_and_is_named(
        self, world: World, ana: Person
    ) -> None:
        made = asked(world, ana)
        client, path = world.client, path_of(made)
        wrong = answered(client, path, given_name="Ana", family_name="García", postal_address=" ")
        assert wrong.status_code == 422
        assert 'href="#postal_address"' in wrong.text
        assert 'value="García"' in wrong.text
        assert {each["answer"] for each in fields(world, made).values()} == {None}
        long = answered(client, path, **WHOLE | {"given_name": "x" * 201})
        assert (long.status_code, 'href="#given_name"' in long.text) == (422, True)

    def test_who_refuses_all_gives_nothing_and_is_not_asked_again_for_thirty_days(
        self, world: World, ana: Person
    ) -> None:
        made = asked(world, ana)
        client, path = world.client, path_of(made)
        done = answered(client, path, "refuse", **WHOLE)
        assert "status=refused" in client.get(done.headers["Location"]).headers["Refresh"]
        assert not any("value" in each for each in fields(world, made).values())
        assert problem(asked(world, ana)) == "nothing-to-ask"
        world.clock.advance(days=29, hours=23)
        assert problem(asked(world, ana)) == "nothing-to-ask"
        other = client_named(world, "Otra", SHOP)  # another application may ask
        person = introduce(world, domain=other.domain)
        assert asked(world, person).status_code == 201
        world.clock.advance(hours=2)
        assert asked(world, person).status_code == 201

    def test_a_refusal_answers_what_the_application_asked_as_well(
        self, world: World, ana: Person
    ) -> None:
        first, second, _third = [asked(world, ana) for _ in range(3)]
        client = world.client
        answered(client, path_of(first), "refuse")
        assert path_of(second) not in client.get("/account/profile").text
        assert world.client.get(second.headers["Location"]).get_json()["state"] == "refused"
        world.settle()
        assert world.verify().ok

    def test_nobody_is_nagged_and_a_request_expires(self, world: World, ana: Person) -> None:
        first, *_others = [asked(world, ana) for _ in range(3)]
        assert problem(asked(world, ana)) == "asked-enough"
        client, path = world.client, path_of(first)
        world.clock.advance(days=7)
        assert "Esta pregunta ha caducado" in client.get(path).text
        state = world.client.get(first.headers["Location"]).get_json()["state"]
        assert state == "expired"
        with (
            world.placet.runtime.unit_of_work(SYSTEM) as uow,
            pytest.raises(NotOpen),
        ):
            world.placet.attribute_requests.refuse(uow, ana.subject_id, first.get_json()["id"])
        assert asked(world, ana).status_code == 201
        world.clock.advance(days=100)
        housekeeping = Housekeeping(world.placet.runtime, world.placet.attribute_requests)
        assert housekeeping.run_due() == 4
        assert housekeeping.run_due() == 0

    def test_an_answer_counts_once(self, world: World, ana: Person) -> None:
        made = asked(world, ana)
        client, path = world.client, path_of(made)
        page = client.get(path).text
        token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]
        form = {**WHOLE, "action": "give", "csrf_token": token}
        assert client.post(path, data=form).status_code == 303
        assert client.post(path, data=form | {"given_name": "Eva"}).status_code == 404
        assert fields(world, made)["given_name"]["value"] == "Ana"

    def test_a_consent_purpose_must_be_consented_to_before_it_asks_and_while_it_reads(
        self, world: World, ana: Person
    ) -> None:
        assert problem(asked(world, ana, "letter-greeting")) == "nothing-to-ask"
        give(world, ana)
        made = asked(world, ana, "letter-greeting")
        answered(world.client, path_of(made), given_name="Ana")
        assert fields(world, made)["given_name"]["value"] == "Ana"
        withdraw(world, ana)
        assert "value" not in fields(world, made)["given_name"]
        world.count_uses()
        with world.placet.runtime.snapshot() as session:
            uses = world.placet.uses.of_subject(session, ana.subject_id)
        assert {use.outcome.value for use in uses} == {"permit", "deny"}  # the person sees both

    def test_an_objection_or_a_minors_age_stops_the_asking(self, world: World, ana: Person) -> None:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.subjects.rectify(uow, ana.subject_id, Attribute.BIRTHDATE, "2015")
            uow.commit()
        assert problem(asked(world, ana)) == "nothing-to-ask"

    def test_what_is_not_the_applications_is_refused(self, world: World, ana: Person) -> None:
        wrong = [
            ("return_to", "https://shop.example.evil/x", 422),
            ("return_to", "http://shop.example/x", 422),
            ("return_to", "https://shop.example:8443/x", 422),
            ("return_to", "https://shop.example@evil.example/", 422),
            ("return_to", "javascript:alert(1)", 422),
            ("collection_point", "nowhere", 422),
            ("subject", "d1v1_" + "x" * 32, 404),
        ]
        for field, value, status in wrong:
            answer = asked(world, ana, **{field: value})
            assert answer.status_code == status, value
            assert answer.get_json()["errors"][0]["field"] == field, value

    def test_only_that_person_and_that_application_see_a_request(
        self, world: World, ana: Person
    ) -> None:
        made = asked(world, ana)
        path, address = path_of(made), made.headers["Location"]
        signed_in_as(world, introduce(world, "bruno@example.com"))
        assert world.client.get(path).status_code == 404
        world.app.extensions["placet.session"] = lambda: None
        sent = world.client.get(path, headers={"Accept": "text/html"})
        assert sent.headers["Location"].startswith("/login?next=%2Faccount%2Fasks%2F")
        client_named(world, "Otra", SHOP)
        assert world.client.get(address).status_code == 404

    def test_what_a_merged_subject_was_asked_the_person_answers(
        self, world: World, ana: Person, shop: Actor
    ) -> None:
        made = asked(world, ana)
        account = introduce(world, "ana@work.example", domain=shop.domain)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.subjects.merge(uow, account.subject_id, ana.subject_id)
            uow.commit()
        signed_in_as(world, account)
        assert answered(world.client, path_of(made), **WHOLE).status_code == 303
        assert fields(world, made)["given_name"]["value"] == "Ana"

    def test_the_access_file_tells_who_asked_and_an_erasure_forgets_it(
        self, world: World, ana: Person
    ) -> None:
        made = asked(world, ana)
        answered(world.client, path_of(made), **WHOLE)
        source = world.placet.attribute_requests
        with world.placet.runtime.snapshot() as session:
            held: Any = source.collect(session, ana.subject_id)
        [told] = held["attribute_requests"]
        assert told["application"] == "La tienda"
        assert {"attribute": "phone", "answer": "refused"} in told["fields"]
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.eraser.erase(uow, ana.subject_id)
            uow.commit()
        with world.placet.runtime.snapshot() as session:
            assert source.collect(session, ana.subject_id) == {"attribute_requests": []}
        assert world.client.get(made.headers["Location"]).status_code == 404
