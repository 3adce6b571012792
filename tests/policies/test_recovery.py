from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.recovery import KNOWN_DEVICE_AGE, REMINDER, WAITING, Proof, enough, is_known

MAILBOX, PASSWORD, CODE = Proof.MAILBOX, Proof.PASSWORD, Proof.RECOVERY_CODE
DEVICE, STAFF = Proof.KNOWN_DEVICE, Proof.STAFF
NOON = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)
proofs = st.frozensets(st.sampled_from(Proof))


def suffices(*shown: Proof, by_mail: bool = False, privileged: bool = False) -> bool:
    return enough(shown, password_set_by_mail=by_mail, privileged=privileged)


@pytest.mark.parametrize("second", [PASSWORD, CODE, DEVICE, STAFF])
def test_the_mailbox_and_one_more_proof_are_enough(second: Proof) -> None:
    assert suffices(MAILBOX, second)
    assert not suffices(second)


def test_one_proof_shown_twice_is_one() -> None:
    assert not suffices(MAILBOX, MAILBOX)


def test_without_the_mailbox_nothing_is_enough() -> None:
    assert not suffices(PASSWORD, CODE, DEVICE, STAFF)


def test_a_password_that_was_set_through_the_mailbox_is_no_proof_beside_it() -> None:
    assert not suffices(MAILBOX, PASSWORD, by_mail=True)
    assert suffices(MAILBOX, PASSWORD, DEVICE, by_mail=True)


def test_whoever_sees_other_people_s_data_needs_somebody_of_the_staff() -> None:
    assert not suffices(MAILBOX, PASSWORD, CODE, DEVICE, privileged=True)
    assert suffices(MAILBOX, STAFF, privileged=True)


@given(proofs, proofs, st.booleans(), st.booleans())
def test_one_proof_more_never_makes_it_less(
    some: frozenset[Proof], more: frozenset[Proof], by_mail: bool, privileged: bool
) -> None:
    if suffices(*some, by_mail=by_mail, privileged=privileged):
        assert suffices(*some, *more, by_mail=by_mail, privileged=privileged)


def test_a_browser_counts_from_the_instant_at_which_it_is_thirty_days_old() -> None:
    assert is_known(NOON - KNOWN_DEVICE_AGE, NOON)
    assert not is_known(NOON - KNOWN_DEVICE_AGE + timedelta(microseconds=1), NOON)
    with pytest.raises(ValueError, match="time zone"):
        is_known(NOON.replace(tzinfo=None), NOON)


def test_the_reminder_lies_within_the_waiting_time() -> None:
    assert timedelta(0) < REMINDER < WAITING == timedelta(hours=72)
