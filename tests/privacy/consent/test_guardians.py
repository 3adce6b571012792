"""A guardian decides for a child: proved, double-sided, and over at the birthday by the clock."""

import re
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa

from policies.errors import Conflict, Forbidden
from policies.vocabulary import ConsentChannel, Role, SaidBy, Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.consent.attachment_model import Upload
from privacy.consent.guardian_model import (
    INVITED_WITHIN,
    MAX_INVITATIONS,
    MAX_TO_ADDRESS,
    GuardianshipEnd,
    InvitationNotValid,
    Relation,
)
from privacy.consent.letter_limit import LetterCountRow
from privacy.consent.people_assembly import EVERY, Birthdays
from privacy.consent.representation import DeskWord, Said
from privacy.subjects.standing import correct_death, mark_deceased
from tests.privacy.consent.test_minors import born
from tests.privacy.consent.test_pages import card
from tests.privacy.consent.test_suppression import reasons
from tests.support.cast import ANA, Person, introduce, signed_in_as
from tests.support.forms import csrf_token, forms, hidden_fields, submit
from tests.support.sample import PAGES
from tests.support.smtp import MailServer
from tests.support.world import NOON, World

pytestmark = PAGES

MOTHER = "mother@example.com"
DPO = Actor(
    kind=ActorKind.PERSON,
    account_id="d" * 32,
    role=Role.DPO,
    scopes=frozenset({Scope.SIGNED_IN, Scope.DESK}),
    methods=("pwd", "hwk"),
    authenticated_at=NOON,
)


def at_the_desk(world: World, role: Role = Role.DPO) -> None:
    world.app.extensions["placet.session"] = lambda: replace(DPO, role=role)
    world.app.extensions["placet.step-up"] = lambda *_: None


@pytest.fixture
def child(world: World, ana: Person) -> Person:
    born(world, ana, "2013-06-01")
    return ana


@pytest.fixture
def mother(world: World) -> Person:
    return introduce(world, MOTHER, domain="elsewhere")


def token_in(world: World, mail: MailServer, number: int = 1) -> str:
    """The token of the mother's n-th invitation."""
    world.settle()
    letter = mail.wait_for(to=MOTHER, count=number).get_body(("plain",))
    assert letter is not None
    found = re.search(r"/privacy/guardian/(\S+)", letter.get_content())
    assert found
    return found.group(1)


def guards(world: World, child: Person, mother: Person, mail: MailServer) -> str:
    """Invite and accept as both would; return the address of the child's page."""
    signed_in_as(world, child)
    assert submit(world.client, "/privacy/guardian", {"email": MOTHER}).status_code == 303
    link = f"/privacy/guardian/{token_in(world, mail)}"
    signed_in_as(world, mother)
    answer = submit(world.client, link, {"relation": "parent"})
    assert answer.status_code == 303
    assert world.client.get(link).status_code == 410  # works once
    return answer.headers["Location"]


def press(world: World, address: str, action: str, purpose: str = "newsletter") -> int:
    client = world.client
    page = client.get(address).text
    [form] = forms(card(page, purpose))
    target = re.search(r'action="([^"]+)"', form)
    assert target
    fields = hidden_fields(form) | {"action": action, "csrf_token": csrf_token(page)}
    return client.post(target.group(1).replace("&amp;", "&"), data=fields).status_code


def test_a_guardian_invited_by_the_child_consents_withdraws_and_is_over_at_the_birthday(
    world: World, child: Person, mother: Person, mail_server: MailServer
) -> None:
    assert reasons(world, child, "loyalty") == ["minor-without-guardian"]
    address = guards(world, child, mother, mail_server)
    assert reasons(world, child, "loyalty") == ["contract"]
    assert reasons(world, child) == ["no-consent"]
    assert press(world, address, "grant") == 303
    assert reasons(world, child) == ["consent-given"]
    assert press(world, address, "withdraw") == 303
    assert reasons(world, child) == ["consent-withdrawn"]  # at once
    world.clock.advance(seconds=1)
    press(world, address, "grant")
    signed_in_as(world, child)
    with world.placet.runtime.snapshot() as session:
        until = world.placet.subjects.minor_until(session, child.subject_id)
        given = world.placet.consents.history(session, child.subject_id)[-1]
    assert until is not None
    assert (given.said_by.value, given.expires_at) == ("guardian", until)
    world.clock.now = until - timedelta(microseconds=1)
    assert reasons(world, child) == ["consent-given"]
    world.clock.now = until
    assert "consent-given" not in reasons(world, child)  # whether or not the worker ran
    signed_in_as(world, mother)
    assert world.client.get(address).status_code == 404
    task = Birthdays(world.placet.runtime, world.placet.people.guardians)
    assert (task.run_due(), task.run_due()) == (1, 0)
    world.settle()
    assert "Ya decides" in mail_server.wait_for(to=ANA)["Subject"]
    assert world.verify().findings == []


