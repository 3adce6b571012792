"""Who objected to marketing stays out of it: by address, over an erasure, until they say so."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from policies.decision import decide
from policies.vocabulary import ConsentChannel, EventTag, LegalBasis
from privacy.actor import SYSTEM
from privacy.audit import store as audit
from privacy.audit.leaf import parse_leaf
from privacy.consent.model import Voice, purpose_rule
from privacy.consent.suppression_store import ALL_MARKETING, SuppressionRow
from tests.support.cast import ANA, Person, ask, give, introduce
from tests.support.forms import submit
from tests.support.sample import PAGES
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = PAGES


def reasons(world: World, person: Person, purpose: str = "newsletter") -> list[str]:
    answer = ask(world, person, purpose).get_json()
    return list(answer["context"]["reasons"])


def object_to(world: World, person: Person, purpose: str = "newsletter") -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, person.subject_id, purpose)
        uow.commit()


def erase(world: World, person: Person) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, person.subject_id)
        uow.commit()


def want(world: World, purpose: str) -> None:
    page = world.client.get("/privacy/marketing").text
    assert f'name="purpose" value="{purpose}"' in page
    answer = submit(
        world.client, "/privacy/marketing", {"purpose": purpose}, to="/privacy/marketing/wanted"
    )
    assert answer.status_code == 303


def listed(world: World) -> list[tuple[str, str]]:
    with world.placet.runtime.snapshot() as session:
        rows = session.scalars(sa.select(SuppressionRow))
        return sorted((row.kind, row.purpose) for row in rows)


def test_who_comes_back_after_an_erasure_is_still_suppressed_until_an_express_consent(
    world: World, ana: Person
) -> None:
    object_to(world, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:  # an address that came after it
        other = world.placet.subjects.identifiers
        second = other.read(other.of(uow.session, ana.subject_id)[0].identifier.kind, "b@e.com")
        other.add(uow, ana.subject_id, second, keep=True)
        world.placet.subjects.verify_email(uow, ana.subject_id, "b@e.com")
        uow.commit()
    erase(world, ana)
    assert listed(world) == [("email", "newsletter")] * 2
    for address in (ANA, "b@e.com"):
        world.clock.advance(hours=1)
        back = introduce(world, address)
        assert back.subject_id != ana.subject_id
        assert "suppressed" in reasons(world, back)
        give(world, back)
        assert reasons(world, back) == ["consent-given"]
    assert listed(world) == []
    world.settle()
    assert world.verify().findings == []


def test_an_objection_to_all_marketing_covers_what_is_asked_later_and_a_later_consent_prevails(
    world: World, ana: Person, mail_server: MailServer
) -> None:
    page = world.client.get("/privacy/marketing")
    assert "Lista Robinson" in page.text
    answer = submit(world.client, "/privacy/marketing", {})
    assert answer.status_code == 303
    assert ("email", ALL_MARKETING) in listed(world)
    world.settle()
    letter = mail_server.wait_for(to=ANA).get_body(("plain",))
    assert letter is not None
    assert "Lista Robinson" in letter.get_content()  # LOPDGDD Art. 23.3
    assert {"objected", "suppressed"} <= set(reasons(world, ana))
    world.clock.advance(seconds=1)
    give(world, ana)
    assert reasons(world, ana) == ["consent-given"]
    erase(world, ana)
    world.clock.advance(hours=1)
    back = introduce(world)
    assert "suppressed" in reasons(world, back)
    assert ("email", ALL_MARKETING) in listed(world)


def test_an_objection_taken_back_lets_that_purpose_through_an_objection_to_all(
    world: World, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    consents, register = world.placet.consents, world.placet.register
    similar = replace(
        register.purposes["recommendations"],
        legal_basis=LegalBasis.LEGITIMATE_INTERESTS,
        direct_marketing=True,
    )
    register = replace(register, purposes={**register.purposes, similar.id: similar})
    monkeypatch.setattr(consents, "_register", register)
    rule = purpose_rule(register, similar.id)

    def answers() -> tuple[str, ...]:
        """What is answered now; what will be told of this moment is the same."""
        with world.placet.runtime.snapshot() as session:
            at = world.clock()
            now = consents.facts(session, ana.subject_id, similar.id, at=at)
            then = consents.sighting_at(session, ana.subject_id, similar.id, at).facts
        decisions = [decide(rule, facts, at) for facts in (now, then)]
        assert decisions[0] == decisions[1]
        return tuple(reason.value for reason in decisions[0].reasons)

    assert answers() == ("legitimate-interest",)
    submit(world.client, "/privacy/marketing", {})
    assert answers() == ("objected", "suppressed")
    want(world, similar.id)
    assert answers() == ("legitimate-interest",)
    assert "suppressed" in reasons(world, ana)  # of the others it holds
    submit(world.client, "/privacy/marketing", {})  # within the same instant: the no prevails
    assert answers() == ("objected", "suppressed")
    world.clock.advance(seconds=1)
    want(world, similar.id)
    assert answers() == ("legitimate-interest",)
    object_to(world, ana, similar.id)
    assert answers() == ("objected", "suppressed")


def test_a_word_from_before_the_objection_ends_neither_it_nor_the_suppression(
    world: World, ana: Person
) -> None:
    object_to(world, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.record_given(
            uow,
            ana.subject_id,
            "newsletter",
            notice_version=2,
            language="es",
            channel=ConsentChannel.POST,
            voice=Voice(said_at=uow.now - timedelta(days=3)),
        )
        uow.commit()
    assert {"objected", "suppressed"} <= set(reasons(world, ana))


def test_the_list_holds_no_address_and_its_entries_name_no_more_than_the_purpose(
    world: World, ana: Person
) -> None:
    object_to(world, ana)
    with world.placet.runtime.snapshot() as session:
        [row] = session.scalars(sa.select(SuppressionRow))
        found = world.placet.people.suppression.collect(session, ana.subject_id)
    assert ANA.encode() not in row.blind_index
    assert found == {
        "suppressed": [{"purpose": "newsletter", "since": "2026-03-03T11:00:00.000Z"}],
        "wanted": [],
        "exclusion_lists": [],
    }
    assert EventTag.CONSENT_SUPPRESSION_ADDED.value in tags(world)


def tags(world: World) -> list[str]:
    with world.placet.runtime.snapshot() as session:
        return [parse_leaf(leaf).type for leaf in session.scalars(sa.select(audit.Entry.leaf))]


def test_what_is_no_marketing_is_not_suppressed(world: World, ana: Person) -> None:
    object_to(world, ana, "recommendations")
    assert listed(world) == []


def test_a_consent_that_an_application_records_takes_the_address_off_the_list(
    world: World, ana: Person
) -> None:
    object_to(world, ana)
    erase(world, ana)
    world.clock.advance(hours=1)
    word = {"subject": {"email": ANA}, "purpose": "newsletter", "notice_version": 2}
    word |= {"language": "es", "channel": "store"}
    assert world.client.post("/v1/consents", json=word).status_code == 201
    assert listed(world) == []
