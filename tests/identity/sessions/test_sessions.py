"""Signing in and out, and the limits of a session."""

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import session as cookie

from identity.accounts.attempts import AttemptKind
from identity.accounts.client import short_address, short_user_agent
from identity.accounts.store import AttemptRow
from identity.sessions.store import SessionRow
from policies.vocabulary import RetentionClass, Role
from privacy.actor import ANONYMOUS
from privacy.audit.store import Entry, payloads_of
from privacy.ids import secret_digest
from tests.identity.people import (
    ANA,
    BRUNO,
    OTHER_PASSWORD,
    PASSWORD,
    account_of,
    enrol,
    is_signed_in,
    make_known,
    prove_again,
    register,
    sign_in,
)
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import World


@pytest.fixture
def ana(world: World, mail_server: MailServer) -> World:
    """A deployment where Ana has an account and no session."""
    register(world, mail_server)
    with world.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        uow.session.execute(sa.delete(SessionRow))
        uow.commit()
    return world


def _rows(world: World) -> list[SessionRow]:
    with world.placet.runtime.snapshot() as session:
        return list(session.scalars(sa.select(SessionRow).order_by(SessionRow.created_at)))


def test_the_session_s_id_is_kept_as_a_digest(ana: World) -> None:
    with ana.client as client:
        sign_in(client)
        secret = cookie["sid"]
    (row,) = _rows(ana)
    assert len(secret) == 43  # 256 bits
    assert secret not in repr(vars(row))
    assert len(row.session_digest) == 64


def test_a_session_planted_before_the_sign_in_is_worth_nothing_after_it(ana: World) -> None:
    victim, attacker = ana.client, ana.client
    attacker.get("/login")  # the attacker's own cookie, planted in the victim's browser
    planted = attacker.get_cookie("placet")
    assert planted
    victim.set_cookie("placet", planted.value)
    sign_in(victim)
    assert is_signed_in(victim)
    assert not is_signed_in(attacker)


def test_a_new_sign_in_ends_the_session_that_the_browser_had(ana: World) -> None:
    client = ana.client
    sign_in(client)
    old = client.get_cookie("placet")
    assert old
    assert sign_in(client, path="/login?reauth=1").status_code == 303
    assert is_signed_in(client)
    thief = ana.client
    thief.set_cookie("placet", old.value)
    assert not is_signed_in(thief)
    assert [row.ended_at is None for row in _rows(ana)].count(True) == 1


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_new_sign_in_ends_the_session_that_another_person_had_in_the_browser(
    ana: World, mail_server: MailServer
) -> None:
    register(ana, mail_server, BRUNO)
    client, copy = ana.client, ana.client
    sign_in(client)
    before = client.get_cookie("placet")
    assert before
    copy.set_cookie("placet", before.value)
    assert is_signed_in(copy)
    sign_in(client, BRUNO, path="/login?reauth=1")
    assert is_signed_in(client)
    assert not is_signed_in(copy)


def test_a_second_factor_gives_the_session_another_id(ana: World) -> None:
    client = ana.client
    sign_in(client)
    old = client.get_cookie("placet")
    assert old
    enrol(ana, client)
    assert is_signed_in(client)
    thief = ana.client
    thief.set_cookie("placet", old.value)
    assert not is_signed_in(thief)


def test_a_session_without_use_ends_at_the_exact_instant(ana: World) -> None:
    in_time, late = ana.client, ana.client
    for client in (in_time, late):
        sign_in(client)
    ana.clock.advance(minutes=60)
    assert not is_signed_in(late)
    ana.clock.now -= timedelta(microseconds=1)
    assert is_signed_in(in_time)


def test_use_keeps_a_session_until_its_absolute_end_at_the_exact_instant(ana: World) -> None:
    client = ana.client
    sign_in(client)
    began = ana.clock.now
    while ana.clock.now + timedelta(minutes=59) < began + timedelta(hours=24):
        ana.clock.advance(minutes=59)
        assert is_signed_in(client)
    ana.clock.now = began + timedelta(hours=24) - timedelta(microseconds=1)
    assert is_signed_in(client)
    ana.clock.now = began + timedelta(hours=24)
    assert not is_signed_in(client)


def test_a_changed_password_does_not_prolong_the_absolute_limit(ana: World) -> None:
    client = ana.client
    sign_in(client)
    began = ana.clock.now
    while ana.clock.now < began + timedelta(hours=23, minutes=30):
        ana.clock.advance(minutes=30)
        assert is_signed_in(client)
    assert prove_again(client).status_code == 303
    form = {"current": PASSWORD, "password": OTHER_PASSWORD}
    assert submit(client, "/account/password", form).status_code == 303
    ana.clock.now = began + timedelta(hours=24)
    assert not is_signed_in(client)