def test_a_guardianship_ended_by_the_desk_ends_its_consents_and_no_new_guardian_revives_them(
    world: World, child: Person, mother: Person, mail_server: MailServer
) -> None:
    address = guards(world, child, mother, mail_server)
    press(world, address, "grant")
    at_the_desk(world)
    here = f"/dpo/people/{child.subject_id}"
    end = re.search(rf"{here}/guardians/\w+/end", world.client.get(here).text)
    assert end
    assert submit(world.client, end.group(0), {"reason": ""}).status_code == 422
    assert reasons(world, child) == ["consent-given"]
    assert submit(world.client, end.group(0), {"reason": "No es su madre"}).status_code == 303
    assert reasons(world, child)[0] == "minor-without-guardian"
    world.clock.advance(seconds=1)
    proof = {"who": "Luis Gil", "relation": "guardian", "email": ""}
    client = world.client
    proof["csrf_token"] = csrf_token(client.get(f"{here}/guardians/prove").text)
    answer = client.post(
        f"{here}/guardians/prove",
        data=proof | {"evidence": (BytesIO(b"%PDF-1.7 deed"), "deed.pdf")},
    )
    assert answer.status_code == 303
    assert reasons(world, child, "loyalty") == ["contract"]
    assert "consent-given" not in reasons(world, child)
    signed_in_as(world, mother)
    assert world.client.get(address).status_code == 404


def test_what_a_guardian_said_at_the_desk_ends_with_the_guardianship_too(
    world: World, child: Person
) -> None:
    placet, pdf = world.placet, Upload("deed.pdf", b"%PDF-1.7 deed")
    guardians, made = placet.people.guardians, list[str]()
    for who in ("Luis Gil", "Eva Paz"):
        with placet.runtime.unit_of_work(DPO) as uow:
            found = guardians.accept_at_desk(
                uow, child.subject_id, Relation.PARENT, who=who, upload=pdf, language="es"
            )
            uow.commit()
        made.append(found.guardianship_id)
    word = DeskWord(
        subject_id=child.subject_id,
        purpose="newsletter",
        said=Said.GIVEN,
        said_by=SaidBy.GUARDIAN,
        channel=ConsentChannel.STORE,
        said_on=NOON.date(),
        notice_version=2,
        language="es",
        who="Luis Gil",
        authority="padre",
        upload=pdf,
    )
    with placet.runtime.unit_of_work(DPO) as uow:
        placet.people.desk_words.record(uow, word)
        uow.commit()
    assert reasons(world, child) == ["consent-given"]
    world.clock.advance(seconds=1)
    with placet.runtime.unit_of_work(DPO) as uow:
        guardians.end(uow, made[0], GuardianshipEnd.DESK, "No es su padre")
        uow.commit()
    assert "consent-given" not in reasons(world, child)  # the other parent is asked anew


def test_a_guardian_who_died_or_is_a_minor_decides_for_nobody_and_no_dead_child_is_written_to(
    world: World, child: Person, mother: Person, mail_server: MailServer
) -> None:
    address = guards(world, child, mother, mail_server)
    for change in (mark_deceased, correct_death):
        with world.placet.runtime.unit_of_work(DPO) as uow:
            change(uow, mother.subject_id, reason="x")
            uow.commit()
        assert world.client.get(address).status_code == (404 if change is mark_deceased else 200)
    born(world, mother, "2013-01-01")
    assert world.client.get(address).status_code == 404
    with world.placet.runtime.unit_of_work(DPO) as uow:
        mark_deceased(uow, child.subject_id, reason="x")
        until = world.placet.subjects.minor_until(uow.session, child.subject_id)
        uow.commit()
    assert until
    world.clock.now = until
    assert Birthdays(world.placet.runtime, world.placet.people.guardians).run_due() == 1
    world.settle()
    assert "Ya decides" not in str([letter["Subject"] for letter in mail_server.messages_to(ANA)])


