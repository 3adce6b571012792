"""Userinfo tells what a purpose of the client may use at that instant, and not a word more."""

from dataclasses import replace
from typing import Any

import pytest
from joserfc.jws import extract_compact

from identity.provider import tokens
from identity.provider.claims import ReleasedClaims, claims_asked
from identity.provider.client_settings import ClientSettings
from policies.vocabulary import Attribute, ConsentChannel
from privacy.actor import SYSTEM
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.model import IdentifierAdded
from privacy.subjects.store import SubjectRow
from tests.identity.provider.consent_page import signed_in
from tests.identity.provider.relying_party import RelyingParty, person, register, sign_in
from tests.support.cast import Person, give, introduce, withdraw
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

EVERYTHING = ("openid", "profile", "email", "phone", "address")
SCOPE = " ".join(EVERYTHING)
TOLD = {
    Attribute.GIVEN_NAME: "Ana",
    Attribute.FAMILY_NAME: "Núñez",
    Attribute.PHONE: "600 111 222",
    Attribute.POSTAL_ADDRESS: "Calle Mayor, 1",
    Attribute.BIRTHDATE: "1990-05-31",
    Attribute.LOCALE: "es",
}


def tell(world: World, subject_id: str, **changes: str | None) -> None:
    """Have the person tell us of themselves."""
    values: dict[Attribute, str | None] = {**TOLD}
    values |= {Attribute(name): value for name, value in changes.items()}
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        for attribute, value in values.items():
            world.placet.subjects.rectify(uow, subject_id, attribute, value)
        uow.commit()


@pytest.fixture
def ana(world: World) -> str:
    """Ana, with a proved address, who told us all of herself and is signed in."""
    known = introduce(world)
    tell(world, known.subject_id)
    sign_in(world, known.subject_id)
    return known.subject_id


def released(shop: RelyingParty, token: str) -> dict[str, Any]:
    answer = shop.userinfo(token)
    assert answer.status_code == 200, answer.text
    found = dict(answer.get_json())
    assert found.pop("sub").startswith("d")
    return found


def test_an_attribute_is_told_where_a_purpose_of_the_client_needs_it_and_may_use_it(
    world: World, ana: str
) -> None:
    letter = register(world, scopes=EVERYTHING, purposes=("newsletter", "recommendations"))
    token = signed_in(letter, "newsletter", scope=SCOPE)
    assert released(letter, token) == {
        "name": "Ana",
        "given_name": "Ana",
        "email": "ana@example.com",
        "email_verified": True,
    }
    shop = register(world, scopes=EVERYTHING, purposes=("orders", "tastings"))
    assert released(shop, signed_in(shop, scope=SCOPE)) == {
        "name": "Ana Núñez",
        "given_name": "Ana",
        "family_name": "Núñez",
        "birthdate": "1990-05-31",
        "email": "ana@example.com",
        "email_verified": True,
        "phone_number": "+34600111222",
        "phone_number_verified": False,
        "address": {"formatted": "Calle Mayor, 1"},
    }
    assert released(shop, signed_in(shop, scope="openid email")).keys() == {
        "email",
        "email_verified",
    }


def test_what_was_refused_is_not_told(world: World, ana: str) -> None:
    letter = register(world, scopes=EVERYTHING)
    assert released(letter, signed_in(letter, scope=SCOPE)) == {}
    stranger = register(world, scopes=EVERYTHING, purposes=("recommendations",))
    assert released(stranger, stranger.tokens(scope=SCOPE)["access_token"]) == {}


def test_claims_are_asked_for_by_name_too_and_unknown_ones_are_ignored(
    world: World, ana: str
) -> None:
    shop = register(world, scopes=EVERYTHING, purposes=("orders",))
    asked = '{"userinfo": {"family_name": null, "shoe_size": null, "birthdate": null}}'
    token = signed_in(shop, scope="openid", claims=asked)
    assert released(shop, token) == {"family_name": "Núñez"}
    assert claims_asked(["openid"], ["shoe_size", "family_name"]) == {"family_name"}


