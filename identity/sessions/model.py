"""What a session is, and what happens to one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.vocabulary import EventTag, RetentionClass, Role
from privacy.events import Event

TOUCH_EVERY: Final = timedelta(minutes=1)
"""A session's last use is written at most this often."""

WAITING_LIFETIME: Final = timedelta(minutes=10)
"""How long a right password waits for the next proof. Source: OWASP ASVS 5.0 6.5.5."""

MAX_TRIES: Final = 5
"""Tries at one waiting sign-in, and at proving more in one session. Source: ASVS 5.0 6.6.3."""

MAX_CODES_WAITING: Final = 5
"""Letters with a sign-in code that one account gets in `WAITING_LIFETIME`."""


class Step(StrEnum):
    """What a right password may still have to be followed by."""

    SECOND_FACTOR = "second-factor"
    ADDRESS_PROOF = "address-proof"


def next_step(
    *, second_factor: bool, trusted: bool, long_enough_alone: bool, challenged: bool
) -> Step | None:
    """Return what must follow a right password; None where nothing must.

    A code by mail is asked only of who has no second factor: it proves the address and is no
    factor itself.

    Args:
        second_factor: the account has one.
        trusted: the person asked not to be asked for it in this browser, and that still holds.
        long_enough_alone: the password is one that may be the only factor.
        challenged: the risk of this sign-in asks for more, which no trusted browser bypasses.

    Source: NIST SP 800-63B-4 s. 3.1.1.2; OWASP ASVS 5.0 6.3.3, 6.3.5.
    """
    if second_factor:
        spared = trusted and long_enough_alone and not challenged
        return None if spared else Step.SECOND_FACTOR
    return Step.ADDRESS_PROOF if challenged else None


def with_methods(had: Sequence[str], added: Iterable[str]) -> tuple[str, ...]:
    """Return RFC 8176 values without repetition, what was there first."""
    return tuple(dict.fromkeys([*had, *sorted(added)]))


@dataclass(frozen=True, slots=True)
class Session:
    """A browser session.

    Attributes:
        digest: SHA-256 of its secret id; names it, and opens nothing.
        family_id: stays the same while the session gets new secret ids.
        account_id: whose it is.
        subject_id: the person.
        role: of the account when the session began.
        methods: how the person proved who they are, RFC 8176 values.
        created_at: when the person signed in; the absolute limit counts from here.
        last_seen_at: the last use, to the minute; the idle limit counts from here.
        authenticated_at: when the person last proved who they are.
        user_agent: browser and system, for the list of sessions.
        address: the network it began from, truncated, for the list of sessions.
        device_id: the browser it began in, where that is one we know.
        limited_to: the one page that the session opens, where there is something to do first.
    """

    digest: str
    family_id: str | None
    account_id: str
    subject_id: str
    role: Role
    methods: tuple[str, ...]
    created_at: datetime
    last_seen_at: datetime
    authenticated_at: datetime
    user_agent: str
    address: str
    device_id: str | None
    limited_to: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSucceeded(Event):
    """A person signed in, with two factors or not; the rest is in the sealed evidence."""

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SIGN_IN_SUCCEEDED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    two_factors: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailed(Event):
    """Somebody tried to sign in as this person.

    `factor` is `password`, `otp`, `passkey`, `federated` or `mailed-code`.
    """

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SIGN_IN_FAILED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    factor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedUp(Event):
    """A signed-in person proved again, or more, who they are; `factor` is a `Factor`."""

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SESSION_STEPPED_UP
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    factor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """Sessions of a person were ended before their time.

    `cause` is `sign-out`, `by-person`, `password-set`, `second-factor-removed`,
    `device-forgotten`, `step-up-failed`, `identity-unlinked`, `upstream-logout`, `replaced`
    (somebody else signed in in that browser), or what the caller of `Sessions.end_all` says;
    `count` says how many ended.
    """

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SESSION_ENDED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    cause: str
    count: int
