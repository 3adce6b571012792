"""Access tokens as JWTs, and tokens for other resource servers."""

from typing import Any

import pytest

from privacy.actor import SYSTEM
from privacy.keys.signing import KeyUse
from tests.identity.provider.relying_party import RelyingParty, bearer, register
from tests.identity.provider.test_token import error_of
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

ISSUER = "http://localhost:8000"
ORDERS, STOCK = "https://orders.example/api", "https://stock.example/"
WIDE: dict[str, Any] = {
    "token_format": "jwt",
    "audiences": (ORDERS, STOCK),
    "scopes": ("openid", "offline_access", "purposes:read", "pseudonyms:write"),
    "refresh": True,
}


@pytest.fixture
def shop(world: World) -> RelyingParty:
    """A client whose access tokens are JWTs, also for two other resource servers."""
    return register(world, **WIDE)


def use(shop: RelyingParty, token: str) -> int:
    """Return how our own API answers to a token."""
    body = {"identifiers": ["ana@example.com"]}
    return shop.browser.post("/v1/pseudonyms", json=body, headers=bearer(token)).status_code


def test_a_persons_jwt_says_what_rfc_9068_asks_for_and_nothing_of_the_person(
    world: World, shop: RelyingParty, ana: str
) -> None:
    answer = shop.offline_tokens(sid="5" * 32)
    token = shop.read_id_token(answer["access_token"])
    key = shop.read_id_token(answer["id_token"])
    assert token.header == {"typ": "at+jwt", "alg": "RS256", "kid": key.header["kid"]}
    now = int(world.clock.now.timestamp())
    assert token.claims == {
        "iss": ISSUER,
        "sub": key.claims["sub"],
        "aud": ISSUER,
        "client_id": shop.client.client_id,
        "scope": "offline_access openid",
        "iat": now,
        "exp": now + 600,
        "jti": token.claims["jti"],
        "auth_time": now,
        "amr": ["pwd"],
        "acr": "urn:placet:acr:aal1",
    }
    told = shop.introspect(answer["access_token"])
    assert told == {
        "active": True,
        "token_type": "Bearer",
        **{n: token.claims[n] for n in ("iss", "sub", "aud", "client_id", "scope")},
        **{n: token.claims[n] for n in ("iat", "exp", "jti")},
    }
    assert shop.userinfo(answer["access_token"]).get_json()["sub"] == key.claims["sub"]


def test_an_applications_own_jwt_is_about_the_application(shop: RelyingParty) -> None:
    answer = shop.own_token(scope="pseudonyms:write").get_json()
    claims = shop.read_id_token(answer["access_token"]).claims
    assert claims["sub"] == claims["client_id"] == shop.client.client_id
    assert not {"auth_time", "amr", "acr"} & set(claims)
    again = shop.own_token(scope="pseudonyms:write").get_json()["access_token"]
    assert shop.read_id_token(again).claims["jti"] != claims["jti"]
    assert use(shop, answer["access_token"]) == 200


