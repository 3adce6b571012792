"""What a linked identity is, what happens to one, and what waits to be linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Final

from policies.errors import DomainError
from policies.vocabulary import Attribute, EventTag, RetentionClass
from privacy.events import Event

ARRIVAL_LIFETIME: Final = timedelta(minutes=30)
"""How long the page that opens an account may be looked at."""

LINK_LIFETIME: Final = timedelta(minutes=10)
"""How long an identity waits for its account's person to sign in and to confirm."""

MAX_IDENTITIES: Final = 20


@dataclass(frozen=True, slots=True)
class Identity:
    """One of an account's linked identities.

    Attributes:
        identity_id: 32 hexadecimal digits.
        account_id: whose.
        provider: the provider's id in the configuration; it may have gone from there.
        issuer: names the provider to all the world.
        linked_at: since when.
        last_used_at: the last sign-in by it; None where there was none.
    """

    identity_id: str
    account_id: str
    provider: str
    issuer: str
    linked_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody whom no account knows has come from a provider.

    Attributes:
        digest: names it; the browser alone has the secret.
        provider: the provider's id.
        issuer: as verified.
        sub: names the person there.
        email: normalised; None where the provider told none.
        address_proven: whether the provider's word proves the address.
        attributes: what some purpose needs and the provider's entry allows.
        upstream_session: keyed digest of the provider's session.
        next: a path of ours to go on to.
        account_id: whose person may link it, by now.
    """

    digest: str
    provider: str
    issuer: str
    sub: str = field(repr=False)
    email: str | None = field(repr=False)
    address_proven: bool
    attributes: Mapping[Attribute, str] = field(repr=False)
    upstream_session: str | None
    next: str
    account_id: str | None


class IdentityTaken(DomainError):
    """The identity is linked to another account."""

    code = "identity-taken"


class LastWayIn(DomainError):
    """Without this identity nobody could sign in to the account."""

    code = "last-way-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLinked(Event):
    """A person may sign in by an outside provider from now on.

    `by` is `registration`, `person`, `confirmation` (after a sign-in of the usual kind) or
    `proven-address` (an authoritative provider proved the account's address).
    """

    tag: ClassVar[EventTag] = EventTag.SSO_IDENTITY_LINKED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    identity_id: str
    provider: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityUnlinked(Event):
    """An outside provider opens an account no more."""

    tag: ClassVar[EventTag] = EventTag.SSO_IDENTITY_UNLINKED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    identity_id: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLogoutReceived(Event):
    """A provider says that a session of its own has ended; `count` sessions here ended with it."""

    tag: ClassVar[EventTag] = EventTag.SSO_LOGOUT_RECEIVED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    provider: str
    count: int
