"""The ID token: who signed in, when and how, signed for one client."""

from __future__ import annotations

from datetime import datetime

from joserfc import jwt
from joserfc.jwk import Key
from joserfc.jwt import Claims

from identity.provider.model import ID_TOKEN_LIFETIME, SignIn, token_hash
from privacy.keys.signing import ALGORITHM, KeyUse


def sign(
    key: Key,
    *,
    issuer: str,
    client_id: str,
    sub: str,
    sign_in: SignIn,
    access_token: str,
    issued_at: datetime,
    nonce: str | None = None,
) -> str:
    """Return an ID token, as a JWS in compact form.

    Args:
        key: the provider's private key, with its `kid`.
        issuer: our base address.
        client_id: whom it is for.
        sub: the person's pseudonym for this client, and nothing else that names a person.
        sign_in: when and how the person signed in; a refreshed token tells the same.
        access_token: the token handed out with it, bound by `at_hash`.
        issued_at: aware UTC.
        nonce: of the authorization request; a refreshed token has none (s. 12.2).

    Source: OpenID Connect Core s. 2, 3.1.3.6, 12.2; Back-Channel Logout s. 2.1 (`sid`).
    """
    issued = int(issued_at.timestamp())
    claims: Claims = {
        "iss": issuer,
        "sub": sub,
        "aud": client_id,
        "iat": issued,
        "exp": issued + int(ID_TOKEN_LIFETIME.total_seconds()),
        "at_hash": token_hash(access_token),
    } | sign_in.claims()
    if nonce is not None:
        claims["nonce"] = nonce
    if sign_in.sid is not None:
        claims["sid"] = sign_in.sid
    algorithm = ALGORITHM[KeyUse.OPENID]
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims, key, [algorithm])