def test_the_address_of_somebody_invited_who_never_came_is_not_kept(
    world: World, child: Person
) -> None:
    guardians = world.placet.people.guardians
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        made = guardians.invite(uow, child.subject_id, MOTHER, "es")
        assert guardians.contact(uow.session, made.guardianship_id) == MOTHER
        guardians.end(uow, made.guardianship_id, GuardianshipEnd.DESK, "x")
        assert guardians.contact(uow.session, made.guardianship_id) is None
        expires = guardians.invite(uow, child.subject_id, MOTHER, "es")
        uow.commit()
    task = Birthdays(world.placet.runtime, guardians)
    world.clock.now = expires.invitation_ends_at - timedelta(microseconds=1)
    assert task.run_due() == 0
    world.clock.now = expires.invitation_ends_at + EVERY
    assert task.run_due() == 1
    with world.placet.runtime.snapshot() as session:
        assert guardians.contact(session, expires.guardianship_id) is None
        all_of_child = guardians.of_child(session, child.subject_id)
    assert sorted(str(each.end) for each in all_of_child) == ["expired", "taken-back"]


def test_taking_an_invitation_back_makes_no_room_for_letters_without_end(
    world: World, child: Person
) -> None:
    guardians = world.placet.people.guardians

    def invite_and_take_back() -> None:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            made = guardians.invite(uow, child.subject_id, MOTHER, "es")
            guardians.end(uow, made.guardianship_id, GuardianshipEnd.DESK, "x")
            uow.commit()

    for _each in range(MAX_INVITATIONS):
        invite_and_take_back()
    with pytest.raises(Conflict):
        invite_and_take_back()
    world.clock.now += INVITED_WITHIN
    invite_and_take_back()


def test_no_stranger_s_mailbox_is_flooded_from_many_children_s_accounts(
    world: World, child: Person
) -> None:
    guardians, others = world.placet.people.guardians, [child]
    for number in range(MAX_TO_ADDRESS):
        others.append(introduce(world, f"child{number}@example.com", domain=f"s{number}"))
        born(world, others[-1], "2014-01-01")
    *invited, last = others
    for each in invited:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            guardians.invite(uow, each.subject_id, MOTHER, "es")
            uow.commit()
    signed_in_as(world, last)
    refused = submit(world.client, "/privacy/guardian", {"email": MOTHER})
    assert refused.status_code == 409
    assert "no se pueden enviar más invitaciones a esa dirección" in refused.text
    assert 'href="#email"' in refused.text
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        guardians.invite(uow, last.subject_id, "father@example.com", "es")  # another address
        uow.commit()
    world.clock.now += INVITED_WITHIN
    assert submit(world.client, "/privacy/guardian", {"email": MOTHER}).status_code == 303
    world.clock.now += INVITED_WITHIN
    Birthdays(world.placet.runtime, guardians).run_due()
    with world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(LetterCountRow)).all() == []


def test_neither_the_child_nor_another_minor_nor_an_unproved_address_guards(
    world: World, child: Person, mother: Person, mail_server: MailServer
) -> None:
    guardians = world.placet.people.guardians
    other = introduce(world, "friend@example.com", domain="third")
    born(world, other, "2014-01-01")
    unproved = introduce(world, "nobody@example.com", domain="fourth", verified=False)
    for number, person in enumerate((child, other, unproved), start=1):
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            made = guardians.invite(uow, child.subject_id, MOTHER, "es")
            uow.commit()
        token = token_in(world, mail_server, number)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(Forbidden):
            guardians.accept(uow, token, person.subject_id, Relation.PARENT)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        with pytest.raises(Conflict):  # nobody mails the world in a child's name
            guardians.invite(uow, child.subject_id, MOTHER, "es")
        guardians.end(uow, made.guardianship_id, GuardianshipEnd.DESK, "x")
        uow.commit()
        with pytest.raises(InvitationNotValid):
            guardians.accept(uow, token, mother.subject_id, Relation.PARENT)
    assert reasons(world, child, "loyalty") == ["minor-without-guardian"]
