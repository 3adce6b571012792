"""Double opt-in: a typed address is written to first, and the button behind the link is the consent."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from policies.errors import DomainError
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.actor import ANONYMOUS, SYSTEM
from privacy.consent.applications import Word
from privacy.consent.double_opt_in import TOGETHER
from privacy.consent.double_opt_in_letters import LETTERS_WITHIN, MAX_LETTERS
from privacy.consent.double_opt_in_store import ConfirmationRow
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.model import ConsentEvent, GuardianNeeded, RegisterPublished
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.standing import mark_deceased, restrict
from privacy.subjects.store import SubjectRow
from tests.privacy.consent.test_minors import born
from tests.support.cast import (
    Person,
    application,
    ask,
    calls_as,
    give,
    introduce,
    refuse,
    signed_in_as,
)
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

CARLA = "carla@example.com"
#: What is confirmed by mail, each with the notice version in force.
VERSIONS = {"newsletter": 2, "analytics": 1, "partner-advertising": 1}
UNITS = list(VERSIONS)
SHOP = application(purposes=frozenset({*VERSIONS, "recommendations"}))
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def world(
    register_folder: Path, database_url: str, instance: Path, mail_server: MailServer
) -> World:
    """A deployment whose newsletter is confirmed by mail; the shop is calling."""
    file = register_folder / "purposes.toml"
    edited = file.read_text().replace("reminder_days = 30", "")
    for unit in UNITS:
        edited = edited.replace(f"[{unit}]\n", f"[{unit}]\ndouble_opt_in = true\n")
    file.write_text(edited)
    world = make_world(
        database_url,
        instance,
        PLACET_REGISTER=str(register_folder),
        PLACET_MAIL_PORT=str(mail_server.port),
    )
    calls_as(world, SHOP)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.pseudonyms.ensure_domain(uow, "shop")
        uow.commit()
    return world


def says(world: World, subject: Any, **changes: Any) -> TestResponse:
    """Have the shop record that somebody accepts the newsletter."""
    body = {
        "subject": subject,
        "purpose": "newsletter",
        "notice_version": 2,
        "language": "es",
        "channel": "web",
    }
    return world.client.post("/v1/consents", json=body | changes)


def link(world: World, mail: MailServer, number: int = 1) -> str:
    """The path of the link in Carla's n-th letter."""
    world.settle()
    return link_to(mail, CARLA, number)


def link_to(mail: MailServer, address: str, number: int = 1) -> str:
    """The path of the link in the n-th letter to an address."""
    words = words_of(mail.wait_for(to=address, count=number))
    found = re.search(r"http://localhost:8000(/privacy/confirm/\S+)", words)
    assert found
    return found.group(1)


def words_of(letter: EmailMessage) -> str:
    """What a letter says."""
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def carla(world: World) -> str:
    with world.placet.runtime.snapshot() as session:
        found = world.placet.subjects.find_by_email(session, CARLA)
    assert found
    return found


def said(world: World) -> list[ConsentEvent]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.consents.history(session, carla(world))


def reasons(world: World, pseudonym: str) -> list[str]:
    answer = ask(world, Person("", pseudonym)).get_json()
    found: list[str] = answer["context"]["reasons"]
    return found


@SQLITE
def test_a_typed_address_consents_by_the_button_behind_the_link_alone(
    world: World, mail_server: MailServer
) -> None:
    answer = says(world, {"email": CARLA}, channel="store", explicit=True)
    told = answer.get_json()
    assert (answer.status_code, told["pending"]) == (201, "confirmation")
    [request] = said(world)
    assert (request.action, request.said_by) == (ConsentAction.REQUESTED, SaidBy.CONTROLLER)
    assert told["event_id"] == request.event_id
    assert reasons(world, told["subject"]) == ["no-consent"]

    path = link(world, mail_server)
    page = world.client.get(path)
    assert page.status_code == 200
    for words in ("La carta del mes", "Una vez al mes", "Correo Almendro, S.L.", "24 meses"):
        assert words in page.text
    assert "Nada de otras empresas" in page.text  # the notice itself
    assert [event.action for event in said(world)] == [ConsentAction.REQUESTED]

    world.clock.advance(hours=2)
    done = submit(world.client, path, {})
    assert (done.status_code, "Has aceptado «La carta del mes»" in done.text) == (200, True)
    _, given = sorted(said(world), key=lambda event: event.ordinal)
    assert (given.action, given.follows, given.at) == (
        ConsentAction.GIVEN,
        request.event_id,
        world.clock.now,
    )
    assert (given.channel, given.explicit, given.said_by) == (
        ConsentChannel.WEB,
        True,
        SaidBy.PERSON,
    )
    assert reasons(world, told["subject"]) == ["consent-given"]
    again = world.client.get(path)
    assert (again.status_code, "Este enlace ya no sirve" in again.text) == (410, True)
    world.settle()
    assert world.verify().ok


