"""What a provider signed: which algorithm, which key, and is the signature its own.

Source: RFC 7515 s. 5.2; RFC 8725 s. 3.1, 3.9; OIDC Core s. 10.1; OWASP ASVS 5.0 9.1.2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from joserfc.errors import BadSignatureError, JoseError
from joserfc.jws import JWSRegistry, deserialize_compact

from identity.sso.discovery import Discovery, PublishedKey
from identity.sso.model import CLOCK_SKEW, TENANT, Refusal, UpstreamProvider, UpstreamRefused
from identity.sso.outside import JsonObject, json_object

#: Every algorithm that configuration may name, with the kind of key that it wants; none is
#: symmetric, and there is no `none`.
KEY_TYPES: Final[Mapping[str, str]] = {
    **{f"{family}{bits}": "RSA" for family in ("RS", "PS") for bits in (256, 384, 512)},
    **{f"ES{bits}": "EC" for bits in (256, 384, 512)},
}
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
MAX_LENGTH: Final = 32 * 1024


def read(
    discovery: Discovery, provider: UpstreamProvider, token: str, *, types: frozenset[str]
) -> tuple[JsonObject, str]:
    """Return the claims of a token that the provider signed, and the algorithm's name.

    Args:
        discovery: finds its keys; may ask it for them, so this is never done in a transaction.
        provider: whose token it should be.
        token: a JWS in compact form.
        types: what `typ` may be, in small letters; `""` where it may be absent.

    Raises:
        UpstreamRefused: it did not, or not as configured.
    """
    header = _header(token)
    if _type(header) not in types:
        raise UpstreamRefused(Refusal.TOKEN_TYPE)
    algorithm = header.get("alg")
    # Before any key is looked at: what a token or the discovery document says decides nothing.
    if not isinstance(algorithm, str) or algorithm not in provider.algorithms:
        raise UpstreamRefused(Refusal.ALGORITHM)
    published = _key_for(discovery, provider, header.get("kid"), algorithm)
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    try:
        signed = deserialize_compact(token, published.key, [algorithm], registry)
    except BadSignatureError:
        raise UpstreamRefused(Refusal.SIGNATURE) from None
    except (JoseError, ValueError):
        raise UpstreamRefused(Refusal.TOKEN_MALFORMED) from None
    claims = json_object(signed.payload or b"")
    if claims is None:
        raise UpstreamRefused(Refusal.TOKEN_MALFORMED)
    _demand_issuer(provider, published, claims)
    return claims, algorithm


def _header(token: str) -> JsonObject:
    head = token.partition(".")[0]
    if len(token) > MAX_LENGTH or token.count(".") != 2 or not token.isascii():
        raise UpstreamRefused(Refusal.TOKEN_MALFORMED)
    try:
        plain = base64.b64decode(head + "=" * (-len(head) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise UpstreamRefused(Refusal.TOKEN_MALFORMED) from None
    header = json_object(plain)
    # `crit` names what must be understood; we understand nothing of the kind (RFC 7515 s. 4.1.11).
    if header is None or "crit" in header:
        raise UpstreamRefused(Refusal.TOKEN_MALFORMED)
    return header


def _type(header: JsonObject) -> str:
    value = header.get("typ", "")
    return value.lower().removeprefix("application/") if isinstance(value, str) else "?"


def _key_for(
    discovery: Discovery, provider: UpstreamProvider, kid: object, algorithm: str
) -> PublishedKey:
    """Return the one key that the token can be signed with.

    Without a `kid` there must be no choice. Source: OIDC Core s. 10.1.
    """
    fitting = _fitting(discovery.keys(provider), kid, algorithm)
    if not fitting:  # the provider may have changed its keys since we asked
        fitting = _fitting(discovery.keys(provider, unknown_kid=True), kid, algorithm)
    if not fitting:
        raise UpstreamRefused(Refusal.KEY_UNKNOWN)
    if len(fitting) > 1:
        raise UpstreamRefused(Refusal.KEY_AMBIGUOUS)
    return fitting[0]


def _fitting(
    published: tuple[PublishedKey, ...], kid: object, algorithm: str
) -> list[PublishedKey]:
    return [
        each
        for each in published
        if each.key.key_type == KEY_TYPES[algorithm]
        and each.algorithm in {None, algorithm}
        and _CURVES.get(algorithm) in {None, each.key.get("crv")}
        and (kid is None or each.kid == kid)
    ]


def _demand_issuer(provider: UpstreamProvider, published: PublishedKey, claims: JsonObject) -> None:
    """Refuse another issuer's token, also where each tenant of a provider is one.

    Source: OIDC Core s. 3.1.3.7 no. 2; Microsoft identity platform, "Validate the signing key
    issuer".
    """
    expected = provider.issuer_of(claims.get("tid"))
    if expected is None or claims.get("iss") != expected:
        raise UpstreamRefused(Refusal.ISSUER)
    signs_for = published.issuer
    if signs_for is not None and signs_for.replace(TENANT, str(claims.get("tid"))) != expected:
        raise UpstreamRefused(Refusal.ISSUER)


def demand_audience(provider: UpstreamProvider, claims: JsonObject) -> None:
    """Refuse what is meant for others. Source: OIDC Core s. 3.1.3.7 no. 3 to 5.

    Raises:
        UpstreamRefused: `AUDIENCE` or `AUTHORIZED_PARTY`.
    """
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(each, str) for each in several) or provider.client_id not in several:
        raise UpstreamRefused(Refusal.AUDIENCE)
    authorized = claims.get("azp")
    if len(several) > 1 and authorized is None:
        raise UpstreamRefused(Refusal.AUTHORIZED_PARTY)
    if authorized is not None and authorized != provider.client_id:
        raise UpstreamRefused(Refusal.AUTHORIZED_PARTY)


def demand_unexpired(claims: JsonObject, now: datetime, *, required: bool = True) -> None:
    """Refuse what has expired; at `exp` and our clocks' difference it has.

    Raises:
        UpstreamRefused: `EXPIRED`.
    """
    expires = claims.get("exp")
    if expires is None and not required:
        return
    seconds = number_of_seconds(expires)
    if seconds is None or now.timestamp() - CLOCK_SKEW.total_seconds() >= seconds:
        raise UpstreamRefused(Refusal.EXPIRED)


def number_of_seconds(value: object) -> float | None:
    """Return a NumericDate; None for anything else. Source: RFC 7519 s. 2."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e12 else None
