"""Access, parsing and error answers that hold for every view."""

from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from policies.vocabulary import Scope
from privacy.actor import Actor, ActorKind
from privacy.http import requires
from tests.support.forms import csrf_token
from tests.support.world import World, make_world

#: Nothing here depends on the kind of database.
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def application(world: World) -> World:
    """The world, asked by an application that may pseudonymise."""
    world.app.extensions["placet.bearer"] = lambda: Actor(
        kind=ActorKind.APPLICATION,
        client_id="shop",
        domain="shop",
        scopes=frozenset({Scope.PSEUDONYMS_WRITE}),
    )
    return world


def _problem(answer: TestResponse, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    problem = answer.json
    assert problem is not None
    assert problem["type"] == f"/problems/{code}"
    assert problem["status"] == status
    assert problem["detail"]
    return dict(problem)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", JSON, 400, "malformed-json"),
        (b"{", JSON, 400, "malformed-json"),
        (b"\xff\xfe", JSON, 400, "malformed-json"),
        (b"[" * 100_000, JSON, 400, "malformed-json"),
        (b"{}", {}, 415, "unsupported-media-type"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        (b"{}", JSON, 422, "invalid-input"),
        (b"[]", JSON, 422, "invalid-input"),
        (b"null", JSON, 422, "invalid-input"),
        (b'{"identifiers": "ana@example.com"}', JSON, 422, "invalid-input"),
        (b'{"identifiers": [1]}', JSON, 422, "invalid-input"),
        (b'{"identifiers": []}', JSON, 422, "invalid-input"),
        (b'{"identifiers": ["a@example.com"], "more": 1}', JSON, 422, "invalid-input"),
        (b'{"identifiers": ["' + b"x" * 300_000 + b'"]}', JSON, 413, "body-too-large"),
    ],
)
def test_a_bad_body_is_a_problem_that_names_what_is_wrong(
    application: World, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = application.client.post("/v1/pseudonyms", data=body, headers=headers)
    problem = _problem(answer, status, code)
    if code == "invalid-input":
        assert problem["errors"]


def test_every_wrong_member_is_named_at_once(application: World) -> None:
    answer = application.client.post("/v1/pseudonyms", json={"identifiers": [1, 2], "more": 1})
    errors = _problem(answer, 422, "invalid-input")["errors"]
    assert isinstance(errors, list)
    assert {error["field"] for error in errors} == {"identifiers.0", "identifiers.1", "more"}


def test_an_anonymous_call_is_asked_for_a_token_and_a_lacking_one_told_the_scope(
    world: World,
) -> None:
    answer = world.client.post("/v1/pseudonyms", json={})
    _problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    world.app.extensions["placet.bearer"] = lambda: Actor(
        kind=ActorKind.APPLICATION, client_id="shop", domain="shop"
    )
    answer = world.client.post("/v1/pseudonyms", json={})
    _problem(answer, 403, "insufficient-scope")
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_a_session_cookie_opens_no_door_of_the_api(world: World) -> None:
    world.app.extensions["placet.session"] = lambda: Actor(
        kind=ActorKind.PERSON, scopes=frozenset(Scope)
    )
    world.app.extensions["placet.bearer"] = lambda: None
    _problem(world.client.post("/v1/pseudonyms", json={}), 401, "unauthenticated")


def test_an_unknown_address_and_a_wrong_method_are_problems(world: World) -> None:
    _problem(world.client.get("/v1/nothing"), 404, "not-found")
    answer = world.client.get("/v1/pseudonyms")
    _problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]


@pytest.fixture
def forgetful(world: World) -> Flask:
    """An application with a view whose author forgot to say who may see it."""
    world.app._got_first_request = False
    world.app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    broken = requires(Scope.PUBLIC)(_break)
    world.app.add_url_rule("/v1/broken", "broken", broken)
    return world.app


def _break() -> str:
    raise RuntimeError("a secret detail")


def test_a_view_without_a_stated_scope_is_refused(forgetful: Flask) -> None:
    answer = forgetful.test_client().get("/forgotten")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_an_unexpected_error_tells_nothing(forgetful: Flask) -> None:
    forgetful.testing = False
    forgetful.config["PROPAGATE_EXCEPTIONS"] = False
    answer = forgetful.test_client().get("/v1/broken")
    _problem(answer, 500, "internal-error")
    assert "secret" not in answer.text


def test_every_answer_carries_the_security_headers(world: World) -> None:
    for path in ("/v1/nothing", "/healthz", "/static/placet.css"):
        with world.client.get(path) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers.get("Referrer-Policy") == (
            None if path.startswith("/v1/") else "no-referrer"
        )
        assert "Strict-Transport-Security" not in headers  # plain http on localhost
    assert world.client.get("/v1/nothing").headers["Cache-Control"] == "no-store"


