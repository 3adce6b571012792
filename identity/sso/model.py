"""Providers that people may come from, what one tells of a person, and why it is not believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.errors import DomainError
from policies.vocabulary import Attribute, EventTag, RetentionClass
from privacy.events import Event

#: A person may be away at the provider for so long; then the way begins anew.
ATTEMPT_LIFETIME: Final = timedelta(minutes=10)
#: The browser's half of an attempt; `__Host-` stands before it where people reach us by https.
COOKIE: Final = "placet-sso"
#: The parameter that names an answer which came as a form; worth nothing without the cookie.
HANDLE: Final = "answer"
#: Two clocks may differ by so much.
CLOCK_SKEW: Final = timedelta(seconds=60)
#: A logout token counts for so long after it was made. Source: OpenID Back-Channel Logout 1.0 s. 2.6.
LOGOUT_FRESH_FOR: Final = timedelta(minutes=5)
#: Source: OIDC Core s. 2 (`sub`).
MAX_SUB: Final = 255
#: Who is signed in and comes to prove it again has proved it there no longer ago than this.
PROVED_AGAIN_WITHIN: Final = timedelta(minutes=1)
#: Stands in an issuer for the tenant that a token names; see `UpstreamProvider.tenants`.
TENANT: Final = "{tenantid}"
_TENANT_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ProviderKind(StrEnum):
    """The ways of being a provider that we know; see `identity.sso.ready`."""

    OIDC = "oidc"
    GOOGLE = "google"
    MICROSOFT = "microsoft"
    APPLE = "apple"
    FACEBOOK = "facebook"
    OAUTH2 = "oauth2"


class ResponseMode(StrEnum):
    """How the browser brings the answer. Source: OAuth 2.0 Form Post Response Mode 1.0."""

    QUERY = "query"
    FORM_POST = "form_post"


class TokenAuthMethod(StrEnum):
    """How we prove ourselves at a token endpoint. Source: OIDC Core s. 9."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"


class AttemptPurpose(StrEnum):
    """What a person went to a provider for."""

    SIGN_IN = "sign-in"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class SecretSigner:
    """With what a client secret is made that is a JWT of our own, as Apple wants it.

    Attributes:
        team_id: its `iss`.
        key_id: its `kid`.
        private_key: P-256, PEM.
    """

    team_id: str
    key_id: str
    private_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PlainOAuth:
    """What stands in for discovery and ID token at a provider that speaks OAuth 2.0 alone.

    Attributes:
        userinfo_endpoint: answers who the access token is for, as one JSON object.
        subject_member: its member that names the person for good.
        email_member: empty: it tells none.
        verified_member: tells by `true` that the address was verified; empty: it never was.
        attribute_members: the member of each attribute.
        appsecret_proof: sends the keyed digest of the access token that Graph interfaces want.
    """

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str
    subject_member: str
    email_member: str = ""
    verified_member: str = ""
    attribute_members: Mapping[Attribute, str] = field(default_factory=dict)
    appsecret_proof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamProvider:
    """A provider by the operator's configuration.

    Attributes:
        id: stands in its addresses here: `/sso/<id>/callback`.
        title: what people call it.
        issuer: with the subject it makes the identity's key; `TENANT` stands in it where a token
            names its own tenant.
        discovery: the address that `/.well-known/openid-configuration` is added to.
        client_secret: empty where `secret_signer` makes it.
        scopes: what we ask for.
        algorithms: what an ID token may be signed with; all asymmetric.
        trusts_email: whether its `email_verified` means anything.
        authoritative_domains: for addresses in these its verified ones count as proven.
        attributes: may be taken over.
        plain: set where it speaks OAuth 2.0 alone.
    """

    id: str
    kind: ProviderKind
    title: str
    issuer: str
    discovery: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    secret_signer: SecretSigner | None = None
    scopes: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("RS256",)
    response_mode: ResponseMode = ResponseMode.QUERY
    token_endpoint_auth_method: TokenAuthMethod = TokenAuthMethod.BASIC
    trusts_email: bool = True
    authoritative_domains: frozenset[str] = frozenset()
    attributes: frozenset[Attribute] = frozenset()
    plain: PlainOAuth | None = None

    @property
    def tenants(self) -> bool:
        """Tell whether each token names its own tenant, which then stands in its issuer."""
        return TENANT in self.issuer

    def issuer_of(self, tenant: object) -> str | None:
        """Return the issuer that a token with this `tid` must have; None: there is none.

        Source: OIDC Core s. 3.1.3.7 no. 2; Microsoft identity platform, "Validate the issuer".
        """
        if not self.tenants:
            return self.issuer
        if not isinstance(tenant, str) or not _TENANT_ID.fullmatch(tenant):
            return None
        return self.issuer.replace(TENANT, tenant)

    def is_issuer(self, value: str) -> bool:
        """Tell whether a response's `iss` is this provider's, before any token is known."""
        if not self.tenants:
            return value == self.issuer
        before, _, after = self.issuer.partition(TENANT)
        tenant = value.removeprefix(before).removesuffix(after)
        return self.issuer_of(tenant) == value

    def proves(self, email: str | None, *, verified: bool, hosted_domain: object = None) -> bool:
        """Tell whether what the provider says of an address counts as its proof.

        Google's verified address counts for a domain only where the account belongs to that
        domain (`hd`), or the mailbox is Google's own. Source: Google, "Verify the ID token".

        One beyond ASCII never does: `ſara@…` and `sara@…` are two mailboxes there, and one address
        here, where case is folded. A mailed code goes to the one that we keep.
        """
        if email is None or not email.isascii() or not verified or not self.trusts_email:
            return False
        domain = email.rpartition("@")[2].lower()
        if domain not in self.authoritative_domains:
            return False
        if self.kind is ProviderKind.GOOGLE and domain not in {"gmail.com", "googlemail.com"}:
            return hosted_domain == domain
        return True


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the browser is sent to, and the value of its cookie `COOKIE`."""

    url: str = field(repr=False)
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Who came back from a provider. The identity's key is (`issuer`, `sub`), never the address.

    Attributes:
        provider: the provider's id here.
        issuer: as verified; the tenant's own where there are tenants.
        sub: names the person at that issuer for good.
        email: as the provider tells it.
        email_verified: the provider says so, and its word means something.
        address_proven: the operator lets this word count as proof of the address.
        attributes: those of the provider's configuration that it told.
        sid: the provider's name of its session, for a later logout token.
        authenticated_at: when the person proved themselves there; None where it does not tell.
        purpose: what the person had gone for.
        account_id: who was signed in then, for `LINK`.
        next: a path of ours to go on to.
    """

    provider: str
    issuer: str
    sub: str = field(repr=False)
    email: str | None = field(default=None, repr=False)
    email_verified: bool = False
    address_proven: bool = False
    attributes: Mapping[Attribute, str] = field(default_factory=dict, repr=False)
    sid: str | None = field(default=None, repr=False)
    authenticated_at: datetime | None = None
    purpose: AttemptPurpose = AttemptPurpose.SIGN_IN
    account_id: str | None = None
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLogout:
    """A session ended at a provider; `sub` or `sid` says whose, or both."""

    provider: str
    issuer: str
    sub: str | None = field(repr=False)
    sid: str | None = field(repr=False)
    jti: str = field(repr=False)


