"""The administrator's pages of applications: what they show, what they refuse, what they never keep."""

import re
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Route
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from identity.provider import client_words
from identity.provider.client_settings import Fault
from identity.provider.model import KNOWN_SCOPES
from policies.vocabulary import Role
from privacy.ids import secret_digest
from tests.flows.steps import visitor
from tests.identity.administration.office import ALMA, DELIA, browser_of, open_account
from tests.identity.provider.relying_party import CALLBACK, RelyingParty, register
from tests.support.forms import csrf_token
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ORIGIN = "http://localhost:8000"
PAGE = "/admin/applications"
FORM: dict[str, Any] = {
    "name": "Tienda",
    "redirect_uris": f"{CALLBACK}\r\n{CALLBACK}2\r\n",
    "scopes": ["openid", "decisions:evaluate"],
    "purposes": ["newsletter"],
    "require_pkce": "yes",
    "client_credentials": "yes",
    "token_format": "opaque",
    "auth_methods": ["client_secret_basic", "client_secret_post"],
}


@pytest.fixture
def admin(world: World) -> FlaskClient:
    """The browser of an administrator."""
    return browser_of(world, open_account(world, ALMA, Role.ADMINISTRATOR))


def send(browser: FlaskClient, path: str, form: dict[str, Any]) -> TestResponse:
    """Send a form that has several values of one name."""
    token = csrf_token(browser.get(path).text)
    return browser.post(path, data=MultiDict({**form, "csrf_token": token}))


