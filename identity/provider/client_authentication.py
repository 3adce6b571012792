"""Which client sends a request to the token, introspection or revocation endpoint.

Authlib's own reading of the Authorization header raises on broken base64 and on bytes that are
no UTF-8, takes two methods at once, and tells an unknown client from a wrong secret.
Source: RFC 6749 s. 2.3; RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError

from identity.provider import client_assertion
from identity.provider.client_assertion import Assertion, AssertionId, AssertionRefused
from identity.provider.model import Client, ClientAuthMethod
from privacy.ids import secret_digest

_CLIENT_ID: Final = re.compile(r"[0-9a-f]{32}")
UNAUTHORIZED: Final = 401


def is_client_id(value: str) -> bool:
    """Tell whether a text can be a client's id at all."""
    return _CLIENT_ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request presents: a client's id, `""` where it can be none, and its proof.

    Attributes:
        secret: of the two methods that have one.
        assertion: of `private_key_jwt`.
    """

    method: ClientAuthMethod
    client_id: str
    secret: str = field(default="", repr=False)
    assertion: Assertion | None = None


@dataclass(frozen=True, slots=True)
class Proven:
    """A client that proved itself, and the assertion by which it did, to be spent first."""

    client: Client
    assertion: AssertionId | None = None


def credentials(authorization: str | None, form: Mapping[str, str]) -> Credentials:
    """Return what a request presents.

    Args:
        authorization: the Authorization header, if any.
        form: the body's members.

    Raises:
        InvalidRequestError: it uses two ways at once.
        InvalidClientError: the header is not one of HTTP Basic, or the assertion no JWT.
    """
    ways = (
        authorization is not None,
        "client_secret" in form,
        "client_assertion" in form or "client_assertion_type" in form,
    )
    if sum(ways) > 1:
        raise InvalidRequestError("Use one way of client authentication, not two.")
    assertion, secret = None, ""
    if authorization is not None:
        method, (client_id, secret) = ClientAuthMethod.BASIC, _basic(authorization)
    elif ways[2]:
        method, assertion = ClientAuthMethod.PRIVATE_KEY_JWT, _assertion(form)
        client_id = assertion.client_id
    else:
        method = ClientAuthMethod.POST
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if form.get("client_id", client_id) != client_id:
        raise InvalidRequestError("'client_id' names another client than the proof.")
    return Credentials(method, client_id if is_client_id(client_id) else "", secret, assertion)


def check(
    client: Client | None, presented: Credentials, *, audiences: Collection[str], now: datetime
) -> Proven:
    """Return the client if it proved itself.

    Args:
        client: the one of the id presented, with the secrets that are valid now; or None.
        presented: from `credentials`.
        audiences: what an assertion may be addressed to.
        now: aware UTC.

    Raises:
        InvalidClientError: it did not; the same answer whatever was wrong.
    """
    if (
        client is None
        or client.disabled_at is not None
        or presented.method not in client.auth_methods
    ):
        raise refusal()
    if presented.assertion is not None:
        try:
            used = client_assertion.check(presented.assertion, client, audiences=audiences, now=now)
        except AssertionRefused:
            raise refusal() from None
        return Proven(client, used)
    if not client.has_secret(secret_digest(presented.secret)):
        raise refusal()
    return Proven(client)


def _assertion(form: Mapping[str, str]) -> Assertion:
    if form.get("client_assertion_type") != client_assertion.TYPE:
        raise refusal()
    try:
        return client_assertion.read(form.get("client_assertion", ""))
    except AssertionRefused:
        raise refusal() from None


def _basic(header: str) -> tuple[str, str]:
    """Return id and secret of an HTTP Basic header, form-decoded. Source: RFC 6749 s. 2.3.1."""
    scheme, _, credentials = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise refusal()
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):  # no base64, or no UTF-8 in it
        raise refusal() from None
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def refusal() -> InvalidClientError:
    """Return the one answer to every client that did not prove itself."""
    return InvalidClientError("The client did not prove itself.", status_code=UNAUTHORIZED)