def test_a_jwt_ends_at_once_wherever_we_are_asked(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """It is kept by digest like any other: a signature alone lets nobody in."""
    token = shop.own_token(scope="pseudonyms:write").get_json()["access_token"]
    assert use(shop, token) == 200
    assert shop.post("/oauth/revoke", token=token).status_code == 200
    assert use(shop, token) == 401
    assert shop.introspect(token) == {"active": False}
    # One that we signed and never issued counts for nothing.
    from identity.provider import access_token  # noqa: PLC0415 - what a thief of the key would do

    with world.placet.runtime.snapshot() as session:
        forged = access_token.signed(
            world.placet.signing_keys.current(session, KeyUse.OPENID),
            b"\0" * 32,
            issuer=ISSUER,
            audience=None,
            client_id=shop.client.client_id,
            sub=shop.client.client_id,
            scope="pseudonyms:write",
            sign_in=None,
            issued_at=world.clock.now,
            expires_at=world.clock.now.replace(year=2027),
        )
    assert shop.read_id_token(forged).claims["scope"] == "pseudonyms:write"
    assert use(shop, forged) == 401


def test_an_id_token_is_no_access_token_and_an_access_token_no_id_token(
    world: World, shop: RelyingParty, ana: str
) -> None:
    answer = shop.offline_tokens(scope="openid purposes:read")
    for token, status in ((answer["access_token"], 200), (answer["id_token"], 401)):
        assert shop.browser.get("/v1/purposes", headers=bearer(token)).status_code == status
    assert shop.userinfo(answer["id_token"]).status_code == 401
    assert shop.introspect(answer["id_token"]) == {"active": False}
    # Two marks by which a relying party tells them apart: the type and the audience.
    access, identity = (shop.read_id_token(answer[n]) for n in ("access_token", "id_token"))
    assert (access.header["typ"], identity.header["typ"]) == ("at+jwt", "JWT")
    assert (access.claims["aud"], identity.claims["aud"]) == (ISSUER, shop.client.client_id)
    hinted = shop.browser.get(
        "/oauth/logout", query_string={"id_token_hint": answer["access_token"]}
    )
    assert hinted.status_code != 303


@pytest.mark.parametrize("format_", ["jwt", "opaque"])
def test_a_token_for_another_resource_server_is_refused_by_our_own(
    world: World, ana: str, format_: str
) -> None:
    shop = register(world, **(WIDE | {"token_format": format_}))
    own = shop.own_token(scope="pseudonyms:write", resource=ORDERS).get_json()["access_token"]
    persons = shop.offline_tokens(scope="openid purposes:read", audience=ORDERS)["access_token"]
    for token in (own, persons):
        assert use(shop, token) == 401
        assert shop.userinfo(token).status_code == 401
        assert shop.introspect(token)["aud"] == ORDERS
        if format_ == "jwt":
            assert shop.read_id_token(token).claims["aud"] == ORDERS
    assert use(shop, shop.own_token(resource=ISSUER).get_json()["access_token"]) == 200


def test_a_resource_must_be_the_clients_and_what_was_granted(
    world: World, shop: RelyingParty, ana: str
) -> None:
    for wrong in ("https://other.example", ORDERS + "/", "orders", ISSUER + "/"):
        assert error_of(shop.own_token(resource=wrong)) == "invalid_target"
    none = register(world, scopes=("openid", "pseudonyms:write"))
    assert error_of(none.own_token(resource=ORDERS)) == "invalid_target"

    granted: list[tuple[str | None, str, str | None]] = [
        (ORDERS, ORDERS, None),
        (None, ISSUER, None),
        (ORDERS, STOCK, "invalid_target"),
        (ORDERS, ISSUER, "invalid_target"),
        (None, ORDERS, "invalid_target"),
    ]
    for audience, asked, error in granted:
        code = shop.granted_code(audience=audience)
        answer = shop.exchange(code, None, resource=asked)
        if error is not None:
            assert error_of(answer) == error
            answer = shop.exchange(code)
        token = answer.get_json()["access_token"]
        assert shop.introspect(token)["aud"] == (audience or ISSUER)
        refresh = answer.get_json()["refresh_token"]
        if error is not None:
            assert error_of(shop.refresh(refresh, resource=asked)) == error
        again = shop.refresh(refresh, resource=audience or ISSUER).get_json()
        assert shop.introspect(again["access_token"])["aud"] == (audience or ISSUER)


def test_what_a_client_may_not_reach_any_more_it_does_not_reach_by_refreshing(
    world: World, shop: RelyingParty, ana: str
) -> None:
    refresh = shop.offline_tokens(audience=ORDERS)["refresh_token"]
    with world.placet.runtime.database.engine.begin() as behind:
        behind.exec_driver_sql("UPDATE oauth_client SET audiences = ''")
    assert error_of(shop.refresh(refresh)) == "invalid_target"


def test_a_pair_that_is_handed_out_again_is_good_though_the_key_has_changed(
    world: World, ana: str
) -> None:
    shop = register(world, **WIDE, name="Tienda")
    used = shop.offline_tokens()["refresh_token"]
    once = shop.refresh(used).get_json()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.signing_keys.rotate(uow, KeyUse.OPENID, at_once=True)
        uow.commit()
    again = shop.refresh(used).get_json()
    assert again["refresh_token"] == once["refresh_token"]
    assert again["access_token"] != once["access_token"]
    assert shop.introspect(again["access_token"])["active"] is True
    assert shop.userinfo(again["access_token"]).status_code == 200


def test_claims_asked_one_by_one_go_with_the_tokens(
    world: World, shop: RelyingParty, ana: str
) -> None:
    from identity.provider import tokens  # noqa: PLC0415 - only here
    from identity.provider.claims_request import RequestedClaims  # noqa: PLC0415 - only here

    asked = RequestedClaims(userinfo=frozenset({"email", "phone_number"}))
    first = shop.offline_tokens(claims=asked)
    second = shop.refresh(first["refresh_token"]).get_json()
    for answer in (first, second):
        with world.placet.runtime.snapshot() as session:
            found = tokens.find(session, answer["access_token"], world.clock.now)
        assert found is not None
        assert found.claims == {"email", "phone_number"}


def test_discovery_tells_how_clients_may_prove_themselves(shop: RelyingParty) -> None:
    document = shop.browser.get("/.well-known/openid-configuration").get_json()
    algorithms = document["token_endpoint_auth_signing_alg_values_supported"]
    assert algorithms == ["ES256", "Ed25519", "EdDSA", "PS256", "RS256"]
    assert "private_key_jwt" in document["token_endpoint_auth_methods_supported"]
    assert "refresh_token" in document["grant_types_supported"]
