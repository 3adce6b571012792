"""Changing a password, and a new one by mail."""

import logging
import re
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.accounts.attempts import AttemptKind
from identity.accounts.client import Client
from identity.accounts.mailbox_proof import new_proof
from identity.accounts.model import WrongCredentials
from identity.accounts.store import AttemptRow
from identity.credentials.store import PasswordRow
from identity.sessions.arrival import Visit
from identity.sessions.model import Step
from identity.sessions.sign_in import Waiting
from policies.errors import TooManyAttempts
from policies.passwords import Weakness, WeakPassword
from policies.vocabulary import Attribute
from privacy.actor import ANONYMOUS
from privacy.audit.store import Entry
from privacy.tables import Base
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

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

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


def test_a_reset_by_mail_lets_the_owner_of_a_tried_password_change_it_again(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    attempts = world.placet.attempts
    tried = attempts.of_account(AttemptKind.PASSWORD, account_of(world).account_id)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        row = AttemptRow(kind="password", key_digest=tried.key_digest, failures=100)
        row.last_failure_at = uow.now
        uow.session.add(row)
        uow.commit()
    submit(client, "/recover", {"email": ANA})
    link = letter(world, mail_server, ANA, 2).path
    assert submit(client, link, {"password": OTHER_PASSWORD}).status_code == 303
    with world.placet.runtime.snapshot() as session:
        assert attempts.failures(session, tried) == 0


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


def test_whoever_says_so_keeps_the_other_sessions(world: World, mail_server: MailServer) -> None:
    here, elsewhere = register(world, mail_server), world.client
    sign_in(elsewhere)
    form = {"current": PASSWORD, "password": OTHER_PASSWORD, "keep_sessions": "yes"}
    assert submit(here, "/account/password", form).status_code == 303
    assert is_signed_in(here)
    assert is_signed_in(elsewhere)


def test_with_a_second_factor_eight_characters_are_enough_and_the_limit_is_named(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    account_id = account_of(world).account_id
    passwords = world.placet.identity.passwords
    form = {"current": PASSWORD, "password": "gatoazul"}
    refused = submit(client, "/account/password", form)
    assert refused.status_code == 422
    assert "usa al menos 15 caracteres" in refused.text

    enrol(world, client)
    refused = submit(client, "/account/password", form | {"password": "gatoazu"})
    assert "usa al menos 8 caracteres" in refused.text
    with world.placet.runtime.snapshot() as session:
        assert passwords.long_enough_alone(session, account_id)
    assert submit(client, "/account/password", form).status_code == 303
    with world.placet.runtime.snapshot() as session:
        assert not passwords.long_enough_alone(session, account_id)


def test_a_short_password_is_not_kept_when_the_second_factor_goes_meanwhile(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    account, passwords = account_of(world), world.placet.identity.passwords
    with world.placet.runtime.snapshot() as session:
        before = passwords.encoded(session, account.account_id)
    with (
        pytest.raises(WeakPassword) as refused,
        world.placet.runtime.unit_of_work(ANONYMOUS) as uow,
    ):
        passwords.change(
            uow, account, proven=before, new="x", long_enough_alone=False, sessions_kept=False
        )
    assert refused.value.reason is Weakness.TOO_SHORT
    with world.placet.runtime.snapshot() as session:
        assert passwords.encoded(session, account.account_id) == before


def test_names_and_address_of_the_person_count_for_nothing(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    account = account_of(world)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        world.placet.subjects.rectify(
            uow, account.subject_id, Attribute.FAMILY_NAME, "Etxebarria Iturralde"
        )
        uow.commit()
    for guessed in ("Etxebarria Iturralde 1990", "ana@example.com2026", "iturralde y placet"):
        form = {"current": PASSWORD, "password": guessed}
        refused = submit(client, "/account/password", form)
        assert "Sin contar tu nombre ni el nuestro" in refused.text


def test_an_account_without_a_password_sets_one_and_is_asked_for_none(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.delete(PasswordRow))
    page = client.get("/account/password").text
    assert "Poner una contraseña" in page
    assert 'name="current"' not in page
    answer = submit(client, "/account/password", {"password": OTHER_PASSWORD})
    assert answer.status_code == 303
    assert sign_in(world.client, ANA, OTHER_PASSWORD).status_code == 303


def test_a_password_that_leaked_since_must_be_changed_before_anything_else(
    world: World, mail_server: MailServer, database_url: str, instance: Path
) -> None:
    register(world, mail_server)
    account_id = account_of(world).account_id
    leaked = instance / "leaked.txt"
    leaked.write_text(PASSWORD, encoding="utf-8")
    mail = {"PLACET_MAIL_PORT": str(mail_server.port)}
    later = make_world(
        database_url, instance, seed="later", PLACET_PASSWORD_BLOCKLIST=str(leaked), **mail
    )
    passwords, client = later.placet.identity.passwords, later.client
    answer = sign_in(client)
    if answer.headers["Location"].startswith("/login/"):  # a leaked password asks for the mailbox
        code = letter(later, mail_server, ANA, len(mail_server.messages_to(ANA)) + 1).code
        answer = submit(client, answer.headers["Location"], {"code": code})
    assert answer.headers["Location"] == "/account/password"
    assert client.get("/privacy").headers["Location"] == "/account/password"
    with later.placet.runtime.snapshot() as session:
        assert passwords.must_change(session, account_id)
    assert "circulan por internet" in client.get("/account/password").text

    form = {"current": PASSWORD, "password": PASSWORD}
    assert submit(client, "/account/password", form).status_code == 422
    form["password"] = OTHER_PASSWORD
    assert submit(client, "/account/password", form).status_code == 303
    with later.placet.runtime.snapshot() as session:
        assert not passwords.must_change(session, account_id)
    assert client.get("/privacy").status_code == 200
    assert later.verify().ok


def test_a_change_is_demanded_once_and_of_accounts_with_a_password_alone(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    account_id, passwords = account_of(world).account_id, world.placet.identity.passwords

    def demand() -> None:
        with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
            passwords.demand_change(uow, account_id)
            uow.commit()

    def events() -> int:
        with world.placet.runtime.snapshot() as session:
            return len(list(session.scalars(sa.select(Entry.entry_id))))

    before = events()
    demand()
    demand()
    assert events() == before + 1
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.delete(PasswordRow))
    demand()
    assert events() == before + 1


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
    enrol(world, register(world, mail_server))
    thief = world.client
    sign_in(thief)
    _id, token = _recover(world, mail_server, 3)
    submit(world.client, f"/recover/link/{token}", {"password": OTHER_PASSWORD})
    assert thief.get("/login/code").status_code == 303
    assert not is_signed_in(thief)


def test_staff_start_a_reset_by_a_letter_and_set_nothing(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        world.placet.identity.recovery.start_by_staff(uow, account_of(world))
        uow.commit()
    assert sign_in(world.client).status_code == 303  # nothing has changed
    found = letter(world, mail_server, ANA, 2)
    assert "El equipo de" in found.text
    assert not re.search(r"\b\d{8}\b", found.text)
    assert submit(world.client, found.path, {"password": OTHER_PASSWORD}).status_code == 303
    assert sign_in(world.client, ANA, OTHER_PASSWORD).status_code == 303


def test_a_short_password_is_refused_after_the_right_code_alone(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    client = world.client
    submit(client, "/recover", {"email": ANA})
    code = letter(world, mail_server, ANA, 2).code
    wrong = submit(client, "/recover/code", {"code": "00000000", "password": "gatoazul"})
    assert "usa al menos" not in wrong.text
    right = submit(client, "/recover/code", {"code": code, "password": "gatoazul"})
    assert "usa al menos 15 caracteres" in right.text
    form = {"code": code, "password": OTHER_PASSWORD}
    assert submit(client, "/recover/code", form).status_code == 303


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


def test_a_recovery_opens_a_password_that_was_closed_by_guessing(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    attempts = world.placet.attempts
    guesses = attempts.of_email(AttemptKind.PASSWORD, ANA)
    for _ in range(100):
        world.clock.advance(minutes=15)
        attempts.begin(guesses)
    world.clock.advance(days=1)
    with pytest.raises(TooManyAttempts):
        attempts.begin(guesses)
    _id, token = _recover(world, mail_server, 2)
    submit(world.client, f"/recover/link/{token}", {"password": OTHER_PASSWORD})
    attempts.begin(guesses)


@pytest.mark.parametrize(
    ("email", "password"),
    [(ANA, OTHER_PASSWORD), (ANA, ""), (NOBODY, PASSWORD), ("no address", PASSWORD)],
)
def test_whatever_is_wrong_with_a_sign_in_the_refusal_is_the_same(
    world: World, mail_server: MailServer, email: str, password: str
) -> None:
    register(world, mail_server)
    visit = Visit(Client("127.0.0.1", ""), None)
    with pytest.raises(WrongCredentials) as refused:
        world.placet.identity.sign_in.by_password(
            ANONYMOUS, email=email, password=password, visit=visit
        )
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
    shown = repr((signed_in, Waiting("secret step", Step.SECOND_FACTOR), proof))
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
