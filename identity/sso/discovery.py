"""A provider's endpoints and keys, as it publishes them; kept for a bounded time in this process.

Source: OpenID Connect Discovery 1.0 s. 4.3; RFC 8414 s. 3.3; RFC 9207 s. 3; OWASP ASVS 5.0 10.5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.util import urlsafe_b64decode

from identity.sso.model import Refusal, UpstreamProvider, UpstreamRefused
from identity.sso.outside import JsonObject, Outside
from privacy.clock import Clock

CONFIGURATION_PATH: Final = "/.well-known/openid-configuration"
METADATA_KEPT: Final = timedelta(hours=1)
KEYS_KEPT: Final = timedelta(minutes=5)
#: An unknown `kid` makes us look again, but not more often than this.
KEYS_ASKED_EVERY: Final = timedelta(seconds=10)
MAX_KEYS: Final = 64
MIN_RSA_BITS: Final = 2048
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
T = TypeVar("T")

#: What makes a public key, and nothing private beside it.
_PUBLIC: Final = ("kty", "n", "e", "crv", "x", "y", "kid", "use", "alg")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What we need of the discovery document.

    Attributes:
        userinfo_endpoint: None where there is none.
        tells_issuer: each authorization response must carry `iss`. Source: RFC 9207 s. 2.4.
    """

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None
    jwks_uri: str
    tells_issuer: bool


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One usable public key of a provider.

    Attributes:
        issuer: the only issuer it may sign for, where the key itself says so (Microsoft); may hold
            `TENANT`.
    """

    key: Key
    kid: str | None
    algorithm: str | None
    issuer: str | None = None


class _Document(Generic[T]):
    """One document of a provider. Of those who want it at once one asks, and all get the outcome."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = 0
        self._failure: Refusal | None = None
        self._kept: tuple[datetime, T] | None = None

    def read(self, now: datetime, kept_for: timedelta, ask: Callable[[], T]) -> T:
        """Return it, as kept where that is recent enough; a failure is not kept.

        Raises:
            UpstreamRefused: it was asked for in vain.
        """
        kept, asked = self._kept, self._asked
        if kept is not None and timedelta(0) <= now - kept[0] < kept_for:
            return kept[1]
        with self._lock:
            if self._asked == asked:
                self._ask(now, ask)
            if self._failure is not None:
                raise UpstreamRefused(self._failure)
            if self._kept is None:
                raise UpstreamRefused(Refusal.PROVIDER_UNREACHABLE)
            return self._kept[1]

    def _ask(self, now: datetime, ask: Callable[[], T]) -> None:
        self._failure = Refusal.PROVIDER_UNREACHABLE
        try:
            self._kept = now, ask()
            self._failure = None
        except UpstreamRefused as refused:
            self._failure = refused.reason
        finally:
            self._asked += 1


class Discovery:
    """Asks providers what they publish. One per process."""

    def __init__(self, outside: Outside, clock: Clock) -> None:
        self._outside = outside
        self._clock = clock
        self._metadata = dict[str, _Document[Metadata]]()
        self._keys = dict[str, _Document[tuple[PublishedKey, ...]]]()

    def metadata(self, provider: UpstreamProvider) -> Metadata:
        """Return a provider's endpoints. May take seconds: never in a transaction.

        Raises:
            UpstreamRefused: `PROVIDER_UNREACHABLE`, or `DISCOVERY_WRONG` where the document is
                another issuer's or names addresses that we do not trust; nothing of it is kept.
        """

        def ask() -> Metadata:
            told = self._outside.get(provider.discovery + CONFIGURATION_PATH)
            if told.status != 200 or told.content is None:
                raise UpstreamRefused(Refusal.PROVIDER_UNREACHABLE)
            return _metadata(provider, told.content)

        document = self._metadata.setdefault(provider.id, _Document())
        return document.read(self._clock(), METADATA_KEPT, ask)

    def keys(
        self, provider: UpstreamProvider, *, unknown_kid: bool = False
    ) -> tuple[PublishedKey, ...]:
        """Return a provider's keys. May take seconds: never in a transaction.

        Args:
            provider: whose.
            unknown_kid: the kept ones lack what a token names; looks again where enough time has
                passed since the last look.

        Raises:
            UpstreamRefused: `PROVIDER_UNREACHABLE` or `DISCOVERY_WRONG`.
        """

        def ask() -> tuple[PublishedKey, ...]:
            told = self._outside.get(self.metadata(provider).jwks_uri)
            published = told.content.get("keys") if told.content is not None else None
            if told.status != 200 or not isinstance(published, list):
                raise UpstreamRefused(Refusal.PROVIDER_UNREACHABLE)
            usable = [_key(each) for each in published[:MAX_KEYS] if isinstance(each, dict)]
            return tuple(key for key in usable if key is not None)

        kept_for = KEYS_ASKED_EVERY if unknown_kid else KEYS_KEPT
        document = self._keys.setdefault(provider.id, _Document())
        return document.read(self._clock(), kept_for, ask)