def test_the_last_use_is_written_once_a_minute_at_most(ana: World) -> None:
    client = ana.client
    sign_in(client)
    began = ana.clock.now
    for seconds, written in ((59, 0), (60, 60), (90, 60), (120, 120)):
        ana.clock.now = began + timedelta(seconds=seconds)
        assert is_signed_in(client)
        assert _rows(ana)[0].last_seen_at == began + timedelta(seconds=written)


def test_signing_out_ends_the_session_on_the_server(ana: World) -> None:
    client = ana.client
    sign_in(client)
    kept = client.get_cookie("placet")
    assert kept
    token = csrf_token(client.get("/account").text)
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400  # no token
    assert is_signed_in(client)
    answer = client.post("/logout", data={"csrf_token": token})
    assert answer.headers["Location"] == "/login"
    assert "storage" in answer.headers["Clear-Site-Data"]
    assert answer.headers["Cache-Control"] == "no-store"
    client.set_cookie("placet", kept.value)
    assert not is_signed_in(client)


def test_a_person_ends_one_or_all_other_sessions_but_nobody_else_s(
    world: World, mail_server: MailServer
) -> None:
    stranger = register(world, mail_server, BRUNO)
    here = register(world, mail_server, ANA)
    others = [world.client for _ in range(3)]
    for other in others:
        sign_in(other, ANA)
    with world.placet.runtime.snapshot() as session:
        foreign = session.scalars(
            sa.select(SessionRow.session_digest).where(
                SessionRow.account_id == account_of(world, BRUNO).account_id
            )
        ).one()
    page = here.get("/account").text
    listed = re.findall(r'name="session" value="([0-9a-f]{64})"', page)
    assert len(listed) == 3
    end = "/account/sessions/end"
    assert submit(here, "/account", {"session": foreign}, to=end).status_code == 404
    assert is_signed_in(stranger)
    assert submit(here, "/account", {"session": listed[0]}, to=end).status_code == 303
    assert sum(is_signed_in(other) for other in others) == 2
    submit(here, "/account", {}, to="/account/sessions/end-others")
    assert not any(is_signed_in(other) for other in others)
    assert is_signed_in(here)
    assert is_signed_in(stranger)
    world.settle()
    assert world.verify().ok


def test_an_altered_cookie_is_nobody(ana: World) -> None:
    client = ana.client
    sign_in(client)
    found = client.get_cookie("placet")
    assert found
    value = found.value
    forged = value[:-1] + ("A" if value[-1] != "A" else "B")
    client.set_cookie("placet", forged)
    assert not is_signed_in(client)


TARGETS = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "evil.example",
    " //evil.example",
    "/ /evil.example",
    "/é",
    "/" + "a" * 9000,
    "",
]


def test_signing_in_leads_nowhere_but_here(ana: World) -> None:
    client = ana.client
    make_known(client)
    for target in TARGETS:
        form = {"email": ANA, "password": PASSWORD, "next": target}
        answer = submit(client, "/login?reauth=1", form, to="/login")
        assert answer.headers["Location"] == "/privacy"
        answer = client.get("/login", query_string={"next": target})  # signed in already
        assert answer.headers["Location"] == "/privacy"
        page = ana.client.get("/login", query_string={"next": target})
        assert page.status_code == 200
        assert not target or target not in page.text


def test_signing_in_leads_on_to_a_page_of_ours_through_both_steps(ana: World) -> None:
    target = "/oauth/authorize?client_id=shop&redirect_uri=https%3A%2F%2Fshop.example%2Fcb"
    client = ana.client
    make_known(client)
    form = {"email": ANA, "password": PASSWORD, "next": target}
    assert submit(client, "/login", form).headers["Location"] == target
    totp, _codes = enrol(ana, client)
    ana.clock.advance(seconds=60)
    client = ana.client
    make_known(client)
    second = submit(client, "/login", form).headers["Location"]
    assert second.startswith("/login/code?next=")
    page = client.get(second).text
    found = re.search(r'name="next" value="([^"]*)"', page)
    assert found
    assert found[1].replace("&amp;", "&") == target
    form = {"code": totp.at(ana.clock()), "next": target, "csrf_token": csrf_token(page)}
    assert client.post("/login/code", data=form).headers["Location"] == target


@pytest.mark.parametrize(
    "path",
    [
        "/register",
        "/register/code",
        "/login",
        "/login/code",
        "/logout",
        "/recover",
        "/recover/code",
        "/account/password",
        "/account/totp",
        "/account/totp/confirm",
        "/account/totp/remove",
        "/account/sessions/end",
        "/account/sessions/end-others",
        "/account/language",
        "/account/profile",
        "/register/confirm/x",
        "/invitation/x",
        "/recover/link/x",
    ],
)
def test_a_form_without_its_token_is_refused(ana: World, path: str) -> None:
    client = ana.client
    sign_in(client)
    assert client.post(path, data={"email": ANA, "password": PASSWORD}).status_code == 400
    assert client.post(path, data={"csrf_token": "x"}).status_code == 400


