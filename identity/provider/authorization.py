"""Reading an authorization request, and whether the person must sign in for it.

Ours rather than Authlib's: that one accepts requests without PKCE, takes a default where the
redirect URI is missing, and puts raw input into error descriptions, which then raise.
Source: RFC 6749 s. 4.1.1; OpenID Connect Core s. 3.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from identity.provider.claims_request import ACR, RequestedClaims, read_claims
from identity.provider.client_authentication import is_client_id
from identity.provider.model import (
    KNOWN_SCOPES,
    OFFLINE_ACCESS,
    OPENID,
    SCOPES_IN_OWN_NAME,
    Client,
    GrantType,
    matches,
    ordered,
)
from identity.provider.resource import audience, invalid_target
from policies.assurance import AssuranceLevel, level_of_acr

MAX_LENGTH: Final = 512  # of state, nonce and each text that names a language or a level
#: As long as an e-mail address can be. Source: RFC 5321 s. 4.5.3.1.3.
MAX_LOGIN_HINT: Final = 254
#: What a pushed request's address begins with. Source: RFC 9126 s. 2.2.
PUSHED_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
PROMPTS: Final = ("none", "login", "consent", "select_account")
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
        "acr_values",
        "claims",
        "claims_locales",
        "display",
        "id_token_hint",
        "login_hint",
        "ui_locales",
        *_UNSUPPORTED,
    }
)

Parameters = Mapping[str, Sequence[str]]


class NoDestination(Exception):
    """The client or its redirect URI is wrong: the answer is a page, never a redirect.

    Source: RFC 6749 s. 4.1.2.1; RFC 9700 s. 4.11.
    """


class RequestGone(NoDestination):
    """There is no such pushed request of this client, or it was answered, or its time ran out."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be answered with a code once the person is signed in.

    Attributes:
        client: who asks.
        redirect_uri: where the answer goes.
        scope: what is granted, at most what was asked.
        state: the client's own value, given back to it as it came.
        nonce: goes into the ID token.
        code_challenge: of PKCE; None where the client needs none.
        prompt: what the person must be shown, or `none`. Source: OIDC Core s. 3.1.2.1.
        max_age: how long ago the person may have proved who they are.
        claims: what is asked for by name, and whom the answer must be about.
        audience: the resource server that the access token is for; None: us. Source: RFC 8707.
        level: the assurance asked for; `"acr" in claims.essential` where the client insists.
        login_hint: the address that the person may want to sign in with.
        ui_locales: languages that the person reads, best first.
        pushed: names the row of a request that was pushed; None: it came by the browser.
    """

    client: Client
    redirect_uri: str
    scope: str
    state: str | None
    nonce: str | None
    code_challenge: str | None
    prompt: frozenset[str]
    max_age: timedelta | None
    claims: RequestedClaims = field(default_factory=RequestedClaims)
    audience: str | None = None
    level: AssuranceLevel | None = None
    login_hint: str | None = None
    ui_locales: tuple[str, ...] = ()
    pushed: str | None = None

    @property
    def offline(self) -> bool:
        """Whether the client wants to act while the person is away. Source: OIDC Core s. 11."""
        return OFFLINE_ACCESS in self.scope.split()

    @property
    def insists_on_level(self) -> bool:
        """Whether a lower level than asked for is no answer. Source: OIDC Core s. 5.5.1.1."""
        return ACR in self.claims.essential


def is_pushed(parameters: Parameters) -> bool:
    """Tell whether the request was pushed, so that only `client_id` counts beside its address."""
    return any(uri.startswith(PUSHED_PREFIX) for uri in parameters.get("request_uri", ()))


def client_of(parameters: Parameters, find: Callable[[str], Client | None]) -> Client:
    """Return who asks.

    Raises:
        NoDestination: it is missing, repeated, unknown or disabled.
    """
    client_ids = given(parameters, "client_id")
    if len(client_ids) != 1:
        raise NoDestination("client_id is needed, once")
    client = find(client_ids[0]) if is_client_id(client_ids[0]) else None
    if client is None or client.disabled_at is not None:
        raise NoDestination("there is no such client")
    return client


def destination(parameters: Parameters, client: Client) -> str:
    """Return where the answer goes.

    Raises:
        NoDestination: it is missing, repeated or not registered.
    """
    uris = given(parameters, "redirect_uri")
    if len(uris) != 1:
        raise NoDestination("redirect_uri is needed, once")
    if not any(matches(registered, uris[0]) for registered in client.redirect_uris):
        raise NoDestination("the redirect_uri is not registered for this client")
    return uris[0]


def state_of(parameters: Parameters) -> str | None:
    """Return the state that every answer carries; None where there is not exactly one."""
    states = given(parameters, "state")
    return states[0] if len(states) == 1 else None


def read(
    parameters: Parameters,
    client: Client,
    redirect_uri: str,
    *,
    issuer: str,
    sub_of_hint: Callable[[str], str],
) -> AuthorizationRequest:
    """Return what is asked.

    Args:
        parameters: as they came; unknown ones are ignored.
        client: who asks.
        redirect_uri: where the answer goes.
        issuer: our base address.
        sub_of_hint: reads an `id_token_hint` of this client's; raises InvalidRequestError.

    Raises:
        OAuth2Error: the error that the client is told at its redirect URI.
    """
    once = _each_once(parameters)
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
    claims = read_claims(once.get("claims", "{}"), client.scopes)
    if "id_token_hint" in once:
        sub = sub_of_hint(once["id_token_hint"])
        if claims.sub not in {None, sub}:
            raise InvalidRequestError("The 'id_token_hint' names another person than 'claims'.")
        claims = replace(claims, sub=sub)
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        scope=_scope(once.get("scope", ""), client),
        state=once.get("state"),
        nonce=once.get("nonce"),
        code_challenge=pkce.challenge_of(once, required=client.require_pkce),
        prompt=_prompt(once.get("prompt", "")),
        max_age=_max_age(once.get("max_age")),
        claims=claims,
        audience=_audience(parameters, client, issuer),
        level=_level(claims, _words(once, "acr_values")),
        login_hint=_login_hint(once.get("login_hint", "")),
        ui_locales=_words(once, "ui_locales"),
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
    if proved_since(asked_at, authenticated_at):
        return False
    if "login" in asked.prompt:
        return True
    return asked.max_age is not None and now - authenticated_at > asked.max_age


def proved_since(asked_at: datetime | None, authenticated_at: datetime | None) -> bool:
    """Tell whether the person proved who they are after this request asked them to."""
    return asked_at is not None and authenticated_at is not None and asked_at <= authenticated_at


def answer_uri(redirect_uri: str, members: Mapping[str, str | None]) -> str:
    """Return the address with the answer in its query; what was there stays as it was."""
    present = {name: value for name, value in members.items() if value}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(present)}"


def given(parameters: Parameters, name: str) -> list[str]:
    """Return the values of one parameter; an empty one counts as absent. RFC 6749 s. 3.1."""
    return [value for value in parameters.get(name, ()) if value]


def _each_once(parameters: Parameters) -> dict[str, str]:
    """Return the parameters that we know, each of which may stand once. RFC 6749 s. 3.1."""
    once: dict[str, str] = {}
    for name in sorted(_ONCE):
        values = given(parameters, name)
        if len(values) > 1:
            raise InvalidRequestError(f"'{name}' may stand once only.")
        if values:
            once[name] = values[0]
    for name in ("state", "nonce"):
        value = once.get(name, "")
        if len(value) > MAX_LENGTH or "\0" in value:
            raise InvalidRequestError(f"'{name}' is too long or holds a null character.")
    return once


def _scope(text: str, client: Client) -> str:
    """Return what is granted: unknown scopes are left out, as OIDC Core s. 3.1.2.1 says.

    So is `offline_access` where the client gets no refresh tokens (s. 11), and whatever an
    application may do in its own name alone (RFC 6749 s. 3.3).
    """
    asked = (frozenset(text.split(" ")) & KNOWN_SCOPES) - SCOPES_IN_OWN_NAME
    if OPENID not in asked:
        raise InvalidScopeError("The scope must include openid.")
    if not client.check_grant_type(GrantType.REFRESH_TOKEN):
        asked -= {OFFLINE_ACCESS}
    if not asked <= client.scopes:
        raise InvalidScopeError("The client may not ask for this scope.")
    return ordered(asked)


def _prompt(text: str) -> frozenset[str]:
    prompt = frozenset(text.split())
    if not prompt <= frozenset(PROMPTS) or ("none" in prompt and len(prompt) > 1):
        raise InvalidRequestError("Unknown 'prompt', or none beside another.")
    return prompt


def _max_age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise InvalidRequestError("'max_age' is a number of seconds.")
    return timedelta(seconds=int(text))


def _words(once: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return a list as OpenID Connect writes it, by spaces; it is a wish, so none too long counts."""
    text = once.get(name, "")
    return tuple(text.split()) if len(text) <= MAX_LENGTH else ()


def _login_hint(text: str) -> str | None:
    return text if 0 < len(text) <= MAX_LOGIN_HINT and text.isprintable() else None


def _audience(parameters: Parameters, client: Client, issuer: str) -> str | None:
    """Return the resource server that the access token is for. Source: RFC 8707 s. 2."""
    resources = given(parameters, "resource")
    if len(resources) > 1:  # a token has one audience
        raise invalid_target()
    return audience(next(iter(resources), None), issuer=issuer, client=client)


def _level(claims: RequestedClaims, wished: tuple[str, ...]) -> AssuranceLevel | None:
    """Return the weakest level that answers the request; None: any.

    Source: OIDC Core s. 3.1.2.1 (`acr_values`), s. 5.5.1.1; OpenID Connect Core Error Code
    unmet_authentication_requirements 1.0.
    """
    known = {level_of_acr(acr) for acr in claims.acr or wished} - {None}
    if not known and ACR in claims.essential:
        raise OAuth2Error(error="unmet_authentication_requirements")
    return next((level for level in AssuranceLevel if level in known), None)