class Refusal(StrEnum):
    """Why a provider's word is not taken. Their values stand in the audit log: they never change."""

    DENIED = "denied"
    PROVIDER_ERROR = "provider-error"
    RESPONSE_MALFORMED = "response-malformed"
    STATE_MISSING = "state-missing"
    STATE_UNKNOWN = "state-unknown"
    STATE_USED = "state-used"
    STATE_EXPIRED = "state-expired"
    OTHER_BROWSER = "other-browser"
    MIXED_UP = "mixed-up"
    PROVIDER_UNREACHABLE = "provider-unreachable"
    DISCOVERY_WRONG = "discovery-wrong"
    CODE_REFUSED = "code-refused"
    TOKEN_ANSWER_MALFORMED = "token-answer-malformed"  # noqa: S105 - a reason's name
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105 - a reason's name
    TOKEN_TYPE = "token-type"  # noqa: S105 - a reason's name
    ALGORITHM = "algorithm"
    KEY_UNKNOWN = "key-unknown"
    KEY_AMBIGUOUS = "key-ambiguous"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    AUTHORIZED_PARTY = "authorized-party"
    EXPIRED = "expired"
    ISSUED_AT = "issued-at"
    NONCE = "nonce"
    SUBJECT = "subject"
    TOKEN_HASH = "token-hash"  # noqa: S105 - a reason's name
    USERINFO_MALFORMED = "userinfo-malformed"
    USERINFO_SIGNED = "userinfo-signed"
    USERINFO_SUBJECT = "userinfo-subject"
    LOGOUT_EVENT = "logout-event"
    LOGOUT_NONCE = "logout-nonce"
    LOGOUT_JTI = "logout-jti"
    LOGOUT_REPLAYED = "logout-replayed"


class UpstreamRefused(DomainError):
    """What came from an outside provider is not believed.

    Attributes:
        reason: of the closed list; the words for people are in `identity.sso.words`.
    """

    code = "upstream-refused"

    def __init__(self, reason: Refusal) -> None:
        super().__init__(f"the outside provider's answer was refused: {reason.value}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSignInRefused(Event):
    """A sign-in by an outside provider was refused; whose, nobody can know yet."""

    tag: ClassVar[EventTag] = EventTag.SSO_SIGN_IN_REFUSED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    provider: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLogoutRefused(Event):
    """A logout token of an outside provider was refused."""

    tag: ClassVar[EventTag] = EventTag.SSO_LOGOUT_REFUSED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    provider: str
    reason: str