def test_sign_ins_are_in_the_log_with_where_and_how(ana: World) -> None:
    client = ana.client
    client.environ_base["REMOTE_ADDR"] = "203.0.113.7"
    sign_in(client, ANA, OTHER_PASSWORD)
    ana.settle()
    sign_in(client)
    subject_id = account_of(ana).subject_id
    with ana.placet.runtime.snapshot() as session:
        payloads = [
            ana.placet.log.disclose(session, row).payload
            for row in payloads_of(session, subject_id, [RetentionClass.SECURITY_TRAIL.value])
        ]
    told = json.dumps(payloads)
    assert '"factor": "password"' in told
    assert told.count("203.0.113.0/24") >= 2
    assert "203.0.113.7" not in told
    assert PASSWORD not in told
    ana.settle()
    assert ana.verify().ok


def test_failures_of_an_unknown_account_leave_no_entry(ana: World) -> None:
    def entries() -> int:
        with ana.placet.runtime.snapshot() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(Entry)) or 0

    before = entries()
    assert sign_in(ana.client, BRUNO, known=False).status_code == 422
    ana.settle()
    assert entries() == before
    assert sign_in(ana.client, ANA, OTHER_PASSWORD, known=False).status_code == 422
    assert entries() == before  # the worker looks whether there is an account
    ana.settle()
    assert entries() == before + 1


def test_the_actor_is_what_the_session_proved(ana: World) -> None:
    with ana.client as client:
        client.environ_base["REMOTE_ADDR"] = "203.0.113.7"
        sign_in(client)
        client.get("/account")
        actor = ana.placet.identity.browser.authenticate()
    assert actor
    account = account_of(ana)
    assert (actor.account_id, actor.subject_id) == (account.account_id, account.subject_id)
    assert actor.methods == ("pwd",)
    assert actor.authenticated_at == ana.clock.now
    assert actor.role is Role.PERSON
    assert actor.address == "203.0.113.7"
    assert actor.session_id == _rows(ana)[0].session_digest


def test_a_closed_account_lets_nobody_in(ana: World) -> None:
    client = ana.client
    sign_in(client)
    account = account_of(ana)
    with ana.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        ana.placet.identity.accounts.close(uow, account.account_id)
        uow.commit()
    assert not is_signed_in(client)
    assert sign_in(ana.client).status_code == 422


def test_a_closed_account_opens_again_to_whoever_proves_the_address(
    ana: World, mail_server: MailServer
) -> None:
    account = account_of(ana)
    with ana.placet.runtime.unit_of_work(ANONYMOUS) as uow:
        ana.placet.identity.accounts.close(uow, account.account_id)
        uow.commit()
    client = register(ana, mail_server, ANA, OTHER_PASSWORD)
    assert is_signed_in(client)
    assert account_of(ana).subject_id == account.subject_id
    assert sign_in(ana.client, ANA, PASSWORD).status_code == 422


def test_a_session_is_listed_by_browser_and_network_alone() -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    edge = "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0"
    assert short_user_agent(firefox) == "Firefox, Linux"
    assert short_user_agent(edge) == "Edge, Windows"
    assert short_user_agent("curl/8") == ""
    assert short_address("203.0.113.77") == "203.0.113.0/24"
    assert short_address("2001:db8:1:2:3::4") == "2001:db8:1::/48"
    assert short_address("::ffff:203.0.113.77") == "203.0.113.0/24"
    assert short_address("nonsense") == ""
    assert short_address(None) == ""


def test_signing_in_is_silent_in_the_log_of_the_program(
    ana: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ana.client as client:
        sign_in(client)
        secret: str = cookie["sid"]
    assert secret not in caplog.text
    assert PASSWORD not in caplog.text


def test_a_session_is_not_renewed_while_all_of_them_are_ended(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    with client.session_transaction() as cookie:
        digest = secret_digest(cookie["sid"])
    placet, account = world.placet, account_of(world)

    def renew() -> str | None:
        with placet.runtime.unit_of_work(ANONYMOUS) as uow:
            return placet.identity.sessions.renew(uow, digest, ("pwd",))

    with ThreadPoolExecutor(1) as pool:
        with placet.runtime.unit_of_work(ANONYMOUS) as uow:
            placet.identity.accounts.lock(uow, account.account_id)
            renewal = pool.submit(renew)
            with pytest.raises(TimeoutError):
                renewal.result(timeout=0.3)
            placet.identity.passwords.keep(uow, account, "another hash")
            uow.commit()
        assert renewal.result(timeout=10) is None


def test_an_erasure_leaves_no_counter_of_the_address(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    assert sign_in(world.client, ANA, "no es esta, pero es larga").status_code == 422
    answer = submit(client, "/rights/erasure", {})
    assert answer.status_code == 303, answer.text
    attempts, kinds = world.placet.attempts, (AttemptKind.PASSWORD, AttemptKind.LETTER)
    with world.placet.runtime.snapshot() as session:
        keys = [(kind.value, attempts.of_email(kind, ANA).key_digest) for kind in kinds]
        assert [session.get(AttemptRow, key) for key in keys] == [None, None]