def _metadata(provider: UpstreamProvider, document: JsonObject) -> Metadata:
    if document.get("issuer") != provider.issuer:
        raise UpstreamRefused(Refusal.DISCOVERY_WRONG)
    userinfo = document.get("userinfo_endpoint")
    return Metadata(
        authorization_endpoint=_endpoint(provider, document.get("authorization_endpoint")),
        token_endpoint=_endpoint(provider, document.get("token_endpoint")),
        userinfo_endpoint=None if userinfo is None else _endpoint(provider, userinfo),
        jwks_uri=_endpoint(provider, document.get("jwks_uri")),
        tells_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(provider: UpstreamProvider, value: object) -> str:
    if isinstance(value, str) and is_safe_endpoint(value, beside=provider.discovery):
        return value
    raise UpstreamRefused(Refusal.DISCOVERY_WRONG)


def is_safe_endpoint(url: str, *, beside: str | None = None) -> bool:
    """Tell whether an address may be an endpoint: https, without user information or fragment.

    Args:
        url: the address.
        beside: an address of the same provider; where that is http on this machine, others on the
            very same host and port may be too. None: any http on this machine may.
    """
    try:
        parts, base = urlsplit(url), urlsplit(beside if beside is not None else url)
        ports = parts.port, base.port
    except ValueError:
        return False
    if not url.isascii() or not url.isprintable() or any(c in url for c in ' #"<>\\^`{|}'):
        return False
    if not parts.hostname or parts.username is not None or parts.password is not None:
        return False
    if parts.scheme == "https":
        return True
    same = parts.hostname == base.hostname and ports[0] == ports[1]
    return parts.scheme == base.scheme == "http" and parts.hostname in LOOPBACK and same


def _key(published: Mapping[str, object]) -> PublishedKey | None:
    """Return a key that may verify a signature; None for any other, which is no fault."""
    kid, issuer = published.get("kid"), published.get("issuer")
    algorithm = published.get("alg")
    if published.get("kty") not in ("RSA", "EC") or published.get("use", "sig") != "sig":
        return None
    parameters: dict[str, str | list[str]] = {
        name: str(published[name]) for name in _PUBLIC if name in published
    }
    try:
        if published["kty"] == "RSA" and _bits(str(published.get("n"))) < MIN_RSA_BITS:
            return None
        key = import_key(parameters)
    except (JoseError, ValueError, TypeError):
        return None
    return PublishedKey(
        key=key,
        kid=kid if isinstance(kid, str) else None,
        algorithm=algorithm if isinstance(algorithm, str) else None,
        issuer=issuer if isinstance(issuer, str) else None,
    )


def _bits(modulus: str) -> int:
    """Return the length of an RSA key before anything is made of it."""
    return int.from_bytes(urlsafe_b64decode(modulus.encode())).bit_length()
