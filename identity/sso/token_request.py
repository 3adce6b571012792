"""Exchanging a code at a provider's token endpoint, and asking who the person is.

Source: RFC 6749 s. 2.3.1, 4.1.3, 5; RFC 7636 s. 4.5; OIDC Core s. 3.1.3, 5.3.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from identity.sso.model import (
    Refusal,
    SecretSigner,
    TokenAuthMethod,
    UpstreamProvider,
    UpstreamRefused,
)
from identity.sso.outside import JsonObject, Outside

#: A client secret that we sign ourselves serves one request.
SIGNED_SECRET_LIFETIME: Final = timedelta(minutes=5)
MAX_TOKEN: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was exchanged for; none of it is kept."""

    access_token: str = field(repr=False)
    id_token: str | None = field(repr=False)


def exchange(
    outside: Outside,
    provider: UpstreamProvider,
    endpoint: str,
    *,
    code: str,
    redirect_uri: str,
    verifier: str,
    now: datetime,
) -> Tokens:
    """Return what the provider gives for a code.

    Raises:
        UpstreamRefused: `PROVIDER_UNREACHABLE`, `CODE_REFUSED` or `TOKEN_ANSWER_MALFORMED`.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    secret = provider.client_secret
    if provider.secret_signer is not None:
        secret = signed_secret(provider, provider.secret_signer, now)
    basic = None
    if provider.token_endpoint_auth_method is TokenAuthMethod.BASIC:
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
        basic = base64.b64encode(pair.encode()).decode()
    else:
        form |= {"client_id": provider.client_id, "client_secret": secret}
    told = outside.post(endpoint, form, basic=basic)
    if told.status != 200:
        raise UpstreamRefused(Refusal.CODE_REFUSED)
    return _tokens(told.content)


def _tokens(content: JsonObject | None) -> Tokens:
    if content is None:
        raise UpstreamRefused(Refusal.TOKEN_ANSWER_MALFORMED)
    if "error" in content:  # some providers say so with 200
        raise UpstreamRefused(Refusal.CODE_REFUSED)
    access, identity = content.get("access_token"), content.get("id_token")
    bearer = content.get("token_type")
    if (
        not _is_token(access)
        or not isinstance(bearer, str)
        or bearer.lower() != "bearer"
        or not (identity is None or _is_token(identity))
    ):
        raise UpstreamRefused(Refusal.TOKEN_ANSWER_MALFORMED)
    return Tokens(str(access), None if identity is None else str(identity))


def _is_token(value: object) -> bool:
    """Tell whether a value can stand in a header. Source: RFC 6749 appendix A.12."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TOKEN:
        return False
    return value.isascii() and value.isprintable() and " " not in value


def signed_secret(provider: UpstreamProvider, signer: SecretSigner, now: datetime) -> str:
    """Return a client secret that proves a key. Source: Apple, "Creating a client secret"."""
    issued = int(now.timestamp())
    claims: jwt.Claims = {
        "iss": signer.team_id,
        "iat": issued,
        "exp": issued + int(SIGNED_SECRET_LIFETIME.total_seconds()),
        "aud": provider.issuer,
        "sub": provider.client_id,
    }
    key = ECKey.import_key(signer.private_key)
    return jwt.encode({"alg": "ES256", "kid": signer.key_id}, claims, key, ["ES256"])


def userinfo(
    outside: Outside, provider: UpstreamProvider, endpoint: str, access_token: str
) -> JsonObject:
    """Return what the provider tells of the person; whose it is the caller must look at.

    Raises:
        UpstreamRefused: `PROVIDER_UNREACHABLE`, `USERINFO_SIGNED` (we asked for no signed answer,
            and none is read) or `USERINFO_MALFORMED`.
    """
    if provider.plain is not None and provider.plain.appsecret_proof:
        endpoint = with_parameters(endpoint, _proof(provider, access_token))
    told = outside.get(endpoint, bearer=access_token)
    if told.media_type == "application/jwt":
        raise UpstreamRefused(Refusal.USERINFO_SIGNED)
    if told.status != 200 or told.content is None:
        raise UpstreamRefused(Refusal.USERINFO_MALFORMED)
    return told.content


def _proof(provider: UpstreamProvider, access_token: str) -> Mapping[str, str]:
    """Return the proof that a server holding the secret asks. Source: Meta, "Secure Graph API Calls"."""
    digest = hmac.digest(provider.client_secret.encode(), access_token.encode(), "sha256")
    return {"appsecret_proof": digest.hex()}


def with_parameters(endpoint: str, parameters: Mapping[str, str]) -> str:
    """Return an address with parameters added to those it has."""
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"