def test_every_view_states_who_may_see_it(world: World) -> None:
    for rule in world.app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        view = world.app.view_functions[rule.endpoint]
        assert hasattr(view, "required_scope"), rule.rule
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        assert len(methods) == 1 or methods == {"GET", "POST"}, rule.rule


def test_every_public_view_is_one_we_meant_to_be_public(world: World) -> None:
    public = sorted(
        rule.rule
        for rule in world.app.url_map.iter_rules()
        if rule.endpoint != "static"
        and getattr(world.app.view_functions[rule.endpoint], "required_scope", None) is Scope.PUBLIC
    )
    assert public == PUBLIC, set(public) ^ set(PUBLIC)


PUBLIC = [
    "/",
    "/.well-known/authzen-configuration",
    "/.well-known/change-password",
    "/.well-known/gpc.json",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/security.txt",
    "/account/closing/<token>",
    "/account/closing/<token>",
    "/addresses/undo/<token>",
    "/addresses/undo/<token>",
    "/docs",
    "/healthz",
    "/invitation/<token>",
    "/invitation/<token>",
    "/login",
    "/login",
    "/login/code",
    "/login/code",
    "/login/code/passkey",
    "/login/code/passkey/options",
    "/login/link",
    "/login/passkey",
    "/login/passkey/options",
    "/login/prove",
    "/login/prove",
    "/login/prove/code",
    "/login/prove/code",
    "/login/prove/link/<token>",
    "/login/prove/link/<token>",
    "/login/with/<provider_id>",
    "/logout",
    "/logout/confirm",
    "/metrics",
    "/notices/<notice_id>",
    "/notices/<notice_id>/<int:version>",
    "/oauth/authorize",
    "/oauth/authorize",
    "/oauth/introspect",
    "/oauth/jwks",
    "/oauth/logout",
    "/oauth/logout",
    "/oauth/par",
    "/oauth/revoke",
    "/oauth/select",
    "/oauth/token",
    "/oauth/userinfo",
    "/oauth/userinfo",
    "/openapi.json",
    "/privacy/confirm/<string(maxlength=64):token>",
    "/privacy/confirm/<string(maxlength=64):token>",
    "/problems/<code>",
    "/readyz",
    "/reasons/<code>",
    "/recover",
    "/recover",
    "/recover/code",
    "/recover/code",
    "/recover/factor",
    "/recover/factor",
    "/recover/factor/cancel/<recovery_id>/<mark>",
    "/recover/factor/cancel/<recovery_id>/<mark>",
    "/recover/factor/code",
    "/recover/factor/code",
    "/recover/factor/finish/<token>",
    "/recover/factor/finish/<token>",
    "/recover/factor/link/<token>",
    "/recover/factor/link/<token>",
    "/recover/factor/proof",
    "/recover/factor/proof",
    "/recover/link/<token>",
    "/recover/link/<token>",
    "/register",
    "/register",
    "/register/code",
    "/register/code",
    "/register/confirm/<token>",
    "/register/confirm/<token>",
    "/register/passkey/options",
    "/register/with",
    "/register/with",
    "/rights",
    "/rights",
    "/rights/code",
    "/rights/code",
    "/rights/confirm/<token>",
    "/rights/confirm/<token>",
    "/rights/erased",
    "/rights/requests/<reference>",
    "/rights/requests/<reference>/data",
    "/schema/<name>",
    "/sso/<provider_id>/callback",
    "/sso/<provider_id>/callback",
    "/sso/<provider_id>/logout",
    "/sso/<provider_id>/refused/<reason>",
    "/v1/audit/checkpoint",
    "/v1/audit/key",
    "/v1/receipts/keys",
]


@pytest.fixture
def over_https(database_url: str, instance: Path) -> World:
    """The world as people reach it by https."""
    return make_world(database_url, instance, PLACET_BASE_URL="https://privacy.example.com")


def _register(world: World, headers: dict[str, str]) -> TestResponse:
    client = world.client
    base = "https://privacy.example.com"
    token = csrf_token(client.get("/register", base_url=base).text)
    data = {"csrf_token": token, "email": "ana@example.com", "password": "correct horse battery"}
    return client.post("/register", base_url=base, data=data, headers=headers)


def test_a_form_works_over_https_without_a_referrer(over_https: World) -> None:
    assert _register(over_https, {"Sec-Fetch-Site": "same-origin"}).status_code == 303
    answer = over_https.client.get("/register", base_url="https://privacy.example.com")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-placet=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_form_that_another_site_sends_is_refused(over_https: World, site: str) -> None:
    assert _register(over_https, {"Sec-Fetch-Site": site}).status_code == 400
