"""Changing a password, and a new one by mail."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from identity.accounts.mailbox_proof import new_proof
from identity.accounts.model import LinkNotValid, WrongCredentials
from identity.sessions.sign_in import SecondStep
from policies.errors import TooManyAttempts
from privacy.actor import ANONYMOUS
from privacy.database import Base
from tests.identity.people import (
    ANA,
    OTHER_PASSWORD,
    PASSWORD,
    account_of,
    enrol,
    is_signed_in,
    letter,
    register,
    sign_in,
    signed_in_by_password,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import CountedIds, World, make_world

NOBODY = "nobody@example.com"


def _recover(world: World, mail: MailServer, count: int) -> tuple[str, str]:
    """Ask for a recovery by the service; return its id and token."""
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        recovery_id = world.placet.identity.recovery.begin(uow, ANA)
    return recovery_id, letter(world, mail, ANA, count).path.rsplit("/", 1)[1]


def test_a_change_needs_the_current_password_and_ends_the_other_sessions(
    world: World, mail_server: MailServer
) -> None:
    here, elsewhere = register(world, mail_server), world.client
    sign_in(elsewhere)
    form = {"current": OTHER_PASSWORD, "password": "la tercera frase del día"}
    refused = submit(here, "/account/password", form)
    assert refused.status_code == 422
    assert 'href="#current"' in refused.text
    assert is_signed_in(elsewhere)

    form = {"current": PASSWORD, "password": OTHER_PASSWORD}
    assert submit(here, "/account/password", form).headers["Location"] == "/account"
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)
    assert sign_in(world.client, ANA, PASSWORD).status_code == 422
    assert sign_in(world.client, ANA, OTHER_PASSWORD).status_code == 303
    assert "acaba de cambiar" in letter(world, mail_server, ANA, 2).text
    assert world.verify().ok


def test_a_changed_password_gives_the_session_another_id(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    stolen = client.get_cookie("placet")
    submit(client, "/account/password", {"current": PASSWORD, "password": OTHER_PASSWORD})
    assert stolen
    thief = world.client
    thief.set_cookie("placet", stolen.value)
    assert not is_signed_in(thief)


def test_a_weak_new_password_is_refused_and_counts_as_no_attempt(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    for _ in range(6):
        answer = submit(client, "/account/password", {"current": PASSWORD, "password": "corta"})
        assert answer.status_code == 422
    assert sign_in(world.client).status_code == 303


def test_guessing_the_current_password_is_slowed_down(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    form = {"current": "una cualquiera", "password": OTHER_PASSWORD}
    codes = [submit(client, "/account/password", form).status_code for _ in range(5)]
    assert codes == [422, 422, 422, 422, 429]


def test_the_well_known_address_leads_to_the_form(world: World) -> None:
    answer = world.client.get("/.well-known/change-password")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account/password")


def test_a_password_s_hash_is_renewed_when_its_cost_rises(
    world: World, mail_server: MailServer, database_url: str, instance: Path
) -> None:
    register(world, mail_server)
    account_id = account_of(world).account_id

    def encoded(of: World) -> str:
        with of.placet.runtime.snapshot() as session:
            found = of.placet.identity.passwords.encoded(session, account_id)
        assert found
        return found

    before = encoded(world)
    sign_in(world.client)
    assert encoded(world) == before
    dearer = make_world(database_url, instance, seed="dearer", PLACET_ARGON2_TIME_COST="2")
    assert sign_in(dearer.client, ANA, OTHER_PASSWORD).status_code == 422
    assert encoded(dearer) == before
    assert sign_in(dearer.client).status_code == 303
    assert ",t=2,p=1$" in encoded(dearer)
    assert sign_in(dearer.client).status_code == 303
    dearer.placet.runtime.database.engine.dispose()


# ---- recovery ----


@pytest.mark.parametrize("by", ["code", "link"])
def test_a_recovery_sets_a_password_once_and_ends_every_session(
    world: World, mail_server: MailServer, by: str
) -> None:
    signed_in = register(world, mail_server)
    client = world.client
    assert submit(client, "/recover", {"email": ANA}).headers["Location"] == "/recover/code"
    found = letter(world, mail_server, ANA, 2)
    for _ in range(2):  # looking changes nothing
        assert client.get(found.path).status_code == 200
        assert client.head(found.path).status_code == 200
    assert is_signed_in(signed_in)
    path, form = (
        ("/recover/code", {"code": found.code, "password": OTHER_PASSWORD})
        if by == "code"
        else (found.path, {"password": OTHER_PASSWORD})
    )
    answer = submit(client, path, form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert not is_signed_in(client)  # whoever reads the mailbox is not signed in by that
    assert not is_signed_in(signed_in)
    assert world.client.get(found.path).status_code == 410
    assert sign_in(world.client, ANA, PASSWORD).status_code == 422
    assert sign_in(world.client, ANA, OTHER_PASSWORD).status_code == 303
    assert "acaba de cambiar" in letter(world, mail_server, ANA, 3).text


def test_a_recovery_does_not_pass_by_the_second_factor(
    world: World, mail_server: MailServer
) -> None:
    enrol(world, register(world, mail_server))
    _id, token = _recover(world, mail_server, 3)
    submit(world.client, f"/recover/link/{token}", {"password": OTHER_PASSWORD})
    client = world.client
    assert sign_in(client, ANA, OTHER_PASSWORD).headers["Location"] == "/login/code"
    assert not is_signed_in(client)


def test_a_recovery_ends_a_sign_in_that_waits_for_its_second_step(
    world: World, mail_server: MailServer
) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    thief = world.client
    sign_in(thief)
    _id, token = _recover(world, mail_server, 3)
    submit(world.client, f"/recover/link/{token}", {"password": OTHER_PASSWORD})
    world.clock.advance(seconds=60)
    submit(thief, "/login/code", {"code": totp.at(world.clock())})
    assert not is_signed_in(thief)


def test_known_and_unknown_addresses_get_the_same_answer(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    answers = []
    for email in (ANA, NOBODY):
        client, seen = world.client, []
        for path, form in (
            ("/recover", {"email": email}),
            ("/recover/code", {"code": "00000000", "password": "corta"}),
            *[("/recover/code", {"code": "00000000", "password": OTHER_PASSWORD})] * 6,
        ):
            answer = submit(client, path, form)
            text = re.sub(r'(name="csrf_token"[^>]*value=)"[^"]+"', "", answer.text)
            seen.append((answer.status_code, answer.headers.get("Location"), text))
        answers.append(seen)
    assert answers[0] == answers[1]
    assert [code for code, _location, _text in answers[0]] == [303, 422, *[422] * 5, 410]
    world.settle()
    assert mail_server.messages_to(NOBODY) == []


def test_a_recovery_s_link_and_code_end_at_the_exact_instant(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    client = world.client
    submit(client, "/recover", {"email": ANA})
    found = letter(world, mail_server, ANA, 2)
    form = {"code": found.code, "password": OTHER_PASSWORD}
    world.clock.advance(minutes=10)
    assert submit(client, "/recover/code", form).status_code == 410
    world.clock.advance(minutes=50)
    assert client.get(found.path).status_code == 410
    world.clock.now -= timedelta(microseconds=1)
    assert submit(client, found.path, {"password": OTHER_PASSWORD}).status_code == 303


def test_a_new_password_voids_the_recoveries_on_their_way(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    _id, token = _recover(world, mail_server, 2)
    submit(client, "/account/password", {"current": PASSWORD, "password": OTHER_PASSWORD})
    assert world.client.get(f"/recover/link/{token}").status_code == 410


def test_recoveries_used_side_by_side_set_one_password(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    tokens = [_recover(world, mail_server, number + 2)[1] for number in range(3)] * 4
    barrier = Barrier(len(tokens))

    def reset(number: int) -> str | None:
        password = f"{OTHER_PASSWORD} {number}"
        barrier.wait()
        try:
            world.placet.identity.recovery.reset_by_link(ANONYMOUS, tokens[number], password)
        except LinkNotValid:
            return None
        return password

    with ThreadPoolExecutor(len(tokens)) as pool:
        won = [password for password in pool.map(reset, range(len(tokens))) if password]
    assert len(won) == 1
    assert signed_in_by_password(world, ANA, won[0]).account == account_of(world)


def test_a_recovery_opens_a_password_that_was_closed_by_guessing(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    for _ in range(100):
        world.clock.advance(minutes=15)
        assert sign_in(world.client, ANA, OTHER_PASSWORD).status_code == 422
    world.clock.advance(days=1)
    with pytest.raises(TooManyAttempts):
        signed_in_by_password(world, ANA, PASSWORD)
    _id, token = _recover(world, mail_server, 2)
    submit(world.client, f"/recover/link/{token}", {"password": OTHER_PASSWORD})
    assert signed_in_by_password(world, ANA, OTHER_PASSWORD)


@pytest.mark.parametrize(
    ("email", "password"),
    [(ANA, OTHER_PASSWORD), (ANA, ""), (NOBODY, PASSWORD), ("no address", PASSWORD)],
)
def test_whatever_is_wrong_with_a_sign_in_the_refusal_is_the_same(
    world: World, mail_server: MailServer, email: str, password: str
) -> None:
    register(world, mail_server)
    with pytest.raises(WrongCredentials) as refused:
        signed_in_by_password(world, email, password)
    always = WrongCredentials()
    told = (refused.value.code, refused.value.field, refused.value.detail)
    assert told == ("wrong-credentials", always.field, always.detail)


# ---- secrets stay secret ----


def test_a_password_is_in_no_log_no_table_and_no_repr(
    world: World, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = register(world, mail_server)
    sign_in(world.client, ANA, OTHER_PASSWORD)
    submit(client, "/account/password", {"current": PASSWORD, "password": OTHER_PASSWORD})
    signed_in = signed_in_by_password(world, ANA, OTHER_PASSWORD)
    proof = new_proof(CountedIds(), "0" * 32)
    shown = repr((signed_in, SecondStep("secret step"), proof))
    for secret in (signed_in.secret, "secret step", proof.token, proof.code):
        assert secret not in shown
    with world.placet.runtime.snapshot() as session:
        rows = [
            repr(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in session.execute(sa.select(table))
        ]
    assert len(rows) > 10
    everything = caplog.text + "".join(rows)
    for secret in (PASSWORD, OTHER_PASSWORD, signed_in.secret):
        assert secret not in everything
        assert secret.encode() not in everything.encode()
