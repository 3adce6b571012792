"""Access tokens: opaque, kept by digest, so that one can be ended at once. docs/decisions/0006."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from identity.provider import store
from identity.provider.model import (
    Client,
    RevocationReason,
    Token,
    TokensIssued,
    TokensRevoked,
)
from privacy.ids import new_token, secret_digest
from privacy.unit_of_work import UnitOfWork

#: Lets people and scanners of leaked secrets see what they have found.
PREFIX: Final = "pat_"


def issue(
    uow: UnitOfWork,
    client: Client,
    scope: str,
    lifetime: timedelta,
    code: store.CodeRow | None = None,
) -> str:
    """Return a new access token, for the person of `code` or for the client itself.

    Joins the caller's transaction.
    """
    secret = PREFIX + new_token(uow.ids)
    subject_id = code.subject_id if code else None
    uow.session.add(
        store.TokenRow(
            token_digest=secret_digest(secret),
            client_id=client.client_id,
            subject_id=subject_id,
            scope=scope,
            code_digest=code.code_digest if code else None,
            issued_at=uow.now,
            expires_at=uow.now + lifetime,
        )
    )
    uow.record(TokensIssued(subject_id=subject_id, client_id=client.client_id, scope=scope))
    return secret


def find(session: Session, secret: str, at: datetime) -> Token | None:
    """Return what a token stands for now; None if unknown, expired, revoked or of a dead client."""
    if not secret.startswith(PREFIX):
        return None
    row = store.token(session, secret_digest(secret))
    if row is None or row.revoked_at is not None or row.disabled_at is not None:
        return None
    if row.expires_at <= at:
        return None
    return Token(
        client=store.client_from(row),
        subject_id=row.subject_id,
        scope=frozenset(row.scope.split()),
        issued_at=row.issued_at,
        expires_at=row.expires_at,
    )


def revoke_of_code(uow: UnitOfWork, code: store.CodeRow) -> bool:
    """End what a code yielded that came a second time; tell whether there was anything to end.

    Joins the caller's transaction. Source: RFC 6749 s. 4.1.2.
    """
    if not store.revoke_of_code(uow.session, code.code_digest, uow.now):
        return False
    _record_revoked(uow, code.subject_id, code.client_id, RevocationReason.CODE_REPLAYED)
    return True


def revoke(uow: UnitOfWork, client: Client, secret: str) -> bool:
    """End a token of this client, and tell whether that changed anything.

    Another client's token stays as it is. Joins the caller's transaction.
    Source: RFC 7009 s. 2.1.
    """
    token = find(uow.session, secret, uow.now)
    if token is None or token.client.client_id != client.client_id:
        return False
    if not store.revoke(uow.session, secret_digest(secret), uow.now):
        return False
    _record_revoked(uow, token.subject_id, client.client_id, RevocationReason.ASKED_BY_CLIENT)
    return True


def revoke_of_subject(
    uow: UnitOfWork, subject_id: str, reason: RevocationReason = RevocationReason.ACCOUNT_SHUT
) -> None:
    """End what every application holds of a person, as when the account was shut; joins.

    Codes first: an exchange that was quicker has issued its token by then, and it ends too.
    """
    store.void_codes(uow.session, subject_id, uow.now)
    for client_id in store.revoke_of_subject(uow.session, subject_id, uow.now):
        _record_revoked(uow, subject_id, client_id, reason)


def _record_revoked(
    uow: UnitOfWork, subject_id: str | None, client_id: str, reason: RevocationReason
) -> None:
    uow.record(TokensRevoked(subject_id=subject_id, client_id=client_id, reason=reason.value))
