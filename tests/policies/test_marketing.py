"""Lists of those who want no marketing, the dead, and duties that go with a permit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decision import (
    ConsentFact,
    Facts,
    ObligationRule,
    ObligationType,
    PurposeRule,
    covered_categories,
    decide,
)
from policies.vocabulary import ConsentAction, DecisionReason, LegalBasis, SaidBy

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
OFFERS = PurposeRule("offers.email", LegalBasis.CONSENT, 1, 24, direct_marketing=True)
SIMILAR = PurposeRule("similar", LegalBasis.LEGITIMATE_INTERESTS, 1, None, direct_marketing=True)
GIVEN = ConsentFact(
    action=ConsentAction.GIVEN,
    at=NOW - timedelta(days=30),
    notice_version=1,
    expires_at=NOW + timedelta(days=700),
    explicit=False,
)
ANA = Facts(known=True, restricted=False, blocked=False, objected=False, consent=GIVEN)
R = DecisionReason


def reasons(purpose: PurposeRule, facts: Facts) -> tuple[R, ...]:
    decision = decide(purpose, facts, NOW)
    assert decision.permit is (decision.reasons in ((R.CONSENT_GIVEN,), (R.LEGITIMATE_INTEREST,)))
    return decision.reasons


@pytest.mark.parametrize(
    ("since", "permits"),
    [(GIVEN.at - INSTANT, True), (GIVEN.at, True), (GIVEN.at + INSTANT, False)],
)
def test_only_a_consent_given_since_prevails_over_our_own_list(
    since: datetime, permits: bool
) -> None:
    expected = R.CONSENT_GIVEN if permits else R.SUPPRESSED
    assert reasons(OFFERS, replace(ANA, suppressed_since=since)) == (expected,)


def test_a_consent_in_force_prevails_over_an_exclusion_list_whenever_it_was_given() -> None:
    assert reasons(OFFERS, replace(ANA, excluded=True)) == (R.CONSENT_GIVEN,)
    renewed = replace(GIVEN, action=ConsentAction.RENEWED)
    assert reasons(OFFERS, replace(ANA, excluded=True, consent=renewed)) == (R.CONSENT_GIVEN,)


@pytest.mark.parametrize("listed", [{"excluded": True}, {"suppressed_since": NOW}])
@pytest.mark.parametrize(
    ("consent", "reason"),
    [
        (None, R.NO_CONSENT),
        (replace(GIVEN, action=ConsentAction.WITHDRAWN), R.CONSENT_WITHDRAWN),
        (replace(GIVEN, expires_at=NOW), R.CONSENT_EXPIRED),
        (replace(GIVEN, notice_version=0), R.NOTICE_CHANGED),
    ],
)
def test_a_consent_that_is_not_in_force_prevails_over_no_list(
    listed: dict[str, bool], consent: ConsentFact | None, reason: R
) -> None:
    facts = replace(ANA, consent=consent, **listed)  # type: ignore[arg-type]  # one of two fields
    assert reasons(OFFERS, facts) == (R.SUPPRESSED, reason)


@pytest.mark.parametrize("listed", [{"excluded": True}, {"suppressed_since": NOW}])
def test_both_lists_end_marketing_on_a_legitimate_interest(listed: dict[str, bool]) -> None:
    facts = replace(ANA, **listed)  # type: ignore[arg-type]  # one of two fields
    assert reasons(SIMILAR, facts) == (R.SUPPRESSED,)
    assert reasons(replace(SIMILAR, direct_marketing=False), facts) == (R.LEGITIMATE_INTEREST,)


@pytest.mark.parametrize("basis", LegalBasis)
def test_nothing_is_done_with_the_data_of_the_dead(basis: LegalBasis) -> None:
    purpose = replace(OFFERS, legal_basis=basis)
    assert not decide(purpose, replace(ANA, deceased=True), NOW).permit


def test_a_guardians_word_counts_like_any_consent() -> None:
    consent = replace(GIVEN, said_by=SaidBy.GUARDIAN, by_minor=False)
    assert reasons(OFFERS, replace(ANA, consent=consent)) == (R.CONSENT_GIVEN,)


@given(st.permutations(list(ObligationType)))
def test_a_permit_carries_each_declared_duty_once_in_the_registers_order(
    kinds: list[ObligationType],
) -> None:
    rules = tuple(
        ObligationRule(kind, ("contact",) if kind is ObligationType.MASK else ()) for kind in kinds
    )
    for solely_automated in (False, True):
        purpose = replace(OFFERS, obligations=rules, solely_automated=solely_automated)
        made = decide(purpose, ANA, NOW).obligations
        assert [each.type for each in made] == kinds
        assert len({each.id for each in made}) == len(made)
        assert all(each.properties["source"].startswith("GDPR Art.") for each in made)
    assert decide(purpose, replace(ANA, deceased=True), NOW).obligations == ()


def test_a_duty_says_what_the_caller_needs_to_fulfil_it() -> None:
    purpose = replace(
        OFFERS,
        obligations=(
            ObligationRule(ObligationType.MASK, ("contact", "purchases")),
            ObligationRule(ObligationType.SHOW_NOTICE),
            ObligationRule(ObligationType.KEEP_UNTIL),
        ),
        notice="offers",
        notice_version=3,
        keep_months=13,
        keep_from="collection",
    )
    mask, show, keep = decide(purpose, ANA, NOW).obligations
    assert mask.properties["categories"] == "contact purchases"
    assert (show.properties["notice"], show.properties["notice_version"]) == ("offers", "3")
    assert (keep.properties["months"], keep.properties["from"]) == ("13", "collection")
    assert keep.properties["until"] == "2027-06-02"  # thirteen months after 2 May 2026
    withdrawn = replace(purpose, keep_months=0, keep_from="withdrawal")
    assert "until" not in decide(withdrawn, ANA, NOW).obligations[2].properties


def test_of_the_categories_asked_about_those_of_the_purpose_are_covered() -> None:
    purpose = replace(OFFERS, categories=("contact", "purchases"))
    asked = ["health", "purchases", "contact", "purchases"]
    assert covered_categories(purpose, asked) == ("purchases", "contact")
    assert covered_categories(purpose, []) == ()
