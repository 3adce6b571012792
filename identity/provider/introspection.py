"""What a client is told of its own tokens. Source: RFC 7662."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from identity.provider import access_token, refresh, tokens
from identity.provider.model import Client, ordered
from identity.provider.service import Provider
from privacy.events import Json

_NOTHING: dict[str, Json] = {"active": False}


def describe(
    session: Session, provider: Provider, client: Client, secret: str, at: datetime
) -> dict[str, Json]:
    """Return what one of the client's own tokens stands for now, and of any other that it is none.

    The form tells access tokens and refresh tokens apart: no hint is needed.

    Args:
        session: a snapshot.
        provider: whose tokens they are.
        client: who asks, authenticated.
        secret: the token.
        at: now, aware UTC.

    Source: RFC 7662 s. 2.2; RFC 9068 s. 2.2 (`aud`, `jti`).
    """
    if secret.startswith(refresh.PREFIX):
        return _refresh_token(session, provider, client, secret, at)
    found = tokens.find(session, secret, at)
    if found is None or found.client.client_id != client.client_id:
        return _NOTHING
    told = of_access_token(
        issuer=provider.issuer,
        client_id=client.client_id,
        audience=found.audience,
        scope=found.scope,
        issued_at=found.issued_at,
        expires_at=found.expires_at,
    )
    jti = access_token.jti_of(secret)
    if jti is not None:
        told["jti"] = jti
    if found.subject_id is not None:
        told["sub"] = provider.sub(session, client, found.subject_id)
    return told


def of_access_token(
    *,
    issuer: str,
    client_id: str,
    audience: str | None,
    scope: Collection[str],
    issued_at: datetime,
    expires_at: datetime,
) -> dict[str, Json]:
    """Return what is told of every living access token, whatever its form and whoever's it is."""
    return {
        "active": True,
        "iss": issuer,
        "aud": audience or issuer,
        "client_id": client_id,
        "scope": ordered(scope),
        "token_type": "Bearer",
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }


def _refresh_token(
    session: Session, provider: Provider, client: Client, secret: str, at: datetime
) -> dict[str, Json]:
    found = refresh.living(session, client, secret, at)
    if found is None:
        return _NOTHING
    row, family = found
    return {
        "active": True,
        "iss": provider.issuer,
        "aud": provider.issuer,  # we alone take it, whomever its access tokens are for
        "client_id": client.client_id,
        "scope": family.scope,
        "token_type": "refresh_token",  # so that nobody takes it for an access token
        "iat": int(row.issued_at.timestamp()),
        "exp": int(row.expires_at.timestamp()),
        "sub": provider.sub(session, client, family.subject_id),
    }