def test_the_language_is_told_where_a_purpose_needs_it(world: World, ana: str) -> None:
    shop = register(world, scopes=EVERYTHING, purposes=("orders",))
    secret = signed_in(shop, scope="openid profile")
    placet, orders = world.placet, world.placet.register.purposes["orders"]
    needing = {"orders": replace(orders, attributes=(Attribute.LOCALE,))}
    claims = ReleasedClaims(
        replace(placet.register, purposes=needing),
        subjects=placet.subjects,
        decisions=placet.decisions,
        pseudonyms=placet.pseudonyms,
    )
    with placet.runtime.snapshot() as session:
        token = tokens.find(session, secret, world.clock.now)
        assert token
        assert claims.of(session, token, world.clock.now) == {"locale": "es"}


def test_nothing_of_the_person_stands_in_a_token(world: World, ana: str) -> None:
    shop = register(world, scopes=EVERYTHING, purposes=("orders",))
    signed_in(shop, scope=SCOPE)  # what is asked, is asked once
    answer = shop.exchange(shop.code(scope=SCOPE)).get_json()
    claims = shop.read_id_token(answer["id_token"]).claims
    assert claims.keys() == {
        *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid")
    }
    assert answer["access_token"].count(".") == 0  # opaque: nothing to read


def test_an_access_token_that_can_be_read_tells_nothing_of_the_person(
    world: World, ana: str
) -> None:
    shop = register(world, scopes=EVERYTHING, purposes=("orders",), token_format="jwt")
    token = signed_in(shop, scope=SCOPE)
    payload = extract_compact(token.encode()).payload.decode()
    assert not any(value in payload for value in (*TOLD.values(), "ana@", "+34") if len(value) > 2)
    assert released(shop, token)["email"] == "ana@example.com"


def _set(world: World, subject_id: str, **columns: object) -> None:
    with world.placet.runtime.database.writing() as session:
        row = session.get_one(SubjectRow, subject_id)
        for name, value in columns.items():
            setattr(row, name, value)
        session.commit()


def _object(world: World, subject_id: str) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, subject_id, "newsletter")
        uow.commit()


def test_a_claim_is_gone_at_the_very_next_call_and_back_when_the_reason_is(
    world: World, ana: str
) -> None:
    letter = register(world, scopes=EVERYTHING)
    token = signed_in(letter, "newsletter", scope="openid email")
    known = Person(ana, "")
    assert "email" in released(letter, token)
    withdraw(world, known)
    assert released(letter, token) == {}
    world.clock.advance(seconds=1)  # a no prevails over a yes of the same instant
    give(world, known)
    assert "email" in released(letter, token)
    _object(world, ana)
    assert released(letter, token) == {}
    world.clock.advance(seconds=1)  # a no prevails over a yes of the same instant
    give(world, known)
    assert "email" in released(letter, token)
    for column in ("restricted_at", "blocked_at"):
        _set(world, ana, **{column: world.clock.now})
        assert released(letter, token) == {}
        _set(world, ana, **{column: None})
        assert "email" in released(letter, token)
    tell(world, ana, birthdate="2015-01-01")
    assert released(letter, token) == {}
    tell(world, ana)
    assert "email" in released(letter, token)


def test_a_contract_does_not_outweigh_a_restriction(world: World, ana: str) -> None:
    shop = register(world, scopes=EVERYTHING, purposes=("orders",))
    token = signed_in(shop, scope="openid email")
    _object(world, ana)  # to the letter, which is not this shop's purpose
    assert "email" in released(shop, token)
    _set(world, ana, restricted_at=world.clock.now)
    assert released(shop, token) == {}


def test_an_erased_person_is_nobody(world: World, ana: str) -> None:
    letter = register(world, scopes=EVERYTHING)
    token = signed_in(letter, "newsletter", scope=SCOPE)
    placet = world.placet
    with placet.runtime.snapshot() as session:
        found = tokens.find(session, token, world.clock.now)
    assert found
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.eraser.erase(uow, ana)
        uow.commit()
    assert letter.userinfo(token).status_code == 401
    with placet.runtime.snapshot() as session:
        assert placet.released_claims.of(session, found, world.clock.now) == {}
        assert placet.grants.of_person(session, ana, world.clock.now) == []


