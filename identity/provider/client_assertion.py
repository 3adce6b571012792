"""private_key_jwt: a client proves itself by a signature of its own key.

Source: RFC 7523 s. 2.2, 3; OpenID Connect Core s. 9.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry
from sqlalchemy.exc import IntegrityError

from identity.provider.model import Client
from identity.provider.pushed_store import AssertionRow
from privacy.ids import secret_digest
from privacy.unit_of_work import UnitOfWork

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: None may be good for longer; so long its `jti` is remembered. Authlib's client asks for an hour.
MAX_LIFETIME: Final = timedelta(hours=1)
#: So far may the client's clock and ours be apart.
SKEW: Final = timedelta(seconds=30)
MAX_LENGTH: Final = 8192
MAX_JTI_LENGTH: Final = 256
#: What each kind of key may sign with; the names of RFC 9864 and of RFC 8037 mean the same.
ALGORITHMS: Final = {
    "RSA": frozenset({"RS256", "PS256"}),
    "EC": frozenset({"ES256"}),
    "OKP": frozenset({"EdDSA", "Ed25519"}),
}
ALL_ALGORITHMS: Final = sorted(frozenset[str]().union(*ALGORITHMS.values()))
_TYPES: Final = frozenset({"JWT", "jwt", "client-authentication+jwt"})


class AssertionRefused(Exception):
    """The assertion proves nothing."""


class _Registry(JWSRegistry):
    """Ours alone, and both names of one algorithm: joserfc warns of the older one."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - joserfc keeps the type to itself
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


_REGISTRY: Final = _Registry(algorithms=ALL_ALGORITHMS)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A signed statement of a client, read and not believed yet.

    Attributes:
        client_id: whom it says it is of.
        header: the JOSE header.
        claims: what it says.
    """

    client_id: str
    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)
    signature: jws.CompactSignature = field(repr=False)


@dataclass(frozen=True, slots=True)
class AssertionId:
    """What makes an assertion count once: `jti`, and until when it could come again."""

    jti: str
    expires_at: datetime


def read(text: str) -> Assertion:
    """Return what an assertion says, before anything of it is believed.

    Raises:
        AssertionRefused: it is no JWT, or too long.
    """
    if len(text) > MAX_LENGTH or not text.isascii():
        raise AssertionRefused
    try:
        found = jws.extract_compact(text.encode(), None, _REGISTRY)
        claims = json.loads(found.payload)
    except (JoseError, ValueError, RecursionError):
        raise AssertionRefused from None
    header = found.headers()
    if not isinstance(claims, dict) or not isinstance(claims.get("sub"), str):
        raise AssertionRefused
    if not all(isinstance(header.get(name, ""), str) for name in ("alg", "typ")):
        raise AssertionRefused
    return Assertion(claims["sub"], header, claims, found)


def check(
    assertion: Assertion, client: Client, *, audiences: Collection[str], now: datetime
) -> AssertionId:
    """Believe an assertion of this client, or refuse it; `spend` makes it count once.

    Args:
        assertion: from `read`.
        client: whose id it names.
        audiences: what it may be addressed to: our issuer, or an endpoint of ours.
        now: aware UTC.

    Raises:
        AssertionRefused: the key, the signature or a claim is wrong.
    """
    _check_signature(assertion, client)
    claims = assertion.claims
    if claims.get("iss") != client.client_id or claims["sub"] != client.client_id:
        raise AssertionRefused
    audience = claims.get("aud")
    if isinstance(audience, list):  # one addressee: one of several could use it against us
        audience = audience[0] if len(audience) == 1 else None
    if not isinstance(audience, str) or audience not in audiences:
        raise AssertionRefused
    expires_at = _instant(claims.get("exp"))
    if not now < expires_at + SKEW or expires_at > now + MAX_LIFETIME + SKEW:
        raise AssertionRefused
    for name in ("iat", "nbf"):
        if name in claims and _instant(claims[name]) > now + SKEW:
            raise AssertionRefused
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti.isprintable() or not 0 < len(jti) <= MAX_JTI_LENGTH:
        raise AssertionRefused
    return AssertionId(jti, expires_at + SKEW)


def spend(uow: UnitOfWork, client: Client, used: AssertionId) -> None:
    """Let an assertion count this once; joins the caller's transaction.

    Raises:
        AssertionRefused: it was used before.
    """
    row = AssertionRow(
        client_id=client.client_id,
        jti_digest=secret_digest(used.jti),
        expires_at=used.expires_at,
    )
    try:
        with uow.savepoint():
            uow.session.add(row)
    except IntegrityError:
        raise AssertionRefused from None


def _check_signature(assertion: Assertion, client: Client) -> None:
    jwk = _jwk(client, assertion.header.get("kid"))
    algorithm = assertion.header.get("alg")
    allowed = ALGORITHMS.get(str(jwk.get("kty")), frozenset())
    if jwk.get("alg", algorithm) != algorithm and not {jwk["alg"], algorithm} <= ALGORITHMS["OKP"]:
        raise AssertionRefused
    if algorithm not in allowed or assertion.header.get("typ", "JWT") not in _TYPES:
        raise AssertionRefused
    if "crit" in assertion.header:  # we know no extension. Source: RFC 7515 s. 4.1.11
        raise AssertionRefused
    try:
        key: Key = import_key(jwk)
        if not jws.validate_compact(assertion.signature, key, registry=_REGISTRY):
            raise AssertionRefused
    except (JoseError, ValueError):
        raise AssertionRefused from None


def _jwk(client: Client, kid: object) -> dict[str, Any]:
    """Return the client's key that signed: the one named, or the only one there is."""
    keys: list[dict[str, Any]] = json.loads(client.jwks)["keys"] if client.jwks else []
    if len(keys) == 1 and (kid is None or "kid" not in keys[0]):
        return keys[0]
    named = [key for key in keys if kid is not None and key.get("kid") == kid]
    if len(named) != 1:
        raise AssertionRefused
    return named[0]


def _instant(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AssertionRefused
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        raise AssertionRefused from None
