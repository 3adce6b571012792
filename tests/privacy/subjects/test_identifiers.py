"""What finds a person: addresses and numbers in their canonical forms."""

import pytest

from policies.errors import InvalidInput
from policies.vocabulary import Scope
from privacy.actor import SYSTEM
from privacy.keys.blind_index import IdentifierKind, normalise_email, normalise_phone
from tests.support.cast import PURPOSES, application, ask, calls_as, introduce
from tests.support.cast import Person as KnownPerson
from tests.support.world import World

EMAIL, PHONE = IdentifierKind.EMAIL, IdentifierKind.PHONE


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("Ana@Example.COM", "ana@example.com"),
        ("a.n.a+shop@example.com", "a.n.a+shop@example.com"),  # no rules of one provider
        ("ana@BÜCHER.example", "ana@bücher.example"),
        ("ana@xn--bcher-kva.example", "ana@bücher.example"),  # the same domain as IDNA has it
        ("JOSÉ@example.com", "josé@example.com"),
        ("jose\N{COMBINING ACUTE ACCENT}@example.com", "josé@example.com"),
        ("ΜΑΡΊΑ@example.com", "μαρία@example.com"),
    ],
)
def test_an_address_has_one_form_however_it_is_typed(typed: str, canonical: str) -> None:
    assert normalise_email(typed) == canonical
    assert normalise_email(canonical) == canonical


@pytest.mark.parametrize(
    "typed",
    ["600 11 12 22", "+34 600 111 222", "0034600111222", "(600) 111-222", "٦٠٠١١١٢٢٢"],
)
def test_a_number_has_one_form_however_it_is_typed(typed: str) -> None:
    assert normalise_phone(typed, "ES") == "+34600111222"
    assert normalise_phone("+34600111222", "DE") == "+34600111222"


@pytest.mark.parametrize(
    "typed", ["", "600", "+34 600 111 22", "112", "600 111 222 ext. 5", "ana", "6" * 41, "+999 1"]
)
def test_what_nobody_can_have_as_a_number_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        normalise_phone(typed, "ES", field="subject.phone")
    assert refused.value.field == "subject.phone"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_unproved_number_counts_as_an_unproved_address_does(world: World) -> None:
    introduce(world)
    calls_as(world, application(purposes=PURPOSES, scopes=frozenset(Scope)))
    said: dict[str, object] = {"purpose": "newsletter", "notice_version": 2, "language": "es"}

    def record(phone: str, channel: str) -> KnownPerson:
        answer = world.client.post(
            "/v1/consents", json={**said, "subject": {"phone": phone}, "channel": channel}
        )
        assert answer.status_code == 201, answer.text
        assert answer.json is not None
        return KnownPerson("", answer.json["subject"])

    def decided(person: KnownPerson) -> tuple[bool, list[str]]:
        answer = ask(world, person).json
        assert answer is not None
        return answer["decision"], answer["context"]["reasons"]

    typed, told = record("600 111 222", "web"), record("+34 600 111 333", "store")
    assert decided(typed) == (False, ["unverified-person"])
    assert decided(told) == (True, ["consent-given"])
    found = world.client.post("/v1/pseudonyms", json={"identifiers": [{"phone": "+34600111222"}]})
    assert found.json == {"pseudonyms": [typed.pseudonym]}
    subjects = world.placet.subjects
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        number = subjects.identifiers.read(PHONE, "600111222")
        person = subjects.identifiers.find(uow.session, number)
        assert person is not None
        assert subjects.identifiers.of(uow.session, person, PHONE) == []  # found, and not kept
        subjects.identifiers.verify(uow, person, number)
        uow.commit()
    assert decided(typed) == (True, ["consent-given"])


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_names_nobody_is_named(world: World) -> None:
    introduce(world)
    calls_as(world, application())
    said = {"purpose": "newsletter", "notice_version": 2, "language": "es", "channel": "web"}
    wrong: list[tuple[object, str]] = [
        ({"phone": "ana"}, "subject.phone"),
        ({"phone": 600}, "subject.phone"),
        ({"phone": "600111222", "email": "ana@example.com"}, "subject"),
        ({"fax": "600111222"}, "subject.fax"),
    ]
    for subject, field in wrong:
        answer = world.client.post("/v1/consents", json={**said, "subject": subject})
        assert answer.status_code == 422, subject
        assert answer.json is not None
        assert answer.json["errors"][0]["field"] == field


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_preferred_address_comes_first_and_a_removed_one_finds_nobody(world: World) -> None:
    ana = introduce(world)
    subjects = world.placet.subjects
    new = subjects.identifiers.read(EMAIL, "nueva@example.com")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        subjects.identifiers.add(uow, ana.subject_id, new, keep=True)
        assert subjects.emails(uow.session, ana.subject_id) == ["ana@example.com", new.value]
        subjects.identifiers.prefer(uow, ana.subject_id, new)
        assert subjects.emails(uow.session, ana.subject_id) == [new.value, "ana@example.com"]
        subjects.identifiers.remove(uow, ana.subject_id, new)
        assert subjects.emails(uow.session, ana.subject_id) == ["ana@example.com"]
        assert subjects.identifiers.find(uow.session, new) is None
        uow.commit()
