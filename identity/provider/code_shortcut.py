"""The usual code exchange before Flask. Source: RFC 6749 s. 4.1.3, 4.1.4.

An ordinary client that proves itself by HTTP Basic, with a proof for its code (PKCE), gets an opaque
access token and an ID token. Everything is read in one statement and signed before the transaction
begins, so that a writer holds SQLite's one lock no longer than writing takes; then the code is claimed
on condition that it still stands as it was read. Whatever else comes, and whoever is too late, takes
the ordinary way (`shortcut.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from urllib.parse import parse_qsl

import sqlalchemy as sa
from authlib.oauth2.rfc6749.errors import OAuth2Error
from flask import Flask

from identity.accounts.attempts import Attempts
from identity.provider import access_token, discovery, id_token, pkce, store, tokens
from identity.provider.model import (
    OFFLINE_ACCESS,
    OPENID,
    PERSON_TOKEN_LIFETIME,
    ClientAuthMethod,
    GrantType,
    SignIn,
    TokenFormat,
    TokensIssued,
    is_one_of,
)
from identity.provider.shortcut import AT, CLIENT, IN_ORDER, SECRET, Shortcut, in_order
from identity.provider.store import CodeRow
from identity.provider.tokens import NewToken
from policies.errors import NotFound
from privacy.actor import Actor, ActorKind
from privacy.events import Json
from privacy.ids import TOKEN_BYTES, secret_digest
from privacy.keys.signing import KeyUse, SigningKeys, current_kid
from privacy.pseudonyms.store import value_of
from privacy.unit_of_work import Runtime, UnitOfWork

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

#: A request with `resource`, or with two proofs, is unusual.
_MEMBERS: Final = frozenset({"grant_type", "code", "redirect_uri", "code_verifier"})

_CODE = cast("sa.Table", CodeRow.__table__)
_LIVING_CODE = (
    sa.select(
        SECRET.c.secret_digest,
        CLIENT.c.auth_methods,
        CLIENT.c.grant_types,
        CLIENT.c.sector,
        _CODE.c.code_digest,
        _CODE.c.client_id,
        _CODE.c.subject_id,
        _CODE.c.redirect_uri,
        _CODE.c.scope,
        _CODE.c.nonce,
        _CODE.c.code_challenge,
        _CODE.c.auth_time,
        _CODE.c.methods,
        _CODE.c.sid,
        _CODE.c.claims,
        value_of(CLIENT.c.sector, _CODE.c.subject_id).label("sub"),
        current_kid(KeyUse.OPENID, AT).label("kid"),
    )
    .select_from(CLIENT)
    .join(SECRET, SECRET.c.client_id == CLIENT.c.client_id)
    .join(_CODE, _CODE.c.client_id == CLIENT.c.client_id)
    .where(
        *IN_ORDER,
        CLIENT.c.token_format == TokenFormat.OPAQUE.value,
        _CODE.c.code_digest == sa.bindparam("of_code"),
        _CODE.c.used_at.is_(None),
        _CODE.c.expires_at > AT,
        _CODE.c.audience.is_(None),
    )
)


class Exchange(Shortcut):
    """Turns a code into an opaque access token and an ID token, once."""

    path: ClassVar[str] = discovery.TOKEN

    def __init__(
        self,
        app: Flask,
        inner: WSGIApplication,
        runtime: Runtime,
        attempts: Attempts,
        signing_keys: SigningKeys,
        issuer: str,
    ) -> None:
        super().__init__(app, inner)
        self._runtime = runtime
        self._attempts = attempts
        self._signing_keys = signing_keys
        self._issuer = issuer

    def _told(
        self, body: bytes, client_id: str, secret: str, address: str | None
    ) -> dict[str, Json] | None:
        form = _form(body)
        code = self._code(form, client_id, secret, address) if form else None
        if form is None or code is None or not _is_usual(code, form):
            return None
        key = self._signing_keys.opened(KeyUse.OPENID, code.kid)
        if key is None:  # the ordinary way opens it
            return None
        token = access_token.opaque(self._runtime.ids.random_bytes(TOKEN_BYTES))
        sign_in = SignIn(code.auth_time, tuple(code.methods.split()), code.sid)
        told = id_token.sign(
            key,
            issuer=self._issuer,
            client_id=client_id,
            sub=code.sub,
            sign_in=sign_in,
            access_token=token,
            issued_at=self._runtime.clock(),
            nonce=code.nonce,
        )
        actor = Actor(kind=ActorKind.APPLICATION, client_id=client_id, address=address)
        if not self._runtime.together(actor, lambda uow: _issue(uow, code, sign_in, token)):
            return None
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(PERSON_TOKEN_LIFETIME.total_seconds()),
            "scope": code.scope,
            "id_token": told,
        }

    def _code(
        self, form: dict[str, str], client_id: str, secret: str, address: str | None
    ) -> sa.Row[Any] | None:
        """Return the code with what belongs to it, if the client proves itself and it is its own."""
        counter = self._attempts.of_client(client_id, address)
        wanted = in_order(client_id, counter, self._runtime.clock())
        wanted["of_code"] = secret_digest(form["code"])
        with self._runtime.database.glance() as connection:
            rows = cast("Sequence[sa.Row[Any]]", connection.execute(_LIVING_CODE, wanted).all())
        if not is_one_of(secret_digest(secret), [row.secret_digest for row in rows]):
            return None
        return rows[0]


def _form(body: bytes) -> dict[str, str] | None:
    """Return the members of a usual request; None where any is missing, empty, twice or another."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), strict_parsing=True, errors="strict", max_num_fields=len(_MEMBERS)
        )
    except ValueError:
        return None
    form = dict(pairs)
    return form if form.keys() == _MEMBERS and len(pairs) == len(_MEMBERS) else None


def _is_usual(code: sa.Row[Any], form: dict[str, str]) -> bool:
    """Tell whether nothing about the request is wrong, and nothing but the two tokens is due."""
    scope = code.scope.split()
    if (
        form["grant_type"] != GrantType.AUTHORIZATION_CODE.value
        or GrantType.AUTHORIZATION_CODE.value not in code.grant_types.split()
        or ClientAuthMethod.BASIC.value not in code.auth_methods.split()
        or form["redirect_uri"] != code.redirect_uri
        or code.sub is None
        or OPENID not in scope
        or OFFLINE_ACCESS in scope
    ):
        return False
    try:
        pkce.check_verifier(code.code_challenge, form["code_verifier"])
    except OAuth2Error:
        return False
    return True


def _issue(uow: UnitOfWork, code: sa.Row[Any], sign_in: SignIn, token: str) -> bool:
    """Claim the code and let the access token count; False where anything has changed. Commits."""
    session, client_id, subject_id = uow.session, code.client_id, code.subject_id
    try:
        tokens.hold_person(uow, subject_id)
    except NotFound:
        return False
    if not store.claim_code_of(
        session, code.code_digest, client_id, code.sector, code.sub, uow.now
    ):
        return False
    uow.record(TokensIssued(subject_id=subject_id, client_id=client_id, scope=code.scope))
    new = NewToken(
        sub=code.sub,
        scope=code.scope,
        issued_at=uow.now,
        expires_at=uow.now + PERSON_TOKEN_LIFETIME,
        subject_id=subject_id,
        sign_in=sign_in,
        claims=code.claims,
        code_digest=code.code_digest,
    )
    tokens.keep(session, client_id, token, new)
    uow.commit()
    return True
