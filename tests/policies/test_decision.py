from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decision import (
    PERMIT_REASON,
    ConsentFact,
    Facts,
    PurposeRule,
    consent_expiry,
    decide,
)
from policies.vocabulary import ConsentAction, DecisionReason, LegalBasis

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MADRID = ZoneInfo("Europe/Madrid")
INSTANT = timedelta(microseconds=1)

NEWSLETTER = PurposeRule("newsletter", LegalBasis.CONSENT, 3, 24)
ORDERS = PurposeRule("orders", LegalBasis.CONTRACT, 1, None)
INVOICES = PurposeRule("invoices", LegalBasis.LEGAL_OBLIGATION, 1, None)
FRAUD = PurposeRule("fraud-prevention", LegalBasis.LEGITIMATE_INTERESTS, 1, None)

GIVEN = ConsentFact(
    action=ConsentAction.GIVEN,
    at=NOW - timedelta(days=30),
    notice_version=3,
    expires_at=NOW + timedelta(days=700),
    explicit=False,
)
ANA = Facts(known=True, restricted=False, blocked=False, objected=False, consent=GIVEN)

R = DecisionReason


def denied(purpose: PurposeRule | None, facts: Facts, at: datetime = NOW) -> tuple[R, ...]:
    decision = decide(purpose, facts, at)
    assert not decision.permit
    assert decision.obligations == ()
    assert decision.valid_until is None
    return decision.reasons


@pytest.mark.parametrize("action", [ConsentAction.GIVEN, ConsentAction.RENEWED])
def test_a_consent_in_force_permits_until_it_ends_by_the_clock(action: ConsentAction) -> None:
    decision = decide(NEWSLETTER, replace(ANA, consent=replace(GIVEN, action=action)), NOW)

    assert decision.permit
    assert decision.reasons == (R.CONSENT_GIVEN,)
    assert decision.obligations == ()
    assert decision.valid_until == GIVEN.expires_at


def test_valid_until_is_told_in_utc() -> None:
    in_madrid = replace(GIVEN, expires_at=datetime(2027, 1, 1, tzinfo=MADRID))

    valid_until = decide(NEWSLETTER, replace(ANA, consent=in_madrid), NOW).valid_until

    assert valid_until is not None
    assert valid_until.isoformat() == "2026-12-31T23:00:00+00:00"


@pytest.mark.parametrize(
    ("purpose", "reason"),
    [
        (ORDERS, R.CONTRACT),
        (INVOICES, R.LEGAL_OBLIGATION),
        (FRAUD, R.LEGITIMATE_INTEREST),
    ],
)
@pytest.mark.parametrize("consent", [None, GIVEN, replace(GIVEN, action=ConsentAction.WITHDRAWN)])
def test_other_bases_permit_without_consent_and_without_an_end(
    purpose: PurposeRule, reason: R, consent: ConsentFact | None
) -> None:
    decision = decide(purpose, replace(ANA, consent=consent), NOW)

    assert decision.permit
    assert decision.reasons == (reason,)
    assert decision.valid_until is None


@pytest.mark.parametrize("basis", [LegalBasis.VITAL_INTERESTS, LegalBasis.PUBLIC_TASK])
def test_a_basis_that_no_rule_decides_is_denied(basis: LegalBasis) -> None:
    assert denied(replace(FRAUD, legal_basis=basis), ANA) == (R.UNKNOWN_PURPOSE,)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (ConsentAction.REQUESTED, R.NO_CONSENT),
        (ConsentAction.REFUSED, R.CONSENT_REFUSED),
        (ConsentAction.WITHDRAWN, R.CONSENT_WITHDRAWN),
        (ConsentAction.EXPIRED, R.CONSENT_EXPIRED),
        (ConsentAction.REVOKED, R.CONSENT_REVOKED),
        (ConsentAction.INVALIDATED, R.CONSENT_INVALIDATED),
    ],
)
def test_any_other_last_word_on_a_consent_denies(action: ConsentAction, reason: R) -> None:
    consent = replace(GIVEN, action=action)

    assert denied(NEWSLETTER, replace(ANA, consent=consent)) == (reason,)


def test_absence_is_never_consent() -> None:
    assert denied(NEWSLETTER, replace(ANA, consent=None)) == (R.NO_CONSENT,)


def test_a_withdrawn_consent_denies_at_the_same_instant() -> None:
    withdrawn = replace(GIVEN, action=ConsentAction.WITHDRAWN, at=NOW)

    assert denied(NEWSLETTER, replace(ANA, consent=withdrawn), NOW) == (R.CONSENT_WITHDRAWN,)


