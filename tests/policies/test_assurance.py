from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.assurance import ACR, AssuranceLevel, level_of, level_of_acr, satisfies

AAL1, AAL2, AAL3 = AssuranceLevel

METHODS = ["pwd", "otp", "hwk", "swk", "sc", "mfa", "pin", "fpt", "face", "sms", "user", "kba"]


@pytest.mark.parametrize(
    ("methods", "level"),
    [
        ((), None),
        (("user",), None),
        (("kba", "geo"), None),
        (("fpt",), None),
        (("sms",), None),
        (("pwd",), AAL1),
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
