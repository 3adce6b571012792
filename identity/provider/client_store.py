"""Queries about clients, their secrets, and all that they hold of anybody."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from identity.provider.grant_store import GrantRow
from identity.provider.model import Client, GrantType
from identity.provider.refresh_store import FamilyRow
from identity.provider.store import ClientRow, ClientSecretRow, CodeRow, TokenRow, client_from

_CLIENT = cast("sa.Table", ClientRow.__table__)
_SECRET = cast("sa.Table", ClientSecretRow.__table__)
# Built once: every call of the token and introspection endpoints asks it.
_WITH_VALID_SECRETS = (
    sa.select(*_CLIENT.c, _SECRET.c.secret_digest)
    .outerjoin(
        _SECRET,
        sa.and_(
            _SECRET.c.client_id == _CLIENT.c.client_id,
            sa.or_(_SECRET.c.retired_at.is_(None), _SECRET.c.retired_at > sa.bindparam("valid_at")),
        ),
    )
    .where(_CLIENT.c.client_id == sa.bindparam("of_client"))
)


def find(session: Session, client_id: str, at: datetime) -> Client | None:
    """Return the client with the digests of the secrets that are valid at this instant."""
    rows = session.execute(_WITH_VALID_SECRETS, {"of_client": client_id, "valid_at": at}).all()
    if not rows:
        return None
    first = cast("sa.Row[Any]", rows[0])
    return client_from(first, [row.secret_digest for row in rows if row.secret_digest])


def held(session: Session, client_id: str) -> ClientRow | None:
    """Return the client's row, which nobody else changes until this transaction ends."""
    return session.get(ClientRow, client_id, with_for_update={"key_share": True})


def clients(session: Session) -> Sequence[ClientRow]:
    """Return all clients, oldest first."""
    return session.scalars(
        sa.select(ClientRow).order_by(ClientRow.created_at, ClientRow.client_id)
    ).all()


def secrets(session: Session, client_id: str) -> Sequence[ClientSecretRow]:
    """Return the client's secrets, the newest first, those that ended among them."""
    query = (
        sa.select(ClientSecretRow)
        .where(ClientSecretRow.client_id == client_id)
        .order_by(
            ClientSecretRow.created_at.desc(),
            ClientSecretRow.retired_at.is_(None).desc(),
            ClientSecretRow.secret_digest,
        )
    )
    return session.scalars(query).all()


def retire_secrets(
    session: Session, client_id: str, at: datetime, digests: Collection[str] | None = None
) -> int:
    """Let secrets that have no earlier end be valid until this instant; return how many.

    Args:
        session: the caller's transaction.
        client_id: whose.
        at: from then on they are refused.
        digests: these alone; None: all of them.
    """
    ending = sa.update(ClientSecretRow).where(
        ClientSecretRow.client_id == client_id,
        sa.or_(ClientSecretRow.retired_at.is_(None), ClientSecretRow.retired_at > at),
    )
    if digests is not None:
        ending = ending.where(ClientSecretRow.secret_digest.in_(digests))
    return _changed(session, ending.values(retired_at=at))


def people(session: Session, client_id: str) -> int:
    """Return how many people let the client have something."""
    query = sa.select(sa.func.count()).where(GrantRow.client_id == client_id)
    return session.scalars(query).one()


def end_all(
    session: Session, client_id: str, at: datetime, holding: Collection[str] | None = None
) -> dict[str, int]:
    """End what a client holds: codes that wait, access tokens, families of refresh tokens.

    Codes first: an exchange that was quicker has issued its tokens by then, and they end too.

    Args:
        session: the caller's transaction.
        client_id: whose.
        at: now.
        holding: only what has one of these scopes; None: everything.

    Returns:
        How many of each were still good.
    """

    def scoped(column: sa.orm.InstrumentedAttribute[str]) -> sa.ColumnElement[bool]:
        if holding is None:
            return sa.true()
        within = sa.literal(" ") + column + " "
        return sa.or_(*(within.contains(f" {scope} ", autoescape=True) for scope in holding))

    codes = sa.update(CodeRow).where(
        CodeRow.client_id == client_id, CodeRow.used_at.is_(None), scoped(CodeRow.scope)
    )
    families = sa.update(FamilyRow).where(
        FamilyRow.client_id == client_id, FamilyRow.revoked_at.is_(None), scoped(FamilyRow.scope)
    )
    tokens = sa.update(TokenRow).where(
        TokenRow.client_id == client_id,
        TokenRow.revoked_at.is_(None),
        TokenRow.expires_at > at,
        scoped(TokenRow.scope),
    )
    return {
        "codes": _changed(session, codes.values(used_at=at)),
        "refresh_families": _changed(session, families.values(revoked_at=at)),
        "access_tokens": _changed(session, tokens.values(revoked_at=at)),
    }


def end_of_grants(
    session: Session, client_id: str, at: datetime, grants: Collection[str]
) -> dict[str, int]:
    """End what a client holds by grants that it may not use any more; return how many of each."""
    ended: dict[str, int] = {}
    if GrantType.REFRESH_TOKEN in grants:
        families = sa.update(FamilyRow).where(
            FamilyRow.client_id == client_id, FamilyRow.revoked_at.is_(None)
        )
        ended["families_of_lost_grant"] = _changed(session, families.values(revoked_at=at))
    if GrantType.CLIENT_CREDENTIALS in grants:
        own = sa.update(TokenRow).where(
            TokenRow.client_id == client_id,
            TokenRow.subject_id.is_(None),
            TokenRow.revoked_at.is_(None),
            TokenRow.expires_at > at,
        )
        ended["tokens_of_lost_grant"] = _changed(session, own.values(revoked_at=at))
    return ended


def _changed(session: Session, statement: sa.Update) -> int:
    quiet = statement.execution_options(synchronize_session=False)
    return cast("sa.CursorResult[Any]", session.execute(quiet)).rowcount