def test_a_consent_is_expired_at_the_instant_it_ends_and_not_before() -> None:
    consent = replace(GIVEN, expires_at=NOW)
    facts = replace(ANA, consent=consent)

    assert decide(NEWSLETTER, facts, NOW - INSTANT).permit
    assert denied(NEWSLETTER, facts, NOW) == (R.CONSENT_EXPIRED,)


def test_a_consent_counts_from_the_instant_it_was_given_and_not_before() -> None:
    facts = replace(ANA, consent=replace(GIVEN, at=NOW))

    assert decide(NEWSLETTER, facts, NOW).permit
    assert denied(NEWSLETTER, facts, NOW - INSTANT) == (R.NO_CONSENT,)


def test_a_consent_without_an_end_holds_only_where_the_purpose_sets_none() -> None:
    facts = replace(ANA, consent=replace(GIVEN, expires_at=None))

    assert denied(NEWSLETTER, facts) == (R.CONSENT_EXPIRED,)
    unbounded = decide(replace(NEWSLETTER, validity_months=None), facts, NOW)
    assert unbounded.permit
    assert unbounded.valid_until is None


def test_a_consent_to_an_older_notice_denies_once_the_change_is_material() -> None:
    facts = replace(ANA, consent=replace(GIVEN, notice_version=2))

    assert denied(NEWSLETTER, facts) == (R.NOTICE_CHANGED,)
    assert decide(replace(NEWSLETTER, last_material_version=2), facts, NOW).permit


def test_a_special_category_needs_an_explicit_consent() -> None:
    health = replace(NEWSLETTER, id="health-advice", explicit=True)

    assert denied(health, ANA) == (R.NO_CONSENT,)
    assert decide(health, replace(ANA, consent=replace(GIVEN, explicit=True)), NOW).permit


@pytest.mark.parametrize("purpose", [NEWSLETTER, ORDERS, INVOICES, FRAUD])
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(ANA, readable=False), R.STATE_UNREADABLE),
        (replace(ANA, known=False), R.UNKNOWN_PERSON),
        (replace(ANA, blocked=True), R.BLOCKED),
        (replace(ANA, restricted=True), R.RESTRICTED),
    ],
)
def test_the_state_of_a_person_denies_on_every_basis(
    purpose: PurposeRule, facts: Facts, reason: R
) -> None:
    assert denied(purpose, facts) == (reason,)


@pytest.mark.parametrize(
    ("purpose", "ends"), [(NEWSLETTER, True), (FRAUD, True), (ORDERS, False), (INVOICES, False)]
)
def test_an_objection_ends_consent_and_legitimate_interest_only(
    purpose: PurposeRule, ends: bool
) -> None:
    decision = decide(purpose, replace(ANA, objected=True), NOW)

    assert decision.permit is not ends
    assert (decision.reasons == (R.OBJECTED,)) is ends


@pytest.mark.parametrize("purpose", [NEWSLETTER, FRAUD, ORDERS, INVOICES])
def test_an_objection_to_direct_marketing_ends_it_on_any_basis(purpose: PurposeRule) -> None:
    marketing = replace(purpose, direct_marketing=True)

    assert denied(marketing, replace(ANA, objected=True)) == (R.OBJECTED,)


@pytest.mark.parametrize(
    ("purpose", "permits"), [(NEWSLETTER, False), (ORDERS, False), (INVOICES, True), (FRAUD, True)]
)
def test_an_unverified_account_grants_nothing(purpose: PurposeRule, permits: bool) -> None:
    decision = decide(purpose, replace(ANA, verified=False), NOW)

    assert decision.permit is permits
    assert (decision.reasons == (R.UNVERIFIED_PERSON,)) is not permits


@pytest.mark.parametrize(
    ("purpose", "permits"), [(NEWSLETTER, False), (ORDERS, False), (INVOICES, True), (FRAUD, False)]
)
def test_a_minor_without_guardian_is_used_for_what_the_law_demands_only(
    purpose: PurposeRule, permits: bool
) -> None:
    decision = decide(purpose, replace(ANA, minor_without_guardian=True), NOW)

    assert decision.permit is permits
    assert (decision.reasons == (R.MINOR_WITHOUT_GUARDIAN,)) is not permits


