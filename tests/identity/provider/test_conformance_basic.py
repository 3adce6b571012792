"""The cases of OpenID's Basic OP certification, each by the name it has there, in snake case.

Source: OpenID Foundation conformance suite, plan `oidcc-basic-certification-test-plan`. A person
with a real session answers the pages; the relying party speaks HTTP.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import urlencode, urljoin

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from policies.vocabulary import Attribute
from privacy.actor import SYSTEM
from tests.identity import people
from tests.identity.provider.relying_party import (
    CALLBACK,
    RelyingParty,
    bearer,
    query_of,
    register,
)
from tests.support.forms import forms, hidden_fields
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

ISSUER = "http://localhost:8000"
PROFILE = {
    Attribute.GIVEN_NAME: "Ana",
    Attribute.FAMILY_NAME: "Ruiz",
    Attribute.PHONE: "+34600111222",
    Attribute.POSTAL_ADDRESS: "Calle Mayor 1, 28013 Madrid",
    Attribute.BIRTHDATE: "1990-05-01",
}
PURPOSES = ("newsletter", "orders", "tastings")


@dataclass
class Visit:
    """Ana's browser on its way from a relying party and back."""

    shop: RelyingParty
    browser: FlaskClient

    def ask(self, **changes: str | None) -> TestResponse:
        """Follow an authorization request, ticking every box, to its answer or a page that asks."""
        return self.follow(
            self.browser.get("/oauth/authorize?" + urlencode(self.shop.request(**changes)))
        )

    def follow(self, response: TestResponse) -> TestResponse:
        for _ in range(8):
            location = response.headers.get("Location") or _refresh(response)
            if location is None:
                form = next((f for f in forms(response.text) if "/oauth/consent" in f), None)
                if form is None:
                    return response
                response = self._agree(form)
            elif location.startswith("https://"):
                return response
            else:
                response = self.browser.get(urljoin("/oauth/", location))
        raise AssertionError(f"still on the way at {response.request.path}")

    def _agree(self, form: str) -> TestResponse:
        boxes = re.findall(r'<input type="checkbox"[^>]*name="([^"]+)"[^>]*value="([^"]+)"', form)
        data: dict[str, Any] = dict(hidden_fields(form))
        for name, value in boxes:
            data.setdefault(name, []).append(value)
        button = re.search(r'<button[^>]*name="([^"]+)"[^>]*value="([^"]+)"', form)
        if button:
            data[button[1]] = button[2]
        action = re.search(r'action="([^"]+)"', form)
        assert action
        return self.browser.post(unescape(action[1]), data=data)

    def answer(self, **changes: str | None) -> dict[str, str]:
        """Return the parameters that the relying party gets back."""
        response = self.ask(**changes)
        location = response.headers.get("Location") or _refresh(response)
        assert location, response.text
        assert location.startswith(str(changes.get("redirect_uri") or CALLBACK))
        found = query_of(location)
        assert found["iss"] == ISSUER
        return found

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        """Return the token answer."""
        return self.exchange(self.answer(**changes)["code"])

    def exchange(self, code: str) -> dict[str, Any]:
        done = self.shop.exchange(code)
        assert done.status_code == 200, done.text
        return dict(done.get_json())

    def claims(self, **changes: str | None) -> Mapping[str, Any]:
        """Return the verified claims of the ID token."""
        return self.shop.read_id_token(self.tokens(**changes)["id_token"]).claims


def _refresh(response: TestResponse) -> str | None:
    found = re.search(r"url=(.*)", response.headers.get("Refresh", ""))
    return found[1] if found else None


@pytest.fixture
def ana(world: World, mail_server: MailServer) -> Visit:
    """Ana, with an account, a full profile and a session, at a client that may ask for all of it."""
    browser = people.register(world, mail_server)
    subject_id = people.account_of(world).subject_id
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        for attribute, value in PROFILE.items():
            world.placet.subjects.rectify(uow, subject_id, attribute, value)
        uow.commit()
    shop = register(
        world,
        scopes=("openid", "profile", "email", "phone", "address", "offline_access"),
        purposes=PURPOSES,
        refresh=True,
    )
    shop.meet(subject_id)
    return Visit(shop, browser)


