"""The way past a shut account for whoever reads its mail, and for nobody else."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.accounts.attempts import AttemptKind
from identity.accounts.model import Account, LinkNotValid
from identity.accounts.store import AttemptRow
from identity.risk.model import Device
from privacy.actor import SYSTEM
from tests.identity.people import Letter, letter, register, sign_in
from tests.identity.risk.people import ANA, HOME, open_account, remember
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

NOBODY = "nobody@example.com"
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def _shut(world: World, email: str = ANA) -> None:
    """Have strangers use the account's tries up."""
    attempt = world.placet.attempts.of_email(AttemptKind.PASSWORD, email)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.merge(
            AttemptRow(
                kind="password",
                key_digest=attempt.key_digest,
                failures=100,
                last_failure_at=uow.now,
            )
        )
        uow.commit()


def _ask(client: FlaskClient, email: str = ANA, path: str = "/login/prove") -> TestResponse:
    return submit(client, path, {"email": email}, to="/login/prove")


def _letter(world: World, mail: MailServer, count: int = 1) -> Letter:
    return letter(world, mail, ANA, count)


def _device(client: FlaskClient, world: World, account: Account) -> Device | None:
    found = client.get_cookie("placet-device")
    with world.placet.runtime.snapshot() as session:
        return world.placet.identity.devices.find(
            session, account.account_id, found.value if found else None, now=world.clock()
        )


@SQLITE
def test_a_new_browser_of_a_shut_account_is_led_to_the_proof_and_back(
    world: World, mail_server: MailServer
) -> None:
    ana = open_account(world)
    _shut(world)
    client = world.client
    refused = sign_in(client, path="/login?next=/privacy", known=False)
    assert (refused.status_code, refused.headers["Location"]) == (
        303,
        "/login/prove?next=%2Fprivacy",
    )
    asked = _ask(client, path=refused.headers["Location"])
    assert asked.headers["Location"] == "/login/prove/code"
    assert "diez minutos" in client.get("/login/prove/code").text
    done = submit(client, "/login/prove/code", {"code": _letter(world, mail_server).code})
    assert done.headers["Location"] == "/login?next=/privacy"
    assert _device(client, world, ana) is not None
    assert sign_in(client, known=False).status_code == 422  # looked at: she has no password here


@SQLITE
def test_the_answer_is_the_same_where_there_is_no_account(
    world: World, mail_server: MailServer
) -> None:
    open_account(world)
    answers = []
    for email in (ANA, NOBODY):
        client = world.client
        asked = _ask(client, email)
        world.settle()
        wrong = [
            submit(client, "/login/prove/code", {"code": "00000000"}).status_code for _ in range(6)
        ]
        answers.append((asked.status_code, asked.headers["Location"], wrong))
    assert answers[0] == answers[1] == (303, "/login/prove/code", [422] * 5 + [410])
    assert len(mail_server.messages_to(ANA)) == 1
    assert mail_server.messages_to(NOBODY) == []


@SQLITE
def test_the_mailed_link_changes_nothing_until_its_button_and_works_once(
    world: World, mail_server: MailServer
) -> None:
    ana = open_account(world)
    _ask(world.client)
    path = _letter(world, mail_server).path
    other = world.client  # the letter was opened elsewhere
    for _ in range(2):
        assert other.get(path).status_code == 200
        assert other.head(path).status_code == 200
    assert _device(other, world, ana) is None
    assert submit(other, path, {}).headers["Location"] == "/login"
    assert _device(other, world, ana) is not None
    assert other.get(path).status_code == 410


@SQLITE
def test_a_code_lives_ten_minutes_and_a_link_an_hour(world: World, mail_server: MailServer) -> None:
    open_account(world)
    client = world.client
    _ask(client)
    mailed = _letter(world, mail_server)
    world.clock.advance(minutes=10)
    late = submit(client, "/login/prove/code", {"code": mailed.code})
    assert late.status_code == 410
    world.clock.advance(minutes=50, microseconds=-1)
    assert client.get(mailed.path).status_code == 200
    world.clock.advance(microseconds=1)
    assert client.get(mailed.path).status_code == 410


@SQLITE
def test_what_is_no_address_is_said_at_its_field_and_letters_are_slowed_down(
    world: World,
) -> None:
    client = world.client
    wrong = _ask(client, "ana")
    assert wrong.status_code == 422
    assert 'href="#email"' in wrong.text
    assert client.get("/login/prove/code").headers["Location"] == "/login/prove"
    assert [_ask(world.client, NOBODY).status_code for _ in range(5)] == [303] * 4 + [429]


@SQLITE
def test_the_proof_again_in_a_known_browser_keeps_its_device(
    world: World, mail_server: MailServer
) -> None:
    ana = open_account(world)
    token, device = remember(world, ana)
    client = world.client
    client.set_cookie("placet-device", token)
    _ask(client)
    submit(client, "/login/prove/code", {"code": _letter(world, mail_server).code})
    found = _device(client, world, ana)
    assert found is not None
    assert found.device_id == device.device_id


def test_of_twenty_browsers_with_one_link_exactly_one_becomes_known(
    world: World, mail_server: MailServer
) -> None:
    ana = open_account(world)
    _ask(world.client)
    token = _letter(world, mail_server).path.rpartition("/")[2]
    proofs = world.placet.identity.guard.proofs

    def press(_number: int) -> bool:
        try:
            proofs.by_link(SYSTEM, token, HOME, None)
        except LinkNotValid:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(press, range(20))) == 1
    with world.placet.runtime.snapshot() as session:
        assert len(world.placet.identity.devices.of_account(session, ana.account_id)) == 1


@SQLITE
def test_the_first_sign_in_of_a_browser_that_a_code_made_known_is_told(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    client = world.client
    _ask(client)
    submit(client, "/login/prove/code", {"code": _letter(world, mail_server, 2).code})
    for _ in range(2):  # once
        client.delete_cookie("placet")
        world.clock.advance(minutes=1)
        assert sign_in(client, known=False).status_code == 303
    world.settle()
    subjects = [str(message["Subject"]) for message in mail_server.messages_to(ANA)]
    assert subjects.count("Has iniciado sesión en un dispositivo nuevo") == 1
