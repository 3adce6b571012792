"""What a client is, how long what it gets lives, and what the log says of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final
from urllib.parse import urlsplit

from policies.assurance import ACR, level_of
from policies.vocabulary import EventTag, RetentionClass, Scope
from privacy.events import Event, Json

#: Source: RFC 6749 s. 4.1.2 (at most 10 minutes); OWASP ASVS 5.0 10.4.3 (at most 1 minute).
CODE_LIFETIME: Final = timedelta(seconds=60)
#: A person's access token.
PERSON_TOKEN_LIFETIME: Final = timedelta(minutes=10)
#: An application's own access token.
CLIENT_TOKEN_LIFETIME: Final = timedelta(hours=1)
#: An ID token is read once, on arrival.
ID_TOKEN_LIFETIME: Final = timedelta(minutes=5)
#: A refresh token that nobody uses for so long is worth nothing.
REFRESH_IDLE: Final = timedelta(days=30)
#: And the whole family ends so long after the sign-in. Source: OWASP ASVS 5.0 10.4.8.
REFRESH_ABSOLUTE: Final = timedelta(days=180)
#: For so long a used refresh token yields what it yielded: an answer may be lost on the way.
REFRESH_GRACE: Final = timedelta(seconds=10)
#: A pushed authorization request waits for the person so long. Source: RFC 9126 s. 2.2.
PUSHED_LIFETIME: Final = timedelta(minutes=10)

OPENID: Final = "openid"
OFFLINE_ACCESS: Final = "offline_access"
#: Scopes that ask for claims about the person. Source: OIDC Core s. 5.4.
CLAIM_SCOPES: Final = frozenset({"profile", "email", "phone", "address"})
#: The scopes of the JSON API: the ones with a colon. Pages' scopes are never an application's.
API_SCOPES: Final = frozenset(scope.value for scope in Scope if ":" in scope.value)
KNOWN_SCOPES: Final = API_SCOPES | CLAIM_SCOPES | {OPENID, OFFLINE_ACCESS}
#: What a token issued for a person may carry of them: to record that person's word as signed in, and
#: to read what nobody is named in. All others let an application act in its own name, upon whomever
#: it knows; they come by client credentials alone. Source: RFC 6749 s. 3.3; RFC 9068 s. 5.
SCOPES_FOR_A_PERSON: Final = frozenset({Scope.CONSENTS_WRITE.value, Scope.PURPOSES_READ.value})
#: The scopes of the JSON API that no token for a person carries.
SCOPES_IN_OWN_NAME: Final = API_SCOPES - SCOPES_FOR_A_PERSON

MAX_URI_LENGTH: Final = 2000
MAX_NAME_LENGTH: Final = 100
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ON_LOOPBACK_IP: Final = re.compile(
    r"http://(?P<host>127\.0\.0\.1|\[::1\])(?::(?P<port>[0-9]{1,5}))?(?P<rest>(?:[/?].*)?)"
)


class GrantType(StrEnum):
    """What a client may do at the token endpoint. No implicit and no password grant: RFC 9700 s. 2."""

    AUTHORIZATION_CODE = "authorization_code"
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a grant's name


class ClientAuthMethod(StrEnum):
    """How a client proves itself. Source: OpenID Connect Core s. 9."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    PRIVATE_KEY_JWT = "private_key_jwt"


class TokenFormat(StrEnum):
    """What a client's access tokens look like. docs/decisions/0006."""

    OPAQUE = "opaque"
    JWT = "jwt"