def is_sign_in_page(response: TestResponse) -> bool:
    return response.status_code == 200 and 'id="email"' in response.text


def test_server(ana: Visit) -> None:
    claims = ana.claims()
    assert claims["iss"] == ISSUER
    assert claims["aud"] == ana.shop.client.client_id
    assert claims["nonce"] == "n-1"
    assert {"sub", "exp", "iat", "auth_time"} <= set(claims)


def test_response_type_missing(ana: Visit) -> None:
    assert ana.answer(response_type=None)["error"] in {
        "invalid_request",
        "unsupported_response_type",
    }


def test_id_token_signature(ana: Visit) -> None:
    token = ana.shop.read_id_token(ana.tokens()["id_token"])
    assert token.header["alg"] == "RS256"
    published = ana.browser.get("/oauth/jwks").get_json()["keys"]
    assert token.header["kid"] in {key["kid"] for key in published}


def test_id_token_unsigned(ana: Visit) -> None:
    """No client can ask for one: discovery names one algorithm, and it is what signs."""
    document = ana.browser.get("/.well-known/openid-configuration").get_json()
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    header = ana.tokens()["id_token"].partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "RS256"


def test_user_info_get(ana: Visit) -> None:
    tokens = ana.tokens()
    answer = ana.browser.get("/oauth/userinfo", headers=bearer(tokens["access_token"]))
    assert answer.get_json()["sub"] == jwt_claims(tokens)["sub"]


def test_user_info_post_header(ana: Visit) -> None:
    tokens = ana.tokens()
    answer = ana.browser.post("/oauth/userinfo", headers=bearer(tokens["access_token"]))
    assert answer.get_json()["sub"] == jwt_claims(tokens)["sub"]


def test_user_info_post_body(ana: Visit) -> None:
    tokens = ana.tokens()
    answer = ana.browser.post("/oauth/userinfo", data={"access_token": tokens["access_token"]})
    assert answer.get_json()["sub"] == jwt_claims(tokens)["sub"]


def jwt_claims(tokens: Mapping[str, Any]) -> dict[str, Any]:
    body = tokens["id_token"].split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "==")))


def test_ensure_request_without_nonce_succeeds_for_code_flow(ana: Visit) -> None:
    assert "nonce" not in ana.claims(nonce=None)


SCOPES: dict[str, dict[str, Any]] = {
    "profile": {"name": "Ana Ruiz", "given_name": "Ana", "family_name": "Ruiz"},
    "email": {"email": people.ANA, "email_verified": True},
    "phone": {"phone_number": "+34600111222", "phone_number_verified": False},
    "address": {"address": {"formatted": "Calle Mayor 1, 28013 Madrid"}},
}


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: f"scope_{scope}")
def test_scope(ana: Visit, scope: str) -> None:
    """ScopeProfile, ScopeEmail, ScopeAddress, ScopePhone."""
    tokens = ana.tokens(scope=f"openid {scope}")
    assert set(tokens["scope"].split()) == {"openid", scope}
    told = ana.shop.userinfo(tokens["access_token"]).get_json()
    assert SCOPES[scope].items() <= told.items()
    others = {name for other, claims in SCOPES.items() if other != scope for name in claims}
    assert not others & set(told)


def test_scope_all(ana: Visit) -> None:
    tokens = ana.tokens(scope="openid " + " ".join(SCOPES))
    told = ana.shop.userinfo(tokens["access_token"]).get_json()
    for claims in SCOPES.values():
        assert claims.items() <= told.items()
    assert not set(told) & set(jwt_claims(tokens)) - {"sub"}  # never in a token


