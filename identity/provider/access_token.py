"""What an access token looks like: `pat_` and chance, or a JWT that others can read.

Whatever it looks like, it counts only while its digest stands in our table: docs/decisions/0006.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Final

from joserfc import jwt
from joserfc.jwk import Key
from joserfc.jwt import Claims

from identity.provider.model import SignIn
from privacy.keys.signing import ALGORITHM, KeyUse

#: Lets people and scanners of leaked secrets see what they have found.
PREFIX: Final = "pat_"
#: An ID token has another type, and so is never taken for an access token. Source: RFC 9068 s. 2.1.
JWT_TYPE: Final = "at+jwt"
_JWT_START: Final = "eyJ"  # of every JSON object in base64url
_MAX_LENGTH: Final = 8192
_JTI_BYTES: Final = 16


def is_one(secret: str) -> bool:
    """Tell whether a text can be an access token of ours at all."""
    return secret.startswith((PREFIX, _JWT_START)) and len(secret) <= _MAX_LENGTH


def opaque(seed: bytes) -> str:
    """Return the opaque token of 32 bytes that nobody can guess."""
    return PREFIX + base64.urlsafe_b64encode(seed).rstrip(b"=").decode()


def signed(  # a JWT has as many claims
    key: Key,
    seed: bytes,
    *,
    issuer: str,
    audience: str | None,
    client_id: str,
    sub: str,
    scope: str,
    sign_in: SignIn | None,
    issued_at: datetime,
    expires_at: datetime,
) -> str:
    """Return the token as a JWT. The same arguments give the same token: RS256 has no chance in it.

    Args:
        key: the provider's private key, with its `kid`.
        seed: 32 bytes that nobody can guess; `jti` is made of them.
        issuer: our base address.
        audience: the resource server it is for; None: us.
        client_id: who gets it.
        sub: the person's pseudonym for this client, or the client's id for its own token.
        scope: what it allows; no attribute of the person stands in it.
        sign_in: how the person signed in; None for the client's own token.
        issued_at: aware UTC.
        expires_at: aware UTC.

    Source: RFC 9068 s. 2.2.
    """
    claims: Claims = {
        "iss": issuer,
        "sub": sub,
        "aud": audience or issuer,
        "client_id": client_id,
        "scope": scope,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "jti": seed[:_JTI_BYTES].hex(),
    } | (sign_in.claims() if sign_in else {})
    algorithm = ALGORITHM[KeyUse.OPENID]
    header = {"typ": JWT_TYPE, "alg": algorithm, "kid": key.kid}
    return jwt.encode(header, claims, key, [algorithm])


def jti_of(secret: str) -> str | None:
    """Return the `jti` of a token that our table knows; None of an opaque one."""
    if secret.startswith(PREFIX):
        return None
    try:
        payload = secret.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return None
    jti = claims.get("jti") if isinstance(claims, dict) else None
    return jti if isinstance(jti, str) else None
