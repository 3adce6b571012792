"""Is this ID token our provider's, for us, of now, and the answer to what we asked?

Source: OIDC Core s. 2, 3.1.3.6, 3.1.3.7; OWASP ASVS 5.0 9.1, 9.2, 10.5.1, 10.5.2.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

from identity.sso import signed
from identity.sso.discovery import Discovery
from identity.sso.model import (
    ATTEMPT_LIFETIME,
    CLOCK_SKEW,
    MAX_SUB,
    Refusal,
    UpstreamProvider,
    UpstreamRefused,
)
from identity.sso.outside import JsonObject

#: An ID token has no `typ`, or the general one: what says it is something else is something else.
TYPES: Final = frozenset({"", "jwt"})
#: It was made while the person was away, and no earlier.
OLDEST: Final = ATTEMPT_LIFETIME + CLOCK_SKEW


def read(
    discovery: Discovery,
    provider: UpstreamProvider,
    token: str,
    *,
    nonce: str,
    access_token: str | None,
    now: datetime,
) -> JsonObject:
    """Return the claims of an ID token that came from the token endpoint.

    Args:
        discovery: finds the provider's keys; never called in a transaction.
        provider: whose token it should be.
        token: the token.
        nonce: what we sent.
        access_token: what came with it.
        now: aware UTC.

    Raises:
        UpstreamRefused: the first check that fails.
    """
    claims, algorithm = signed.read(discovery, provider, token, types=TYPES)
    signed.demand_audience(provider, claims)
    signed.demand_unexpired(claims, now)
    _demand_issued(claims, now)
    told = claims.get("nonce")
    if not isinstance(told, str) or not _same(told, nonce):
        raise UpstreamRefused(Refusal.NONCE)
    demand_subject(claims.get("sub"))
    _demand_hash(claims, access_token, algorithm)
    return claims


def _demand_issued(claims: JsonObject, now: datetime) -> None:
    issued = signed.number_of_seconds(claims.get("iat"))
    if issued is None:
        raise UpstreamRefused(Refusal.ISSUED_AT)
    age = timedelta(seconds=now.timestamp() - issued)
    if not -CLOCK_SKEW <= age <= OLDEST:
        raise UpstreamRefused(Refusal.ISSUED_AT)


def authenticated_at(claims: JsonObject, now: datetime) -> datetime | None:
    """Return when the person proved themselves at the provider; None where it does not tell.

    Source: OIDC Core s. 2 (`auth_time`).
    """
    told = signed.number_of_seconds(claims.get("auth_time"))
    return None if told is None else now - timedelta(seconds=max(0.0, now.timestamp() - told))


def demand_subject(sub: object) -> str:
    """Return what names the person for good. Source: OIDC Core s. 2.

    Raises:
        UpstreamRefused: `SUBJECT`.
    """
    if (
        not isinstance(sub, str)
        or not 0 < len(sub) <= MAX_SUB
        or not sub.isascii()
        or not sub.isprintable()
        or not sub.strip()
    ):
        raise UpstreamRefused(Refusal.SUBJECT)
    return sub


def _demand_hash(claims: JsonObject, access_token: str | None, algorithm: str) -> None:
    """Refuse an access token that is not the ID token's own, where the latter says which is."""
    told = claims.get("at_hash")
    if told is None:
        return
    digest = hashlib.new(f"sha{algorithm[2:]}", (access_token or "").encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not isinstance(told, str) or not _same(told, half):
        raise UpstreamRefused(Refusal.TOKEN_HASH)


def _same(told: str, wanted: str) -> bool:
    return told.isascii() and hmac.compare_digest(told, wanted)
