"""Each signal alone, what they amount to together, and where the limits lie."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.risk import (
    THRESHOLD,
    WEIGHTS,
    Observation,
    Outcome,
    Sighting,
    Signal,
    assess,
    distance_km,
    is_impossible_travel,
    is_unusual_hour,
    judge,
)

NOON = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)
MADRID = Sighting(NOON, 40.4168, -3.7038)
#: As usual: Ana's browser, at home, after lunch.
USUAL = Observation(
    device_known=True,
    country="ES",
    countries_seen={"ES"},
    network="203.0.113.0/24",
    networks_seen={"203.0.113.0/24"},
    last=MADRID,
    here=replace(MADRID, at=NOON + timedelta(hours=3)),
    hour=15,
    hours_seen=(0,) * 12 + (4,) * 6 + (0,) * 6,
)
TOKYO = Sighting(NOON + timedelta(hours=3), 35.6762, 139.6503)
UNUSUAL = {
    Signal.NEW_DEVICE: replace(USUAL, device_known=False),
    Signal.NEW_COUNTRY: replace(USUAL, country="FR"),
    Signal.NEW_NETWORK: replace(USUAL, network="198.51.100.0/24"),
    Signal.IMPOSSIBLE_TRAVEL: replace(USUAL, here=TOKYO),
    Signal.VELOCITY: replace(USUAL, failures_lately=10),
    Signal.BREACHED_PASSWORD: replace(USUAL, breached=True),
    Signal.MANY_ACCOUNTS: replace(USUAL, other_accounts=5),
    Signal.UNUSUAL_HOUR: replace(USUAL, hour=4),
}


def test_what_is_as_usual_gives_no_signal() -> None:
    verdict = assess(USUAL)
    assert (verdict.score, verdict.signals, verdict.outcome) == (0, (), Outcome.ALLOW)


@pytest.mark.parametrize("signal", Signal)
def test_each_signal_is_raised_by_its_own_fact_alone(signal: Signal) -> None:
    assert assess(UNUSUAL[signal]).signals == (signal,)


def test_a_new_device_impossible_travel_a_breach_and_velocity_each_ask_for_more_alone() -> None:
    enough = {signal for signal in Signal if judge({signal}).outcome is Outcome.CHALLENGE}
    assert enough == {
        Signal.NEW_DEVICE,
        Signal.IMPOSSIBLE_TRAVEL,
        Signal.BREACHED_PASSWORD,
        Signal.VELOCITY,
    }


def test_weak_signals_ask_for_more_together() -> None:
    assert judge({Signal.NEW_COUNTRY, Signal.NEW_NETWORK}).outcome is Outcome.ALLOW
    together = judge({Signal.NEW_COUNTRY, Signal.NEW_NETWORK, Signal.UNUSUAL_HOUR})
    assert (together.score, together.outcome) == (THRESHOLD, Outcome.CHALLENGE)


@given(st.sets(st.sampled_from(list(Signal))), st.sampled_from(list(Signal)))
def test_one_more_signal_never_lowers_score_or_outcome(signals: set[Signal], more: Signal) -> None:
    before, after = judge(signals), judge(signals | {more})
    assert after.score >= before.score
    assert before.outcome is Outcome.ALLOW or after.outcome is Outcome.CHALLENGE


@given(st.sets(st.sampled_from(list(Signal))))
def test_the_score_is_the_sum_of_the_weights_whatever_their_order(signals: set[Signal]) -> None:
    verdict = judge(signals)
    assert verdict.score == sum(WEIGHTS[each].points for each in signals)
    assert set(verdict.signals) == signals
    alone = any(WEIGHTS[each].alone for each in signals)
    assert (verdict.outcome is Outcome.CHALLENGE) == (alone or verdict.score >= THRESHOLD)


@given(
    first=st.booleans(),
    known=st.booleans(),
    country=st.sampled_from([None, "ES", "FR"]),
    failures=st.integers(0, 300),
    others=st.integers(0, 300),
    storm=st.integers(0, 300),
    breached=st.booleans(),
)
def test_a_worse_fact_never_lowers_the_score(
    first: bool,
    known: bool,
    country: str | None,
    failures: int,
    others: int,
    storm: int,
    breached: bool,
) -> None:
    observed = replace(
        USUAL,
        first_sign_in=first,
        device_known=known,
        country=country,
        failures_lately=failures,
        other_accounts=others,
        failures_everywhere=storm,
        breached=breached,
    )
    for worse in (
        replace(observed, device_known=False),
        replace(observed, failures_lately=failures + 1),
        replace(observed, other_accounts=others + 1),
        replace(observed, failures_everywhere=storm + 1),
        replace(observed, breached=True),
    ):
        assert assess(worse).score >= assess(observed).score


def test_the_first_sign_in_has_nothing_to_differ_from_and_is_guarded_against_guessing() -> None:
    first = Observation(first_sign_in=True, country="ES", network="203.0.113.0/24")
    assert assess(first).signals == ()
    assert assess(replace(first, breached=True)).signals == (Signal.BREACHED_PASSWORD,)


def test_what_was_never_known_is_not_new() -> None:
    unknown = replace(USUAL, countries_seen=(), networks_seen=(), last=None)
    assert assess(unknown).signals == ()
    assert assess(replace(USUAL, country=None, network="", here=None)).signals == ()


@pytest.mark.parametrize(
    ("fact", "value", "raised"),
    [
        ("failures_lately", 9, False),
        ("failures_lately", 10, True),
        ("other_accounts", 4, False),
        ("other_accounts", 5, True),
        ("failures_everywhere", 99, False),
        ("failures_everywhere", 100, True),
    ],
)
def test_a_count_becomes_a_signal_at_its_limit(fact: str, value: int, raised: bool) -> None:
    observed = replace(USUAL, **{fact: value})  # type: ignore[arg-type]  # each fact is a count
    assert bool(assess(observed).signals) is raised


def test_the_distance_is_that_of_the_great_circle() -> None:
    assert distance_km(MADRID, TOKYO) == pytest.approx(10_766, abs=30)
    pole, other_pole = Sighting(NOON, 90, 0), Sighting(NOON, -90, 77)
    assert distance_km(pole, other_pole) == pytest.approx(20_015, abs=1)
    assert distance_km(MADRID, MADRID) == 0
    east, west = Sighting(NOON, 0, 179.5), Sighting(NOON, 0, -179.5)
    assert distance_km(east, west) == pytest.approx(111.2, abs=0.1)


def test_travel_is_impossible_above_an_airliner_s_speed_and_beyond_a_hundred_kilometres() -> None:
    hours = distance_km(MADRID, TOKYO) / 900
    at_speed = replace(TOKYO, at=NOON + timedelta(hours=hours, seconds=1))
    too_fast = replace(TOKYO, at=NOON + timedelta(hours=hours, seconds=-1))
    assert not is_impossible_travel(MADRID, at_speed)
    assert is_impossible_travel(MADRID, too_fast)
    degree = distance_km(Sighting(NOON, 0, 0), Sighting(NOON, 1, 0))
    origin = Sighting(NOON, 0, 0)
    assert not is_impossible_travel(origin, Sighting(NOON, 99.9 / degree, 0))
    assert is_impossible_travel(origin, Sighting(NOON, 100.1 / degree, 0))


def test_an_hour_is_unusual_only_with_twenty_sign_ins_and_below_two_in_a_hundred() -> None:
    def seen(**hours: int) -> list[int]:
        return [hours.get(f"h{hour}", 0) for hour in range(24)]

    assert not is_unusual_hour(4, seen(h12=19))
    assert is_unusual_hour(4, seen(h12=20))
    assert not is_unusual_hour(4, seen(h12=98, h4=2))
    assert is_unusual_hour(4, seen(h12=99, h4=1))
    assert not is_unusual_hour(23, seen(h1=20))  # the day is a circle
    assert is_unusual_hour(22, seen(h1=20))
