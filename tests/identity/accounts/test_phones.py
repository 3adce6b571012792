"""Telephone numbers, proven by the operator's own gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from privacy.keys.blind_index import IdentifierKind
from privacy.mail import folder_transport
from privacy.mailbox import read_letters
from privacy.settings import SettingsError, settings_from
from privacy.sms import mailbox_gateway
from tests.identity.people import BRUNO, account_of, register
from tests.support.cast import application, calls_as, introduce
from tests.support.forms import submit
from tests.support.gateway import Gateway, gateway
from tests.support.smtp import MailServer
from tests.support.world import NOON, CountedIds, World, make_world

PAGE = "/account/addresses"
NUMBER = "+34600111222"
sqlite_alone = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def sms() -> Iterator[Gateway]:
    with gateway() as running:
        yield running


@pytest.fixture
def reachable(database_url: str, instance: Path, mail_server: MailServer, sms: Gateway) -> World:
    """A deployment whose operator has a gateway."""
    return make_world(
        database_url,
        instance,
        PLACET_MAIL_PORT=str(mail_server.port),
        PLACET_SMS_URL=sms.url,
        PLACET_SMS_TOKEN="let me in",
    )


def ask_to_add(client: FlaskClient, number: str = "600 111 222") -> TestResponse:
    return submit(client, f"{PAGE}/phone", {"phone": number})


def numbers(world: World) -> list[str]:
    with world.placet.runtime.snapshot() as session:
        found = world.placet.subjects.identifiers.of(
            session, account_of(world).subject_id, IdentifierKind.PHONE
        )
    return [known.identifier.value for known in found]


@sqlite_alone
def test_a_number_is_proven_by_its_code_and_claims_what_was_said_with_it(
    reachable: World, mail_server: MailServer, sms: Gateway
) -> None:
    world = reachable
    introduce(world, "somebody@example.com")
    calls_as(world, application())
    said = {"purpose": "newsletter", "action": "refused", "notice_version": 2, "language": "es"}
    recorded = world.client.post(
        "/v1/consents", json={**said, "subject": {"phone": NUMBER}, "channel": "phone"}
    )
    assert recorded.json is not None
    ana = register(world, mail_server)
    assert ask_to_add(ana).headers["Location"] == f"{PAGE}/code"
    world.settle()
    [(authorization, message)] = sms.taken
    assert authorization == "Bearer let me in"
    assert set(message) == {"to", "text"}
    assert numbers(world) == []
    assert submit(ana, f"{PAGE}/code", {"code": sms.code(NUMBER)}).status_code == 303
    assert numbers(world) == [NUMBER]
    with world.placet.runtime.snapshot() as session:
        subject_id = account_of(world).subject_id
        resolve = world.placet.pseudonyms.resolve
        assert resolve(session, "shop", recorded.json["subject"]) == subject_id
        [event] = world.placet.consents.history(session, subject_id)
        assert event.event_id == recorded.json["event_id"]
    removed = submit(ana, PAGE, {"address": NUMBER, "kind": "phone"}, to=f"{PAGE}/remove")
    assert removed.status_code == 303
    assert numbers(world) == []


@sqlite_alone
def test_three_codes_an_hour_go_to_a_number_whoever_asks(
    reachable: World, mail_server: MailServer, sms: Gateway
) -> None:
    ana = register(reachable, mail_server)
    bruno = register(reachable, mail_server, BRUNO)
    assert [ask_to_add(each).status_code for each in (ana, bruno, ana, bruno)] == [303] * 3 + [429]
    reachable.settle()
    assert len(sms.texts_to(NUMBER)) == 3
    assert ask_to_add(ana, "910 000 000").status_code == 422  # no text reaches a fixed line
    assert ask_to_add(ana, "nada").status_code == 422


@sqlite_alone
def test_what_the_gateway_does_not_take_is_tried_again_and_no_redirect_is_followed(
    reachable: World, mail_server: MailServer, sms: Gateway
) -> None:
    ana = register(reachable, mail_server)
    ask_to_add(ana)
    sms.status, sms.headers = 302, {"Location": "/elsewhere"}
    reachable.settle()
    sms.status, sms.headers = 500, {}
    reachable.settle()
    assert len(sms.taken) == 1  # it waits
    reachable.clock.advance(seconds=5)
    reachable.settle()
    sms.status = 200
    reachable.clock.advance(minutes=1)
    reachable.settle()
    assert len(sms.taken) == 3
    assert submit(ana, f"{PAGE}/code", {"code": sms.code(NUMBER)}).status_code == 303


@sqlite_alone
def test_without_a_gateway_no_page_speaks_of_numbers(world: World, mail_server: MailServer) -> None:
    ana = register(world, mail_server)
    assert "eléfono" not in ana.get(PAGE).text
    assert ana.get(f"{PAGE}/phone").status_code == 404


def test_in_the_demo_a_text_lies_among_the_letters(tmp_path: Path) -> None:
    transport = folder_transport(tmp_path, lambda: NOON, CountedIds())
    mailbox_gateway("placet@localhost", transport, lambda: NOON)(NUMBER, "12345678 es tu código")
    [text] = read_letters(tmp_path)
    assert (text.to, text.code, text.html) == (NUMBER, "12345678", "")


def test_the_gateway_is_reached_by_https_but_on_this_machine(tmp_path: Path) -> None:
    for url in ("http://sms.example.com/", "ftp://localhost/", "sms"):
        with pytest.raises(SettingsError, match="PLACET_SMS_URL"):
            settings_from({"PLACET_SMS_URL": url}, tmp_path)
    assert "secret" not in repr(settings_from({"PLACET_SMS_TOKEN": "secret"}, tmp_path))
