"""How the endpoints that applications call read what is sent and answer: OAuth's own form.

Source: RFC 6749 s. 3.2, 5; RFC 6750 s. 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error
from flask import Response, jsonify, request

from identity.provider.model import Client
from policies.errors import TooManyAttempts
from privacy.actor import Actor, ActorKind

FORM: Final = "application/x-www-form-urlencoded"
#: Keys and discovery may be kept this long: a new key is published before it signs.
PUBLIC_SECONDS: Final = 300


class BearerError(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """A protected resource refuses a token. Source: RFC 6750 s. 3."""

    def __init__(self, status: int, error: str | None, scope: str | None = None) -> None:
        super().__init__(error=error, status_code=status)
        self.scope = scope


def as_actor(client: Client) -> Actor:
    """Return the client that proved itself as the caller of a use case."""
    return Actor(
        kind=ActorKind.APPLICATION, client_id=client.client_id, address=request.remote_addr
    )


def form_of_request() -> dict[str, str]:
    """Return the body's members; those without a value count as absent. RFC 6749 s. 3.2.

    Parameters of the address are never read: a secret there would stand in every log.

    Raises:
        InvalidRequestError: it is no form, or a member is repeated.
    """
    if request.mimetype != FORM:
        raise InvalidRequestError(f"Send Content-Type: {FORM}.")
    members: dict[str, str] = {}
    for name, values in request.form.lists():
        if len(values) > 1:
            raise InvalidRequestError("A parameter may stand once only.")
        if values[0]:
            members[name] = values[0]
    return members


def member(form: Mapping[str, str], name: str) -> str:
    """Return a member that must be there.

    Raises:
        InvalidRequestError: it is not.
    """
    if name not in form:
        raise InvalidRequestError(f"Missing '{name}'.")
    return form[name]


def refusal(error: OAuth2Error) -> Response:
    """Return an error in OAuth's form. Source: RFC 6749 s. 5.2; RFC 6750 s. 3."""
    body = {
        name: text
        for name, text in (("error", error.error), ("error_description", error.description))
        if text
    }
    response = jsonify(body)
    response.status_code = error.status_code
    if isinstance(error, BearerError):
        parts = ['Bearer realm="placet"']
        parts += [f'error="{error.error}"'] if error.error else []
        parts += [f'scope="{error.scope}"'] if error.scope else []
        response.headers["WWW-Authenticate"] = ", ".join(parts)
    elif error.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="placet"'
    return unstored(response)


def wait(error: TooManyAttempts) -> Response:
    """Return how long a client must wait. Source: RFC 6585 s. 4."""
    response = jsonify(error="temporarily_unavailable", error_description=error.detail)
    response.status_code = 429
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return unstored(response)


def unstored(response: Response) -> Response:
    """Mark an answer that nobody may keep. Source: RFC 6749 s. 5.1."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def public(response: Response) -> Response:
    """Mark an answer that everybody may keep for a while."""
    response.headers["Cache-Control"] = f"public, max-age={PUBLIC_SECONDS}"
    return response
