"""Introspection before Flask: the usual request in one statement. Source: RFC 7662.

It answers only where everything is as it should be: a client that proves itself by HTTP Basic, never
failed from this network of late, and asks about a living access token of its own. Whatever else comes
takes the ordinary way (`shortcut.py`). A resource server asks at each of its own requests: hence the
hurry.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

import sqlalchemy as sa
from flask import Flask

from identity.accounts.attempts import Attempts
from identity.provider import discovery
from identity.provider.code_shortcut import Exchange
from identity.provider.introspection import of_access_token
from identity.provider.model import ClientAuthMethod, is_one_of
from identity.provider.shortcut import AT, CLIENT, IN_ORDER, SECRET, TOKEN, Shortcut, in_order
from privacy.events import Json
from privacy.ids import secret_digest
from privacy.keys.signing import SigningKeys
from privacy.pseudonyms.store import value_of
from privacy.unit_of_work import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: Opaque tokens alone, and nothing that would have to be decoded.
_BODY: Final = re.compile(rb"token=(pat_[A-Za-z0-9_-]{43})(?:&token_type_hint=[a-z_]{1,32})?")

_LIVING_TOKEN = (
    sa.select(
        SECRET.c.secret_digest,
        CLIENT.c.auth_methods,
        TOKEN.c.subject_id,
        TOKEN.c.scope,
        TOKEN.c.audience,
        TOKEN.c.issued_at,
        TOKEN.c.expires_at,
        value_of(CLIENT.c.sector, TOKEN.c.subject_id).label("sub"),
    )
    .select_from(CLIENT)
    .join(SECRET, SECRET.c.client_id == CLIENT.c.client_id)
    .join(TOKEN, TOKEN.c.client_id == CLIENT.c.client_id)
    .where(
        *IN_ORDER,
        TOKEN.c.token_digest == sa.bindparam("of_token"),
        TOKEN.c.revoked_at.is_(None),
        TOKEN.c.expires_at > AT,
    )
)


class Introspection(Shortcut):
    """Tells a client of a living opaque access token of its own."""

    path: ClassVar[str] = discovery.INTROSPECT

    def __init__(
        self, app: Flask, inner: WSGIApplication, runtime: Runtime, attempts: Attempts, issuer: str
    ) -> None:
        super().__init__(app, inner)
        self._runtime = runtime
        self._attempts = attempts
        self._issuer = issuer

    def _told(
        self, body: bytes, client_id: str, secret: str, address: str | None
    ) -> dict[str, Json] | None:
        form = _BODY.fullmatch(body)
        if form is None:
            return None
        counter = self._attempts.of_client(client_id, address)
        wanted = in_order(client_id, counter, self._runtime.clock())
        wanted["of_token"] = secret_digest(form[1].decode())
        with self._runtime.database.glance() as connection:
            rows = connection.execute(_LIVING_TOKEN, wanted).all()
        if not rows or not is_one_of(secret_digest(secret), [row.secret_digest for row in rows]):
            return None
        found: sa.Row[Any] = rows[0]
        if ClientAuthMethod.BASIC.value not in found.auth_methods.split():
            return None
        if found.subject_id is not None and found.sub is None:
            return None
        return of_access_token(
            issuer=self._issuer,
            client_id=client_id,
            audience=found.audience,
            scope=found.scope.split(),
            issued_at=found.issued_at,
            expires_at=found.expires_at,
        ) | ({} if found.subject_id is None else {"sub": found.sub})


def put_before(
    app: Flask, runtime: Runtime, attempts: Attempts, signing_keys: SigningKeys, issuer: str
) -> None:
    """Let `app` answer usual requests so; call it before anything else wraps the app."""
    inner = Exchange(app, app.wsgi_app, runtime, attempts, signing_keys, issuer)
    answering = Introspection(app, inner, runtime, attempts, issuer)
    app.wsgi_app = answering  # type: ignore[method-assign]  # Flask's documented way
