"""Access tokens: kept by digest, so that each can be ended at once. docs/decisions/0006.

Whatever ends tokens ends first the codes and the refresh tokens that more would come of: an
exchange that was quicker has issued its tokens by then, and they end too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from identity.accounts.service import Accounts
from identity.provider import access_token, refresh_store, store
from identity.provider.model import Client, RevocationReason, SignIn, Token, TokensRevoked
from identity.provider.refresh_store import FamilyRow
from identity.provider.store import CodeRow, TokenRow
from policies.errors import NotFound
from privacy.ids import secret_digest
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What an access token is going to stand for; `Token` and `SignIn` tell the rest.

    Attributes:
        sub: who it is about, to its client: a person's pseudonym, or the client itself.
        claims: what the authorization request asked of userinfo one by one.
        code_digest: the authorization code that it came of, through whatever refresh tokens.
        family_id: the refresh tokens' family, where there is one.
    """

    sub: str
    scope: str
    issued_at: datetime
    expires_at: datetime
    audience: str | None = None
    subject_id: str | None = None
    sign_in: SignIn | None = None
    claims: str = ""
    code_digest: str | None = None
    family_id: str | None = None


def hold_person(uow: UnitOfWork, subject_id: str) -> None:
    """Let nobody shut the account before the tokens are issued, so that shutting ends them.

    The person is held first, then the account, then what is claimed: in the order in which a
    withdrawal and an erasure do, which end what is issued here. So none waits in a ring.

    Raises:
        NotFound: it is shut, or the person was erased.
    """
    if Subjects.hold_current(uow.session, subject_id) is None:
        raise NotFound("The person is no longer here.")
    Accounts.lock_of_subject(uow, subject_id)


def keep(session: Session, client_id: str, secret: str, new: NewToken) -> None:
    """Let an access token count from now on; joins the caller's transaction."""
    store.add_token(
        session,
        {
            "token_digest": secret_digest(secret),
            "client_id": client_id,
            "subject_id": new.subject_id,
            "scope": new.scope,
            "code_digest": new.code_digest,
            "family_id": new.family_id,
            "sid": new.sign_in.sid if new.sign_in else None,
            "audience": new.audience,
            "claims": new.claims,
            "issued_at": new.issued_at,
            "expires_at": new.expires_at,
        },
    )


def find(session: Session, secret: str, at: datetime) -> Token | None:
    """Return what a token stands for now; None if unknown, expired, revoked or of a dead client.

    It may be for another resource server: `Token.is_for_us`.
    """
    if not access_token.is_one(secret):
        return None
    return living(store.token(session, secret_digest(secret)), at)


def living(row: sa.Row[Any] | None, at: datetime) -> Token | None:
    """Return what a token's row with its client's columns stands for now; None as in `find`."""
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
        audience=row.audience,
        claims=frozenset(row.claims.split()),
    )


def find_for_us(session: Session, secret: str, at: datetime) -> Token | None:
    """Return what a token stands for at our own API; None also of one for somebody else's.

    Source: RFC 9068 s. 4; OWASP ASVS 5.0 10.3.1.
    """
    token = find(session, secret, at)
    return token if token is not None and token.is_for_us else None


def revoke(uow: UnitOfWork, client: Client, secret: str) -> bool:
    """End an access token of this client, and tell whether that changed anything.

    Another client's token stays as it is. Joins the caller's transaction.
    Source: RFC 7009 s. 2.1.
    """
    token = find(uow.session, secret, uow.now)
    if token is None or token.client.client_id != client.client_id:
        return False
    return _end(
        uow,
        RevocationReason.ASKED_BY_CLIENT,
        tokens=[TokenRow.token_digest == secret_digest(secret)],
    )


def revoke_of_code(uow: UnitOfWork, code: CodeRow) -> bool:
    """End what a code yielded that came a second time; tell whether there was anything to end.

    Joins the caller's transaction. Source: RFC 6749 s. 4.1.2.
    """
    return _end(
        uow,
        RevocationReason.CODE_REPLAYED,
        families=[FamilyRow.code_digest == code.code_digest],
        tokens=[TokenRow.code_digest == code.code_digest],
    )


def revoke_of_family(uow: UnitOfWork, family: FamilyRow, reason: RevocationReason) -> bool:
    """End a family of refresh tokens with its access tokens; tell whether any was alive; joins."""
    return _end(
        uow,
        reason,
        families=[FamilyRow.family_id == family.family_id],
        tokens=[TokenRow.code_digest == family.code_digest],
    )


def revoke_of_subject(
    uow: UnitOfWork, subject_id: str, reason: RevocationReason = RevocationReason.ACCOUNT_SHUT
) -> None:
    """End what every application holds of a person, as when the account was shut; joins."""
    _end(
        uow,
        reason,
        codes=[CodeRow.subject_id == subject_id],
        families=[FamilyRow.subject_id == subject_id],
        tokens=[TokenRow.subject_id == subject_id],
    )


def revoke_of_client_and_subject(
    uow: UnitOfWork, client_id: str, subject_id: str, reason: RevocationReason
) -> None:
    """End what one application holds of a person; joins."""
    _end(
        uow,
        reason,
        codes=[CodeRow.client_id == client_id, CodeRow.subject_id == subject_id],
        families=[FamilyRow.client_id == client_id, FamilyRow.subject_id == subject_id],
        tokens=[TokenRow.client_id == client_id, TokenRow.subject_id == subject_id],
    )


def revoke_of_sid(uow: UnitOfWork, sid: str, reason: RevocationReason) -> None:
    """End what an application holds of one browser session, since that ended; joins.

    What the person allowed it while they are away stays: refresh tokens, and the access tokens
    that belong to them. Source: OpenID Connect Back-Channel Logout s. 2.7.
    """
    _end(
        uow,
        reason,
        codes=[CodeRow.sid == sid],
        tokens=[TokenRow.sid == sid, TokenRow.family_id.is_(None)],
    )


def _end(
    uow: UnitOfWork,
    reason: RevocationReason,
    *,
    codes: Sequence[sa.ColumnElement[bool]] = (),
    families: Sequence[sa.ColumnElement[bool]] = (),
    tokens: Sequence[sa.ColumnElement[bool]],
) -> bool:
    session, now = uow.session, uow.now
    session.flush()  # what this very transaction issued ends as well
    holders = store.void_codes(session, now, *codes) if codes else frozenset()
    if families:
        holders |= refresh_store.end_families(session, now, *families)
    holders |= store.end_tokens(session, now, *tokens)
    for client_id, subject_id in sorted(holders):
        uow.record(
            TokensRevoked(subject_id=subject_id or None, client_id=client_id, reason=reason.value)
        )
    return bool(holders)
