"""Which client sends a request to the token, introspection or revocation endpoint.

Authlib's own reading of the Authorization header raises on broken base64 and on bytes that are
no UTF-8, takes two methods at once, and tells an unknown client from a wrong secret.
Source: RFC 6749 s. 2.3; RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError

from identity.provider.model import Client, ClientAuthMethod
from privacy.ids import secret_digest

_CLIENT_ID: Final = re.compile(r"[0-9a-f]{32}")
UNAUTHORIZED: Final = 401


def is_client_id(value: str) -> bool:
    """Tell whether a text can be a client's id at all."""
    return _CLIENT_ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request presents: a client's id, `""` where it can be none, and its secret."""

    method: ClientAuthMethod
    client_id: str
    secret: str = field(repr=False)


def credentials(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """Return what a request presents.

    Args:
        authorization: the Authorization header, if any.
        form: the body's members.

    Raises:
        InvalidRequestError: it uses two ways at once.
        InvalidClientError: the header is not one of HTTP Basic.
    """
    if authorization is None:
        method = ClientAuthMethod.POST
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    elif "client_secret" in form:
        raise InvalidRequestError("Use one way of client authentication, not two.")
    else:
        method, (client_id, secret) = ClientAuthMethod.BASIC, _basic(authorization)
        if form.get("client_id", client_id) != client_id:
            raise InvalidRequestError("The body names another client than the header.")
    return Credentials(method, client_id if is_client_id(client_id) else "", secret)


def check(client: Client | None, presented: Credentials) -> Client:
    """Return the client if it proved itself by its secret.

    Args:
        client: the one of the id presented, with the secrets that are valid now; or None.
        presented: from `credentials`.

    Raises:
        InvalidClientError: it did not; the same answer whatever was wrong.
    """
    if (
        client is None
        or client.disabled_at is not None
        or not client.has_secret(secret_digest(presented.secret))
        or presented.method not in client.auth_methods
    ):
        raise _refusal()
    return client


def _basic(header: str) -> tuple[str, str]:
    """Return id and secret of an HTTP Basic header, form-decoded. Source: RFC 6749 s. 2.3.1."""
    scheme, _, credentials = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise _refusal()
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):  # no base64, or no UTF-8 in it
        raise _refusal() from None
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _refusal() -> InvalidClientError:
    return InvalidClientError("The client did not prove itself.", status_code=UNAUTHORIZED)
