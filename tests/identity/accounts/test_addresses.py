"""The addresses of an account: proven, claimed, chosen, removed, and taken back."""

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from policies.vocabulary import ConsentChannel
from privacy.actor import SYSTEM
from tests.identity.people import (
    ANA,
    BRUNO,
    OTHER_PASSWORD,
    account_of,
    is_signed_in,
    letter,
    register,
    sign_in,
)
from tests.support.cast import application, ask, calls_as, introduce
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import World

PAGE = "/account/addresses"
NEW = "ana.nueva@example.com"
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def ask_to_add(client: FlaskClient, address: str = NEW) -> TestResponse:
    return submit(client, f"{PAGE}/email", {"email": address})


def add(world: World, mail: MailServer, client: FlaskClient, address: str = NEW) -> None:
    before = len(mail.messages_to(address))
    assert ask_to_add(client, address).headers["Location"] == f"{PAGE}/code"
    code = letter(world, mail, address, before + 1).code
    answer = submit(client, f"{PAGE}/code", {"code": code})
    assert (answer.status_code, answer.headers.get("Location")) == (303, PAGE), answer.text


def change(client: FlaskClient, what: str, address: str, kind: str = "email") -> TestResponse:
    form = {"address": address, "kind": kind}
    return submit(client, PAGE, form, to=f"{PAGE}/{what}")


def shown(client: FlaskClient) -> list[str]:
    page = client.get(PAGE).text
    return re.findall(r'<th scope="row"[^>]*><span>([^<]+)', page)


def finds(world: World, address: str) -> str | None:
    with world.placet.runtime.snapshot() as session:
        return world.placet.subjects.find_by_email(session, address)


def last_letter(world: World, mail: MailServer, to: str) -> str:
    world.settle()
    body = mail.messages_to(to)[-1].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(text: str) -> str:
    found = re.search(r"http://localhost:8000(/\S+)", text)
    assert found, text
    return found[1]


def press(client: FlaskClient, path: str) -> TestResponse:
    return client.post(path, data={"csrf_token": csrf_token(client.get(path).text)})


def test_an_address_counts_once_its_code_is_typed_and_the_chosen_one_signs_in(
    world: World, mail_server: MailServer
) -> None:
    ana = register(world, mail_server)
    told = len(mail_server.messages_to(ANA))
    assert ask_to_add(ana).status_code == 303
    assert finds(world, NEW) is None  # unproven it finds nobody and grants nothing
    assert shown(ana) == [ANA]
    code = letter(world, mail_server, NEW).code
    stranger = register(world, mail_server, BRUNO)
    assert stranger.get(f"{PAGE}/code").headers["Location"] == PAGE  # another browser has no say
    wrong = submit(ana, f"{PAGE}/code", {"code": f"{(int(code) + 1) % 10**8:08}"})
    assert wrong.status_code == 422
    assert submit(ana, f"{PAGE}/code", {"code": code}).status_code == 303
    assert shown(ana) == [ANA, NEW]
    assert len(mail_server.messages_to(ANA)) == told  # the worker has not run yet
    assert "a•••@example.com" in last_letter(world, mail_server, ANA)

    assert sign_in(world.client, NEW).status_code == 422
    assert change(ana, "primary", NEW).status_code == 303
    assert shown(ana) == [NEW, ANA]
    assert sign_in(world.client, NEW).status_code == 303
    assert sign_in(world.client, ANA).status_code == 422
    with world.placet.runtime.snapshot() as session:
        account = account_of(world)
        assert world.placet.identity.accounts.email_of(session, account) == NEW
    world.settle()
    assert world.verify().ok


def test_the_last_address_stays_and_nobodys_address_is_changed(
    world: World, mail_server: MailServer
) -> None:
    ana = register(world, mail_server)
    register(world, mail_server, BRUNO)
    assert change(ana, "remove", ANA).status_code == 409
    for what in ("remove", "primary"):
        assert change(ana, what, BRUNO).status_code == 404
    own = ask_to_add(ana, ANA.upper())
    assert own.status_code == 422
    assert "Ya la tienes en tu cuenta." in own.text
    assert ask_to_add(ana, "nada").status_code == 422
    add(world, mail_server, ana)
    assert change(ana, "remove", ANA).status_code == 303
    assert shown(ana) == [NEW]
    assert finds(world, ANA) is None
    assert finds(world, BRUNO) is not None


