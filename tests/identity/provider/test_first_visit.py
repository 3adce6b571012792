"""The first time in an application, with a session that is there already."""

import re
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from tests.identity.provider.relying_party import (
    RelyingParty,
    query_of,
    register,
    sign_in,
    sign_out,
)
from tests.support.forms import forms, hidden_fields
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def ask(shop: RelyingParty, **changes: str | None) -> TestResponse:
    """Go to the provider as somebody whom the application has never seen."""
    return shop.browser.get("/oauth/authorize?" + urlencode(shop.request(**changes)))


def test_nobody_gets_into_an_application_for_the_first_time_without_an_act_of_their_own(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """Source: OWASP ASVS 5.0 7.6.2."""
    browser = world.client
    query = urlencode(shop.request())
    page = browser.get(f"/oauth/authorize?{query}")
    assert page.status_code == 200
    assert "Tienda" in page.text
    action = re.search(r'action="(/oauth/select[^"]*)"', page.text)
    assert action
    [form] = [form for form in forms(page.text) if "/oauth/select" in form]
    sent = {"account": "this", **hidden_fields(form)}
    chosen = browser.post(action[1].replace("&amp;", "&"), data=sent)
    answer = browser.get(chosen.headers["Location"])
    assert "code" in query_of(answer.headers["Refresh"].partition("url=")[2])

    again = browser.get(f"/oauth/authorize?{query}")
    assert again.status_code == 303  # the second time nothing is asked
    assert "code" in query_of(again.location)


def test_an_application_that_wants_no_page_is_told_that_one_is_needed(
    shop: RelyingParty, ana: str
) -> None:
    answer = ask(shop, prompt="none")
    assert query_of(answer.location)["error"] == "interaction_required"


def test_what_was_chosen_for_one_application_lets_nobody_into_another(
    world: World, shop: RelyingParty, ana: str
) -> None:
    shop.meet(ana)
    assert ask(shop).status_code == 303
    assert ask(register(world, name="Otra")).status_code == 200


def test_nobody_is_led_past_that_act_by_a_mark_that_somebody_else_was_given(
    world: World, shop: RelyingParty, ana: str
) -> None:
    sign_out(world)
    asked = world.client.get("/oauth/authorize?" + urlencode(shop.request()))
    marked = query_of(asked.location)["next"]
    world.clock.advance(minutes=1)
    sign_in(world, ana)  # for something else, and in another browser
    page = world.client.get(marked)
    assert page.status_code == 200
    assert "/oauth/select" in page.text
    assert "Refresh" not in page.headers


def test_a_choice_counts_for_the_account_that_the_page_showed(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """Another account was signed in to in another tab meanwhile."""
    browser = shop.browser
    page = browser.get("/oauth/authorize?" + urlencode(shop.request()))
    [form] = [form for form in forms(page.text) if "/oauth/select" in form]
    action = re.search(r'action="(/oauth/select[^"]*)"', form)
    assert action
    sign_in(world, ana, account_id="b" * 32)
    sent = {"account": "this", **hidden_fields(form)}
    chosen = browser.post(action[1].replace("&amp;", "&"), data=sent)
    assert "Elige una cuenta" in browser.get(chosen.location).text
