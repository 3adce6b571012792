from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.assurance import (
    ACR,
    FRESH_FOR,
    METHODS_OF,
    NEEDS,
    Action,
    AssuranceLevel,
    Factor,
    FactorNeeded,
    level_of,
    level_of_acr,
    missing,
    missing_for_level,
    satisfies,
)

AAL1, AAL2, AAL3 = AssuranceLevel

METHODS = [
    "pwd",
    "fed",
    "otp",
    "hwk",
    "swk",
    "sc",
    "mfa",
    "pin",
    "fpt",
    "face",
    "sms",
    "user",
    "kba",
]


@pytest.mark.parametrize(
    ("methods", "level"),
    [
        ((), None),
        (("user",), None),
        (("kba", "geo"), None),
        (("fpt",), None),
        (("sms",), None),
        (("pwd",), AAL1),
        (("fed",), AAL1),
        (("fed", "pwd"), AAL1),
        (("fed", "otp"), AAL2),
        (("otp",), AAL1),
        (("hwk",), AAL1),
        (("swk", "user"), AAL1),
        (("pwd", "pin"), AAL1),
        (("pwd", "sms"), AAL1),
        (("otp", "fpt"), AAL1),
        (("otp", "swk"), AAL1),
        (("pwd", "otp"), AAL2),
        (("pwd", "otp", "mfa"), AAL2),
        (("pwd", "swk"), AAL2),
        (("swk", "fpt"), AAL2),
        (("mfa",), AAL2),
        (("pwd", "hwk"), AAL3),
        (("hwk", "pin"), AAL3),
        (("hwk", "mfa"), AAL3),
        (("sc", "pin"), AAL3),
    ],
)
def test_the_level_follows_from_the_methods(
    methods: tuple[str, ...], level: AssuranceLevel | None
) -> None:
    assert level_of(methods) == level


@given(st.frozensets(st.sampled_from(METHODS)), st.sampled_from(METHODS))
def test_one_more_method_never_lowers_the_level(methods: frozenset[str], more: str) -> None:
    before = level_of(methods)

    assert before is None or satisfies(level_of(methods | {more}), before)


@pytest.mark.parametrize(
    ("have", "need", "enough"),
    [
        (None, AAL1, False),
        (AAL1, AAL1, True),
        (AAL1, AAL2, False),
        (AAL2, AAL1, True),
        (AAL2, AAL3, False),
        (AAL3, AAL2, True),
        (AAL3, AAL3, True),
    ],
)
def test_a_session_may_do_what_needs_its_level_or_less(
    have: AssuranceLevel | None, need: AssuranceLevel, enough: bool
) -> None:
    assert satisfies(have, need) is enough


def test_each_level_has_an_acr_of_its_own_that_leads_back_to_it() -> None:
    assert [ACR[level] for level in AssuranceLevel] == [
        "urn:placet:acr:aal1",
        "urn:placet:acr:aal2",
        "urn:placet:acr:aal3",
    ]
    assert [level_of_acr(ACR[level]) for level in AssuranceLevel] == list(AssuranceLevel)


@pytest.mark.parametrize("acr", ["", "0", "aal2", "urn:placet:acr:aal4", "URN:PLACET:ACR:AAL2"])
def test_a_foreign_acr_names_no_level(acr: str) -> None:
    assert level_of_acr(acr) is None


NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
PASSWORD, TOTP, PASSKEY, RECOVERY_CODE, FEDERATED = Factor
BOTH = frozenset({PASSWORD, TOTP, RECOVERY_CODE})


def _missing(
    action: Action, methods: tuple[str, ...], factors: frozenset[Factor], *, age: timedelta
) -> frozenset[Factor]:
    return missing(
        NEEDS[action], methods=methods, authenticated_at=NOON - age, at=NOON, factors=factors
    )


@pytest.mark.parametrize(
    ("methods", "factors", "lacking"),
    [
        (("pwd",), {PASSWORD}, set()),
        (("pwd",), BOTH, {TOTP, RECOVERY_CODE}),
        (("pwd",), {PASSWORD, PASSKEY}, {PASSKEY}),
        (("pwd", "otp"), BOTH, set()),
        (("swk", "user", "mfa"), {PASSKEY}, set()),
        (("otp",), BOTH, {PASSWORD}),
    ],
)
def test_exactly_the_factor_is_asked_for_that_a_fresh_session_lacks(
    methods: tuple[str, ...], factors: set[Factor], lacking: set[Factor]
) -> None:
    asked = _missing(Action.CHANGE_FACTORS, methods, frozenset(factors), age=timedelta(0))
    assert asked == lacking


