"""The pure rules of a request."""

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest

from policies.deadlines import Deadline
from policies.register.model import Purpose
from policies.vocabulary import Attribute, LegalBasis, Right, RightsState
from privacy.network import network_of
from privacy.rights.model import (
    Asked,
    Contents,
    Detail,
    InvalidRequest,
    ObjectionEffect,
    ProofInvalid,
    RequestClosed,
    RightsChannel,
    RightsRequest,
    asked_from,
    close,
    faults_of,
    may_read,
    objection_effect,
    prove,
)

NOW = datetime(2026, 3, 3, 11, tzinfo=UTC)
REQUEST = RightsRequest(
    request_id="0" * 32,
    reference="D-2026-000001",
    right=Right.ACCESS,
    state=RightsState.UNVERIFIED,
    channel=RightsChannel.FORM,
    language="es",
    received_at=NOW,
    due=Deadline(date(2026, 4, 3), date(2026, 4, 6), NOW + timedelta(days=34)),
)


def purpose(basis: LegalBasis, *, marketing: bool = False) -> Purpose:
    return Purpose(
        id="x",
        title={"es": "x"},
        summary={"es": "x"},
        legal_basis=basis,
        data_categories=(),
        recipients=(),
        retention="x",
        notice="x",
        validity_months=24,
        direct_marketing=marketing,
        profiling=False,
        explicit=False,
        solely_automated=False,
        special_aim=False,
        dpv_purpose="x",
    )


@pytest.mark.parametrize(
    ("basis", "marketing", "effect"),
    [
        (LegalBasis.CONSENT, False, ObjectionEffect.FINAL),
        (LegalBasis.LEGITIMATE_INTERESTS, True, ObjectionEffect.FINAL),
        (LegalBasis.CONTRACT, True, ObjectionEffect.FINAL),
        (LegalBasis.LEGITIMATE_INTERESTS, False, ObjectionEffect.WEIGHED),
        (LegalBasis.PUBLIC_TASK, False, ObjectionEffect.WEIGHED),
        (LegalBasis.CONTRACT, False, ObjectionEffect.NONE),
        (LegalBasis.LEGAL_OBLIGATION, False, ObjectionEffect.NONE),
    ],
)
def test_what_an_objection_does_depends_on_the_basis(
    basis: LegalBasis, marketing: bool, effect: ObjectionEffect
) -> None:
    assert objection_effect(purpose(basis, marketing=marketing)) is effect


def test_a_proof_opens_and_keeps_the_day_of_receipt() -> None:
    later = NOW + timedelta(hours=20)
    opened = prove(REQUEST, "a" * 32, later)
    assert opened.state is RightsState.OPEN
    assert (opened.received_at, opened.due) == (NOW, REQUEST.due)
    assert opened.verified_at == later
    with pytest.raises(ProofInvalid):
        prove(opened, "a" * 32, later)


@pytest.mark.parametrize(
    "state",
    [RightsState.UNVERIFIED, RightsState.FULFILLED, RightsState.REFUSED, RightsState.EXPIRED],
)
def test_only_an_open_request_is_answered(state: RightsState) -> None:
    request = dataclasses.replace(REQUEST, state=state)
    with pytest.raises(RequestClosed):
        close(request, RightsState.FULFILLED, NOW)


def test_expiry_is_no_answer() -> None:
    opened = dataclasses.replace(REQUEST, state=RightsState.OPEN)
    with pytest.raises(ValueError, match="no answer"):
        close(opened, RightsState.EXPIRED, NOW)


def test_a_grant_ends_at_its_instant_and_a_stranger_has_none() -> None:
    opened = prove(REQUEST, "a" * 32, NOW)
    end = NOW + timedelta(hours=24)
    just_before = end - timedelta(microseconds=1)
    assert may_read(opened, subject_id=None, granted=True, at=just_before)
    assert not may_read(opened, subject_id=None, granted=True, at=end)
    assert may_read(opened, subject_id="a" * 32, granted=False, at=end)
    assert not may_read(opened, subject_id="b" * 32, granted=False, at=NOW)
    nobodys = prove(REQUEST, None, NOW)
    assert not may_read(nobodys, subject_id=None, granted=False, at=NOW)


def test_members_of_another_right_are_left_out() -> None:
    values = {"right": "erasure", "attribute": "phone", "value": "6", "purpose": "newsletter"}
    assert asked_from(values, "es") == Asked(Right.ERASURE, "es")


@pytest.mark.parametrize(
    ("attribute", "value"), [(Attribute.LOCALE, "en"), (Attribute.EMAIL, "b@example.com")]
)
def test_what_is_chosen_or_proven_is_not_a_datum_to_correct(
    attribute: Attribute, value: str
) -> None:
    asked = Asked(Right.RECTIFICATION, "es", detail=Detail(attribute, value))
    assert [name for name, _ in faults_of(asked, {})] == ["attribute"]


def test_a_right_that_is_none_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked_from({"right": "forget-me"}, "es")
    assert refused.value.field == "right"


def test_what_is_personal_has_no_place_in_a_repr() -> None:
    contents = Contents("ana@example.com", "hola", Detail(value="Ana"), "adiós")
    asked = Asked(Right.ACCESS, "es", "hola", Detail(value="Ana"))
    assert not [word for word in ("ana@", "hola", "Ana", "adiós") if word in f"{contents}{asked}"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("nonsense", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_site_is_one_network(address: str | None, network: str) -> None:
    assert network_of(address) == network
