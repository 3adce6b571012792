"""Refresh tokens: rotated at each use, in families that end when a used one comes again.

A used one that comes again at once, while nobody has used what it yielded, yields the same pair: an
answer may be lost on its way. Nothing secret is kept for that: the successor's secret and the
access token's are computed from the secret that was shown, under a key of ours.
Source: RFC 6749 s. 6; RFC 9700 s. 4.14.2; OWASP ASVS 5.0 10.4.5, 10.4.8.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from sqlalchemy.orm import Session

from identity.provider import refresh_store, tokens
from identity.provider.model import (
    PERSON_TOKEN_LIFETIME,
    REFRESH_ABSOLUTE,
    REFRESH_GRACE,
    REFRESH_IDLE,
    SCOPES_IN_OWN_NAME,
    Client,
    RevocationReason,
    TokenAnswer,
    TokensRefreshed,
    ordered,
)
from identity.provider.refresh_store import FamilyRow, RefreshTokenRow
from identity.provider.store import CodeRow
from privacy.ids import new_id, new_token, secret_digest
from privacy.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from identity.provider.server import Server

PREFIX: Final = "prt_"


class RefreshReused(InvalidGrantError):  # type: ignore[misc]  # Authlib is untyped
    """A refresh token came again, too late: one of the two who have it stole it.

    Attributes:
        family: what must end.
    """

    def __init__(self, family: FamilyRow) -> None:
        super().__init__("The refresh token was used before.")
        self.family = family


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token of this client that may be used, or used again, now.

    Authlib's grant asks by the names of its two methods.
    """

    secret: str = field(repr=False)
    row: RefreshTokenRow
    family: FamilyRow
    scope: frozenset[str]

    def check_client(self, client: Client) -> bool:
        """Tell whether it is the client's; no other one's was looked for."""
        return self.family.client_id == client.client_id

    def get_scope(self) -> str:
        """Return the widest scope that it can give."""
        return ordered(self.scope)


def begin_family(uow: UnitOfWork, code: CodeRow) -> tuple[FamilyRow, str]:
    """Return a new family, for the sign-in behind a code, and its first refresh token; joins."""
    family = FamilyRow(
        family_id=new_id(uow.ids),
        client_id=code.client_id,
        subject_id=code.subject_id,
        scope=code.scope,
        claims=code.claims,
        audience=code.audience,
        code_digest=code.code_digest,
        auth_time=code.auth_time,
        methods=code.methods,
        sid=code.sid,
        created_at=uow.now,
        last_used_at=uow.now,
        expires_at=code.auth_time + REFRESH_ABSOLUTE,
    )
    uow.session.add(family)
    secret = PREFIX + new_token(uow.ids)
    _keep(uow, family, secret)
    return family, secret


def living(
    session: Session, client: Client, secret: str, at: datetime
) -> tuple[RefreshTokenRow, FamilyRow] | None:
    """Return this client's refresh token and its family; None unless it may be used now."""
    found = _find(session, client, secret)
    if found is None:
        return None
    row, family = found
    spent = row.used_at is not None or family.revoked_at is not None
    return None if spent or row.expires_at <= at else found


def revoke(uow: UnitOfWork, client: Client, secret: str) -> bool:
    """End the family of this client's refresh token; tell whether that changed anything.

    Joins the caller's transaction. Source: RFC 7009 s. 2.1 (the access tokens end too).
    """
    found = _find(uow.session, client, secret)
    if found is None:
        return False
    return tokens.revoke_of_family(uow, found[1], RevocationReason.ASKED_BY_CLIENT)


