"""Tables of clients, their secrets, codes and access tokens. Secrets are kept as SHA-256 alone.

SHA-256 is enough for what has 256 random bits: there is nothing to guess that a slow hash would
protect. Lists are kept as OAuth writes them, separated by spaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.provider.model import Client, TokenFormat
from privacy.pseudonyms.store import value_of
from privacy.tables import ADMITS, Base, UtcDateTime


class ClientRow(Base):
    """One application."""

    __tablename__ = "oauth_client"
    __table_args__ = {"info": ADMITS}  # noqa: RUF012 - SQLAlchemy's own form

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
    token_format: Mapped[str] = mapped_column(sa.String(8), server_default="opaque")
    audiences: Mapped[str] = mapped_column(sa.Text, server_default=sa.text("''"))
    require_par: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    backchannel_logout_uri: Mapped[str | None] = mapped_column(sa.Text)
    ends_with_withdrawal: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    jwks: Mapped[str | None] = mapped_column(sa.Text)
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
    sid: Mapped[str | None] = mapped_column(sa.String(32))
    audience: Mapped[str | None] = mapped_column(sa.Text)
    claims: Mapped[str] = mapped_column(sa.Text, server_default=sa.text("''"))
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def get_redirect_uri(self) -> str:
        """Return the address that the code was sent to; Authlib's grant asks by this name."""
        return self.redirect_uri


class TokenRow(Base):
    """One access token."""

    __tablename__ = "oauth_token"
    __table_args__ = {"info": ADMITS}  # noqa: RUF012 - SQLAlchemy's own form

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
    family_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    sid: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    audience: Mapped[str | None] = mapped_column(sa.Text)
    claims: Mapped[str] = mapped_column(sa.Text, server_default=sa.text("''"))
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
        token_format=TokenFormat(row.token_format),
        audiences=tuple(row.audiences.split()),
        require_par=row.require_par,
        backchannel_logout_uri=row.backchannel_logout_uri,
        ends_with_withdrawal=row.ends_with_withdrawal,
        jwks=row.jwks,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        secret_digests=tuple(secret_digests),
    )


# Built once: each exchange of a code asks them.
_CODE = cast("sa.Table", CodeRow.__table__)
_UNUSED = (
    _CODE.c.code_digest == sa.bindparam("of_digest"),
    _CODE.c.client_id == sa.bindparam("of_client"),
    _CODE.c.used_at.is_(None),
    _CODE.c.expires_at > sa.bindparam("of_at"),
)
_SUBJECT_OF_CODE = sa.select(_CODE.c.subject_id).where(
    _CODE.c.code_digest == sa.bindparam("of_digest")
)
_CLAIM = (
    sa.update(CodeRow)
    .where(*_UNUSED)
    .values(used_at=sa.bindparam("of_at"))
    .returning(CodeRow)
    .execution_options(synchronize_session=False)
)
_CLAIM_OF = (
    sa.update(_CODE)
    .where(
        *_UNUSED,
        value_of(sa.bindparam("of_sector", type_=sa.String()), _CODE.c.subject_id)
        == sa.bindparam("of_sub"),
    )
    .values(used_at=sa.bindparam("of_at"))
)


def claim_code(session: Session, digest: str, client_id: str, at: datetime) -> CodeRow | None:
    """Use up this client's code if nobody has and its time has not run out.

    One conditional UPDATE: of several transactions that claim the same code, one gets the row.
    """
    wanted = {"of_digest": digest, "of_client": client_id, "of_at": at}
    return session.scalars(_CLAIM, wanted).one_or_none()


def claim_code_of(
    session: Session, digest: str, client_id: str, sector: str, sub: str, at: datetime
) -> bool:
    """As `claim_code`, if the sector still knows the code's person by `sub`; tell whether it did."""
    wanted = {"of_digest": digest, "of_client": client_id, "of_at": at}
    claimed = session.execute(_CLAIM_OF, wanted | {"of_sector": sector, "of_sub": sub})
    return cast("sa.CursorResult[Any]", claimed).rowcount == 1


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
_ADD_TOKEN = sa.insert(_TOKEN)
# Built once: every call of the JSON API asks it.
_TOKEN_AND_CLIENT = (
    sa.select(
        _TOKEN.c.subject_id,
        _TOKEN.c.scope,
        _TOKEN.c.issued_at,
        _TOKEN.c.expires_at,
        _TOKEN.c.revoked_at,
        _TOKEN.c.audience,
        _TOKEN.c.claims,
        *_CLIENT.c,
    )
    .join(_CLIENT, _CLIENT.c.client_id == _TOKEN.c.client_id)
    .where(_TOKEN.c.token_digest == sa.bindparam("of_digest"))
)


def add_token(session: Session, columns: Mapping[str, object]) -> None:
    """Add an access token by its columns."""
    session.execute(_ADD_TOKEN, columns)


def token(session: Session, digest: str) -> sa.Row[Any] | None:
    """Return the token of this digest with its client's columns, whatever its state."""
    return session.execute(_TOKEN_AND_CLIENT, {"of_digest": digest}).one_or_none()


#: A token with its client, whatever their state, by `of_digest`.
TOKEN_AND_CLIENT = _TOKEN_AND_CLIENT


def subject_of_code(session: Session, digest: str) -> str | None:
    """Return whom a code is for, whatever its state; None where there is no such code."""
    return session.scalar(_SUBJECT_OF_CODE, {"of_digest": digest})


def void_codes(
    session: Session, at: datetime, *which: sa.ColumnElement[bool]
) -> frozenset[tuple[str, str]]:
    """Use up the codes that these conditions name and that nobody has exchanged.

    Returns:
        Each one's client and person.
    """
    waiting = (CodeRow.used_at.is_(None), CodeRow.expires_at > at)
    held = session.execute(
        sa.select(CodeRow.code_digest, CodeRow.client_id, CodeRow.subject_id)
        .where(*which, *waiting)
        .order_by(CodeRow.code_digest)
        .with_for_update()
    ).all()
    if held:
        named = CodeRow.code_digest.in_([row.code_digest for row in held])
        voiding = sa.update(CodeRow).where(named).values(used_at=at)
        session.execute(voiding.execution_options(synchronize_session=False))
    return frozenset((row.client_id, row.subject_id) for row in held)


def end_tokens(
    session: Session, at: datetime, *which: sa.ColumnElement[bool]
) -> frozenset[tuple[str, str]]:
    """End the living tokens that these conditions name.

    They are held in one order, so that two who end the same ones never wait for each other.

    Returns:
        Each one's client and person; the person is "" where the token was the client's own.
    """
    living = (TokenRow.revoked_at.is_(None), TokenRow.expires_at > at)
    held = session.execute(
        sa.select(TokenRow.token_digest, TokenRow.client_id, TokenRow.subject_id)
        .where(*which, *living)
        .order_by(TokenRow.token_digest)
        .with_for_update()
    ).all()
    if held:
        named = TokenRow.token_digest.in_([row.token_digest for row in held])
        ending = sa.update(TokenRow).where(named).values(revoked_at=at)
        session.execute(ending.execution_options(synchronize_session=False))
    return frozenset((row.client_id, row.subject_id or "") for row in held)


def forget(session: Session, subject_id: str) -> None:
    """Delete a person's tokens and codes."""
    session.execute(sa.delete(TokenRow).where(TokenRow.subject_id == subject_id))
    session.execute(sa.delete(CodeRow).where(CodeRow.subject_id == subject_id))