def test_a_sensitive_change_asks_for_a_fresh_proof(world: World, mail_server: MailServer) -> None:
    ana = register(world, mail_server)
    world.clock.advance(minutes=11)
    for path in (f"{PAGE}/email", f"{PAGE}/confirm/x"):
        assert ana.get(path).headers["Location"].startswith("/login/again?")
    for what in ("primary", "remove"):
        assert change(ana, what, ANA).headers["Location"].startswith("/login/again?")
    assert shown(ana) == [ANA]


def test_a_link_works_for_the_account_that_asked_and_by_its_button_alone(
    world: World, mail_server: MailServer
) -> None:
    ana, bruno = register(world, mail_server), register(world, mail_server, BRUNO)
    ask_to_add(ana)
    path = letter(world, mail_server, NEW).path
    anonymous = world.client.get(path, headers={"Accept": "text/html"})
    assert anonymous.headers["Location"].startswith("/login?")
    assert bruno.get(path).status_code == 410  # else a careless press would give it away
    token = {"csrf_token": csrf_token(bruno.get(PAGE).text)}
    assert bruno.post(path, data=token).status_code == 410
    for look in (ana.get, ana.head):  # a mail scanner looks, and changes nothing
        assert look(path).status_code == 200
        assert finds(world, NEW) is None
    assert press(ana, path).status_code == 303
    assert shown(ana) == [ANA, NEW]
    assert ana.get(path).status_code == 410


def test_five_wrong_codes_end_a_proof(world: World, mail_server: MailServer) -> None:
    ana = register(world, mail_server)
    ask_to_add(ana)
    code = letter(world, mail_server, NEW).code
    wrong = f"{(int(code) + 1) % 10**8:08}"
    answers = [submit(ana, f"{PAGE}/code", {"code": wrong}).status_code for _ in range(6)]
    assert answers == [422] * 5 + [410]
    assert submit(ana, f"{PAGE}/code", {"code": code}).status_code == 410
    world.clock.advance(minutes=2)
    ask_to_add(ana)
    code = letter(world, mail_server, NEW, 2).code
    world.clock.advance(minutes=10)
    assert submit(ana, f"{PAGE}/code", {"code": code}).status_code == 410
    assert finds(world, NEW) is None


def test_another_accounts_address_looks_the_same_and_its_person_is_told(
    world: World, mail_server: MailServer
) -> None:
    ana = register(world, mail_server)
    register(world, mail_server, BRUNO)
    free, taken = ask_to_add(ana), ask_to_add(ana, BRUNO)
    assert (free.status_code, free.headers["Location"]) == (
        taken.status_code,
        taken.headers["Location"],
    )
    told = last_letter(world, mail_server, BRUNO)
    assert "ciérrala" in told
    assert re.search(r"\d{8}", told) is None
    assert finds(world, BRUNO) == account_of(world, BRUNO).subject_id


def test_two_accounts_are_never_made_one(world: World, mail_server: MailServer) -> None:
    ana = register(world, mail_server)
    ask_to_add(ana, BRUNO)
    code = letter(world, mail_server, BRUNO).code
    register(world, mail_server, BRUNO)  # the owner opens an account before the code is typed
    refused = submit(ana, f"{PAGE}/code", {"code": code})
    assert refused.status_code == 409
    assert "ciérrala" in refused.text
    assert account_of(world, BRUNO).subject_id != account_of(world).subject_id
    assert shown(ana) == [ANA]
    world.settle()
    assert world.verify().ok


def record_in_store(world: World, address: str) -> str:
    """Have the shop record a consent in the store; return its pseudonym for the person."""
    introduce(world, "somebody@example.com")
    calls_as(world, application())
    answer = world.client.post(
        "/v1/consents",
        json={
            "subject": {"email": address},
            "purpose": "newsletter",
            "notice_version": 2,
            "language": "es",
            "channel": "store",
        },
    )
    assert answer.status_code == 201, answer.text
    assert answer.json is not None
    return str(answer.json["subject"])


