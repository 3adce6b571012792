"""The pages of administration and of closing in a real browser: accessible, and no script needed."""

import pytest
from playwright.sync_api import Browser, Route

from policies.vocabulary import Role
from tests.flows.steps import visitor
from tests.identity.administration.office import ALMA, BRUNO, actor_of, browser_of, open_account
from tests.identity.people import ANA, sign_in
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ORIGIN = "http://localhost:8000"
SMALL = {"width": 320, "height": 640}


def test_the_pages_of_administration_are_accessible_on_any_screen(
    world: World, browser: Browser
) -> None:
    alma, ana = open_account(world, ALMA, Role.ADMINISTRATOR), open_account(world, ANA)
    open_account(world, BRUNO, Role.DPO)
    sign_in(world.client)
    sign_in(world.client, password="equivocada")
    client = browser_of(world, alma)
    with world.placet.runtime.unit_of_work(actor_of(alma)) as uow:
        world.placet.administration.invite(uow, Role.STAFF)

    def answer(route: Route) -> None:
        asked = route.request
        found = client.open(asked.url.removeprefix(ORIGIN), method=asked.method)
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.data)
        found.close()

    account = f"/admin/accounts/{ana.account_id}"
    with visitor(browser, ORIGIN, viewport=SMALL) as someone:
        someone.page.route("**/*", answer)
        for path in ("/account/close", f"{account}/disable", account, "/admin"):
            someone.open(path)
            width = someone.page.evaluate("document.documentElement.scrollWidth")
            assert width <= SMALL["width"], f"{path} scrolls sideways: {width}"
            someone.look(path)
        someone.page.keyboard.press("/")
        assert someone.page.evaluate("document.activeElement.id") == "email"
        someone.page.set_viewport_size({"width": 1280, "height": 900})
        someone.open(account)
        someone.look(account)