@SQLITE
def test_whoever_types_an_address_is_answered_alike_whether_it_is_proved_or_unknown(
    world: World, mail_server: MailServer
) -> None:
    ana = introduce(world)
    typed: list[Any] = [{"email": each} for each in ("ana@example.com", CARLA, "new@example.com")]
    introduce(world, CARLA, verified=False)
    answers = [says(world, each) for each in (*typed, ana.pseudonym)]
    assert {each.status_code for each in answers} == {201}
    assert len({frozenset(each.get_json()) for each in answers}) == 1
    assert {each.get_json()["pending"] for each in answers} == {"confirmation"}
    assert reasons(world, ana.pseudonym) == ["no-consent"]  # a stranger gave nothing for her
    world.settle()
    assert len(mail_server.messages_to("ana@example.com")) == 2
    assert says(world, {"phone": "+34600000001"}).status_code == 422
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        number = world.placet.subjects.identifiers.read(IdentifierKind.PHONE, "+34600000002")
        world.placet.subjects.identifiers.add(uow, ana.subject_id, number, keep=False)
        uow.touch(ana.subject_id)
        uow.record(RegisterPublished(register_revision="0" * 64))
        uow.commit()
    refused = says(world, {"phone": "+34600000002"})  # nor whether an address stands beside it
    assert (refused.status_code, refused.get_json()["errors"][0]["field"]) == (422, "subject.email")


@SQLITE
def test_that_somebody_is_a_child_or_has_died_is_told_to_no_application(
    world: World, mail_server: MailServer
) -> None:
    addresses = [f"{name}@example.com" for name in ("adult", "child", "dead", "blocked")]
    addresses.append("restricted@example.com")
    _, child, dead, blocked, restricted = [introduce(world, each) for each in addresses]
    born(world, child, "2015-01-01")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        mark_deceased(uow, dead.subject_id, reason="Lo dice su hija")
        restrict(uow, restricted.subject_id, reason="Lo pide")
        uow.session.get_one(SubjectRow, blocked.subject_id).blocked_at = uow.now
        uow.touch(blocked.subject_id)
        uow.commit()
    answers = [says(world, {"email": each}) for each in addresses]
    told = [each.get_json() for each in answers]
    assert [each.status_code for each in answers] == [201] * len(addresses)
    assert {each["pending"] for each in told} == {"confirmation"}
    assert len({frozenset(each) for each in told}) == 1
    receipts = [world.client.get(each["receipt"]) for each in told]
    assert {each.status_code for each in receipts} == {200}
    assert len({frozenset(each.get_json()) for each in receipts}) == 1
    states = [world.client.get(f"/v1/consents?subject={each['subject']}") for each in told]
    assert len({str(each.get_json()["consents"]) for each in states}) == 1
    world.settle()
    assert [len(mail_server.messages_to(each)) for each in addresses] == [1, 1, 0, 0, 0]
    with world.placet.runtime.snapshot() as session:
        waits = set(session.scalars(sa.select(ConfirmationRow.subject_id)))
        waiting = world.placet.people.double_opt_in.waiting_for
        [later] = waiting(session, restricted.subject_id, world.clock())
        assert not later.by_letter  # the privacy centre alone shows it
        assert waiting(session, child.subject_id, world.clock()) == []
    assert not waits & {dead.subject_id, blocked.subject_id}
    path = link_to(mail_server, addresses[1])
    page = world.client.get(path)
    assert (page.status_code, "Falta la persona que decide por ti" in page.text) == (409, True)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow, pytest.raises(GuardianNeeded):
        world.placet.people.double_opt_in.confirm(uow, path.rpartition("/")[2])
    assert world.verify().findings == []


