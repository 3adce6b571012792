"""Tables of clients, their secrets, codes and access tokens. Secrets are kept as SHA-256 alone.

SHA-256 is enough for what has 256 random bits: there is nothing to guess that a slow hash would
protect. Lists are kept as OAuth writes them, separated by spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.provider.model import Client
from privacy.database import Base, UtcDateTime


class ClientRow(Base):
    """One application."""

    __tablename__ = "oauth_client"

    client_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    redirect_uris: Mapped[str] = mapped_column(sa.Text)
    post_logout_redirect_uris: Mapped[str] = mapped_column(sa.Text)
    grant_types: Mapped[str] = mapped_column(sa.String(200))
    scopes: Mapped[str] = mapped_column(sa.Text)
    purposes: Mapped[str] = mapped_column(sa.Text)
    sector: Mapped[str] = mapped_column(sa.String(200))
    require_pkce: Mapped[bool]
    auth_methods: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ClientSecretRow(Base):
    """One secret of a client; it is valid until `retired_at`, so that a new one can overlap."""

    __tablename__ = "oauth_client_secret"

    secret_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CodeRow(Base):
    """One authorization code; a used one is kept, so that a second use is recognised."""

    __tablename__ = "oauth_code"

    code_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), index=True
    )
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    redirect_uri: Mapped[str] = mapped_column(sa.Text)
    scope: Mapped[str] = mapped_column(sa.Text)
    nonce: Mapped[str | None] = mapped_column(sa.Text)
    code_challenge: Mapped[str | None] = mapped_column(sa.String(43))
    auth_time: Mapped[datetime] = mapped_column(UtcDateTime)
    methods: Mapped[str] = mapped_column(sa.String(200))
    session_id: Mapped[str | None] = mapped_column(sa.String(64))
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def get_redirect_uri(self) -> str:
        """Return the address that the code was sent to; Authlib's grant asks by this name."""
        return self.redirect_uri


class TokenRow(Base):
    """One access token."""

    __tablename__ = "oauth_token"

    token_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), index=True
    )
    subject_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    scope: Mapped[str] = mapped_column(sa.Text)
    code_digest: Mapped[str | None] = mapped_column(
        sa.String(64), sa.ForeignKey("oauth_code.code_digest"), index=True
    )
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def client_from(row: ClientRow | sa.Row[Any], secret_digests: Sequence[str] = ()) -> Client:
    """Return the client of a row, with the digests of its valid secrets where they are needed."""
    return Client(
        client_id=row.client_id,
        name=row.name,
        redirect_uris=tuple(row.redirect_uris.split()),
        post_logout_redirect_uris=tuple(row.post_logout_redirect_uris.split()),
        grant_types=frozenset(row.grant_types.split()),
        scopes=frozenset(row.scopes.split()),
        purposes=frozenset(row.purposes.split()),
        sector=row.sector,
        require_pkce=row.require_pkce,
        auth_methods=frozenset(row.auth_methods.split()),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        secret_digests=tuple(secret_digests),
    )


def valid_secrets(session: Session, client_id: str, at: datetime) -> Sequence[str]:
    """Return the digests of the client's secrets that are valid at this instant."""
    query = sa.select(ClientSecretRow.secret_digest).where(
        ClientSecretRow.client_id == client_id,
        sa.or_(ClientSecretRow.retired_at.is_(None), ClientSecretRow.retired_at > at),
    )
    return session.scalars(query).all()


def retire_secrets(session: Session, client_id: str, at: datetime) -> None:
    """Let every secret that has no earlier end be valid until this instant and no longer."""
    session.execute(
        sa.update(ClientSecretRow)
        .where(
            ClientSecretRow.client_id == client_id,
            sa.or_(ClientSecretRow.retired_at.is_(None), ClientSecretRow.retired_at > at),
        )
        .values(retired_at=at)
    )


def clients(session: Session) -> Sequence[ClientRow]:
    """Return all clients, oldest first."""
    return session.scalars(
        sa.select(ClientRow).order_by(ClientRow.created_at, ClientRow.client_id)
    ).all()


