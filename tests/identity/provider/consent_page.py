"""The page that asks, as a browser sees it and answers it."""

from collections.abc import Sequence
from urllib.parse import urlencode

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.identity.provider.relying_party import RelyingParty, query_of
from tests.support.forms import forms, hidden_fields

ASKS = "/oauth/consent"


def authorize(browser: FlaskClient, shop: RelyingParty, **changes: str | None) -> TestResponse:
    """Send this very browser to the provider."""
    return browser.get("/oauth/authorize?" + urlencode(shop.request(**changes)))


def is_asked(answer: TestResponse) -> bool:
    """Tell whether the person was led to the page that asks."""
    return answer.status_code == 303 and answer.location.startswith(ASKS + "?")


def asked(browser: FlaskClient, shop: RelyingParty, **changes: str | None) -> str:
    """Return the address of the page that asks, where the browser was led there."""
    answer = authorize(browser, shop, **changes)
    assert is_asked(answer), (answer.status_code, answer.location)
    return str(answer.location)


def form_of(browser: FlaskClient, address: str) -> dict[str, str | list[str]]:
    """Return what the page's form sends when nobody touches it."""
    page = browser.get(address)
    assert page.status_code == 200, page.text
    (form,) = (each for each in forms(page.text) if 'name="seen"' in each)
    ticked = [part.split('"')[0] for part in form.split('name="purpose" value="')[1:]]
    ticked = [each for each in ticked if f'value="{each}" checked' in form]
    return {**hidden_fields(form), "purpose": ticked}


def answer(
    browser: FlaskClient,
    address: str,
    *,
    tick: Sequence[str] | None = None,
    action: str = "continue",
) -> TestResponse:
    """Answer the page; `tick` None leaves the boxes as they are."""
    form = form_of(browser, address) | {"action": action}
    return browser.post(address, data=form if tick is None else form | {"purpose": list(tick)})


def arrive(browser: FlaskClient, response: TestResponse) -> dict[str, str]:
    """Follow our own redirects and return what the application gets at its address."""
    while response.status_code == 303 and response.location.startswith("/"):
        response = browser.get(response.location)
    if response.status_code == 200:  # the page that goes on by itself
        return query_of(response.headers["Refresh"].removeprefix("0;url="))
    assert response.status_code == 303, response.text
    return query_of(response.location)


def signed_in(shop: RelyingParty, *tick: str, **changes: str | None) -> str:
    """Let the present person sign in, ticking these purposes, and return the access token."""
    browser = shop.browser
    response = authorize(browser, shop, **changes)
    if is_asked(response):
        response = answer(browser, response.location, tick=tick)
    found = shop.exchange(arrive(browser, response)["code"])
    assert found.status_code == 200, found.text
    return str(found.get_json()["access_token"])
