"""The whole flow of an ID token, and what userinfo and introspection tell."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Any

from joserfc.jwt import JWTClaimsRegistry

from privacy.actor import SYSTEM
from tests.identity.provider.relying_party import (
    CALLBACK,
    RelyingParty,
    bearer,
    person,
    query_of,
    register,
    sign_in,
)
from tests.support.sample import PAGES
from tests.support.world import World

pytestmark = PAGES

ISSUER = "http://localhost:8000"


def test_a_signed_in_person_is_sent_back_with_code_state_and_issuer(
    shop: RelyingParty, ana: str
) -> None:
    response = shop.authorize()
    assert response.status_code == 303
    assert response.location.startswith(CALLBACK + "?")
    answer = query_of(response.location)
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("xyz", ISSUER)
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_redirect_uri_keeps_its_own_query(world: World, ana: str) -> None:
    own = "https://shop.example/callback?brand=a%20b&x="
    answer = register(world, redirect_uris=(own,)).authorize(redirect_uri=own)
    assert answer.location.startswith(own + "&code=")


def test_the_id_token_tells_who_signed_in_when_and_how(
    world: World, shop: RelyingParty, ana: str
) -> None:
    signed_in_at = world.clock.now
    world.clock.advance(seconds=30)
    answer = shop.tokens()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert (answer["token_type"], answer["scope"], answer["expires_in"]) == (
        "Bearer",
        "openid",
        600,
    )

    token = shop.read_id_token(answer["id_token"])
    assert token.header["alg"] == "RS256"
    assert token.header["kid"]
    now = int(world.clock.now.timestamp())
    JWTClaimsRegistry(
        now=lambda: now,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": shop.client.client_id},
        nonce={"essential": True, "value": "n-1"},
    ).validate(token.claims)
    half = hashlib.sha256(answer["access_token"].encode()).digest()[:16]
    assert token.claims == {
        "iss": ISSUER,
        "sub": token.claims["sub"],
        "aud": shop.client.client_id,
        "iat": now,
        "exp": now + 300,
        "auth_time": int(signed_in_at.timestamp()),
        "sid": token.claims["sid"],
        "at_hash": urlsafe_b64encode(half).rstrip(b"=").decode(),
        "nonce": "n-1",
        "amr": ["pwd"],
        "acr": "urn:placet:acr:aal1",
    }


def test_two_factors_give_a_higher_acr(world: World, shop: RelyingParty, ana: str) -> None:
    sign_in(world, ana, methods=("pwd", "otp"))
    claims = shop.read_id_token(shop.tokens()["id_token"]).claims
    assert (claims["amr"], claims["acr"]) == (["pwd", "otp"], "urn:placet:acr:aal2")


def test_a_request_without_nonce_gets_an_id_token_without_one(shop: RelyingParty, ana: str) -> None:
    assert "nonce" not in shop.read_id_token(shop.tokens(nonce=None)["id_token"]).claims


def test_two_clients_know_a_person_by_two_names_that_never_change(
    world: World, shop: RelyingParty, ana: str
) -> None:
    blog = register(world, name="Blog")

    def sub(party: RelyingParty) -> str:
        return str(party.read_id_token(party.tokens()["id_token"]).claims["sub"])

    first = sub(shop), sub(blog)
    assert first[0] != first[1]
    world.clock.advance(days=400)
    sign_in(world, ana)
    assert (sub(shop), sub(blog)) == first
    assert ana not in first


def test_two_clients_of_one_sector_know_a_person_by_one_name(world: World, ana: str) -> None:
    subs = {
        party.read_id_token(party.tokens()["id_token"]).claims["sub"]
        for party in (register(world, sector="brand"), register(world, sector="brand"))
    }
    assert len(subs) == 1


def test_the_sub_is_the_pseudonym_that_the_client_gets_for_the_address(
    world: World, shop: RelyingParty, ana: str
) -> None:
    sub = shop.read_id_token(shop.tokens()["id_token"]).claims["sub"]
    own = shop.own_token(scope="pseudonyms:write").get_json()["access_token"]
    answer = world.client.post(
        "/v1/pseudonyms", json={"identifiers": ["ana@example.com"]}, headers=bearer(own)
    )
    assert answer.get_json() == {"pseudonyms": [sub]}


def test_userinfo_tells_the_sub_and_nothing_more(shop: RelyingParty, ana: str) -> None:
    answer = shop.tokens()
    sub = shop.read_id_token(answer["id_token"]).claims["sub"]
    header = bearer(answer["access_token"])
    by_get = shop.browser.get("/oauth/userinfo", headers=header)
    by_post = shop.browser.post("/oauth/userinfo", headers=header)
    by_body = shop.browser.post("/oauth/userinfo", data={"access_token": answer["access_token"]})
    for told in (by_get, by_post, by_body):
        assert (told.status_code, told.get_json()) == (200, {"sub": sub})
        assert told.headers["Cache-Control"] == "no-store"


def test_userinfo_wants_a_token_of_a_person_and_only_one_way(shop: RelyingParty, ana: str) -> None:
    def challenge(**request: Any) -> tuple[int, str]:
        answer = shop.browser.post("/oauth/userinfo", **request)
        return answer.status_code, answer.headers.get("WWW-Authenticate", "")

    answer = shop.tokens()
    own = shop.own_token().get_json()["access_token"]
    assert challenge() == (401, 'Bearer realm="placet"')
    assert challenge(headers=bearer("pat_wrong")) == (
        401,
        'Bearer realm="placet", error="invalid_token"',
    )
    assert challenge(headers=bearer(answer["id_token"]))[0] == 401
    assert challenge(headers=bearer(own)) == (
        403,
        'Bearer realm="placet", error="insufficient_scope", scope="openid"',
    )
    token = answer["access_token"]
    assert challenge(headers=bearer(token), data={"access_token": token})[0] == 400
    # A token in the address would stand in logs: it is not read there.
    assert shop.browser.get(f"/oauth/userinfo?access_token={token}").status_code == 401


def test_a_token_ends_at_its_time_and_not_before(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.tokens()["access_token"]
    world.clock.advance(seconds=599, milliseconds=999)
    assert shop.userinfo(token).status_code == 200
    assert shop.introspect(token)["active"] is True
    world.clock.advance(milliseconds=1)
    assert shop.userinfo(token).status_code == 401
    assert shop.introspect(token) == {"active": False}


def test_introspection_tells_a_client_of_its_own_tokens_alone(
    world: World, shop: RelyingParty, ana: str
) -> None:
    answer = shop.tokens()
    sub = shop.read_id_token(answer["id_token"]).claims["sub"]
    now = int(world.clock.now.timestamp())
    token = answer["access_token"]
    assert shop.introspect(token) == {
        "active": True,
        "iss": ISSUER,
        "aud": ISSUER,
        "client_id": shop.client.client_id,
        "scope": "openid",
        "token_type": "Bearer",
        "iat": now,
        "exp": now + 600,
        "sub": sub,
    }
    assert "sub" not in shop.introspect(shop.own_token().get_json()["access_token"])
    other = register(world, name="Blog")
    assert other.introspect(token) == {"active": False}
    assert other.introspect("pat_unknown") == {"active": False}
    assert world.client.post("/oauth/introspect", data={"token": token}).status_code == 401


def test_a_client_ends_its_own_tokens_and_nobody_elses(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.tokens()["access_token"]
    other = register(world, name="Blog")
    for party, still in ((other, True), (shop, False), (shop, False)):
        answer = world.client.post("/oauth/revoke", data={"token": token}, headers=party.header)
        assert (answer.status_code, answer.data) == (200, b"")
        assert shop.introspect(token)["active"] is still
    assert shop.userinfo(token).status_code == 401
    assert world.client.post("/oauth/revoke", data={"token": token}).status_code == 401
    missing = world.client.post("/oauth/revoke", data={"x": "1"}, headers=shop.header)
    assert (missing.status_code, missing.get_json()["error"]) == (400, "invalid_request")


def test_an_erased_person_leaves_neither_codes_nor_tokens(
    world: World, shop: RelyingParty, ana: str
) -> None:
    answer = shop.tokens()
    unused = shop.code()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.pseudonyms.forget(uow, ana)
        world.placet.subjects.erase(uow, ana)
        uow.commit()
    assert shop.userinfo(answer["access_token"]).status_code == 401
    assert shop.introspect(answer["access_token"]) == {"active": False}
    refused = shop.exchange(unused)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")


def test_a_sign_in_stands_in_the_log_and_the_log_verifies(
    world: World, shop: RelyingParty, ana: str
) -> None:
    shop.tokens()
    world.settle()
    assert world.verify().ok
    with world.placet.runtime.snapshot() as session:
        leaves = session.connection().exec_driver_sql("SELECT leaf FROM audit_entry").scalars()
        text = b"".join(bytes(leaf) for leaf in leaves).decode()
    for tag in ("provider:client:added", "provider:code:issued", "provider:tokens:issued"):
        assert f'"type":"{tag}"' in text
    assert ana not in text


def test_a_person_of_another_session_gets_another_sub(
    world: World, shop: RelyingParty, ana: str
) -> None:
    first = shop.read_id_token(shop.tokens()["id_token"]).claims["sub"]
    sign_in(world, person(world, "luis@example.com"))
    assert shop.read_id_token(shop.tokens()["id_token"]).claims["sub"] != first
