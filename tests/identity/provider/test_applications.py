"""`/account/applications`: seen, disconnected, and remembered in what a person may ask to see."""

import json

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Route

from identity.provider.model import REFRESH_IDLE
from privacy.actor import SYSTEM
from tests.flows.steps import visitor
from tests.identity.people import ANA, BRUNO, account_of, prove_again
from tests.identity.people import register as open_account
from tests.identity.provider.consent_page import answer, arrive, asked, authorize, is_asked
from tests.identity.provider.relying_party import RelyingParty, register
from tests.support.cast import Person, give, withdraw
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
PAGE = "/account/applications"
SCOPE = "openid email offline_access"
ORIGIN = "http://localhost:8000"


def shop_of(world: World, **changes: object) -> RelyingParty:
    return register(
        world,
        scopes=tuple(SCOPE.split()),
        purposes=("newsletter", "orders"),
        refresh=True,
        **changes,
    )


def go_into(
    browser: FlaskClient, shop: RelyingParty, *tick: str, scope: str = SCOPE
) -> dict[str, str]:
    """Sign in to an application and return its token answer."""
    response = authorize(browser, shop, scope=scope)
    if is_asked(response):
        response = answer(browser, response.location, tick=tick)
    found = shop.exchange(arrive(browser, response)["code"])
    assert found.status_code == 200, found.text
    return dict(found.get_json())


def refreshed(shop: RelyingParty, tokens: dict[str, str]) -> int:
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    return shop.browser.post("/oauth/token", data=form, headers=shop.header).status_code


def test_an_application_is_listed_and_disconnected_after_a_fresh_proof(
    world: World, mail_server: MailServer
) -> None:
    ana, bruno = open_account(world, mail_server), open_account(world, mail_server, BRUNO)
    assert "Todavía no entras en ninguna aplicación" in ana.get(PAGE).text
    shop = shop_of(world)
    tokens, his = go_into(ana, shop, "newsletter"), go_into(bruno, shop)
    page = ana.get(PAGE).text
    until = "2 de abril de 2026"
    assert world.clock.now + REFRESH_IDLE < world.clock.now.replace(month=4, day=3)
    for words in ("Tienda", "3 de marzo de 2026", until, "La carta del mes", "Tus pedidos"):
        assert words in page, words
    assert page.count("Ahora lo recibe") == 2
    withdraw(world, Person(account_of(world).subject_id, ""))
    page = ana.get(PAGE).text
    assert page.count("Ahora lo recibe") == 1
    assert "Retirado el 3 de marzo de 2026" in page
    world.clock.advance(minutes=9)
    end = f"{PAGE}/{shop.client.client_id}/end"
    assert "Desde ese momento no podrá preguntarnos nada más" in ana.get(end).text
    world.clock.advance(minutes=1)
    early = submit(ana, end, {})
    assert early.location.startswith("/login/again?next=%2Faccount%2Fapplications%2F")
    assert refreshed(shop, tokens) == 200
    assert prove_again(ana, end).status_code == 303
    tokens = go_into(ana, shop)
    assert submit(ana, end, {}).location == PAGE
    page = ana.get(PAGE).text
    assert "Has desconectado Tienda." in page
    assert "Todavía no entras en ninguna aplicación" in page
    assert shop.userinfo(tokens["access_token"]).status_code == 401
    assert refreshed(shop, tokens) == 400
    assert ana.get(end).status_code == 404
    assert refreshed(shop, his) == 200  # nobody else's
    assert is_asked(authorize(ana, shop, scope=SCOPE))
    world.settle()
    assert world.verify().ok


def test_nobody_disconnects_another_person_s_application(
    world: World, mail_server: MailServer
) -> None:
    ana, bruno = open_account(world, mail_server), open_account(world, mail_server, BRUNO)
    shop, other = shop_of(world), shop_of(world, name="Otra")
    tokens = go_into(ana, shop)
    go_into(bruno, other)
    mine = f"{PAGE}/{other.client.client_id}/end"
    assert (
        submit(
            bruno, mine, {}, to=mine.replace(other.client.client_id, shop.client.client_id)
        ).status_code
        == 404
    )
    assert refreshed(shop, tokens) == 200
    assert "Otra" not in ana.get(PAGE).text


def test_a_withdrawal_ends_the_tokens_of_the_clients_that_say_so(
    world: World, mail_server: MailServer
) -> None:
    ana = open_account(world, mail_server)
    known = Person(account_of(world).subject_id, "")
    ending, staying = shop_of(world, ends_with_withdrawal=True), shop_of(world)
    first, second = go_into(ana, ending, "newsletter"), go_into(ana, staying)
    withdraw(world, known)
    assert ending.userinfo(first["access_token"]).status_code == 401
    assert refreshed(ending, first) == 400
    assert staying.userinfo(second["access_token"]).status_code == 200
    assert refreshed(staying, second) == 200
    give(world, known, "recommendations", version=1)
    again = go_into(ana, ending)
    withdraw(world, known, "recommendations")  # none of its purposes
    assert refreshed(ending, again) == 200


def test_applications_are_in_the_access_file_and_go_with_the_person(
    world: World, mail_server: MailServer
) -> None:
    ana = open_account(world, mail_server)
    subject_id = account_of(world).subject_id
    go_into(ana, shop_of(world), "newsletter")
    grants, runtime = world.placet.grants, world.placet.runtime
    with runtime.snapshot() as session:
        held = json.loads(json.dumps(grants.collect(session, subject_id)))
    (told,) = held["applications"]
    assert told == {
        "application": "Tienda",
        "since": "2026-03-03T11:00:00.000Z",
        "last_used_at": "2026-03-03T11:00:00.000Z",
        "asked_at": "2026-03-03T11:00:00.000Z",
        "scope": "email offline_access openid",
        "claims": "",
    }
    with runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, subject_id)
        uow.commit()
    with runtime.snapshot() as session:
        assert grants.collect(session, subject_id) == {"applications": []}
    world.settle()
    assert world.verify().ok


def test_both_pages_are_accessible_in_a_real_browser(
    world: World, mail_server: MailServer, browser: Browser
) -> None:
    client = open_account(world, mail_server)
    shop = shop_of(world)
    assert account_of(world, ANA)

    def show(route: Route) -> None:
        wanted = route.request
        found = client.open(
            wanted.url.removeprefix(ORIGIN),
            method=wanted.method,
            data=wanted.post_data_buffer,
            content_type=wanted.headers.get("content-type"),
        )
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.data)
        found.close()

    with visitor(browser, ORIGIN) as someone:
        someone.page.route("**/*", show)
        someone.open(asked(client, shop, scope=SCOPE))
        someone.look("consent")
        go_on, back = (
            someone.page.get_by_role("button", name=each, exact=True).bounding_box()
            for each in ("Continuar", "Volver sin continuar")
        )
        assert go_on
        assert back
        assert (go_on["height"], go_on["y"], go_on["width"]) == (
            back["height"],
            back["y"],
            back["width"],
        )
        go_into(client, shop, "newsletter")
        someone.open(PAGE)
        someone.look("applications")
        someone.page.get_by_role("link", name="Desconectar").click()
        someone.look("end")
