"""Authorization requests that a client pushes before it sends the person. RFC 9126."""

import threading

import pytest
from werkzeug.test import TestResponse

from identity.provider.housekeeping import Housekeeping
from identity.provider.pushed_store import PushedRow
from tests.identity.provider.relying_party import (
    CALLBACK,
    PRETENDED,
    RelyingParty,
    query_of,
    register,
    sign_in,
    sign_out,
)
from tests.identity.provider.test_authorize import arrived, next_of
from tests.identity.provider.test_code_race import AT_ONCE, at_once
from tests.support.world import World

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def push(shop: RelyingParty, **changes: str | None) -> TestResponse:
    """Push a right request, with changes."""
    return shop.browser.post("/oauth/par", data=shop.request(**changes), headers=shop.header)


def pushed(shop: RelyingParty, **changes: str | None) -> str:
    """Return the name of a pushed request."""
    answer = push(shop, **changes)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["request_uri"])


def use(shop: RelyingParty, request_uri: str, **beside: str) -> TestResponse:
    """Send the browser with a pushed request."""
    shop.meet(shop.world.app.extensions.get(PRETENDED))
    query = {"client_id": shop.client.client_id, "request_uri": request_uri, **beside}
    return shop.browser.get("/oauth/authorize", query_string=query)


def is_gone(answer: TestResponse) -> bool:
    """Tell whether the answer is the page that says so, and nothing goes anywhere."""
    assert not {"Location", "Refresh"} & set(answer.headers.keys())
    return answer.status_code == 400 and "Esta petición ya no vale" in answer.text


@SQLITE
def test_a_pushed_request_is_answered_as_it_was_pushed(world: World, ana: str) -> None:
    shop = register(world, require_par=True)
    answer = push(shop, state="pushed", nonce="n-p")
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body["expires_in"] == 600
    assert body["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert len(body["request_uri"]) == len("urn:ietf:params:oauth:request_uri:") + 43
    # What stands beside it counts for nothing, not even where the answer goes.
    back = use(
        shop,
        body["request_uri"],
        state="of the address",
        redirect_uri="https://evil.example/",
        prompt="login",
        scope="x",
    )
    assert back.location.startswith(CALLBACK + "?")
    found = query_of(back.location)
    assert (found["state"], found["iss"]) == ("pushed", "http://localhost:8000")
    tokens = shop.exchange(found["code"]).get_json()
    assert shop.read_id_token(tokens["id_token"]).claims["nonce"] == "n-p"


@SQLITE
def test_a_pushed_request_yields_one_code_and_is_its_clients_own(
    world: World, shop: RelyingParty, ana: str
) -> None:
    name = pushed(shop)
    other = register(world, name="Blog")
    assert is_gone(use(other, name))
    assert is_gone(use(shop, name[:-1] + ("A" if name[-1] != "A" else "B")))
    assert "code" in query_of(use(shop, name).location)
    assert is_gone(use(shop, name))


@SQLITE
def test_a_pushed_request_waits_for_ten_minutes_and_is_then_forgotten(
    world: World, shop: RelyingParty, ana: str
) -> None:
    name = pushed(shop, login_hint="ana@example.com")
    with world.placet.runtime.snapshot() as session:
        [row] = session.query(PushedRow).all()
        assert b"ana@example.com" not in row.sealed
        assert name.removeprefix("urn:ietf:params:oauth:request_uri:") not in row.request_digest
    world.clock.advance(minutes=10)
    assert is_gone(use(shop, name))
    Housekeeping(world.placet.runtime).run_due()
    with world.placet.runtime.snapshot() as session:
        assert session.query(PushedRow).count() == 0


@SQLITE
def test_a_person_signs_in_on_the_way_and_the_pages_know_what_was_pushed(
    world: World, shop: RelyingParty, ana: str
) -> None:
    sign_out(world)
    name = pushed(shop, login_hint="ana@example.com", ui_locales="en", prompt="login")
    start = use(shop, name)
    address, others = next_of(start)
    assert others == {}
    assert "ana" not in address  # what was pushed stays out of addresses
    page = shop.browser.get(start.location).text
    assert 'value="ana@example.com"' in page
    assert '<html lang="en">' in page
    world.clock.advance(seconds=5)
    sign_in(world, ana)
    assert "code" in arrived(shop.browser.get(address))


@SQLITE
def test_what_could_not_be_answered_is_not_kept(world: World, shop: RelyingParty) -> None:
    for change, error in (
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid consents:write"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"resource": "https://else.example/"}, "invalid_target"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"client_id": "0" * 32}, "invalid_request"),
        ({"login_hint": "x" * 16_000}, "invalid_request"),
    ):
        answer = push(shop, **change)
        assert (answer.status_code, answer.get_json()["error"]) == (400, error), change
    request = shop.request()
    assert shop.browser.post("/oauth/par", data=request).status_code == 401
    assert shop.browser.post("/oauth/par", json=request, headers=shop.header).status_code == 400
    with world.placet.runtime.snapshot() as session:
        assert session.query(PushedRow).count() == 0


@SQLITE
def test_a_client_whose_address_or_itself_went_meanwhile_gets_nothing(
    world: World, shop: RelyingParty, ana: str
) -> None:
    name = pushed(shop)
    with world.placet.runtime.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE oauth_client SET redirect_uris = 'https://x.example/'")
    answer = use(shop, name)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_one_pushed_request_used_twenty_times_at_once_yields_one_code(
    world: World, shop: RelyingParty, ana: str
) -> None:
    name = pushed(shop)
    shop.meet(ana)

    def send(barrier: threading.Barrier) -> int:
        barrier.wait()
        return use(shop, name).status_code

    assert sorted(map(str, at_once(send))) == ["303"] + ["400"] * (AT_ONCE - 1)
    with world.placet.runtime.snapshot() as session:
        count = session.connection().exec_driver_sql("SELECT count(*) FROM oauth_code")
        assert count.scalar_one() == 1