@SQLITE
def test_a_link_of_somebody_who_died_meanwhile_confirms_nothing(
    world: World, mail_server: MailServer
) -> None:
    says(world, {"email": CARLA})
    path = link(world, mail_server)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        mark_deceased(uow, carla(world), reason="Lo dice su hija")
        uow.commit()
    assert world.client.get(path).status_code == 410
    assert [event.action for event in said(world)] == [ConsentAction.REQUESTED]


@SQLITE
def test_who_is_signed_in_confirms_nothing(world: World) -> None:
    ana, other = introduce(world), introduce(world, CARLA, verified=False)
    calls_as(world, replace(SHOP, subject_id=other.subject_id))
    assert "pending" not in says(world, other.pseudonym).get_json()
    assert says(world, ana.pseudonym).status_code == 404  # the token was issued for another
    calls_as(world, SHOP)
    assert says(world, ana.pseudonym).get_json()["pending"] == "confirmation"


@SQLITE
def test_the_short_way_leaves_what_is_to_be_confirmed_to_the_ordinary_one(world: World) -> None:
    words, shop, ana = world.placet.usual_words, SHOP, introduce(world)
    word = Word(
        purpose="newsletter",
        action=ConsentAction.GIVEN,
        channel=ConsentChannel.WEB,
        pseudonym=ana.pseudonym,
        notice_version=2,
        language="es",
    )
    assert words.read(shop, word) is None
    assert words.read(shop, replace(word, action=ConsentAction.REFUSED)) is not None
    other = replace(word, purpose="recommendations", notice_version=1)
    assert words.read(shop, other) is not None


@SQLITE
def test_a_form_cannot_flood_a_mailbox(world: World, mail_server: MailServer) -> None:
    answers = [says(world, {"email": CARLA}).get_json() for _ in range(MAX_LETTERS + 2)]
    assert {each["pending"] for each in answers} == {"confirmation"}
    assert len({each["event_id"] for each in answers}) == len(answers) == len(said(world))
    first = link(world, mail_server, 1)
    assert len(mail_server.messages_to(CARLA)) == MAX_LETTERS
    assert submit(world.client, link(world, mail_server, 2), {}).status_code == 200
    assert world.client.get(first).status_code == 410  # one was enough
    world.clock.now += LETTERS_WITHIN + timedelta(microseconds=1)
    assert says(world, {"email": CARLA}).get_json()["pending"] == "confirmation"
    assert world.client.get(link(world, mail_server, MAX_LETTERS + 1)).status_code == 200


@SQLITE
def test_one_letter_confirms_each_of_the_purposes_that_one_form_asks_for(
    world: World, mail_server: MailServer
) -> None:
    for unit in UNITS:
        told = says(world, {"email": CARLA}, purpose=unit, notice_version=VERSIONS[unit])
        assert told.get_json()["pending"] == "confirmation"
    path = link(world, mail_server)
    [letter] = mail_server.messages_to(CARLA)
    assert "y cada cosa se confirma una sola vez" in words_of(letter)
    page = world.client.get(path)
    assert page.text.count(f"{path}?unit=") == len(UNITS) - 1
    other = world.client.get(f"{path}?unit={UNITS[1]}")
    assert f'name="unit" value="{UNITS[1]}"' in other.text
    done = submit(world.client, f"{path}?unit={UNITS[1]}", {"unit": UNITS[1]}, to=path)
    assert (done.status_code, f"{path}?unit={UNITS[0]}" in done.text) == (200, True)
    given = [event.purpose for event in said(world) if event.action is ConsentAction.GIVEN]
    assert given == [UNITS[1]]  # each by itself
    assert submit(world.client, path, {"unit": UNITS[1]}).status_code == 410
    for _unit in UNITS[1:]:
        assert submit(world.client, path, {}).status_code == 200
    assert world.client.get(path).status_code == 410


@SQLITE
def test_many_purposes_make_no_more_letters_than_one(world: World, mail_server: MailServer) -> None:
    for number in range(12):
        unit = UNITS[number % len(UNITS)]
        says(world, {"email": CARLA}, purpose=unit, notice_version=VERSIONS[unit])
        world.clock.now += TOGETHER
    world.settle()
    assert len(mail_server.messages_to(CARLA)) == MAX_LETTERS
    page = world.client.get(link(world, mail_server, MAX_LETTERS))
    assert page.text.count("?unit=") == len(UNITS) - 1  # the last ones can be confirmed still


