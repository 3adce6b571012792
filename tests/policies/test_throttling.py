from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.throttling import (
    MAX_CONSECUTIVE_FAILURES,
    NEVER,
    allowed_at,
    is_closed,
    wait_after,
)

FAILED = datetime(2026, 5, 4, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (1, 0), (3, 0), (4, 1), (5, 2), (6, 4), (13, 512), (14, 900), (15, 900), (99, 900)],
)
def test_the_wait_doubles_after_three_free_failures_up_to_a_quarter_of_an_hour(
    failures: int, seconds: int
) -> None:
    assert wait_after(failures) == timedelta(seconds=seconds)


@given(st.integers(0, 10**30))
def test_the_wait_never_shrinks_and_never_exceeds_its_cap(failures: int) -> None:
    assert wait_after(failures) <= wait_after(failures + 1) <= timedelta(minutes=15)


def test_the_next_attempt_is_looked_at_when_the_wait_is_over() -> None:
    assert allowed_at(0, FAILED) == FAILED
    assert allowed_at(5, FAILED) == FAILED + timedelta(seconds=2)


def test_the_wait_is_counted_in_elapsed_time_over_a_change_of_clocks() -> None:
    before = datetime(2026, 3, 29, 1, 59, 59, tzinfo=ZoneInfo("Europe/Madrid"))

    assert allowed_at(14, before).isoformat() == "2026-03-29T01:14:59+00:00"


def test_the_hundredth_failure_closes_the_authenticator() -> None:
    assert MAX_CONSECUTIVE_FAILURES == 100
    assert not is_closed(99)
    assert allowed_at(99, FAILED) < NEVER
    assert is_closed(100)
    assert allowed_at(100, FAILED) == NEVER
    assert allowed_at(101, FAILED) == NEVER


def test_a_negative_count_and_a_naive_instant_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        wait_after(-1)
    with pytest.raises(ValueError, match="must carry a time zone"):
        allowed_at(1, datetime(2026, 5, 4))  # noqa: DTZ001 - what is refused