def test_a_proof_is_fresh_until_the_very_instant_and_then_any_factor_will_do() -> None:
    just, over = FRESH_FOR - timedelta(microseconds=1), FRESH_FOR
    assert _missing(Action.ERASE_DATA, ("pwd", "otp"), BOTH, age=just) == frozenset()
    assert _missing(Action.ERASE_DATA, ("pwd", "otp"), BOTH, age=over) == {PASSWORD, TOTP}


def test_others_data_opens_for_a_key_bound_to_our_address_alone() -> None:
    with_key = BOTH | {PASSKEY}
    assert _missing(Action.DESK, ("pwd", "otp"), with_key, age=timedelta(0)) == {PASSKEY}
    assert _missing(Action.DESK, ("swk", "user", "mfa"), with_key, age=timedelta(9)) == frozenset()
    with pytest.raises(FactorNeeded):
        _missing(Action.ADMINISTRATION, ("pwd", "otp"), BOTH, age=timedelta(0))


@given(
    st.sampled_from(Action),
    st.frozensets(st.sampled_from(Factor), min_size=1),
    st.frozensets(st.sampled_from(METHODS)),
)
def test_whatever_is_asked_for_completes_the_session(
    action: Action, factors: frozenset[Factor], methods: frozenset[str]
) -> None:
    try:
        asked = missing(
            NEEDS[action], methods=methods, authenticated_at=None, at=NOON, factors=factors
        )
    except FactorNeeded:
        return
    assert asked <= factors
    for factor in asked - {RECOVERY_CODE}:
        after = methods | METHODS_OF[factor]
        assert not missing(
            NEEDS[action], methods=after, authenticated_at=NOON, at=NOON, factors=factors
        )


def test_a_session_that_is_not_fresh_is_never_spared_for_want_of_a_factor() -> None:
    own, used = NEEDS[Action.CHANGE_FACTORS], METHODS_OF[Factor.PASSKEY]
    at = datetime(2026, 3, 3, tzinfo=UTC)

    def lacks(*factors: Factor) -> frozenset[Factor]:
        return missing(own, methods=used, authenticated_at=None, at=at, factors=factors)

    with pytest.raises(FactorNeeded):  # its only passkey was suspended meanwhile
        lacks()
    assert lacks(Factor.RECOVERY_CODE) == {Factor.RECOVERY_CODE}
    assert lacks(Factor.RECOVERY_CODE, Factor.PASSWORD) == {Factor.PASSWORD}


def test_an_outside_provider_is_asked_again_only_where_the_account_has_nothing_of_its_own() -> None:
    own, used = NEEDS[Action.CHANGE_FACTORS], METHODS_OF[FEDERATED]
    at = datetime(2026, 3, 3, tzinfo=UTC)

    def lacks(*factors: Factor) -> frozenset[Factor]:
        return missing(own, methods=used, authenticated_at=None, at=at, factors=factors)

    assert lacks(FEDERATED) == {FEDERATED}
    assert lacks(FEDERATED, PASSWORD) == {PASSWORD}
    assert lacks(FEDERATED, TOTP) == {TOTP}


def test_a_level_asks_for_one_factor_that_completes_it_else_for_the_next_of_two() -> None:
    every = frozenset(Factor)

    def lacks(methods: tuple[str, ...], factors: Collection[Factor] = every) -> frozenset[Factor]:
        return missing_for_level(AAL2, methods=methods, factors=factors)

    assert lacks(("pwd", "otp")) == frozenset()
    assert lacks(("pwd",)) == {Factor.TOTP, Factor.PASSKEY, Factor.RECOVERY_CODE}
    assert lacks(("otp",)) == {Factor.PASSWORD, Factor.PASSKEY}
    assert lacks(()) == {Factor.PASSKEY}
    assert lacks(("fed",), {Factor.FEDERATED, Factor.TOTP}) == {Factor.TOTP}
    own = {Factor.PASSWORD, Factor.TOTP, Factor.RECOVERY_CODE}
    assert lacks((), own) == {Factor.PASSWORD, Factor.TOTP}
    for methods, factors in ((("pwd",), {Factor.PASSWORD}), ((), {Factor.TOTP})):
        with pytest.raises(FactorNeeded):
            lacks(methods, factors)
    with pytest.raises(FactorNeeded):  # nothing that we know shows hardware
        missing_for_level(AAL3, methods=("pwd", "otp"), factors=every)