def is_one_of(digest: str, known: Iterable[str]) -> bool:
    """Tell, in the same time for every answer, whether a digest is one of those known."""
    found = False
    for each in known:
        found |= hmac.compare_digest(each.encode(), digest.encode())
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application as the provider knows it.

    Attributes:
        client_id: 32 hexadecimal digits; public.
        name: what people and operators call it.
        redirect_uris: where people may be sent back to, compared character by character.
        post_logout_redirect_uris: where people may be sent after signing out.
        grant_types: what it may do at the token endpoint.
        scopes: what it may ask for.
        purposes: the purposes of the register that it may ask about.
        sector: its pseudonymisation domain; two clients of one sector know a person by one name.
        require_pkce: refuses its authorization requests without PKCE.
        auth_methods: how it may prove itself.
        token_format: what its access tokens look like.
        audiences: resource servers, beside us, that it may ask tokens for. Source: RFC 8707.
        require_par: refuses its authorization requests that were not pushed. Source: RFC 9126.
        backchannel_logout_uri: where it is told that a person's session ended; None: nowhere.
        ends_with_withdrawal: a withdrawal of one of its purposes ends its tokens for the person.
        jwks: its public keys for `private_key_jwt`, a JWK set; None: it has none.
        created_at: when it was added; aware UTC.
        disabled_at: from when on it is refused; None while it is in use.
        secret_digests: SHA-256 of the secrets that are valid now; two while one is replaced.
    """

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    scopes: frozenset[str]
    purposes: frozenset[str]
    sector: str
    require_pkce: bool
    auth_methods: frozenset[str]
    created_at: datetime
    token_format: TokenFormat = TokenFormat.OPAQUE
    audiences: tuple[str, ...] = ()
    require_par: bool = False
    backchannel_logout_uri: str | None = None
    ends_with_withdrawal: bool = False
    jwks: str | None = None
    disabled_at: datetime | None = None
    secret_digests: tuple[str, ...] = field(default=(), repr=False)

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client may use this grant; Authlib's grants ask by this name."""
        return grant_type in self.grant_types

    def has_secret(self, digest: str) -> bool:
        """Tell, in the same time for every answer, whether this is the digest of a secret."""
        return is_one_of(digest, self.secret_digests)

    @property
    def api_scopes(self) -> frozenset[str]:
        """The scopes of the JSON API that the client may ask for."""
        return self.scopes & API_SCOPES


@dataclass(frozen=True, slots=True)
class SignIn:
    """When and how a person proved who they are, as tokens tell it.

    Attributes:
        auth_time: aware UTC.
        methods: RFC 8176 values, in the order they were used.
        sid: the browser session's name for this client; None where there was none.
    """

    auth_time: datetime
    methods: tuple[str, ...]
    sid: str | None = None

    def claims(self) -> dict[str, Json]:
        """Return `auth_time`, `amr` and `acr`, those that there are. Source: OIDC Core s. 2."""
        told: dict[str, Json] = {"auth_time": int(self.auth_time.timestamp())}
        level = level_of(self.methods)
        if self.methods:
            told["amr"] = list(self.methods)
        if level is not None:
            told["acr"] = ACR[level]
        return told


