"""The OAuth and OpenID endpoints in the OpenAPI document: their standards fix the form.

They answer errors in OAuth's own form and take form-encoded bodies, so they are written by hand.
A test holds that each of them is served.
"""

from __future__ import annotations

from typing import Any, Final

from privacy.events import Json

FORM: Final = "application/x-www-form-urlencoded"


def _text(description: str, example: Json = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "description": description}
    if example is not None:
        schema["examples"] = [example]
    return schema


def _form(properties: dict[str, Any], required: list[str], example: Json) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"required": True, "content": {FORM: {"schema": schema, "example": example}}}


def _answer(description: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _query(name: str, description: str, *, required: bool, example: Json = None) -> dict[str, Any]:
    parameter = {
        "in": "query",
        "name": name,
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }
    return parameter if example is None else {**parameter, "example": example}


_ERROR: Final = _answer(
    "Refused, in OAuth's form (RFC 6749 s. 5.2).",
    {
        "error": _text("A code of the standard.", "invalid_client"),
        "error_description": _text("One sentence for the developer."),
    },
    ["error"],
)
_NO_TOKEN: Final = _answer(
    "Refused, in OAuth's form; without any token the body names no error (RFC 6750 s. 3.1).",
    {
        "error": _text("A code of the standard.", "invalid_token"),
        "error_description": _text("One sentence for the developer."),
    },
    [],
)
_REFUSED: Final = {"400": _ERROR, "401": _ERROR, "429": _ERROR}
_BY_CLIENT: Final[list[dict[str, list[str]]]] = [{"clientBasic": []}]

#: path -> method -> operation.
OAUTH_PATHS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "/oauth/authorize": {
        "get": {
            "summary": "Send a person here to sign in (OpenID Connect Core 1.0 s. 3.1)",
            "tags": ["provider"],
            "security": [],
            "parameters": [
                _query("response_type", "Always `code`.", required=True, example="code"),
                _query("client_id", "The application's id.", required=True, example="shop"),
                _query("redirect_uri", "One of those registered, exactly.", required=True),
                _query("scope", "Begins with `openid`.", required=True, example="openid"),
                _query("state", "Comes back unchanged.", required=False),
                _query("nonce", "Comes back in the ID token.", required=False),
                _query("code_challenge", "PKCE (RFC 7636).", required=True),
                _query("code_challenge_method", "Always `S256`.", required=True, example="S256"),
                _query("prompt", "none, login, consent, select_account.", required=False),
                _query("max_age", "Seconds since the person proved who they are.", required=False),
                _query("acr_values", "Levels wished for, with spaces between.", required=False),
                _query("claims", "JSON (OpenID Connect Core 1.0 s. 5.5).", required=False),
                _query("id_token_hint", "An ID token of the person who is meant.", required=False),
                _query("login_hint", "An address to fill in for the person.", required=False),
                _query("ui_locales", "Languages, best first, for our pages.", required=False),
                _query("resource", "Whom the access token is for (RFC 8707).", required=False),
                _query(
                    "request_uri", "Of a pushed request; only client_id beside.", required=False
                ),
            ],
            "responses": {
                "200": {"description": "A page for the person.", "content": {"text/html": {}}},
                "303": {"description": "Back to the application, or to sign in first."},
                "400": {
                    "description": "The application or its address is not registered.",
                    "content": {"text/html": {}},
                },
            },
        }
    },
    "/oauth/par": {
        "post": {
            "summary": "Push an authorization request before sending the person (RFC 9126)",
            "tags": ["provider"],
            "security": _BY_CLIENT,
            "requestBody": _form(
                {
                    "response_type": _text("Always `code`."),
                    "redirect_uri": _text("One of those registered, exactly."),
                    "scope": _text("Begins with `openid`."),
                    "code_challenge": _text("PKCE (RFC 7636)."),
                    "code_challenge_method": _text("Always `S256`."),
                },
                ["response_type", "redirect_uri", "scope"],
                {
                    "response_type": "code",
                    "redirect_uri": "https://shop.example/callback",
                    "scope": "openid",
                    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
                    "code_challenge_method": "S256",
                },
            ),
            "responses": {
                "201": _answer(
                    "Kept; send the person with `client_id` and this `request_uri`.",
                    {
                        "request_uri": _text("Good for one code."),
                        "expires_in": {"type": "integer", "description": "Seconds."},
                    },
                    ["request_uri", "expires_in"],
                ),
                **_REFUSED,
            },
        }
    },
    "/oauth/token": {
        "post": {
            "summary": "Get tokens for a code, or for the application itself (RFC 6749)",
            "tags": ["provider"],
            "security": _BY_CLIENT,
            "requestBody": _form(
                {
                    "grant_type": {
                        "type": "string",
                        "enum": ["client_credentials", "authorization_code"],
                    },
                    "scope": _text("What for, with spaces between; client credentials alone."),
                    "code": _text("With authorization_code."),
                    "redirect_uri": _text("With authorization_code: as in the request."),
                    "code_verifier": _text("With authorization_code: PKCE (RFC 7636)."),
                },
                ["grant_type"],
                {"grant_type": "client_credentials", "scope": "decisions:evaluate"},
            ),
            "responses": {
                "200": _answer(
                    "The tokens.",
                    {
                        "access_token": _text("Send it as `Authorization: Bearer …`."),
                        "token_type": _text("Always `Bearer`.", "Bearer"),
                        "expires_in": {"type": "integer", "description": "Seconds."},
                        "scope": _text("What was granted."),
                        "id_token": _text("With authorization_code: who signed in."),
                    },
                    ["access_token", "token_type", "expires_in", "scope"],
                ),
                **_REFUSED,
            },
        }
    },
    "/oauth/introspect": {
        "post": {
            "summary": "Ask what one of the application's own tokens stands for (RFC 7662)",
            "tags": ["provider"],
            "security": _BY_CLIENT,
            "requestBody": _form({"token": _text("The token.")}, ["token"], {"token": "…"}),
            "responses": {
                "200": _answer(
                    "Whether it is in force.",
                    {
                        "active": {"type": "boolean"},
                        "iss": _text("Who issued it."),
                        "client_id": _text("Whose it is."),
                        "scope": _text("What for."),
                        "token_type": _text("Always `Bearer`."),
                        "sub": _text("The person, under this application's pseudonym."),
                        "iat": {"type": "integer", "description": "Seconds since 1970."},
                        "exp": {"type": "integer", "description": "Seconds since 1970."},
                    },
                    ["active"],
                ),
                **_REFUSED,
            },
        }
    },
    "/oauth/revoke": {
        "post": {
            "summary": "End one of the application's own tokens (RFC 7009)",
            "tags": ["provider"],
            "security": _BY_CLIENT,
            "requestBody": _form({"token": _text("The token.")}, ["token"], {"token": "…"}),
            "responses": {"200": {"description": "It is not, or no longer, in force."}, **_REFUSED},
        }
    },
    "/oauth/userinfo": {
        "get": {
            "summary": "Ask who the person of an access token is, and what may be known of them now",
            "tags": ["provider"],
            "security": [{"oauth2": ["openid"]}],
            "responses": {
                "200": _answer(
                    "The person. Of the claims asked for, those that a purpose of the application "
                    "may use at this instant; the others are absent.",
                    {
                        "sub": _text("The person, under this application's pseudonym."),
                        "name": _text("What is released of the name."),
                        "given_name": _text("Scope profile."),
                        "family_name": _text("Scope profile."),
                        "birthdate": _text("Scope profile; YYYY-MM-DD, or the year alone."),
                        "locale": _text("Scope profile; BCP 47."),
                        "email": _text("Scope email."),
                        "email_verified": {"type": "boolean"},
                        "phone_number": _text("Scope phone; E.164."),
                        "phone_number_verified": {"type": "boolean"},
                        "address": {
                            "type": "object",
                            "properties": {"formatted": _text("Scope address.")},
                        },
                    },
                    ["sub"],
                ),
                "401": _NO_TOKEN,
                "403": _ERROR,
            },
        }
    },
    "/oauth/logout": {
        "get": {
            "summary": "Send a person here to sign out (OpenID Connect RP-Initiated Logout 1.0)",
            "tags": ["provider"],
            "security": [],
            "parameters": [
                _query(
                    "id_token_hint", "An ID token of the session, also expired.", required=False
                ),
                _query("client_id", "The application's id.", required=False, example="shop"),
                _query(
                    "post_logout_redirect_uri",
                    "One of those registered, exactly; needs one of the two above.",
                    required=False,
                ),
                _query("state", "Comes back unchanged.", required=False),
            ],
            "responses": {
                "200": {"description": "Asks the person.", "content": {"text/html": {}}},
                "303": {"description": "Signed out, and back to the application."},
                "400": {
                    "description": "Something is wrong with it; the person stays here.",
                    "content": {"text/html": {}},
                },
            },
        },
        "post": {
            "summary": "The same by a form, which is answered with the request by GET",
            "tags": ["provider"],
            "security": [],
            "requestBody": _form({"id_token_hint": _text("As above.")}, [], {"id_token_hint": "…"}),
            "responses": {"303": {"description": "To the same address by GET."}},
        },
    },
    "/oauth/jwks": {
        "get": {
            "summary": "Read the public keys that verify ID tokens (RFC 7517)",
            "tags": ["provider"],
            "security": [],
            "responses": {
                "200": _answer(
                    "A JWK set.",
                    {"keys": {"type": "array", "items": {"type": "object"}}},
                    ["keys"],
                )
            },
        }
    },
    "/.well-known/openid-configuration": {
        "get": {
            "summary": "Read what the provider can do (OpenID Connect Discovery 1.0)",
            "tags": ["provider"],
            "security": [],
            "responses": {
                "200": {
                    "description": "The provider's metadata.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }
            },
        }
    },
    "/.well-known/oauth-authorization-server": {
        "get": {
            "summary": "Read the same under OAuth's own name (RFC 8414)",
            "tags": ["provider"],
            "security": [],
            "responses": {
                "200": {
                    "description": "The provider's metadata.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }
            },
        }
    },
}
