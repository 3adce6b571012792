"""Double opt-in: a typed address is written to first, and the button behind the link is the consent."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from policies.errors import DomainError
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.actor import ANONYMOUS, SYSTEM
from privacy.consent.applications import Word
from privacy.consent.double_opt_in import MAX_WAITING
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.model import ConsentEvent
from privacy.keys.blind_index import IdentifierKind
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
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

CARLA = "carla@example.com"
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def world(
    register_folder: Path, database_url: str, instance: Path, mail_server: MailServer
) -> World:
    """A deployment whose newsletter is confirmed by mail; the shop is calling."""
    file = register_folder / "purposes.toml"
    edited = file.read_text().replace("reminder_days = 30", "double_opt_in = true")
    file.write_text(edited)
    world = make_world(
        database_url,
        instance,
        PLACET_REGISTER=str(register_folder),
        PLACET_MAIL_PORT=str(mail_server.port),
    )
    calls_as(world, application())
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
    letter = mail.wait_for(to=CARLA, count=number).get_body(("plain",))
    assert letter is not None
    found = re.search(r"http://localhost:8000(/privacy/confirm/\S+)", letter.get_content())
    assert found
    return found.group(1)


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
def test_who_has_proved_the_address_or_is_signed_in_confirms_nothing(world: World) -> None:
    proved = introduce(world)
    assert "pending" not in says(world, {"email": "ana@example.com"}).get_json()
    assert "pending" not in says(world, proved.pseudonym).get_json()
    unproved = introduce(world, CARLA, verified=False)
    calls_as(world, replace(application(), subject_id=unproved.subject_id))
    assert "pending" not in says(world, unproved.pseudonym).get_json()
    calls_as(world, replace(application(), subject_id=proved.subject_id))
    assert says(world, unproved.pseudonym).get_json()["pending"] == "confirmation"


@SQLITE
def test_without_an_address_to_write_to_nothing_is_recorded(world: World) -> None:
    answer = says(world, {"phone": "+34600000001"})
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "subject.email"


@SQLITE
def test_the_short_way_leaves_what_is_to_be_confirmed_to_the_ordinary_one(world: World) -> None:
    words, shop = world.placet.usual_words, application()
    word = Word(
        purpose="newsletter",
        action=ConsentAction.GIVEN,
        channel=ConsentChannel.WEB,
        found_by=(IdentifierKind.EMAIL, CARLA),
        notice_version=2,
        language="es",
    )
    assert words.read(shop, word) is None
    assert words.read(shop, replace(word, action=ConsentAction.REFUSED)) is not None
    other = replace(word, purpose="recommendations", notice_version=1)
    assert words.read(shop, other) is not None


@SQLITE
def test_a_form_cannot_flood_a_mailbox(world: World, mail_server: MailServer) -> None:
    answers = [says(world, {"email": CARLA}).get_json() for _ in range(MAX_WAITING + 2)]
    assert {each["pending"] for each in answers} == {"confirmation"}
    assert len({each["event_id"] for each in answers}) == MAX_WAITING == len(said(world))
    first = link(world, mail_server, 1)
    assert len(mail_server.messages_to(CARLA)) == MAX_WAITING
    assert submit(world.client, link(world, mail_server, 2), {}).status_code == 200
    assert world.client.get(first).status_code == 410  # one was enough
    world.clock.advance(days=7)
    assert "pending" not in says(world, {"email": CARLA}).get_json()  # the address is proved now


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
    world.clock.advance(seconds=1)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, carla(world), "newsletter")
        uow.commit()
    assert world.client.get(third).status_code == 410
    assert world.client.post(third).status_code in {400, 403, 410}
    assert ConsentAction.GIVEN not in {event.action for event in said(world)}
    assert world.client.get("/privacy/confirm/nonsense").status_code == 410


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
