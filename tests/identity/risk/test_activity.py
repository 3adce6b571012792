"""What the person reads of their account's doors, in plain words."""

import re

import pytest
from flask.testing import FlaskClient

import identity
from identity.accounts.client import Client
from identity.accounts.model import Account, AccountDisabled
from identity.risk.suspicion import SUSPICIOUS_FAILURES, WRONG_CODES
from identity.risk.words import SHOWN
from identity.sessions.failures import record_failure
from policies.vocabulary import RetentionClass, Role
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.events import Event
from tests.identity.people import OTHER_PASSWORD, register, sign_in
from tests.identity.risk.people import (
    ANA,
    FIREFOX,
    PARIS,
    STRANGER,
    assess,
    open_account,
    remember,
)
from tests.privacy.test_documentation import modules
from tests.support.cast import Person, signed_in_as
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ADMINISTRATOR = Actor(kind=ActorKind.PERSON, role=Role.ADMINISTRATOR, account_id="f" * 32)


def _read(world: World, account: Account, page: str = "") -> str:
    signed_in_as(world, Person(account.subject_id, ""))
    answer = world.client.get(f"/account/activity{page}")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_the_reason_for_one_more_step_is_told_with_place_and_browser(world: World) -> None:
    ana = open_account(world)
    _token, device = remember(world, ana)
    assess(world, ana, device=device)
    world.clock.advance(minutes=1)
    assess(world, ana, Client(PARIS, FIREFOX), completed=False)
    page = _read(world, ana)
    assert (
        "Pedimos un paso más porque era un dispositivo nuevo; venía de un país poco habitual; "
        "venía de una red nueva." in page
    )
    assert "Firefox, Linux · 80.10.0.0/24 · Francia" in page
    assert page.count("Pedimos un paso más porque") == 1  # the usual one was not asked
    assert "este servicio no tiene datos de ciudades" in page
    assert "30 días la dirección de red completa" in page
    assert PARIS not in page


def test_sign_ins_and_vain_tries_are_listed_newest_first(
    world: World, mail_server: MailServer
) -> None:
    browser: FlaskClient = register(world, mail_server)
    world.clock.advance(minutes=1)
    sign_in(world.client, ANA, OTHER_PASSWORD)
    world.settle()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", browser.get("/account/activity").text))
    opened, tried = text.index("Inicio de sesión "), text.index("Intento fallido")
    assert tried < opened
    assert "Contraseña equivocada" in text
    assert "127.0.0.0/24" in text


def test_what_staff_did_is_told_as_theirs_and_what_the_person_did_is_not(world: World) -> None:
    ana = open_account(world)
    with world.placet.runtime.unit_of_work(ADMINISTRATOR) as uow:
        uow.record(AccountDisabled(subject_id=ana.subject_id, account_id=ana.account_id))
        uow.commit()
    page = _read(world, ana)
    assert "La cuenta se desactivó · lo hizo nuestro personal" in page
    assert "Abriste la cuenta " in page
    assert page.count("lo hizo nuestro personal") == 1


def test_an_account_without_activity_says_what_will_stand_there(world: World) -> None:
    ana = open_account(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.sealer.destroy(uow.session, ana.subject_id, RetentionClass.SECURITY_TRAIL)
        uow.session.commit()
    assert "Todavía no hay actividad" in _read(world, ana)


def test_activity_comes_in_pages_and_a_wrong_page_is_the_nearest(world: World) -> None:
    ana = open_account(world)
    for number in range(25):
        world.clock.advance(minutes=1)
        record_failure(
            world.placet.runtime, SYSTEM, ana, "password", Client(f"10.0.{number}.1", "")
        )
    world.settle()
    first, second = _read(world, ana), _read(world, ana, "?page=2")
    assert "Página 1 de 2" in first
    assert "10.0.24.0/24" in first
    assert "10.0.0.0/24" not in first
    assert "10.0.0.0/24" in second
    assert "Abriste la cuenta" in second
    for wrong in ("?page=99", "?page=0", "?page=-1", "?page=x", "?page=" + "9" * 5000, "?page=²"):
        assert "Página" in _read(world, ana, wrong)


def test_every_event_of_the_security_trail_has_words_for_the_person(
    database_kind: str,
) -> None:
    modules(identity)
    left, silent = [Event], set()
    while left:
        below = left.pop().__subclasses__()
        left += below
        for each in below:
            tag, retention = getattr(each, "tag", None), getattr(each, "retention", None)
            if tag and retention is RetentionClass.SECURITY_TRAIL and tag not in SHOWN:
                silent.add(str(tag))
    about_nobody = {"accounts:invitation:created", "accounts:invitation:revoked"}
    of_the_account = ("accounts:", "administration:", "credentials:", "mfa:", "risk:", "sessions:")
    assert {tag for tag in silent if tag.startswith(of_the_account)} == about_nobody


def test_ten_tries_of_strangers_are_told_once_a_day(world: World, mail_server: MailServer) -> None:
    ana = open_account(world)

    def fail(times: int) -> int:
        for _ in range(times):
            world.clock.advance(minutes=15)
            world.placet.attempts.begin_sign_in(ANA, STRANGER, None)
            record_failure(world.placet.runtime, SYSTEM, ana, "password", STRANGER)
        world.settle()
        return len(mail_server.messages_to(ANA))

    assert fail(SUSPICIOUS_FAILURES - 1) == 0
    assert fail(1) == 1
    assert fail(2) == 1
    world.clock.advance(days=1)
    assert fail(1) == 2


def test_who_knows_the_password_and_guesses_codes_is_told_of_apart_and_once_a_day(
    world: World, mail_server: MailServer
) -> None:
    ana = open_account(world)

    def fail(times: int) -> int:
        for _ in range(times):
            world.clock.advance(minutes=15)
            world.placet.attempts.begin_code(ana.account_id, None)
            record_failure(world.placet.runtime, SYSTEM, ana, "otp", STRANGER)
        world.settle()
        return len(mail_server.messages_to(ANA))

    assert fail(WRONG_CODES - 1) == 0
    assert fail(1) == 1
    assert mail_server.wait_for(to=ANA)["Subject"] == "Alguien ha escrito tu contraseña"
    assert fail(2) == 1


def test_the_page_is_for_the_person_alone(world: World) -> None:
    answer = world.client.get("/account/activity", headers={"Accept": "text/html"})
    assert answer.headers["Location"] == "/login?next=%2Faccount%2Factivity"
