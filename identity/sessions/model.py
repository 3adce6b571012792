"""What a session is, and what happens to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import ClassVar, Final

from policies.vocabulary import EventTag, RetentionClass, Role
from privacy.events import Event
from privacy.network import parse_address

TOUCH_EVERY: Final = timedelta(minutes=1)
"""A session's last use is written at most this often."""

FRESH_FOR: Final = timedelta(minutes=10)
"""For so long after a sign-in a sensitive change needs no new one. Source: ASVS 5.0 7.5.1."""

SECOND_STEP_LIFETIME: Final = timedelta(minutes=10)
MAX_SECOND_STEP_TRIES: Final = 5

_SHOWN_PREFIX: Final = {4: 24, 6: 48}


@dataclass(frozen=True, slots=True)
class Client:
    """The browser as it shows itself.

    Attributes:
        address: network address as we trust it, or None.
        user_agent: what the browser says of itself; shown, never believed.
    """

    address: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class Session:
    """A browser session.

    Attributes:
        digest: SHA-256 of its secret id; names it, and opens nothing.
        account_id: whose it is.
        subject_id: the person.
        role: of the account when the session began.
        methods: how the person proved who they are, RFC 8176 values.
        created_at: when the person signed in; the absolute limit counts from here.
        last_seen_at: the last use, to the minute; the idle limit counts from here.
        authenticated_at: when the person last proved who they are.
        user_agent: browser and system, for the list of sessions.
        address: the network it began from, truncated, for the list of sessions.
    """

    digest: str
    account_id: str
    subject_id: str
    role: Role
    methods: tuple[str, ...]
    created_at: datetime
    last_seen_at: datetime
    authenticated_at: datetime
    user_agent: str
    address: str


_BROWSERS: Final = (  # the first that is named: most name others too
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def short_user_agent(user_agent: str) -> str:
    """Return browser and system by name, `Firefox, Linux`; empty where neither is known."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return ", ".join(part for part in (browser, system) if part)


def short_address(address: str | None) -> str:
    """Return the network an address lies in: IPv4 /24, IPv6 /48; empty where there is none."""
    ip = parse_address(address)
    if ip is None:
        return ""
    return str(ip_network((ip, _SHOWN_PREFIX[ip.version]), strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSucceeded(Event):
    """A person signed in; how and from where is in the sealed evidence."""

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SIGN_IN_SUCCEEDED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailed(Event):
    """Somebody tried to sign in as this person; `factor` is `password` or `otp`."""

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SIGN_IN_FAILED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    factor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """Sessions of a person were ended before their time.

    `cause` is `sign-out`, `by-person`, `password-set` or `second-factor-removed`; `count` says
    how many ended.
    """

    tag: ClassVar[EventTag] = EventTag.SESSIONS_SESSION_ENDED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    account_id: str
    cause: str
    count: int