def the_consent_is_the_persons(world: World, client: FlaskClient, pseudonym: str) -> None:
    history = client.get("/privacy/history").text
    [receipt] = set(re.findall(r'href="(/privacy/receipts/[0-9a-f]{32})"', history))
    assert client.get(receipt).status_code == 200
    with world.placet.runtime.snapshot() as session:
        subject_id = account_of(world).subject_id
        assert world.placet.pseudonyms.resolve(session, "shop", pseudonym) == subject_id
        [event] = world.placet.consents.history(session, subject_id)
        assert event.channel is ConsentChannel.STORE
        assert event.recorded_by == "application:shop"
        assert world.placet.consents.words_of(session, event).text


def allowed(world: World, pseudonym: str) -> bool:
    answer = ask(world, type("Known", (), {"pseudonym": pseudonym})()).json
    assert answer is not None
    return bool(answer["decision"])


@pytest.mark.parametrize("by", ["registration", "address"])
def test_a_consent_recorded_in_the_store_is_claimed_by_proving_its_address(
    world: World, mail_server: MailServer, by: str
) -> None:
    address = ANA if by == "registration" else NEW
    pseudonym = record_in_store(world, address)
    world.clock.advance(days=1)  # the shop's is the older of the two
    ana = register(world, mail_server)
    if by == "address":
        assert ana.get("/privacy/history").text.count("/privacy/receipts/") == 0
        add(world, mail_server, ana)
        assert shown(ana) == [ANA, NEW]  # the account's own stays the first
    the_consent_is_the_persons(world, ana, pseudonym)
    assert allowed(world, pseudonym)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.withdraw(
            uow, account_of(world).subject_id, "newsletter", channel=ConsentChannel.WEB
        )
    assert not allowed(world, pseudonym)
    world.settle()
    assert world.verify().ok


def test_whoever_reads_an_old_address_takes_the_changes_back(
    world: World, mail_server: MailServer
) -> None:
    thief = register(world, mail_server)  # somebody who knows the password
    victim = world.client
    add(world, mail_server, thief)
    way_back = link_in(last_letter(world, mail_server, ANA))
    change(thief, "primary", NEW)
    thiefs_way = link_in(last_letter(world, mail_server, NEW))
    change(thief, "remove", ANA)
    assert shown(thief) == [NEW]
    for look in (victim.get, victim.head):
        assert look(way_back).status_code == 200
        assert is_signed_in(thief)
    world.clock.advance(days=6)
    answer = press(victim, way_back)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/recover/code"), answer.text
    assert finds(world, NEW) is None
    assert "ha cambiado una dirección" in last_letter(
        world, mail_server, NEW
    )  # who lost it is told
    assert not is_signed_in(thief)
    assert sign_in(world.client, ANA).status_code == 422  # the password is known to somebody else
    for used in (way_back, thiefs_way):  # what came later leads nowhere
        assert victim.get(used).status_code == 410
    code = re.search(r"\b\d{8}\b", last_letter(world, mail_server, ANA))
    assert code is not None
    chosen = {"code": code[0], "password": OTHER_PASSWORD}
    assert submit(victim, "/recover/code", chosen).status_code == 303
    assert sign_in(victim, ANA, OTHER_PASSWORD).status_code == 303
    assert shown(victim) == [ANA]
    world.settle()
    assert world.verify().ok


def test_the_way_back_of_a_later_change_does_not_lead_to_a_new_addresss_reader(
    world: World, mail_server: MailServer
) -> None:
    thief = register(world, mail_server)
    world.clock.advance(days=30)
    sign_in(thief, known=False)
    add(world, mail_server, thief)
    change(thief, "primary", NEW)
    change(thief, "remove", ANA)
    way_back = link_in(last_letter(world, mail_server, ANA))  # of the last letter, not the first
    before = len(mail_server.messages_to(NEW))
    victim = world.client
    assert press(victim, way_back).headers["Location"] == "/recover/code"
    assert re.search(r"\b\d{8}\b", last_letter(world, mail_server, ANA))
    for message in mail_server.messages_to(NEW)[before:]:
        assert not re.search(r"\b\d{8}\b", str(message.get_body(("plain",))))


def test_a_change_cannot_be_taken_back_after_a_week(world: World, mail_server: MailServer) -> None:
    ana = register(world, mail_server)
    add(world, mail_server, ana)
    way_back = link_in(last_letter(world, mail_server, ANA))
    world.clock.advance(days=7)
    assert world.client.get(way_back).status_code == 410
    assert world.placet.identity.housekeeping.run_due() >= 2  # proof and way back