def test_a_token_from_before_a_merge_tells_of_the_person_that_is_left(
    world: World, ana: str
) -> None:
    letter = register(world, scopes=EVERYTHING)
    token = signed_in(letter, "newsletter", scope="openid email profile")
    placet = world.placet
    other = person(world, "ana.nunez@example.com")
    tell(world, other, given_name="Anita")
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.subjects.merge(uow, other, ana)
        uow.commit()
    told = released(letter, token)
    assert (told["given_name"], told["email"]) == ("Anita", "ana.nunez@example.com")
    with placet.runtime.snapshot() as session:
        (grant,) = placet.grants.of_person(session, other, world.clock.now)
        assert grant.client.client_id == letter.client.client_id
        assert placet.grants.of_person(session, ana, world.clock.now) == []


def test_a_number_is_told_in_e164_and_says_whether_it_was_proven(world: World, ana: str) -> None:
    shop = register(world, scopes=EVERYTHING, purposes=("orders",))
    token = signed_in(shop, scope="openid phone")
    for typed in ("600 111 222 ext. 5", "no tengo"):
        tell(world, ana, phone=typed)
        assert released(shop, token) == {}
    tell(world, ana, phone="+33 1 42 68 53 00")
    told = {"phone_number": "+33142685300", "phone_number_verified": False}
    assert released(shop, token) == told
    identifiers = world.placet.subjects.identifiers
    number = identifiers.read(IdentifierKind.PHONE, "+33142685300")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        identifiers.add(uow, ana, number, keep=True)
        identifiers.verify(uow, ana, number)
        uow.record(IdentifierAdded(subject_id=ana, kind=number.kind.value))
        uow.commit()
    assert released(shop, token) == told | {"phone_number_verified": True}


def test_an_address_that_nobody_proved_says_so(world: World) -> None:
    bruno = introduce(world, "bruno@example.com", verified=False)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.give(
            uow,
            bruno.subject_id,
            "newsletter",
            notice_version=2,
            language="es",
            channel=ConsentChannel.STORE,  # somebody of ours took his word, at the counter
        )
    sign_in(world, bruno.subject_id)
    letter = register(world, scopes=EVERYTHING)
    token = signed_in(letter, scope="openid email")
    assert released(letter, token) == {"email": "bruno@example.com", "email_verified": False}


def test_what_is_asked_is_counted_as_a_use_that_the_person_sees(world: World, ana: str) -> None:
    letter = register(world, scopes=EVERYTHING)
    token = signed_in(letter, "newsletter", scope="openid email")
    released(letter, token)
    world.count_uses()
    page = letter.browser.get("/privacy/uses").text
    assert "Tienda" in page
    assert "La carta del mes" in page


def test_two_applications_have_no_name_of_a_person_in_common(world: World, ana: str) -> None:
    known: list[str] = []
    for shop in (register(world), register(world)):
        answer = shop.tokens()
        seen = shop.introspect(answer["access_token"])
        told = {
            shop.read_id_token(answer["id_token"]).claims["sub"],
            shop.userinfo(answer["access_token"]).get_json()["sub"],
            shop.read_id_token(shop.tokens()["id_token"]).claims["sub"],
            seen["sub"],
        }
        assert len(told) == 1  # one name everywhere, and at each sign-in
        assert ana not in f"{answer}{seen}"
        known += told
    assert known[0] != known[1]


def test_the_rules_of_userinfo_stay(world: World, ana: str) -> None:
    letter = register(world, scopes=EVERYTHING)
    token = signed_in(letter, "newsletter", scope="openid email")
    by_post = letter.browser.post("/oauth/userinfo", data={"access_token": token})
    assert by_post.get_json()["email"] == "ana@example.com"
    assert by_post.headers["Cache-Control"] == "no-store"
    assert letter.browser.get(f"/oauth/userinfo?access_token={token}").status_code == 401


def test_a_scope_taken_from_a_client_tells_nothing_more_that_was_asked_by_name(
    world: World, ana: str
) -> None:
    shop = register(world, scopes=("openid", "profile", "email"), purposes=("orders",))
    token = signed_in(shop, claims='{"userinfo": {"email": null, "given_name": null}}')
    assert released(shop, token) == {"email": "ana@example.com", "given_name": "Ana"}
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        settings = replace(ClientSettings.of(shop.client), scopes=("openid", "profile"))
        world.placet.clients.change(uow, shop.client.client_id, settings)
    assert released(shop, token) == {"given_name": "Ana"}
