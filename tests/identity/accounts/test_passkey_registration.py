"""Opening an account with a passkey alone."""

import re

import pytest
import sqlalchemy as sa

from identity.accounts.store import PendingRegistration
from identity.credentials.store import PasswordRow
from identity.mfa.store import PasskeyRow
from identity.sessions.store import SessionRow
from policies.assurance import METHODS_OF, Factor
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from tests.identity.passkeys import ask_with_passkey, begin, register_with_passkey, show_passkey
from tests.identity.people import (
    ANA,
    BRUNO,
    DELIA,
    PASSWORD,
    account_of,
    ask_for_account,
    has_account,
    is_signed_in,
    letter,
    register,
    sign_in,
)
from tests.support.authenticator import Authenticator, Says
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def _count(world: World, table: type) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_a_passkey_alone_opens_an_account_once_the_address_is_proven(
    world: World, mail_server: MailServer
) -> None:
    client, key = world.client, Authenticator()
    answer = ask_with_passkey(client, key)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/register/code")
    assert not has_account(world)
    assert _count(world, PasskeyRow) == 0
    with world.placet.runtime.snapshot() as session:
        waiting = session.scalars(sa.select(PendingRegistration)).one()
        assert waiting.password_hash is None
        assert key.credential_id not in (waiting.passkey_sealed or b"")
    assert show_passkey(world, key) is None
    mail = letter(world, mail_server, ANA)
    assert mail.path.startswith("/register/confirm/")
    answer = submit(client, "/register/code", {"code": mail.code})
    assert answer.status_code == 303
    assert is_signed_in(client)
    assert (_count(world, PasskeyRow), _count(world, PasswordRow)) == (1, 0)
    with world.placet.runtime.snapshot() as session:
        methods = session.scalars(sa.select(SessionRow.methods)).one()
    assert set(methods.split()) == METHODS_OF[Factor.PASSKEY]
    assert show_passkey(world, key) == account_of(world).account_id
    for password in ("", PASSWORD):
        assert sign_in(world.client, ANA, password).status_code == 422
    assert world.verify().ok


def test_its_link_works_in_the_browser_that_began_alone(
    world: World, mail_server: MailServer
) -> None:
    client, other = world.client, world.client
    ask_with_passkey(client, Authenticator())
    path = letter(world, mail_server, ANA).path
    for browser in (other, client):
        assert browser.head(path).status_code == 200
    page = other.get(path).text
    assert "Vuelve al navegador en que la creaste" in page
    assert "<button" not in page.split("<main")[1]
    answer = submit(other, "/register", {"password": ""}, to=path)
    assert answer.status_code == 422
    assert not has_account(world)
    assert submit(client, path, {}).status_code == 303
    assert has_account(world)


def test_what_somebody_else_prepared_dies_when_the_owner_proves_the_address(
    world: World, mail_server: MailServer
) -> None:
    attacker, ana = world.client, world.client
    theirs, hers = Authenticator(), Authenticator()
    ask_with_passkey(attacker, theirs)
    prepared = letter(world, mail_server, ANA)
    ask_with_passkey(ana, hers)
    own = letter(world, mail_server, ANA, 2)
    assert submit(ana, "/register/code", {"code": own.code}).status_code == 303
    assert submit(attacker, "/register/code", {"code": prepared.code}).status_code == 410
    assert world.client.get(prepared.path).status_code == 410
    assert not is_signed_in(attacker)
    assert show_passkey(world, theirs) is None
    assert show_passkey(world, hers) == account_of(world).account_id


def test_a_passkey_prepared_under_a_known_address_never_opens_it(
    world: World, mail_server: MailServer
) -> None:
    """The owner recovers the account and finds nobody else's key in it."""
    register(world, mail_server)
    attacker, theirs = world.client, Authenticator()
    ask_with_passkey(attacker, theirs)
    told = letter(world, mail_server, ANA, 2)
    assert told.path == "/login"
    assert not re.search(r"\d{8}", told.text)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.identity.passwords.keep(uow, account_of(world), "$recovered")
        uow.commit()
    for _ in range(5):
        assert submit(attacker, "/register/code", {"code": "00000000"}).status_code == 422
    assert submit(attacker, "/register/code", {"code": "00000000"}).status_code == 410
    assert not is_signed_in(attacker)
    assert show_passkey(world, theirs) is None
    assert _count(world, PasskeyRow) == 0


def test_known_and_unknown_addresses_get_the_same_answer(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    answers = []
    for email in (ANA, BRUNO):
        client = world.client
        begun = begin(client, email)
        shape = re.sub(r'"(challenge|id|name|displayName)": ?"[^"]*"', "", begun.text)
        asked = ask_with_passkey(client, Authenticator(), email)
        wrong = submit(client, "/register/code", {"code": "00000000"})
        answers.append((begun.status_code, shape, asked.status_code, wrong.status_code))
    assert answers[0] == answers[1]


def test_an_invitation_is_taken_up_with_a_passkey(world: World, mail_server: MailServer) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        token = world.placet.identity.accounts.invite(uow, Role.DPO)
    client, key = world.client, Authenticator()
    ask_with_passkey(client, key, DELIA, path=f"/invitation/{token}")
    answer = submit(client, "/register/code", {"code": letter(world, mail_server, DELIA).code})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/privacy")
    assert account_of(world, DELIA).role is Role.DPO


def test_a_bad_passkey_is_told_in_words_and_registers_nobody(world: World) -> None:
    client = world.client
    assert begin(client, "nobody").get_json()["errors"][0]["field"] == "email"
    for credential in ("{}", "x", "x" * 40_000):
        form = {"email": ANA, "credential": credential}
        answer = submit(client, "/register", form)
        assert answer.status_code == 422
        assert 'id="errors"' in answer.text
        world.clock.advance(hours=1)
    answer = ask_with_passkey(client, Authenticator(), says=Says(uv=False))
    assert answer.status_code == 422
    # Another browser's ceremony is not this one's.
    begun = begin(client, ANA).text
    form = {"email": ANA, "credential": Authenticator().create(begun)}
    assert submit(world.client, "/register", form).status_code == 422
    assert _count(world, PendingRegistration) == 0


def test_a_ceremony_registers_once(world: World) -> None:
    client = world.client
    form = {"email": ANA, "credential": Authenticator().create(begin(client, ANA).text)}
    again = world.client
    with client.session_transaction() as ours, again.session_transaction() as copy:
        copy.update(ours)  # the cookie, kept and sent twice
    assert submit(client, "/register", form).status_code == 303
    assert submit(again, "/register", form).status_code == 422
    assert _count(world, PendingRegistration) == 1


def test_one_credential_belongs_to_one_account(world: World, mail_server: MailServer) -> None:
    _client, key = register_with_passkey(world, mail_server)
    copied = Authenticator(credential_id=key.credential_id)
    client = world.client
    ask_with_passkey(client, copied, BRUNO)
    answer = submit(client, "/register/code", {"code": letter(world, mail_server, BRUNO).code})
    assert answer.status_code == 409
    assert not has_account(world, BRUNO)
    assert show_passkey(world, key) == account_of(world).account_id


def test_a_password_registration_is_not_changed_by_an_empty_credential(
    world: World, mail_server: MailServer
) -> None:
    assert ask_for_account(world.client).status_code == 303
    form = {"email": BRUNO, "password": PASSWORD, "credential": ""}
    assert submit(world.client, "/register", form).status_code == 303
    assert _count(world, PendingRegistration) == 2