class Refresh(RefreshTokenGrant):  # type: ignore[misc]  # Authlib is untyped
    """Turns a refresh token into the next one and an access token."""

    server: Server
    request: Any  # Authlib's, which carries what one step finds to the next

    def authenticate_refresh_token(self, secret: str) -> Presented | None:
        """Return the refresh token if it may be used, or once more yield what it yielded.

        The account is held, so that shutting it ends what is issued here.

        Raises:
            RefreshReused: it was used before, too long ago or with a successor in use.
            InvalidGrantError: its time has run out, its family ended, or the account was shut.
        """
        uow, client = self.server.uow, self.server.authenticate_client()
        found = _find(uow.session, client, secret)
        if found is None:
            return None
        row, family = found
        self.server.hold_account(family.subject_id)
        if not refresh_store.hold(uow.session, row, family):
            return None
        if family.revoked_at is not None or family.expires_at <= uow.now:
            raise InvalidGrantError("The refresh token has ended.")
        if row.used_at is None:
            if row.expires_at <= uow.now:
                raise InvalidGrantError("The refresh token has ended.")
        elif uow.now >= row.used_at + REFRESH_GRACE or not refresh_store.is_unused(
            uow.session, secret_digest(self._successor(secret))
        ):
            raise RefreshReused(family)
        scope = frozenset(family.scope.split()) & client.scopes - SCOPES_IN_OWN_NAME
        return Presented(secret, row, family, scope)

    def create_token_response(self) -> TokenAnswer:
        """Issue the pair, or the same one again. Authlib's own never rotates, and writes to logs.

        Raises:
            InvalidGrantError: the person was erased, or a second request wants something else.
            InvalidScopeError: nothing is left that the client may ask for.
        """
        presented: Presented = self.request.refresh_token
        row, family, uow = presented.row, presented.family, self.server.uow
        asked = self.request.payload.scope
        scope = ordered(frozenset(asked.split(" ")) if asked else presented.scope)
        if not scope:
            raise InvalidScopeError("Nothing of this scope is left.")
        audience = self.server.granted_audience(self.request.form, family.audience)
        successor = self._successor(presented.secret)
        again = row.used_at is not None
        if not again:
            self._rotate(presented, successor, scope, audience)
        elif (row.used_scope, row.used_audience) != (scope, audience):
            raise InvalidGrantError("The refresh token was used for something else.")
        issued_at = row.used_at or uow.now
        return self.server.answer_for_person(
            family,
            scope=scope,
            audience=audience,
            seed=self._derived(presented.secret, "access"),
            issued_at=issued_at,
            expires_at=min(issued_at + PERSON_TOKEN_LIFETIME, family.expires_at),
            family_id=family.family_id,
            refresh_token=successor,
            again=again,
        )

    def _rotate(
        self, presented: Presented, successor: str, scope: str, audience: str | None
    ) -> None:
        """Use the token up and let its successor count."""
        uow, family = self.server.uow, presented.family
        if not refresh_store.claim(
            uow.session,
            presented.row.token_digest,
            scope=scope,
            audience=audience,
            at=uow.now,
        ):
            raise InvalidGrantError("The refresh token was used at this moment.")
        family.last_used_at = uow.now
        _keep(uow, family, successor)
        uow.record(
            TokensRefreshed(subject_id=family.subject_id, client_id=family.client_id, scope=scope)
        )

    def _successor(self, secret: str) -> str:
        chance = self._derived(secret, "refresh")
        return PREFIX + base64.urlsafe_b64encode(chance).rstrip(b"=").decode()

    def _derived(self, secret: str, use: str) -> bytes:
        return hmac.digest(self.server.refresh_key, f"{use}|{secret}".encode(), "sha256")


def _find(
    session: Session, client: Client, secret: str
) -> tuple[RefreshTokenRow, FamilyRow] | None:
    if not secret.startswith(PREFIX):
        return None
    return refresh_store.find(session, secret_digest(secret), client.client_id)


def _keep(uow: UnitOfWork, family: FamilyRow, secret: str) -> None:
    uow.session.add(
        RefreshTokenRow(
            token_digest=secret_digest(secret),
            family_id=family.family_id,
            issued_at=uow.now,
            expires_at=min(uow.now + REFRESH_IDLE, family.expires_at),
        )
    )
