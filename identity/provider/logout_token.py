"""The logout token: tells one client that a session of one of its people has ended."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from joserfc import jwt
from joserfc.jwk import Key
from joserfc.jwt import Claims

from identity.provider.logout_model import LOGOUT_TOKEN_LIFETIME
from privacy.keys.signing import ALGORITHM, KeyUse

TYPE: Final = "logout+jwt"
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


def sign(
    key: Key, *, issuer: str, client_id: str, sub: str, sid: str | None, jti: str, now: datetime
) -> str:
    """Return a logout token, as a JWS in compact form.

    Args:
        key: the provider's private key, with its `kid`.
        issuer: our base address.
        client_id: whom it is for.
        sub: the person's pseudonym for this client.
        sid: the sign-in that has ended; None: every sign-in of the person at this client.
        jti: of this token alone.
        now: aware UTC.

    Source: OpenID Connect Back-Channel Logout 1.0 s. 2.4.
    """
    issued = int(now.timestamp())
    claims: Claims = {
        "iss": issuer,
        "sub": sub,
        "aud": client_id,
        "iat": issued,
        "exp": issued + int(LOGOUT_TOKEN_LIFETIME.total_seconds()),
        "jti": jti,
        "events": {EVENT: {}},
    }
    if sid is not None:
        claims["sid"] = sid
    algorithm = ALGORITHM[KeyUse.OPENID]
    return jwt.encode({"alg": algorithm, "kid": key.kid, "typ": TYPE}, claims, key, [algorithm])