def claim_code(session: Session, digest: str, client_id: str, at: datetime) -> CodeRow | None:
    """Use up this client's code if nobody has and its time has not run out.

    One conditional UPDATE: of several transactions that claim the same code, one gets the row.
    """
    claim = (
        sa.update(CodeRow)
        .where(
            CodeRow.code_digest == digest,
            CodeRow.client_id == client_id,
            CodeRow.used_at.is_(None),
            CodeRow.expires_at > at,
        )
        .values(used_at=at)
    )
    if _changed(session, claim) != 1:
        return None
    return session.get(CodeRow, digest)


def used_code(session: Session, digest: str, client_id: str) -> CodeRow | None:
    """Return this client's code where it was used before."""
    query = sa.select(CodeRow).where(
        CodeRow.code_digest == digest,
        CodeRow.client_id == client_id,
        CodeRow.used_at.is_not(None),
    )
    return session.scalars(query).one_or_none()


_TOKEN = cast("sa.Table", TokenRow.__table__)
_CLIENT = cast("sa.Table", ClientRow.__table__)
# Built once: every call of the JSON API asks it.
_TOKEN_AND_CLIENT = (
    sa.select(
        _TOKEN.c.subject_id,
        _TOKEN.c.scope,
        _TOKEN.c.issued_at,
        _TOKEN.c.expires_at,
        _TOKEN.c.revoked_at,
        *_CLIENT.c,
    )
    .join(_CLIENT, _CLIENT.c.client_id == _TOKEN.c.client_id)
    .where(_TOKEN.c.token_digest == sa.bindparam("of_digest"))
)


def token(session: Session, digest: str) -> sa.Row[Any] | None:
    """Return the token of this digest with its client's columns, whatever its state."""
    return session.execute(_TOKEN_AND_CLIENT, {"of_digest": digest}).one_or_none()


def revoke_of_code(session: Session, code_digest: str, at: datetime) -> int:
    """End the tokens that a code yielded and return how many were still valid."""
    return _changed(
        session,
        sa.update(TokenRow)
        .where(
            TokenRow.code_digest == code_digest,
            TokenRow.revoked_at.is_(None),
            TokenRow.expires_at > at,
        )
        .values(revoked_at=at),
    )


def revoke(session: Session, digest: str, at: datetime) -> int:
    """End one token and return whether (1 or 0) it was not ended before."""
    return _changed(
        session,
        sa.update(TokenRow)
        .where(TokenRow.token_digest == digest, TokenRow.revoked_at.is_(None))
        .values(revoked_at=at),
    )


def subject_of_code(session: Session, digest: str) -> str | None:
    """Return whom a code is for, whatever its state; None where there is no such code."""
    return session.scalar(sa.select(CodeRow.subject_id).where(CodeRow.code_digest == digest))


def void_codes(session: Session, subject_id: str, at: datetime) -> int:
    """Use up a person's codes that nobody has exchanged, and return how many."""
    return _changed(
        session,
        sa.update(CodeRow)
        .where(CodeRow.subject_id == subject_id, CodeRow.used_at.is_(None))
        .values(used_at=at)
        .execution_options(synchronize_session=False),
    )


def revoke_of_subject(session: Session, subject_id: str, at: datetime) -> Sequence[str]:
    """End a person's tokens and return the ids of the clients that held valid ones."""
    valid = (
        TokenRow.subject_id == subject_id,
        TokenRow.revoked_at.is_(None),
        TokenRow.expires_at > at,
    )
    holders = session.scalars(
        sa.select(TokenRow.client_id).where(*valid).order_by(TokenRow.client_id).distinct()
    ).all()
    ending = sa.update(TokenRow).where(*valid).values(revoked_at=at)
    _changed(session, ending.execution_options(synchronize_session=False))
    return holders


def forget(session: Session, subject_id: str) -> None:
    """Delete a person's tokens and codes."""
    session.execute(sa.delete(TokenRow).where(TokenRow.subject_id == subject_id))
    session.execute(sa.delete(CodeRow).where(CodeRow.subject_id == subject_id))


def _changed(session: Session, statement: sa.Update) -> int:
    result = cast("sa.CursorResult[Any]", session.execute(statement))
    return result.rowcount