def test_alternate_happy_flow(world: World, ana: Visit) -> None:
    """Another order of scopes, a redirect URI with a query, a state of odd characters."""
    own = "https://other.example/back?a=1"
    other = register(
        world,
        redirect_uris=("https://other.example/first", own),
        scopes=("openid", "email"),
        purposes=PURPOSES,
    )
    visit = Visit(other, ana.browser)
    other.meet(people.account_of(world).subject_id)
    response = visit.ask(redirect_uri=own, scope="email openid", state="ñ &=%'\"")
    location = response.headers.get("Location") or _refresh(response)
    assert location is not None
    assert location.startswith(own + "&")
    assert query_of(location)["state"] == "ñ &=%'\""


@pytest.mark.parametrize("display", ["page", "popup"], ids=["display_page", "display_popup"])
def test_display(ana: Visit, display: str) -> None:
    """DisplayPage, DisplayPopup."""
    assert "code" in ana.answer(display=display)


def test_prompt_login(world: World, ana: Visit) -> None:
    first = ana.claims()
    world.clock.advance(seconds=5)
    asks = ana.ask(prompt="login")
    assert is_sign_in_page(asks)
    second = jwt_claims(ana.exchange(_sign_in_again(ana, asks)))
    assert second["auth_time"] > first["auth_time"]
    assert second["sub"] == first["sub"]


def _sign_in_again(visit: Visit, asks: TestResponse) -> str:
    """Fill in the sign-in form that a flow has come to, and return the code at its end."""
    [form] = [form for form in forms(asks.text) if 'id="email"' in form]
    answer = visit.follow(
        visit.browser.post(
            "/login", data={**hidden_fields(form), "email": people.ANA, "password": people.PASSWORD}
        )
    )
    location = answer.headers.get("Location") or _refresh(answer)
    assert location, answer.text
    return query_of(location)["code"]


def test_prompt_none_not_logged_in(world: World, ana: Visit) -> None:
    stranger = Visit(ana.shop, world.client)
    assert stranger.answer(prompt="none")["error"] == "login_required"


def test_prompt_none_logged_in(ana: Visit) -> None:
    first, second = ana.claims(), ana.claims(prompt="none")
    assert (first["sub"], first["auth_time"]) == (second["sub"], second["auth_time"])


def test_max_age_1(world: World, ana: Visit) -> None:
    first = ana.claims()
    world.clock.advance(seconds=2)
    asks = ana.ask(max_age="1")
    assert is_sign_in_page(asks)
    second = jwt_claims(ana.exchange(_sign_in_again(ana, asks)))
    assert second["auth_time"] > first["auth_time"]


def test_max_age_10000(ana: Visit) -> None:
    first, second = ana.claims(), ana.claims(max_age="10000")
    assert first["auth_time"] == second["auth_time"]
    assert first["sub"] == second["sub"]


def test_ensure_request_with_unknown_parameter_succeeds(ana: Visit) -> None:
    assert "code" in ana.answer(extra="foobar")


def test_id_token_hint(ana: Visit) -> None:
    hint = ana.tokens()["id_token"]
    assert "code" in ana.answer(prompt="none", id_token_hint=hint)


def test_login_hint(world: World, ana: Visit) -> None:
    asks = Visit(ana.shop, world.client).ask(login_hint=people.ANA)
    assert is_sign_in_page(asks)
    assert f'value="{people.ANA}"' in asks.text
    assert "code" in ana.answer(login_hint=people.ANA)


def test_ui_locales(world: World, ana: Visit) -> None:
    asks = Visit(ana.shop, world.client).ask(ui_locales="xx en")
    assert '<html lang="en"' in asks.text
    assert "code" in ana.answer(ui_locales="se")


def test_claims_locales(ana: Visit) -> None:
    assert "code" in ana.answer(claims_locales="se")


def test_ensure_request_with_acr_values_succeeds(ana: Visit) -> None:
    claims = ana.claims(acr_values="urn:placet:acr:aal1 urn:else:gold")
    assert claims["acr"] == "urn:placet:acr:aal1"