def test_all_reasons_are_told_in_their_documented_order() -> None:
    everything = Facts(
        known=True,
        verified=False,
        restricted=True,
        blocked=True,
        objected=True,
        consent=replace(GIVEN, expires_at=NOW, notice_version=1),
        minor_without_guardian=True,
    )

    assert denied(replace(NEWSLETTER, explicit=True), everything) == (
        R.BLOCKED,
        R.RESTRICTED,
        R.MINOR_WITHOUT_GUARDIAN,
        R.UNVERIFIED_PERSON,
        R.OBJECTED,
        R.NO_CONSENT,
        R.CONSENT_EXPIRED,
        R.NOTICE_CHANGED,
    )


def test_an_unreadable_state_is_the_only_reason_told() -> None:
    assert denied(None, replace(ANA, readable=False, known=False, blocked=True)) == (
        R.STATE_UNREADABLE,
    )


def test_an_unknown_purpose_learns_nothing_of_the_person() -> None:
    assert denied(None, replace(ANA, blocked=True, restricted=True)) == (R.UNKNOWN_PURPOSE,)


def test_unknown_purpose_and_unknown_person_are_both_told() -> None:
    assert denied(None, replace(ANA, known=False)) == (R.UNKNOWN_PURPOSE, R.UNKNOWN_PERSON)


@pytest.mark.parametrize(
    ("purpose", "explicit", "reviewed"),
    [
        (FRAUD, False, True),
        (NEWSLETTER, False, True),
        (NEWSLETTER, True, False),
        (ORDERS, False, False),
        (INVOICES, False, False),
    ],
)
def test_a_machine_decides_alone_only_by_explicit_consent_contract_or_law(
    purpose: PurposeRule, explicit: bool, reviewed: bool
) -> None:
    facts = replace(ANA, consent=replace(GIVEN, explicit=explicit))

    decision = decide(replace(purpose, solely_automated=True), facts, NOW)

    assert decision.permit
    assert [o.type for o in decision.obligations] == (["human-review"] if reviewed else [])
    assert [o.id for o in decision.obligations] == (
        [f"{purpose.id}:human-review"] if reviewed else []
    )


NAIVE = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - what is refused


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^at must carry a time zone"):
        decide(NEWSLETTER, ANA, NAIVE)
    with pytest.raises(ValueError, match=r"^at must carry a time zone"):
        replace(GIVEN, at=NAIVE)
    with pytest.raises(ValueError, match=r"^expires_at must carry a time zone"):
        replace(GIVEN, expires_at=NAIVE)
    with pytest.raises(ValueError, match="must carry a time zone"):
        consent_expiry(NAIVE, 24, MADRID)


purposes = st.builds(
    PurposeRule,
    id=st.just("p"),
    legal_basis=st.sampled_from(LegalBasis),
    last_material_version=st.integers(1, 3),
    validity_months=st.none() | st.just(24),
    explicit=st.booleans(),
    solely_automated=st.booleans(),
    direct_marketing=st.booleans(),
)
instants = st.integers(-3, 3).map(lambda n: NOW + n * INSTANT) | st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - a bound
    datetime(2040, 1, 1),  # noqa: DTZ001 - a bound
    timezones=st.just(UTC),
)
consents = st.builds(
    ConsentFact,
    action=st.sampled_from(ConsentAction),
    at=instants,
    notice_version=st.integers(1, 3),
    expires_at=st.none() | instants,
    explicit=st.booleans(),
)
mostly_false = st.sampled_from([False, False, False, True])
mostly_true = mostly_false.map(lambda b: not b)
facts = st.builds(
    Facts,
    known=mostly_true,
    verified=mostly_true,
    restricted=mostly_false,
    blocked=mostly_false,
    objected=mostly_false,
    consent=st.none() | consents,
    readable=mostly_true,
    minor_without_guardian=mostly_false,
)


@given(st.none() | purposes, facts, instants)
def test_a_permit_implies_every_ground(
    purpose: PurposeRule | None, person: Facts, at: datetime
) -> None:
    decision = decide(purpose, person, at)

    assert len(set(decision.reasons)) == len(decision.reasons) >= 1
    if not decision.permit:
        assert not set(decision.reasons) & set(PERMIT_REASON.values())
        return
    assert purpose is not None
    assert decision.reasons == (PERMIT_REASON[purpose.legal_basis],)
    assert person.readable
    assert person.known
    assert not person.blocked
    assert not person.restricted
    if purpose.legal_basis is LegalBasis.CONSENT:
        consent = person.consent
        assert consent is not None
        assert consent.action in {ConsentAction.GIVEN, ConsentAction.RENEWED}
        assert consent.at <= at
        assert consent.expires_at is None or at < consent.expires_at
        assert consent.notice_version >= purpose.last_material_version
        assert consent.explicit or not purpose.explicit
        assert person.verified
        assert not person.objected
        assert not person.minor_without_guardian
        assert decision.valid_until == consent.expires_at


