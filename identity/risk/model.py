"""What a device, an assessment and a proof of the address are, and what happens to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from policies.risk import Outcome, Signal
from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

DEVICE_KEPT: Final = timedelta(days=365)
"""A browser that was not seen for so long is a new one."""

TRUST_LIFETIME: Final = timedelta(days=30)
"""For so long a browser that the person called their own counts as trusted."""

ASSESSMENTS_KEPT: Final = timedelta(days=365)
"""As long as the security trail at most. Source: `policies.retention.SECURITY_TRAIL_MONTHS`."""

FIRST_SIGN_IN_WITHIN: Final = timedelta(hours=1)
"""So long after registering, a sign-in with nothing before it is the registration's own."""

PROOF_LIFETIME: Final = timedelta(hours=1)
"""How long the mailed link of an address proof may be used."""


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that an account was signed in with; several accounts may share one browser.

    Attributes:
        device_id: 32 hexadecimal digits; of this browser and this account.
        account_id: whose.
        name: browser and system; empty where neither is known.
        network: where it was last, truncated; empty where that is not known.
        first_seen_at: when it became known.
        last_seen_at: the last sign-in with it; as `first_seen_at` where there was none yet.
        trusted_until: half-open; None where the person never called it their own.
        signed_in_since: the first sign-in with it; None where a mailed code alone made it known, or
            nothing but what came by mail signed in.
    """

    device_id: str
    account_id: str
    name: str
    network: str
    first_seen_at: datetime
    last_seen_at: datetime
    trusted_until: datetime | None
    signed_in_since: datetime | None = None

    @property
    def is_news(self) -> bool:
        """Whether the person has not been told of it: nobody has signed in with it yet."""
        return self.signed_in_since is None and self.last_seen_at == self.first_seen_at


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was made of one sign-in, just now.

    Attributes:
        assessment_id: names it; `Risk.complete` wants it once the person has got in.
        outcome: whether to ask for one more proof.
        score: the sum of the signals' points.
        signals: why.
        policy_version: of `policies.risk`.
    """

    assessment_id: str
    outcome: Outcome
    score: int
    signals: tuple[Signal, ...]
    policy_version: int


@dataclass(frozen=True, slots=True)
class PastAssessment:
    """What was made of an earlier sign-in, as the person and staff read it.

    Attributes:
        assessment_id: names it; where the next page begins.
        at: when.
        outcome: whether one more proof was asked for.
        score: the sum of the signals' points.
        signals: why; names that the present policy no longer has are left out.
        policy_version: of `policies.risk` at that time.
        methods: what had been shown by then, RFC 8176 values.
        device: browser and system.
        network: truncated.
        country: ISO 3166-1 alpha-2, or None.
        city: its English name, or None.
        address: the full network address, as long as the register keeps it; then None.
        completed: whether the person got in.
    """

    assessment_id: str
    at: datetime
    outcome: Outcome
    score: int
    signals: tuple[Signal, ...]
    policy_version: int
    methods: tuple[str, ...]
    device: str
    network: str
    country: str | None
    city: str | None
    address: str | None
    completed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInAssessed(Event):
    """How unusual a sign-in looked; why is in the sealed evidence."""

    tag: ClassVar[EventTag] = EventTag.RISK_SIGN_IN_ASSESSED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    assessment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRemembered(Event):
    """A browser became a known device of an account."""

    tag: ClassVar[EventTag] = EventTag.RISK_DEVICE_REMEMBERED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDistrusted(Event):
    """A known device is asked for the second factor again."""

    tag: ClassVar[EventTag] = EventTag.RISK_DEVICE_DISTRUSTED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRevoked(Event):
    """A browser is no longer a known device of an account; its sessions end."""

    tag: ClassVar[EventTag] = EventTag.RISK_DEVICE_REVOKED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressProved(Event):
    """Whoever reads the account's mail made their browser a known device."""

    tag: ClassVar[EventTag] = EventTag.RISK_ADDRESS_PROOF_COMPLETED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressProofRequested(Event):
    """A code was mailed that lets a new browser try the password of an attacked account."""

    tag: ClassVar[EventTag] = EventTag.RISK_ADDRESS_PROOF_REQUESTED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