def test_code_reuse(ana: Visit) -> None:
    code = ana.answer()["code"]
    token = ana.exchange(code)["access_token"]
    again = ana.shop.exchange(code)
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")
    assert ana.shop.userinfo(token).status_code == 401


def test_code_reuse_30_seconds(world: World, ana: Visit) -> None:
    code = ana.answer()["code"]
    token = ana.exchange(code)["access_token"]
    world.clock.advance(seconds=31)
    again = ana.shop.exchange(code)
    assert (again.status_code, again.get_json()["error"]) == (400, "invalid_grant")
    assert ana.shop.userinfo(token).status_code == 401


def test_ensure_registered_redirect_uri(ana: Visit) -> None:
    response = ana.ask(redirect_uri=CALLBACK + "/other")
    assert response.status_code == 400
    assert "Location" not in response.headers


def test_ensure_post_request_succeeds(ana: Visit) -> None:
    response = ana.follow(ana.browser.post("/oauth/authorize", data=ana.shop.request()))
    location = response.headers.get("Location") or _refresh(response)
    assert location is not None
    assert "code" in query_of(location)


def test_server_client_secret_post(ana: Visit) -> None:
    code = ana.answer()["code"]
    answer = ana.shop.exchange(
        code, {}, client_id=ana.shop.client.client_id, client_secret=ana.shop.secret
    )
    assert answer.status_code == 200, answer.text


def _unsigned(**claims: str) -> str:
    def part(value: Mapping[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}."


def test_request_uri_unsigned(ana: Visit) -> None:
    answer = ana.answer(request_uri="https://shop.example/request.jwt")
    assert answer["error"] == "request_uri_not_supported"


def test_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(ana: Visit) -> None:
    answer = ana.answer(request=_unsigned(state="from-the-object"))
    assert answer["error"] == "request_not_supported"
    assert answer["state"] == "xyz"


def test_ensure_request_object_with_redirect_uri(ana: Visit) -> None:
    answer = ana.answer(request=_unsigned(redirect_uri="https://evil.example/"))
    assert answer["error"] == "request_not_supported"


def test_claims_essential(ana: Visit) -> None:
    asked = json.dumps({"userinfo": {"name": {"essential": True}}})
    tokens = ana.tokens(claims=asked)
    assert ana.shop.userinfo(tokens["access_token"]).get_json()["name"] == "Ana Ruiz"


def test_refresh_token(world: World, ana: Visit) -> None:
    tokens = ana.tokens(scope="openid offline_access", prompt="consent")
    first = jwt_claims(tokens)
    world.clock.advance(seconds=2)
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answer = ana.browser.post("/oauth/token", data=form, headers=ana.shop.header)
    assert answer.status_code == 200, answer.text
    second = jwt_claims(answer.get_json())
    for name in ("iss", "sub", "aud", "auth_time"):
        assert second[name] == first[name]
    assert second["iat"] > first["iat"]
    other = register(world, scopes=("openid", "offline_access"), refresh=True)
    stolen = form | {"refresh_token": answer.get_json()["refresh_token"]}
    refused = ana.browser.post("/oauth/token", data=stolen, headers=other.header)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_grant")


def test_ensure_request_with_valid_pkce_succeeds(ana: Visit) -> None:
    code = ana.answer()["code"]
    assert ana.shop.exchange(code, None, code_verifier="x" * 43).status_code == 400
    assert ana.shop.exchange(code).status_code == 200


def test_discovery_endpoint_verification(ana: Visit) -> None:
    """Config OP: the document names what the suite demands of every provider."""
    document = ana.browser.get("/.well-known/openid-configuration").get_json()
    assert document["issuer"] == ISSUER
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
        assert document[name].startswith(ISSUER)
    for name in (
        "scopes_supported",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
        "claims_supported",
    ):
        assert document[name]
    keys = ana.browser.get("/oauth/jwks").get_json()["keys"]
    assert all("d" not in key and key["kid"] for key in keys)
