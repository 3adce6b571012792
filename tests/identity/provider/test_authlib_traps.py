"""What Authlib's documented wiring lets through, shown on it, and refused by ours.

The small servers are put together as Authlib's documentation puts one together: what is shown of
them is the library's own behaviour, and the reason for the code of ours that takes its place.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask, request
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from tests.identity.provider.relying_party import (
    CALLBACK,
    OFFLINE,
    VERIFIER,
    basic,
    query_of,
    register,
)
from tests.identity.provider.test_token import error_of
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@dataclass
class Code:
    """An authorization code, as Authlib's mixin keeps one."""

    code: str
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return CALLBACK

    def get_scope(self) -> str:
        return "profile"


@dataclass
class Refresh:
    """A token that was issued with a refresh token."""

    refresh_token: str
    revoked: bool = False

    def check_client(self, _client: object) -> bool:
        return True

    def get_scope(self) -> str:
        return "profile"


class Shop(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """The one client."""

    client_id = "shop"

    def get_default_redirect_uri(self) -> str:
        return CALLBACK

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == CALLBACK

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == "secret"

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method, endpoint) == ("client_secret_basic", "token")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, _grant_type: str) -> bool:
        return True

    def get_allowed_scope(self, scope: str) -> str:
        return scope


@dataclass
class Documented:
    """A server with the grants of Authlib's documentation, over two dictionaries."""

    codes: dict[str, Code] = field(default_factory=dict)
    refresh: dict[str, Refresh] = field(default_factory=dict)

    def app(self) -> Flask:
        """Return it as an application."""
        kept = self

        class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib is untyped
            def save_authorization_code(self, code: str, asked: Any) -> None:
                data = asked.payload.data
                kept.codes[code] = Code(
                    code, data.get("code_challenge"), data.get("code_challenge_method")
                )

            def query_authorization_code(self, code: str, _client: object) -> Code | None:
                return kept.codes.get(code)

            def delete_authorization_code(self, authorization_code: Code) -> None:
                del kept.codes[authorization_code.code]

            def authenticate_user(self, _authorization_code: Code) -> str:
                return "ana"

        class RefreshTokenGrant(grants.RefreshTokenGrant):  # type: ignore[misc]  # Authlib is untyped
            def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
                token = kept.refresh.get(refresh_token)
                return token if token and not token.revoked else None

            def authenticate_user(self, _refresh_token: Refresh) -> str:
                return "ana"

            def revoke_old_credential(self, refresh_token: Refresh) -> None:
                """Nothing new was issued: revoking this one would end the access for good."""

        def save_token(token: dict[str, str], _request: object) -> None:
            if "refresh_token" in token:
                kept.refresh[token["refresh_token"]] = Refresh(token["refresh_token"])

        app = Flask(__name__)
        app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
        server = AuthorizationServer(app, query_client=lambda _id: Shop(), save_token=save_token)
        server.register_grant(AuthorizationCodeGrant, [CodeChallenge(required=True)])
        server.register_grant(RefreshTokenGrant)

        @app.get("/authorize")
        def authorize() -> Response:
            grant = server.get_consent_grant(end_user="ana")
            made: Response = server.create_authorization_response(grant=grant, grant_user="ana")
            return made

        @app.post("/token")
        def token() -> Response:
            assert request.form
            made: Response = server.create_token_response()
            return made

        return app


PKCE_GAPS: list[dict[str, str | None]] = [
    {"code_challenge": None, "code_challenge_method": None},
    {"code_challenge": VERIFIER, "code_challenge_method": None},
    {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
]


def documented_authorize(app: Flask, change: dict[str, str | None]) -> TestResponse:
    asked: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "shop",
        "redirect_uri": CALLBACK,
        "scope": "profile",
    }
    query = {name: value for name, value in (asked | change).items() if value is not None}
    return app.test_client().get("/authorize", query_string=query)


def test_trap_1_a_code_without_pkce_without_a_method_and_with_plain(
    world: World, ana: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`CodeChallenge(required=True)` issues all three; ours none."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    documented, shop = Documented(), register(world)
    app = documented.app()
    for change in PKCE_GAPS:
        theirs = documented_authorize(app, change)
        assert "code" in query_of(theirs.headers["Location"]), change

        ours = query_of(shop.authorize(**change).location)
        assert "code" not in ours, change
        assert ours["error"] == "invalid_request", change
    assert len(documented.codes) == len(PKCE_GAPS)


def test_trap_2_a_refresh_token_that_is_never_rotated_and_works_for_ever(
    world: World, ana: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`INCLUDE_NEW_REFRESH_TOKEN` is False: one stolen refresh token serves two for ever."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    documented = Documented()
    app = documented.app()
    code = query_of(documented_authorize(app, PKCE_GAPS[2]).headers["Location"])["code"]

    def theirs(**form: str) -> dict[str, Any]:
        answer = app.test_client().post("/token", data=form, headers=basic("shop", "secret"))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    first = theirs(
        grant_type="authorization_code",
        code=code,
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
    )
    token = first["refresh_token"]
    for _ in range(3):
        again = theirs(grant_type="refresh_token", refresh_token=token)
        assert "refresh_token" not in again

    shop = register(world, **OFFLINE)
    token = shop.offline_tokens()["refresh_token"]
    assert shop.refresh(token).get_json()["refresh_token"] != token
    world.clock.advance(minutes=1)
    assert error_of(shop.refresh(token)) == "invalid_grant"
