"""Whoever sees other people's data comes by invitation, and brings a passkey."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from click.testing import CliRunner

from app import main
from identity.accounts.model import LinkNotValid
from policies.vocabulary import Role, Scope
from privacy.actor import ANONYMOUS, SYSTEM
from privacy.http import current_actor, requires
from privacy.ids import secret_digest
from tests.identity.passkeys import add_passkey, with_passkey
from tests.identity.people import (
    ANA,
    BRUNO,
    DELIA,
    PASSWORD,
    account_of,
    ask_for_account,
    enrol,
    invited,
    letter,
    register,
    sign_in,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import CHEAP, World


def _invite(world: World, role: Role = Role.DPO) -> str:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        return f"/invitation/{world.placet.identity.accounts.invite(uow, role)}"


@pytest.fixture
def desk(world: World) -> None:
    """Two doors of the test's own, for the desk and for administration."""

    @world.app.get("/test/desk")
    @requires(Scope.DESK)
    def desk() -> str:
        return current_actor().role.value

    @world.app.get("/test/administration")
    @requires(Scope.ADMINISTRATION)
    def administration() -> str:
        return current_actor().role.value


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("role", "opens", "shut"),
    [
        (Role.DPO, "/test/desk", "/test/administration"),
        (Role.STAFF, "/test/desk", "/test/administration"),
        (Role.ADMINISTRATOR, "/test/administration", "/test/desk"),
    ],
)
def test_a_role_opens_its_door_only_with_a_passkey(
    world: World, mail_server: MailServer, role: Role, opens: str, shut: str
) -> None:
    client = invited(world, mail_server, role)
    assert account_of(world, DELIA).role is role
    assert client.get(opens).status_code == 403
    enrol(world, client)  # an application's code can be phished
    assert client.get(opens).status_code == 403
    key = add_passkey(client)

    again = world.client
    assert sign_in(again, DELIA).headers["Location"].startswith("/login/code")
    assert again.get(opens).status_code == 401  # the password alone is nobody yet
    with_passkey(again, key, page="/login/code")
    answer = again.get(opens)
    assert (answer.status_code, answer.text) == (200, role.value)
    assert again.get(shut).status_code == 403


@pytest.mark.usefixtures("desk")
def test_an_ordinary_person_has_no_desk_whatever_they_prove(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    enrol(world, client)
    assert client.get("/test/desk").status_code == 403
    assert client.get("/test/administration").status_code == 403


def test_a_dpo_without_passkey_is_led_to_it_at_every_sign_in(
    world: World, mail_server: MailServer
) -> None:
    invited(world, mail_server, Role.DPO)
    client = world.client
    answer = sign_in(client, DELIA, path="/login?next=/dpo")
    assert answer.headers["Location"] == "/account/passkeys?next=%2Fdpo"
    assert client.get("/account/passkeys").status_code == 200


def test_an_invitation_works_once(world: World, mail_server: MailServer) -> None:
    path = _invite(world)
    clients = [world.client, world.client]
    for client, email in zip(clients, (DELIA, BRUNO), strict=True):
        assert client.get(path).status_code == 200
        assert ask_for_account(client, email, path=path).status_code == 303
    answers = [
        submit(client, "/register/code", {"code": letter(world, mail_server, email).code})
        for client, email in zip(clients, (DELIA, BRUNO), strict=True)
    ]
    assert [answer.status_code for answer in answers] == [303, 410]
    assert world.client.get(path).status_code == 410
    assert account_of(world, DELIA).role is Role.DPO
    assert sign_in(world.client, BRUNO).status_code == 422


def test_an_invitation_claimed_side_by_side_works_once(world: World) -> None:
    token_path = _invite(world)
    accounts = world.placet.identity.accounts
    digest = secret_digest(token_path.rsplit("/", 1)[1])
    barrier = Barrier(20)

    def claim(_number: int) -> bool:
        barrier.wait()
        with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
            try:
                accounts.claim_invitation(uow, digest)
            except LinkNotValid:
                return False
            uow.session.commit()  # the race is about the row, not about its audit entry
            return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(claim, range(20))) == 1


def test_an_invitation_lives_exactly_a_day(world: World) -> None:
    path = _invite(world)
    world.clock.advance(hours=24)
    assert world.client.get(path).status_code == 410
    world.clock.now -= timedelta(microseconds=1)
    assert world.client.get(path).status_code == 200


def test_an_invitation_gives_no_role_to_an_address_that_has_an_account(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    client, path = world.client, _invite(world)
    assert ask_for_account(client, ANA, path=path).headers["Location"] == "/register/code"
    assert letter(world, mail_server, ANA, 2).path == "/login"
    assert account_of(world).role is Role.PERSON
    assert world.client.get(path).status_code == 200  # the invitation is not used up


def test_an_invented_invitation_opens_no_form(world: World) -> None:
    assert world.client.get("/invitation/nonsense").status_code == 410


def test_the_command_prints_a_link_that_works(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CHEAP.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PLACET_INSTANCE", str(tmp_path))
    assert CliRunner().invoke(main, ["setup"]).exit_code == 0
    done = CliRunner().invoke(main, ["invite", "dpo", "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.output)
    assert printed["role"] == "dpo"
    assert printed["link"].startswith("http://localhost:8000/invitation/")
    refused = CliRunner().invoke(main, ["invite", "person"])
    assert refused.exit_code == 2
    assert PASSWORD not in done.output