@dataclass(frozen=True, slots=True)
class Token:
    """What an access token stands for; the secret itself is known to its client alone.

    Attributes:
        subject_id: the person who signed in, or None for the client's own token.
        scope: what it allows.
        issued_at: aware UTC.
        expires_at: from this instant on it is refused.
        audience: the resource server it is for; None: us.
        claims: names of claims that the authorization request asked of userinfo one by one.
    """

    client: Client
    subject_id: str | None
    scope: frozenset[str]
    issued_at: datetime
    expires_at: datetime
    audience: str | None = None
    claims: frozenset[str] = frozenset()

    @property
    def api_scope(self) -> frozenset[str]:
        """The scopes of the JSON API that count: the client's still, and a person's where it is one's.

        Refresh tokens of older releases may be for more than a person's token carries now.
        """
        granted = self.scope & self.client.api_scopes
        return granted if self.subject_id is None else granted & SCOPES_FOR_A_PERSON

    @property
    def is_for_us(self) -> bool:
        """Tell whether it is for our own API rather than for another resource server."""
        return self.audience is None


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What the token endpoint hands out, once. Source: RFC 6749 s. 5.1; OIDC Core s. 3.1.3.3."""

    access_token: str = field(repr=False)
    lifetime: timedelta
    scope: str
    id_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


def redirect_uri_fault(uri: str) -> str | None:
    """Say what is wrong with an address that people are to be sent to; None if it may be kept.

    Source: RFC 6749 s. 3.1.2; RFC 9700 s. 2.1, 2.6; RFC 8252 s. 7.3 (http on loopback alone).
    """
    if len(uri) > MAX_URI_LENGTH:
        return f"at most {MAX_URI_LENGTH} characters"
    if not uri.isascii() or not uri.isprintable() or any(c in uri for c in " \"'<>\\^`{|}*"):
        return "only the characters of a URI (RFC 3986), others percent-encoded, and no wildcard"
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "not a URI"
    if "#" in uri:
        return "without a fragment"
    if not host or parts.username is not None or parts.password is not None:
        return "an absolute URI with a host and without user information"
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return None
    return "https, or http on localhost, 127.0.0.1 or [::1]"


def matches(registered: str, given: str) -> bool:
    """Tell whether an address that a request names is the registered one.

    Character by character, save the port of a loopback IP literal, which a native application is
    given anew each time it runs. `localhost` is a name, which may resolve elsewhere: its port counts.
    Source: RFC 9700 s. 2.1; RFC 8252 s. 7.3, 8.3.
    """
    if registered == given:
        return True
    ours, theirs = _ON_LOOPBACK_IP.fullmatch(registered), _ON_LOOPBACK_IP.fullmatch(given)
    if ours is None or theirs is None:
        return False
    port = int(theirs["port"] or 80)
    return (ours["host"], ours["rest"]) == (theirs["host"], theirs["rest"]) and 0 < port < 2**16


def token_hash(token: str) -> str:
    """Return `at_hash`: the left half of SHA-256, base64url. Source: OIDC Core s. 3.1.3.6."""
    half = hashlib.sha256(token.encode("ascii")).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def ordered(scope: Collection[str]) -> str:
    """Return scopes as one string, always in the same order."""
    return " ".join(sorted(scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAdded(Event):
    """An application may use the provider from now on; its settings are in the evidence."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CLIENT_ADDED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientChanged(Event):
    """Settings of an application changed; each of them before and after is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CLIENT_CHANGED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEnabled(Event):
    """A disabled application may use the provider again; its tokens stay ended."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CLIENT_ENABLED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDisabled(Event):
    """An application may no longer use the provider; how many of its tokens ended is evidence."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CLIENT_DISABLED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecretRotated(Event):
    """An application got a new secret; the old one ends at `old_until` (RFC 3339)."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CLIENT_SECRET_ROTATED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str
    old_until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecretRetired(Event):
    """Secrets of an application ended at once; which ones is in the evidence, by fingerprint."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CLIENT_SECRET_RETIRED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeIssued(Event):
    """A person was sent back to an application with an authorization code."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_CODE_ISSUED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensIssued(Event):
    """An application got an access token, for a person or for itself."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_TOKENS_ISSUED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRefreshed(Event):
    """An application renewed its access to a person's account with a refresh token."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_TOKENS_REFRESHED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str
    scope: str


class RevocationReason(StrEnum):
    """Why tokens ended before their time."""

    CODE_REPLAYED = "code-replayed"
    ASKED_BY_CLIENT = "asked-by-client"
    ACCOUNT_SHUT = "account-shut"
    ACCESS_RECOVERED = "access-recovered"
    REFRESH_REUSED = "refresh-reused"
    GRANT_ENDED = "grant-ended"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    SESSION_ENDED = "session-ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRevoked(Event):
    """Access tokens ended before their time."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_TOKENS_REVOKED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    client_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensForgotten(Event):
    """Codes and tokens that ended long ago were deleted; how many stands in the evidence."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_TOKENS_FORGOTTEN
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