@SQLITE
def test_a_link_ends_after_seven_days_and_with_any_other_word(
    world: World, mail_server: MailServer
) -> None:
    says(world, {"email": CARLA})
    first = link(world, mail_server, 1)
    world.clock.advance(days=6, hours=23, minutes=59)
    assert world.client.get(first).status_code == 200
    world.clock.advance(minutes=1)
    assert world.client.get(first).status_code == 410
    says(world, {"email": CARLA})
    second = link(world, mail_server, 2)
    world.clock.advance(seconds=1)
    refuse(world, Person(carla(world), ""))
    assert world.client.get(second).status_code == 410
    world.clock.advance(seconds=1)
    says(world, {"email": CARLA})
    third = link(world, mail_server, 3)
    browser = world.client
    form = {"csrf_token": csrf_token(browser.get(third).text), "unit": "newsletter"}
    world.clock.advance(seconds=1)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, carla(world), "newsletter")
        uow.commit()
    assert browser.get(third).status_code == 410
    assert browser.post(third, data=form).status_code == 410
    assert ConsentAction.GIVEN not in {event.action for event in said(world)}
    assert world.client.get("/privacy/confirm/nonsense").status_code == 410


@SQLITE
def test_a_letter_sent_again_leaves_one_link_that_lists_what_waits_for_the_address(
    world: World, mail_server: MailServer
) -> None:
    other, person = "carla@work.example", introduce(world, CARLA).subject_id
    identifiers = world.placet.subjects.identifiers
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        second = identifiers.read(IdentifierKind.EMAIL, other)
        identifiers.add(uow, person, second, keep=True)
        uow.touch(person)
        uow.record(RegisterPublished(register_revision="0" * 64))
        uow.commit()

    def asks(address: str, unit: str) -> str:
        world.clock.advance(minutes=1)
        told = says(world, {"email": address}, purpose=unit, notice_version=VERSIONS[unit])
        return str(told.get_json()["event_id"])

    def again(event_id: str) -> None:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            assert world.placet.people.double_opt_in.write_again(uow, person, event_id)

    def status(path: str) -> int:
        return world.client.get(path).status_code

    asks(CARLA, UNITS[0])
    newsletter, analytics = asks(other, UNITS[0]), asks(other, UNITS[1])
    elsewhere, first = link(world, mail_server), link_to(mail_server, other)
    assert (status(elsewhere), status(first)) == (200, 200)
    again(analytics)  # which the first letter listed
    world.settle()
    following = link_to(mail_server, other, 2)
    assert (status(elsewhere), status(first), status(following)) == (200, 410, 200)
    again(newsletter)  # which was asked for at two addresses
    world.settle()
    last = link_to(mail_server, other, 3)
    assert (status(elsewhere), status(following)) == (410, 410)
    for _unit in UNITS[:2]:
        assert submit(world.client, last, {}).status_code == 200
    assert status(last) == 410


@SQLITE
def test_a_link_outlives_the_end_of_an_earlier_consent(
    world: World, mail_server: MailServer
) -> None:
    given = give(world, introduce(world, CARLA, verified=False))
    assert given.expires_at is not None
    world.clock.now = given.expires_at - timedelta(days=1)
    says(world, {"email": CARLA})
    path = link(world, mail_server)
    world.clock.now = given.expires_at
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert Lifecycle(world.placet.consents).note_expired(uow) == 1
    assert world.client.get(path).status_code == 200


@SQLITE
def test_the_portal_of_somebody_signed_in_needs_no_letter(
    world: World, mail_server: MailServer
) -> None:
    ana = introduce(world)
    signed_in_as(world, ana)
    give(world, ana)
    world.settle()
    assert mail_server.messages == []
    assert reasons(world, ana.pseudonym) == ["consent-given"]


def test_of_twenty_confirmations_at_once_one_counts(world: World, mail_server: MailServer) -> None:
    says(world, {"email": CARLA})
    token = link(world, mail_server).rpartition("/")[2]
    double_opt_in, runtime = world.placet.people.double_opt_in, world.placet.runtime
    together = threading.Barrier(20)

    def attempt(_number: int) -> bool:
        together.wait()
        try:
            with runtime.unit_of_work(ANONYMOUS) as uow:
                double_opt_in.confirm(uow, token)
        except DomainError:
            return False
        return True

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(attempt, range(20))) == 1
    assert [e.action for e in said(world)].count(ConsentAction.GIVEN) == 1
