"""Reading an authorization request, and whether the person must sign in for it.

Ours rather than Authlib's: that one accepts requests without PKCE, takes a default where the
redirect URI is missing, and puts raw input into error descriptions, which then raise.
Source: RFC 6749 s. 4.1.1; OpenID Connect Core s. 3.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.errors import (
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)

from identity.provider import pkce
from identity.provider.client_authentication import is_client_id
from identity.provider.model import KNOWN_SCOPES, OPENID, Client, GrantType, ordered

MAX_LENGTH: Final = 512  # of state and nonce
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_UNSUPPORTED: Final = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
_ONCE: Final = frozenset(
    {
        "response_type",
        "response_mode",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "max_age",
        *_UNSUPPORTED,
    }
)

#: How long after being asked a new proof counts for the request that asked for it.
REAUTHENTICATION_WINDOW: Final = timedelta(minutes=10)

Parameters = Mapping[str, Sequence[str]]


class NoDestination(Exception):
    """The client or its redirect URI is wrong: the answer is a page, never a redirect.

    Source: RFC 6749 s. 4.1.2.1; RFC 9700 s. 4.11.
    """


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be answered with a code once the person is signed in.

    Attributes:
        scope: what is granted, at most what was asked.
        state: the client's own value, given back to it as it came.
        prompt: `none` and `login` of OpenID Connect Core s. 3.1.2.1.
        max_age: how long ago the person may have proved who they are.
    """

    client: Client
    redirect_uri: str
    scope: str
    state: str | None
    nonce: str | None
    code_challenge: str | None
    prompt: frozenset[str]
    max_age: timedelta | None


def destination(parameters: Parameters, find: Callable[[str], Client | None]) -> tuple[Client, str]:
    """Return who asks and where the answer goes.

    Raises:
        NoDestination: either is missing, repeated, unknown, disabled or not registered.
    """
    client_ids = _given(parameters, "client_id")
    redirect_uris = _given(parameters, "redirect_uri")
    if len(client_ids) != 1 or len(redirect_uris) != 1:
        raise NoDestination("client_id and redirect_uri are needed, once each")
    client = find(client_ids[0]) if is_client_id(client_ids[0]) else None
    if client is None or client.disabled_at is not None:
        raise NoDestination("there is no such client")
    if redirect_uris[0] not in client.redirect_uris:
        raise NoDestination("the redirect_uri is not registered for this client")
    return client, redirect_uris[0]


def state_of(parameters: Parameters) -> str | None:
    """Return the state that every answer carries; None where there is not exactly one."""
    states = _given(parameters, "state")
    return states[0] if len(states) == 1 else None


def read(parameters: Parameters, client: Client, redirect_uri: str) -> AuthorizationRequest:
    """Return what is asked.

    Raises:
        OAuth2Error: the error that the client is told at its redirect URI.
    """
    once: dict[str, str] = {}
    for name in sorted(_ONCE):
        values = _given(parameters, name)
        if len(values) > 1:
            raise InvalidRequestError(f"'{name}' may stand once only.")
        if values:
            once[name] = values[0]
    for name, error in _UNSUPPORTED.items():
        if name in once:
            raise OAuth2Error(error=error)
    if "response_type" not in once:
        raise InvalidRequestError("Missing 'response_type'.")
    if once["response_type"] != "code":
        raise OAuth2Error(error="unsupported_response_type")
    if once.get("response_mode", "query") != "query":
        raise InvalidRequestError("The only 'response_mode' is query.")
    if not client.check_grant_type(GrantType.AUTHORIZATION_CODE):
        raise UnauthorizedClientError
    for name in ("state", "nonce"):
        value = once.get(name, "")
        if len(value) > MAX_LENGTH or "\0" in value:
            raise InvalidRequestError(f"'{name}' is too long or holds a null character.")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scope=_scope(once.get("scope", ""), client),
        state=once.get("state"),
        nonce=once.get("nonce"),
        code_challenge=pkce.challenge_of(once, required=client.require_pkce),
        prompt=_prompt(once.get("prompt", "")),
        max_age=_max_age(once.get("max_age")),
    )


def must_sign_in(
    asked: AuthorizationRequest,
    *,
    authenticated_at: datetime | None,
    asked_at: datetime | None,
    now: datetime,
) -> bool:
    """Tell whether the person must prove anew who they are before this request is answered.

    Args:
        asked: the request.
        authenticated_at: when the person of this session last did; None without a session.
        asked_at: when this very request sent the person to sign in; None where it did not yet.
        now: aware UTC.

    Source: OpenID Connect Core s. 3.1.2.1 (`prompt`, `max_age`).
    """
    if authenticated_at is None:
        return True
    if (
        asked_at is not None
        and asked_at <= authenticated_at
        and now - asked_at < REAUTHENTICATION_WINDOW
    ):
        return False
    if "login" in asked.prompt:
        return True
    return asked.max_age is not None and now - authenticated_at > asked.max_age


def answer_uri(redirect_uri: str, members: Mapping[str, str | None]) -> str:
    """Return the address with the answer in its query; what was there stays as it was."""
    given = {name: value for name, value in members.items() if value}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(given)}"


def _given(parameters: Parameters, name: str) -> list[str]:
    """Return the values of one parameter; an empty one counts as absent. RFC 6749 s. 3.1."""
    return [value for value in parameters.get(name, ()) if value]


def _scope(text: str, client: Client) -> str:
    """Return what is granted: unknown scopes are left out, as OIDC Core s. 3.1.2.1 says."""
    asked = frozenset(text.split(" ")) & KNOWN_SCOPES
    if OPENID not in asked:
        raise InvalidScopeError("The scope must include openid.")
    if not asked <= client.scopes:
        raise InvalidScopeError("The client may not ask for this scope.")
    return ordered(asked)


def _prompt(text: str) -> frozenset[str]:
    prompt = frozenset(text.split())
    if not prompt <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise InvalidRequestError("Unknown 'prompt', or none beside another.")
    # There is no page for either yet, and their absence must not pass for their outcome.
    if "consent" in prompt:
        raise OAuth2Error(error="consent_required")
    if "select_account" in prompt:
        raise OAuth2Error(error="account_selection_required")
    return prompt


def _max_age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise InvalidRequestError("'max_age' is a number of seconds.")
    return timedelta(seconds=int(text))
