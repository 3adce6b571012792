"""How unlike this person a sign-in looks, and whether to ask for one more proof.

Each signal has a weight, and some of them are enough alone; the score is the sum. Nothing is
learned or guessed: `docs/risk.md` tells the same to staff, and the person reads which signals
there were. A signal only ever adds. Source: OWASP ASVS 5.0 6.3.5; GDPR Art. 32(1).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

POLICY_VERSION: Final = 1
"""Rises with every change of a signal, a weight or a limit below; each assessment names it."""

THRESHOLD: Final = 50
"""From this score on one more proof is asked for."""


class Outcome(StrEnum):
    """What follows from an assessment."""

    ALLOW = "allow"
    CHALLENGE = "challenge"


class Signal(StrEnum):
    """What may be unusual about a sign-in."""

    NEW_DEVICE = "new-device"
    NEW_COUNTRY = "new-country"
    NEW_NETWORK = "new-network"
    IMPOSSIBLE_TRAVEL = "impossible-travel"
    VELOCITY = "velocity"
    BREACHED_PASSWORD = "breached-password"  # noqa: S105 - a signal's name
    MANY_ACCOUNTS = "many-accounts"
    UNUSUAL_HOUR = "unusual-hour"


@dataclass(frozen=True, slots=True)
class Weight:
    """What a signal adds to the score, and whether it alone asks for one more proof."""

    points: int
    alone: bool = False


WEIGHTS: Final[Mapping[Signal, Weight]] = MappingProxyType(
    {
        Signal.NEW_DEVICE: Weight(50, alone=True),
        Signal.IMPOSSIBLE_TRAVEL: Weight(60, alone=True),
        Signal.BREACHED_PASSWORD: Weight(60, alone=True),
        Signal.VELOCITY: Weight(50, alone=True),
        Signal.NEW_COUNTRY: Weight(30),
        Signal.MANY_ACCOUNTS: Weight(30),
        Signal.NEW_NETWORK: Weight(10),
        Signal.UNUSUAL_HOUR: Weight(10),
    }
)

FASTEST_KM_PER_HOUR: Final = 900.0
"""An airliner's speed: whoever was faster was not one person."""

NEAR_KM: Final = 100.0
"""What places found by network address are wrong by; up to here nobody has travelled."""

VELOCITY_FAILURES: Final = 10
"""So many failures within `LATELY` are no slips of the hand."""

MANY_ACCOUNTS: Final = 5
"""So many other accounts tried in vain from one network within `LATELY` are no household."""

STORM_FAILURES_PER_MINUTE: Final = 100
"""From so many failures a minute on, over all accounts, we are being attacked."""

LATELY: Final = timedelta(hours=1)

HOUR_HISTORY: Final = 20
"""With fewer sign-ins than this nobody has usual hours."""

HOUR_WINDOW: Final = 2
"""Hours before and after that count as the same time of day."""

HOUR_RARE: Final = 0.02
"""Below this share of the sign-ins an hour is unusual."""

_EARTH_RADIUS_KM: Final = 6371.0088
"""Mean radius R1 of the GRS 80 ellipsoid. Source: IUGG, Geodetic Reference System 1980."""

