"""The ID token: who signed in, when and how, signed for one client."""

from __future__ import annotations

from datetime import datetime

from joserfc import jwt
from joserfc.jwk import Key
from joserfc.jwt import Claims

from identity.provider.model import ID_TOKEN_LIFETIME, token_hash
from identity.provider.store import CodeRow
from policies.assurance import ACR, level_of
from privacy.keys.signing import ALGORITHM, KeyUse


def sign(
    key: Key, *, issuer: str, sub: str, code: CodeRow, access_token: str, now: datetime
) -> str:
    """Return the ID token for the person of `code`, as a JWS in compact form.

    Args:
        key: the provider's private key, with its `kid`.
        issuer: our base address.
        sub: the person's pseudonym for this client, and nothing else that names a person.
        code: what the authorization request left: client, nonce, time and methods of sign-in.
        access_token: the token handed out with it, bound by `at_hash`.
        now: aware UTC.

    Source: OpenID Connect Core s. 2, 3.1.3.6.
    """
    methods = code.methods.split()
    level = level_of(methods)
    issued = int(now.timestamp())
    claims: Claims = {
        "iss": issuer,
        "sub": sub,
        "aud": code.client_id,
        "iat": issued,
        "exp": issued + int(ID_TOKEN_LIFETIME.total_seconds()),
        "auth_time": int(code.auth_time.timestamp()),
        "at_hash": token_hash(access_token),
    }
    if code.nonce is not None:
        claims["nonce"] = code.nonce
    if methods:
        claims["amr"] = methods
    if level is not None:
        claims["acr"] = ACR[level]
    algorithm = ALGORITHM[KeyUse.OPENID]
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, [algorithm])
