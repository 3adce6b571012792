"""What else an authorization request may ask for, and what it gets."""

import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from werkzeug.test import TestResponse

from identity.provider.store import CodeRow
from privacy.keys.signing import KeyUse
from tests.identity.provider.relying_party import (
    CALLBACK,
    RelyingParty,
    person,
    query_of,
    register,
    sign_in,
    sign_out,
)
from tests.identity.provider.test_authorize import arrived, error_of, next_of
from tests.support.forms import forms, hidden_fields
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

ISSUER = "http://localhost:8000"
LEDGER = "https://ledger.example/api"


def signed(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a token that our own key signs."""
    with world.placet.runtime.snapshot() as session:
        key = world.placet.signing_keys.current(session, KeyUse.OPENID)
    return jwt.encode({"alg": "RS256", "kid": key.kid, **header}, claims, key, ["RS256"])


def named(sub: str) -> str:
    return json.dumps({"id_token": {"sub": {"value": sub}}})


# ---- whom it means ----


def test_a_hint_of_the_person_who_is_signed_in_passes_even_when_it_has_expired(
    world: World, shop: RelyingParty, ana: str
) -> None:
    hint = shop.tokens()["id_token"]
    assert "code" in query_of(shop.authorize(id_token_hint=hint, prompt="none").location)
    world.clock.advance(days=30)
    sign_in(world, ana)
    assert "code" in query_of(shop.authorize(id_token_hint=hint, prompt="none").location)


def test_a_hint_that_is_no_id_token_of_ours_for_this_client_is_refused(
    world: World, shop: RelyingParty, ana: str
) -> None:
    hint = shop.tokens()["id_token"]
    head, body, signature = hint.split(".")
    claims = {"iss": ISSUER, "aud": shop.client.client_id, "sub": "d1v1_x"}
    id_token = {"typ": "JWT"}
    for wrong in (
        "x",
        "ñ",
        "x" * 9000,
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}.",
        register(world, name="Blog").tokens()["id_token"],
        signed(world, {"typ": "at+jwt"}, claims),
        signed(world, {"typ": "logout+jwt"}, claims),
        signed(world, id_token, claims | {"iss": "https://else.example"}),
        signed(world, id_token, claims | {"sub": 1}),
    ):
        response = shop.authorize(id_token_hint=wrong)
        if len(wrong) > 8000:
            assert response.status_code == 400
        else:
            assert error_of(response) == "invalid_request", wrong


def test_who_is_meant_and_is_not_signed_in_must_sign_in_and_nobody_else_may(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """By a hint and by the `sub` of the claims parameter alike. OIDC Core s. 3.1.2.2, 5.5.1."""
    answer = shop.tokens()
    sub = shop.read_id_token(answer["id_token"]).claims["sub"]
    luis = person(world, "luis@example.com")
    for asked in ({"id_token_hint": answer["id_token"]}, {"claims": named(sub)}):
        sign_in(world, luis)
        assert error_of(shop.authorize(prompt="none", **asked)) == "login_required"
        world.clock.advance(seconds=1)
        address, others = next_of(shop.authorize(**asked))
        assert others == {"reauth": "1"}
        # Luis signs in again: that answers nothing, and does not go round in circles.
        world.clock.advance(seconds=1)
        sign_in(world, luis)
        assert arrived(shop.browser.get(address))["error"] == "login_required"
        sign_in(world, ana)
        assert "code" in arrived(shop.browser.get(address))
    both = shop.authorize(id_token_hint=answer["id_token"], claims=named("d1v1_" + "x" * 43))
    assert error_of(both) == "invalid_request"
    assert error_of(shop.authorize(claims=named("nobody"), prompt="none")) == "login_required"


# ---- what it asks for ----


def stored(world: World) -> CodeRow:
    """Return the newest code."""
    with world.placet.runtime.snapshot() as session:
        row = session.query(CodeRow).order_by(CodeRow.issued_at.desc()).first()
        assert row is not None
        session.expunge(row)
        return row


def test_malformed_claims_are_refused_and_right_ones_go_with_the_code(
    world: World, ana: str
) -> None:
    shop = register(world, scopes=("openid", "profile", "email"), purposes=())
    assert error_of(shop.authorize(claims="{")) == "invalid_request"
    wanted = {"userinfo": {"email": {"essential": True}, "phone_number": None}}
    shop.code(claims=json.dumps(wanted))
    assert stored(world).claims == "email"


def test_a_resource_is_one_of_the_clients_own_or_us(world: World, ana: str) -> None:
    shop = register(world, audiences=(LEDGER,))
    for resource, audience in ((LEDGER, LEDGER), (ISSUER, None), (None, None)):
        world.clock.advance(seconds=1)
        shop.code(resource=resource)
        assert stored(world).audience == audience
    for wrong in ("https://else.example/", LEDGER + "#x", LEDGER + "/", "ledger"):
        assert error_of(shop.authorize(resource=wrong)) == "invalid_target"
    twice = urlencode([*shop.request().items(), ("resource", LEDGER), ("resource", ISSUER)])
    assert error_of(shop.browser.get(f"/oauth/authorize?{twice}")) == "invalid_target"


def test_offline_access_is_left_out_where_the_client_gets_no_refresh_tokens(
    world: World, ana: str
) -> None:
    shop = register(world, scopes=("openid", "offline_access"), refresh=True)
    assert error_of(shop.authorize(scope="openid offline_access", prompt="none")) == (
        "consent_required"
    )
    other = register(world)
    other.code(scope="openid offline_access")
    assert stored(world).scope == "openid"


def test_what_must_be_asked_is_not_asked_where_no_page_may_be_shown(world: World, ana: str) -> None:
    shop = register(world, scopes=("openid", "profile"), purposes=("newsletter",))
    silent = shop.authorize(scope="openid profile", prompt="none")
    assert error_of(silent) == "consent_required"
    asks = shop.authorize(scope="openid profile")
    assert asks.status_code == 303
    assert asks.location.startswith("/oauth/consent?")
    assert query_of(asks.location)["state"] == "xyz"


def test_a_client_that_must_push_gets_nothing_otherwise(world: World, ana: str) -> None:
    shop = register(world, require_par=True)
    assert error_of(shop.authorize()) == "invalid_request"


# ---- which account ----


def chosen(shop: RelyingParty, page: TestResponse, account: str) -> TestResponse:
    """Press a button of the page that asks which account."""
    assert page.status_code == 200, page.text
    [action] = re.findall(r'action="(/oauth/select\?[^"]+)"', page.text)
    [form] = [form for form in forms(page.text) if "/oauth/select" in form]
    data = {**hidden_fields(form), "account": account}
    return browser_of(shop).post(unescape(action), data=data)


def browser_of(shop: RelyingParty) -> FlaskClient:
    """Return one browser that keeps its cookies."""
    if "browser" not in shop.world.app.extensions:
        shop.world.app.extensions["browser"] = shop.world.client
    kept: FlaskClient = shop.world.app.extensions["browser"]
    return kept


def test_a_person_goes_on_with_the_account_that_they_choose(
    world: World, shop: RelyingParty, ana: str
) -> None:
    asked = "/oauth/authorize?" + urlencode(shop.request(prompt="select_account"))
    page = browser_of(shop).get(asked)
    assert "Tienda" in page.text
    back = chosen(shop, page, "this")
    assert back.status_code == 303
    assert back.location.startswith("/oauth/authorize?")
    assert "code" in arrived(browser_of(shop).get(back.location))
    # Another session has not chosen, though it is the same person's.
    sign_in(world, ana, session_id="6" * 64)
    assert browser_of(shop).get(back.location).status_code == 200


def test_a_person_who_chooses_another_account_signs_in_and_is_not_asked_again(
    world: World, shop: RelyingParty, ana: str
) -> None:
    asked = "/oauth/authorize?" + urlencode(shop.request(prompt="select_account"))
    address, others = next_of(chosen(shop, browser_of(shop).get(asked), "other"))
    assert others == {"reauth": "1"}
    assert browser_of(shop).get(address).status_code == 200  # nobody signed in: asked again
    world.clock.advance(seconds=1)
    luis = person(world, "luis@example.com")
    sign_in(world, luis)
    assert "code" in arrived(browser_of(shop).get(address))
    assert stored(world).subject_id == luis
    # Who is not signed in at all chooses by signing in.
    sign_out(world)
    address, _ = next_of(shop.authorize(prompt="select_account"))
    world.clock.advance(seconds=1)
    sign_in(world, ana)
    assert "code" in arrived(shop.browser.get(address))


# ---- how the pages are shown ----


def test_the_sign_in_page_is_filled_in_for_a_right_request_alone(
    world: World, shop: RelyingParty
) -> None:
    def filled_in(**changes: str | None) -> str:
        request = shop.request(**{"login_hint": 'ana"@example.com', **changes})
        page = world.client.get(
            "/login?" + urlencode({"next": "/oauth/authorize?" + urlencode(request)})
        )
        assert page.status_code == 200
        [tag] = re.findall(r'<input[^>]* name="email"[^>]*>', page.text)
        found = re.search(r' value="([^"]*)"', tag)
        return unescape(found[1]) if found else ""

    assert filled_in() == 'ana"@example.com'
    for change in (
        {"redirect_uri": "https://evil.example/"},
        {"client_id": "0" * 32},
        {"scope": None},
        {"login_hint": "a" * 255},
        {"login_hint": "a\nb"},
    ):
        assert filled_in(**change) == ""
    # The redirect to the page says no more than the request did.
    _, others = next_of(shop.authorize(login_hint="ana@example.com"))
    assert others == {}


def test_the_pages_of_a_flow_speak_the_language_that_the_application_wishes(
    world: World, shop: RelyingParty, ana: str
) -> None:
    asked = shop.request(ui_locales="gl-ES en-GB es", prompt="select_account")
    address = "/oauth/authorize?" + urlencode(asked)
    assert '<html lang="en">' in world.client.get(address).text
    sign_out(world)
    login = world.client.get("/login?" + urlencode({"next": address})).text
    assert '<html lang="en">' in login
    # The link to another language keeps the way back.
    [other] = re.findall(r'<a href="(\?[^"]+)" lang="es"', login)
    assert parse_qs(unescape(other)[1:])["next"] == [address]
    # What the person chose here goes before it.
    chooser = world.client
    chooser.get("/login?lang=es")
    assert '<html lang="es">' in chooser.get("/login?" + urlencode({"next": address})).text
    assert '<html lang="es">' in world.client.get("/login?ui_locales=gl+xx").text


# ---- where it must never go ----

HOSTS = ["evil.example", "shop.example.evil.example", "shop.example@evil.example", "127.0.0.1"]
PIECES = st.sampled_from(
    [
        *("https://", "http://", "//", "\\", "javascript:", "data:", "shop.example", "/callback"),
        *("/..", "%2e", "?x=1", "#f", "@", ":443", "\t", "\r\n", "%00", " ", "é", ".", CALLBACK),
        *HOSTS,
    ]
)


def test_no_hostile_address_is_ever_redirected_to(shop: RelyingParty, ana: str) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=40))
    def never(uri: str) -> None:
        for prompt in (None, "none", "dance"):
            response = shop.authorize(redirect_uri=uri, prompt=prompt)
            if uri == CALLBACK:
                assert response.location.startswith(CALLBACK + "?")
            else:
                assert response.status_code == 400
                assert not {"Location", "Refresh"} & set(response.headers.keys())

    never()


def test_of_a_loopback_address_the_port_may_vary_and_nothing_else(world: World, ana: str) -> None:
    native = register(world, redirect_uris=("http://127.0.0.1/back", "http://[::1]:1/back"))
    for right in (
        "http://127.0.0.1:50123/back",
        "http://127.0.0.1/back",
        "http://[::1]:50123/back",
    ):
        response = native.authorize(redirect_uri=right)
        assert response.location.startswith(right + "?code=")
        code = query_of(response.location)["code"]
        assert native.exchange(code, redirect_uri=right).status_code == 200
    for wrong in (
        "http://localhost:50123/back",
        "http://127.0.0.2:50123/back",
        "http://127.0.0.1:50123/back2",
        "https://127.0.0.1:50123/back",
        "http://127.0.0.1:50123@evil.example/back",
        "http://127.0.0.1:x/back",
    ):
        assert native.authorize(redirect_uri=wrong).status_code == 400
    assert urlsplit(right).port == 50123