def shown(answer: TestResponse) -> tuple[str, str]:
    """Return the id and the secret of the page that shows them."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    client_id, secret = re.findall(r'data-copy="([^"]+)"', answer.text)
    return client_id, secret


def test_an_application_is_added_and_its_secret_is_shown_once_and_kept_nowhere(
    world: World, admin: FlaskClient
) -> None:
    assert "Todavía no hay aplicaciones" in admin.get(PAGE).text
    assert f'href="{PAGE}"' in admin.get("/admin").text
    answer = send(admin, f"{PAGE}/new", FORM)
    client_id, secret = shown(answer)
    with world.placet.runtime.snapshot() as session:
        client = world.placet.clients.find(session, client_id, at=world.clock.now)
    assert client is not None
    assert client.redirect_uris == (CALLBACK, CALLBACK + "2")
    assert RelyingParty(world, client, secret).own_token().status_code == 200
    for cookie in answer.headers.getlist("Set-Cookie"):
        assert secret not in cookie
    page = admin.get(f"{PAGE}/{client_id}").text
    assert secret not in page
    assert secret_digest(secret)[:8] in page
    assert world.placet.register.purposes["newsletter"].title["es"] in page
    assert f'href="{PAGE}/{client_id}"' in admin.get(PAGE).text


def test_every_wrong_field_is_named_and_what_was_typed_stays(
    world: World, admin: FlaskClient
) -> None:
    wrong = FORM | {
        "name": "",
        "redirect_uris": "http://shop.example/cb",
        "audiences": "api",
        "backchannel_logout_uri": "ftp://shop.example",
        "jwks": "{}",
        "sector": "a b",
        "refresh": "yes",
        "auth_methods": [],
    }
    answer = send(admin, f"{PAGE}/new", wrong)
    assert answer.status_code == 422
    text = unescape(answer.text)
    named = set(re.findall(r'<a href="#(\w+)">', text)) - {"main"}
    assert named == wrong.keys() - {
        *("scopes", "purposes", "require_pkce", "client_credentials", "token_format")
    }
    for field in named:
        assert f'id="{field}"' in text
        assert f'id="{field}-error"' in text
    for typed in ("http://shop.example/cb", "ftp://shop.example", 'value="a b"', ">{}<"):
        assert typed in text
    assert 'value="decisions:evaluate" checked' in text
    with world.placet.runtime.snapshot() as session:
        assert world.placet.clients.all(session) == []


def test_settings_are_changed_and_the_sector_is_not_among_them(
    world: World, admin: FlaskClient
) -> None:
    shop = register(world)
    here = f"{PAGE}/{shop.client.client_id}"
    form = admin.get(f"{here}/edit").text
    assert 'name="sector"' not in form
    assert "No se puede cambiar" in form
    answer = send(
        admin, f"{here}/edit", FORM | {"name": "Otra", "sector": "brand", "token_format": "jwt"}
    )
    assert answer.status_code == 303
    with world.placet.runtime.snapshot() as session:
        client = world.placet.clients.find(session, shop.client.client_id, at=world.clock.now)
    assert client is not None
    assert (client.name, client.sector, client.token_format) == (
        "Otra",
        shop.client.client_id,
        "jwt",
    )
    assert send(admin, f"{here}/edit", FORM | {"name": ""}).status_code == 422


def test_secrets_are_renewed_and_retired(world: World, admin: FlaskClient) -> None:
    shop = register(world)
    here = f"{PAGE}/{shop.client.client_id}"
    assert send(admin, f"{here}/rotate-secret", {}).status_code == 422
    _, secret = shown(send(admin, f"{here}/rotate-secret", {"overlap": "24"}))
    renewed = RelyingParty(world, shop.client, secret)
    assert (shop.own_token().status_code, renewed.own_token().status_code) == (200, 200)
    old = f"{here}/secrets/{secret_digest(shop.secret)[:8]}/retire"
    assert old in admin.get(here).text
    assert "Es el único que vale" not in admin.get(old).text
    assert shop.own_token().status_code == 200  # looking changes nothing
    assert send(admin, old, {}).status_code == 303
    assert (shop.own_token().status_code, renewed.own_token().status_code) == (401, 200)
    assert admin.get(old).status_code == 404
    last = f"{here}/secrets/{secret_digest(secret)[:8]}/retire"
    assert "Es el único que vale" in admin.get(last).text


def test_an_application_is_shut_out_and_let_in_after_a_confirmation(
    world: World, admin: FlaskClient
) -> None:
    shop = register(world)
    here = f"{PAGE}/{shop.client.client_id}"
    assert "Sus tokens terminan ahora mismo" in admin.get(f"{here}/disable").text
    assert shop.own_token().status_code == 200
    assert send(admin, f"{here}/disable", {}).status_code == 303
    assert shop.own_token().status_code == 401
    assert "Desactivada el" in admin.get(here).text
    assert send(admin, f"{here}/enable", {}).status_code == 303
    assert shop.own_token().status_code == 200


def test_the_list_is_searched_and_paged(world: World, admin: FlaskClient) -> None:
    parties = [register(world, name=f"Sitio {number}") for number in range(26)]
    first, second = admin.get(PAGE).text, admin.get(f"{PAGE}?page=2").text
    assert (first.count("data-row"), second.count("data-row")) == (25, 1)
    assert "26 aplicaciones" in first
    assert f"{PAGE}?q=&amp;page=2" in first
    assert admin.get(f"{PAGE}?q=SITIO+25").text.count("data-row") == 1
    assert admin.get(f"{PAGE}?q={parties[3].client.client_id}").text.count("data-row") == 1
    assert "Ninguna aplicación se llama así" in admin.get(f"{PAGE}?q=otra").text
    assert admin.get(f"{PAGE}?page=x").text.count("data-row") == 25


def test_only_administrators_see_applications(world: World) -> None:
    shop = register(world)
    dpo = browser_of(world, open_account(world, DELIA, Role.DPO))
    one = f"{PAGE}/{shop.client.client_id}"
    for path in (PAGE, f"{PAGE}/new", one, f"{one}/edit", f"{one}/rotate-secret", f"{one}/disable"):
        assert dpo.get(path).status_code == 403, path
    admin = browser_of(world, open_account(world, ALMA, Role.ADMINISTRATOR))
    for path in (f"{PAGE}/nobody", f"{PAGE}/{'0' * 32}/edit", f"{PAGE}/{'0' * 32}/disable"):
        assert admin.get(path).status_code == 404, path


def test_every_scope_and_every_setting_has_words(world: World) -> None:
    with world.app.test_request_context():
        assert client_words.scope_words().keys() == KNOWN_SCOPES
        shop = {
            field: client_words.fault_words(Fault(field, "why"))
            for field in FORM.keys() - {"require_pkce"}
        }
    assert all(shop.values())


def test_the_pages_are_accessible_on_any_screen_and_without_scripts(
    world: World, browser: Browser, admin: FlaskClient
) -> None:
    shop = register(world, backchannel_logout_uri="https://shop.example/out")

    def answer(route: Route) -> None:
        asked = route.request
        found = admin.open(
            asked.url.removeprefix(ORIGIN),
            method=asked.method,
            data=asked.post_data_buffer,
            content_type=asked.headers.get("content-type"),
        )
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.data)
        found.close()

    one = f"{PAGE}/{shop.client.client_id}"
    with visitor(browser, ORIGIN, viewport={"width": 320, "height": 640}) as someone:
        someone.page.route("**/*", answer)
        for path in (PAGE, one, f"{one}/rotate-secret", f"{one}/disable", f"{PAGE}/new"):
            someone.open(path)
            width = someone.page.evaluate("document.documentElement.scrollWidth")
            assert width <= 320, f"{path} scrolls sideways: {width}"
            someone.look(path)
        someone.allow = ["status of 422"]
        someone.page.get_by_role("button", name="Dar de alta").click()
        someone.page.get_by_role("link", name="Hace falta un nombre").click()
        assert someone.page.evaluate("document.activeElement.id") == "name"
        someone.look("new-refused")