_HOURS_A_DAY: Final = 24


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where somebody was at a time: an aware instant, and degrees north and east (WGS 84)."""

    at: datetime
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The facts of one sign-in and of those before it. Facts only: what they mean is `assess`'s.

    Attributes:
        first_sign_in: the account was opened just now, so nothing could be known yet.
        device_known: this browser belongs to the account.
        country: ISO 3166-1 alpha-2 of the network address, None where it is not known.
        countries_seen: of earlier sign-ins; empty where none was known.
        network: the truncated network address; empty where there is none.
        networks_seen: of earlier sign-ins.
        last: where the last sign-in was; None without a city database or an earlier sign-in.
        here: where this one is, likewise.
        failures_lately: vain tries within `LATELY` on what this sign-in is counted on: the known
            device, or the account as strangers try it.
        other_accounts: how many other accounts were tried in vain from this network in `LATELY`.
        failures_everywhere: vain tries on all accounts in the last minute.
        hour: of the day, 0 to 23, in the controller's time zone.
        hours_seen: how many earlier sign-ins there were in each of the 24 hours, same zone.
        breached: the password is known from a breach.
    """

    first_sign_in: bool = False
    device_known: bool = False
    country: str | None = None
    countries_seen: Collection[str] = frozenset()
    network: str = ""
    networks_seen: Collection[str] = frozenset()
    last: Sighting | None = None
    here: Sighting | None = None
    failures_lately: int = 0
    other_accounts: int = 0
    failures_everywhere: int = 0
    hour: int = 12
    hours_seen: Sequence[int] = (0,) * _HOURS_A_DAY
    breached: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer and all that led to it.

    Attributes:
        score: sum of the signals' points.
        signals: in the order of `Signal`.
        outcome: what follows.
    """

    score: int
    signals: tuple[Signal, ...]
    outcome: Outcome


def assess(observed: Observation) -> Verdict:
    """What these facts say of a sign-in."""
    return judge(_signals(observed))


def judge(signals: Collection[Signal]) -> Verdict:
    """What these signals amount to, each counted once."""
    ordered = tuple(signal for signal in Signal if signal in signals)
    score = sum(WEIGHTS[signal].points for signal in ordered)
    challenged = score >= THRESHOLD or any(WEIGHTS[signal].alone for signal in ordered)
    return Verdict(score, ordered, Outcome.CHALLENGE if challenged else Outcome.ALLOW)


def distance_km(one: Sighting, other: Sighting) -> float:
    """The length of the great circle between two places, in kilometres, by the haversine."""
    north, north_too = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    half_chord = (
        math.sin((north_too - north) / 2) ** 2
        + math.cos(north) * math.cos(north_too) * math.sin(east / 2) ** 2
    )
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(half_chord, 1.0)))


def is_impossible_travel(last: Sighting, here: Sighting) -> bool:
    """Whether nobody can have come from one place to the other in the time between."""
    distance = distance_km(last, here)
    if distance <= NEAR_KM:
        return False
    hours = abs(here.at - last.at) / timedelta(hours=1)
    return distance > FASTEST_KM_PER_HOUR * hours


def is_unusual_hour(hour: int, hours_seen: Sequence[int]) -> bool:
    """Whether the person hardly ever signs in around this hour of the day.

    Args:
        hour: 0 to 23.
        hours_seen: how many sign-ins there were in each of the 24 hours, same zone.
    """
    total = sum(hours_seen)
    if total < HOUR_HISTORY:
        return False
    around = sum(
        hours_seen[(hour + offset) % _HOURS_A_DAY]
        for offset in range(-HOUR_WINDOW, HOUR_WINDOW + 1)
    )
    return around < HOUR_RARE * total


def _signals(observed: Observation) -> frozenset[Signal]:
    return frozenset(_unfamiliar(observed)) | frozenset(_abusive(observed))


def _unfamiliar(observed: Observation) -> Iterator[Signal]:
    """What differs from the person's own past; where there is none, nothing does."""
    if observed.first_sign_in:
        return
    if not observed.device_known:
        yield Signal.NEW_DEVICE
    if observed.countries_seen and observed.country not in {None, *observed.countries_seen}:
        yield Signal.NEW_COUNTRY
    if observed.networks_seen and observed.network not in {"", *observed.networks_seen}:
        yield Signal.NEW_NETWORK
    if observed.last and observed.here and is_impossible_travel(observed.last, observed.here):
        yield Signal.IMPOSSIBLE_TRAVEL
    if is_unusual_hour(observed.hour, observed.hours_seen):
        yield Signal.UNUSUAL_HOUR


def _abusive(observed: Observation) -> Iterator[Signal]:
    """What looks like guessing, whoever's account it is."""
    if observed.failures_lately >= VELOCITY_FAILURES:
        yield Signal.VELOCITY
    if observed.breached:
        yield Signal.BREACHED_PASSWORD
    if (
        observed.other_accounts >= MANY_ACCOUNTS
        or observed.failures_everywhere >= STORM_FAILURES_PER_MINUTE
    ):
        yield Signal.MANY_ACCOUNTS