@given(purposes, facts, instants)
def test_a_permit_holds_to_its_end_and_not_at_it(
    purpose: PurposeRule, person: Facts, at: datetime
) -> None:
    end = decide(purpose, person, at).valid_until
    if end is not None:
        assert decide(purpose, person, end - INSTANT).permit
        assert denied(purpose, person, end) == (R.CONSENT_EXPIRED,)


permitted = st.builds(
    replace,
    st.just(ANA),
    consent=st.builds(
        replace,
        st.just(GIVEN),
        action=st.sampled_from([ConsentAction.GIVEN, ConsentAction.RENEWED]),
        at=st.integers(0, 10**9).map(lambda n: NOW - n * INSTANT),
        expires_at=st.integers(1, 10**9).map(lambda n: NOW + n * INSTANT),
        notice_version=st.integers(3, 9),
        explicit=st.booleans(),
    ),
)


@pytest.mark.parametrize(
    "remove",
    [
        lambda ana: replace(ana, readable=False),
        lambda ana: replace(ana, known=False),
        lambda ana: replace(ana, verified=False),
        lambda ana: replace(ana, restricted=True),
        lambda ana: replace(ana, blocked=True),
        lambda ana: replace(ana, objected=True),
        lambda ana: replace(ana, minor_without_guardian=True),
        lambda ana: replace(ana, consent=None),
        lambda ana: replace(ana, consent=replace(ana.consent, at=NOW + INSTANT)),
        lambda ana: replace(ana, consent=replace(ana.consent, expires_at=NOW)),
        lambda ana: replace(ana, consent=replace(ana.consent, expires_at=None)),
        lambda ana: replace(ana, consent=replace(ana.consent, notice_version=2)),
        lambda ana: replace(ana, consent=replace(ana.consent, action=ConsentAction.WITHDRAWN)),
    ],
)
@given(person=permitted)
def test_removing_any_ground_of_a_permit_denies(
    person: Facts, remove: Callable[[Facts], Facts]
) -> None:
    assert decide(NEWSLETTER, person, NOW).permit
    assert denied(NEWSLETTER, remove(person))


@given(purposes, facts, instants, st.integers(-14, 14))
def test_the_answer_does_not_depend_on_the_zone_of_the_question(
    purpose: PurposeRule, person: Facts, at: datetime, hours: int
) -> None:
    elsewhere = at.astimezone(timezone(timedelta(hours=hours)))

    assert decide(purpose, person, elsewhere) == decide(purpose, person, at)


@pytest.mark.parametrize(
    ("given_at", "months", "expires"),
    [
        # Summer to winter time: the same clock time, an hour later in UTC.
        ("2026-07-15T08:00:00+00:00", 6, "2027-01-15T09:00:00+00:00"),
        # Two years on, the last day of a shorter month.
        ("2028-02-29T11:00:00+00:00", 24, "2030-02-28T11:00:00+00:00"),
        # 23:30 UTC on 31 January is 1 February in Madrid.
        ("2026-01-31T23:30:00+00:00", 1, "2026-02-28T23:30:00+00:00"),
        # 02:30 of 29 March 2026 does not exist in Madrid.
        ("2026-02-28T01:30:00+00:00", 1, "2026-03-28T01:30:00+00:00"),
        ("2026-01-29T01:30:00+00:00", 2, "2026-03-29T00:30:00+00:00"),
        # 02:30 of 25 October 2026 happens twice: the first counts.
        ("2026-09-25T00:30:00+00:00", 1, "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T01:30:00+00:00", 1, "2026-11-25T01:30:00+00:00"),
    ],
)
def test_a_consent_ends_when_the_controllers_clock_shows_the_same_time(
    given_at: str, months: int, expires: str
) -> None:
    found = consent_expiry(datetime.fromisoformat(given_at), months, MADRID)

    assert found.isoformat() == expires


@pytest.mark.parametrize("months", [0, -1])
def test_a_consent_lasts_at_least_a_month(months: int) -> None:
    with pytest.raises(ValueError, match="at least one month"):
        consent_expiry(NOW, months, MADRID)


@given(instants, st.integers(1, 36))
def test_a_consent_never_lasts_longer_than_its_months(given_at: datetime, months: int) -> None:
    lasted = consent_expiry(given_at, months, MADRID) - given_at

    assert timedelta(days=28 * months) - timedelta(hours=2) <= lasted
    assert lasted <= timedelta(days=31 * months, hours=1)
