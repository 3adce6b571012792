"""The token endpoint: codes, proofs, clients, scopes."""

import base64
import logging
import re

import pytest
from werkzeug.test import TestResponse

from tests.identity.provider.relying_party import (
    CALLBACK,
    CHALLENGE,
    VERIFIER,
    RelyingParty,
    basic,
    register,
)
from tests.support.world import World


def error_of(response: TestResponse, status: int = 400) -> str:
    """Return the error, in OAuth's own form and not to be stored."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()
    assert set(body) <= {"error", "error_description"}
    # RFC 6749 s. 5.2 allows no other characters.
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]*", body.get("error_description", ""))
    return str(body["error"])


def rows(world: World, query: str) -> list[tuple[object, ...]]:
    with world.placet.runtime.snapshot() as session:
        return [tuple(row) for row in session.connection().exec_driver_sql(query)]


def test_a_code_is_good_until_its_sixtieth_second(
    world: World, shop: RelyingParty, ana: str
) -> None:
    first, second = shop.code(), shop.code()
    world.clock.advance(seconds=59, milliseconds=999)
    assert shop.exchange(first).status_code == 200
    world.clock.advance(milliseconds=1)
    assert error_of(shop.exchange(second)) == "invalid_grant"


def test_a_second_use_of_a_code_ends_what_the_first_yielded(
    world: World, shop: RelyingParty, ana: str
) -> None:
    code, untouched = shop.code(), shop.tokens()["access_token"]
    token = shop.exchange(code).get_json()["access_token"]
    assert shop.introspect(token)["active"] is True
    assert error_of(shop.exchange(code)) == "invalid_grant"
    assert shop.introspect(token) == {"active": False}
    assert shop.userinfo(token).status_code == 401
    assert shop.introspect(untouched)["active"] is True


def test_a_used_code_is_recognised_after_its_time_and_with_a_wrong_proof(
    world: World, shop: RelyingParty, ana: str
) -> None:
    code = shop.code()
    token = shop.exchange(code).get_json()["access_token"]
    world.clock.advance(seconds=300)
    assert error_of(shop.exchange(code, code_verifier="w" * 43)) == "invalid_grant"
    assert shop.introspect(token) == {"active": False}


def test_another_client_can_neither_use_nor_spoil_a_code(
    world: World, shop: RelyingParty, ana: str
) -> None:
    other = register(world, name="Blog")
    code = shop.code()
    assert error_of(other.exchange(code)) == "invalid_grant"
    token = shop.exchange(code).get_json()["access_token"]
    assert error_of(other.exchange(code)) == "invalid_grant"
    assert shop.introspect(token)["active"] is True


FAULTS: list[tuple[dict[str, str | None], str]] = [
    ({"redirect_uri": None}, "invalid_grant"),
    ({"redirect_uri": CALLBACK + "/"}, "invalid_grant"),
    ({"redirect_uri": "https://shop.example/other"}, "invalid_grant"),
    ({"code": None}, "invalid_request"),
    ({"code": ""}, "invalid_request"),
    ({"code": "never-issued"}, "invalid_grant"),
    ({"code": "\0é\"'"}, "invalid_grant"),
    ({"code_verifier": None}, "invalid_request"),
    ({"code_verifier": ""}, "invalid_request"),
    ({"code_verifier": "w" * 43}, "invalid_grant"),
    ({"code_verifier": CHALLENGE}, "invalid_grant"),
    ({"code_verifier": VERIFIER + "\n"}, "invalid_request"),
    ({"code_verifier": VERIFIER[:42]}, "invalid_request"),
    ({"code_verifier": "v" * 129}, "invalid_request"),
    ({"code_verifier": "é" * 43}, "invalid_request"),
    ({"grant_type": None}, "invalid_request"),
    ({"grant_type": "password"}, "unsupported_grant_type"),
    ({"grant_type": "refresh_token"}, "unauthorized_client"),
    ({"grant_type": 'x"é'}, "unsupported_grant_type"),
]


def test_a_wrong_token_request_is_refused_and_does_not_use_up_the_code(
    shop: RelyingParty, ana: str
) -> None:
    code = shop.code()
    for change, error in FAULTS:
        assert error_of(shop.exchange(code, None, **change)) == error, change
    assert shop.exchange(code).status_code == 200


def test_a_verifier_where_there_was_no_challenge_is_refused(world: World, ana: str) -> None:
    old = register(world, require_pkce=False)
    code = old.code(code_challenge=None, code_challenge_method=None)
    assert error_of(old.exchange(code)) == "invalid_request"


def test_a_secret_is_taken_in_the_header_or_in_the_body_and_not_in_both(
    shop: RelyingParty, ana: str
) -> None:
    in_body: dict[str, str | None] = {
        "client_id": shop.client.client_id,
        "client_secret": shop.secret,
    }
    assert shop.exchange(shop.code()).status_code == 200
    assert shop.exchange(shop.code(), {}, **in_body).status_code == 200
    code = shop.code()
    assert error_of(shop.exchange(code, None, **in_body)) == "invalid_request"
    assert error_of(shop.exchange(code, client_id="0" * 32)) == "invalid_request"


def test_a_client_that_does_not_prove_itself_gets_nothing(
    world: World, shop: RelyingParty, ana: str
) -> None:
    code = shop.code()
    client_id, secret = shop.client.client_id, shop.secret
    broken = "Basic " + base64.b64encode(b"\xff\xfe:x").decode()
    headers = [
        {},
        basic(client_id, "wrong"),
        basic(client_id, ""),
        basic(client_id, secret + "x"),
        basic("0" * 32, secret),
        basic("nobody\0", secret),
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic é"},
        {"Authorization": "Basic !!!"},
        {"Authorization": broken},
    ]
    for header in headers:
        response = shop.exchange(code, header)
        assert error_of(response, 401) == "invalid_client"
        assert response.headers["WWW-Authenticate"] == 'Basic realm="placet"'
        world.clock.advance(hours=1)
    body: dict[str, str | None] = {"client_id": client_id, "client_secret": "wrong"}
    assert error_of(shop.exchange(code, {}, **body), 401) == "invalid_client"


def test_wrong_secrets_are_slowed_down_and_the_right_one_ends_it(
    world: World, shop: RelyingParty
) -> None:
    form = {"grant_type": "client_credentials"}
    wrong = basic(shop.client.client_id, "wrong")
    answers = [world.client.post("/oauth/token", data=form, headers=wrong) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].get_json()["error"] == "temporarily_unavailable"
    # From another network nothing is slower.
    elsewhere = world.client.post(
        "/oauth/token",
        data=form,
        headers=shop.header,
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert elsewhere.status_code == 200
    world.clock.advance(seconds=1)
    assert shop.own_token().status_code == 200
    assert world.client.post("/oauth/token", data=form, headers=wrong).status_code == 401


def test_a_token_request_is_a_form_in_the_body(shop: RelyingParty, ana: str) -> None:
    form = shop.token_form(shop.code())
    as_json = shop.browser.post("/oauth/token", json=form, headers=shop.header)
    assert error_of(as_json) == "invalid_request"
    in_query = shop.browser.post("/oauth/token", query_string=form, headers=shop.header)
    assert error_of(in_query) == "invalid_request"
    twice = shop.browser.post(
        "/oauth/token",
        data={**form, "grant_type": ["authorization_code", "client_credentials"]},
        headers=shop.header,
    )
    assert error_of(twice) == "invalid_request"
    assert shop.browser.get("/oauth/token", query_string=form).status_code == 405


def test_the_client_credentials_grant_gives_what_the_client_may_have(
    world: World, shop: RelyingParty
) -> None:
    whole = shop.own_token()
    assert whole.headers["Cache-Control"] == "no-store"
    assert whole.headers["Pragma"] == "no-cache"
    assert whole.get_json() == {
        "access_token": whole.get_json()["access_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "decisions:evaluate pseudonyms:write",
    }
    assert shop.own_token(scope="decisions:evaluate").get_json()["scope"] == "decisions:evaluate"
    for scope in ("consents:write", "openid", "decisions:evaluate consents:write", "desk", "x"):
        assert error_of(shop.own_token(scope=scope)) == "invalid_scope"


def test_a_grant_that_the_client_may_not_use_is_refused(world: World, ana: str) -> None:
    people_only = register(world, scopes=("openid",))
    assert error_of(people_only.own_token()) == "unauthorized_client"
    machine = register(world, redirect_uris=(), scopes=("decisions:evaluate",))
    assert machine.own_token().status_code == 200
    assert error_of(machine.exchange("any")) == "unauthorized_client"
    assert machine.authorize().status_code == 400


def test_no_secret_rests_in_the_database_or_reaches_a_log(
    world: World, shop: RelyingParty, ana: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Authlib writes whole token answers to its debug log."""
    with caplog.at_level(logging.DEBUG):
        code = shop.code()
        answer = shop.exchange(code).get_json()
        own = shop.own_token().get_json()
        shop.exchange(code)
        shop.exchange(code, basic(shop.client.client_id, "wrong-secret-value"))
    secrets = [shop.secret, code, answer["access_token"], answer["id_token"], own["access_token"]]
    secrets += [VERIFIER, "wrong-secret-value"]
    with world.placet.runtime.snapshot() as session:
        client = world.placet.clients.find(session, shop.client.client_id, at=world.clock.now)
    assert client is not None
    assert client.secret_digests[0] not in repr(client)
    kept = repr([rows(world, f"SELECT * FROM {table}") for table in _tables(world)])
    assert shop.client.client_id in kept
    for secret in secrets:
        assert secret not in caplog.text
        assert secret not in kept


def _tables(world: World) -> list[str]:
    from privacy.tables import Base  # noqa: PLC0415 - its tables are known once the app is made

    return [table.name for table in Base.metadata.sorted_tables if "oauth" in table.name]
