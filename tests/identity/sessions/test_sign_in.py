"""What must follow a right password, and what a waiting sign-in bears."""

from itertools import product

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.accounts.client import Client
from identity.accounts.model import LinkNotValid
from identity.risk.store import DeviceRow
from identity.sessions.arrival import Visit
from identity.sessions.model import MAX_CODES_WAITING, Step, next_step, with_methods
from identity.sessions.sign_in import Waiting
from identity.sessions.store import SessionRow, WaitingSignIn
from privacy.actor import SYSTEM
from tests.identity.people import (
    ANA,
    BRUNO,
    PASSWORD,
    account_of,
    enrol,
    is_signed_in,
    letter,
    make_known,
    register,
    sign_in,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TRUST = {"trust": "yes"}


def code_step(client: FlaskClient, code: str, **more: str) -> TestResponse:
    return submit(client, "/login/code", {"code": code, **more})


def letters_about(mail: MailServer, subject: str, to: str = ANA) -> list[str]:
    return [m["Subject"] for m in mail.messages_to(to) if subject in m["Subject"]]


def test_what_follows_a_right_password_is_what_the_rules_say(database_kind: str) -> None:
    flags = (False, True)
    for second, trusted, alone, challenged in product(flags, repeat=4):
        step = next_step(
            second_factor=second, trusted=trusted, long_enough_alone=alone, challenged=challenged
        )
        spared = trusted and alone and not challenged
        if second:
            assert step is (None if spared else Step.SECOND_FACTOR)
        else:
            assert step is (Step.ADDRESS_PROOF if challenged else None)
    assert with_methods(("pwd",), {"otp", "pwd"}) == ("pwd", "otp")


def test_a_new_browser_proves_the_address_and_is_known_from_then_on(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    client = world.client
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    answer = sign_in(client, known=False)
    assert answer.headers["Location"] == "/login/code"
    assert not is_signed_in(client)
    mailed = letter(world, mail_server, ANA, 2)
    assert "Firefox, Linux" in mailed.text
    wrong = code_step(client, "00000000")
    assert wrong.status_code == 422
    assert 'href="#code"' in wrong.text
    assert code_step(client, mailed.code).headers["Location"] == "/privacy"
    with client:
        client.get("/account")
        actor = world.placet.identity.browser.authenticate()
    assert actor
    assert actor.methods == ("pwd",)  # a code by mail is no factor
    told = letter(world, mail_server, ANA, 3).text
    assert "Firefox, Linux" in told
    assert "/account/devices" in told
    client.delete_cookie("placet")
    assert sign_in(client, known=False).headers["Location"] == "/privacy"
    world.settle()
    assert len(mail_server.messages_to(ANA)) == 3
    assert world.verify().ok


def test_the_browser_of_a_registration_is_known_at_once(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    cookie = client.get_cookie("placet-device")
    assert cookie
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    assert cookie.max_age == 400 * 24 * 3600
    client.delete_cookie("placet")
    assert sign_in(client, known=False).headers["Location"] == "/privacy"
    world.settle()
    assert letters_about(mail_server, "dispositivo nuevo") == []


def test_a_waiting_sign_in_bears_five_tries_and_ten_minutes(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    client = world.client
    sign_in(client, known=False)
    code = letter(world, mail_server, ANA, 2).code
    for _ in range(5):
        assert code_step(client, "00000000").status_code == 422
    assert code_step(client, code).headers["Location"] == "/login"
    late = world.client
    sign_in(late, known=False)
    code = letter(world, mail_server, ANA, 3).code
    world.clock.advance(minutes=10)
    assert late.get("/login/code").headers["Location"] == "/login"
    world.clock.advance(microseconds=-1)
    page = "/login/code"
    sign_in(late, known=False, path="/login")  # begin again: the old secret left the cookie
    world.settle()
    code = letter(world, mail_server, ANA, 4).code
    assert submit(late, page, {"code": code}).headers["Location"] == "/privacy"


def test_who_knows_a_password_cannot_flood_the_mailbox(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    answers = [sign_in(world.client, known=False) for _ in range(MAX_CODES_WAITING + 1)]
    assert [answer.status_code for answer in answers] == [303] * MAX_CODES_WAITING + [429]
    assert sign_in(world.client).headers["Location"] == "/privacy"  # her own browser


def test_a_code_opens_only_the_sign_in_that_it_was_mailed_for(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    hers, stranger = world.client, world.client
    sign_in(hers, known=False)
    code = letter(world, mail_server, ANA, 2).code
    sign_in(stranger, known=False)
    assert code_step(stranger, code).status_code == 422
    assert code_step(hers, code).headers["Location"] == "/privacy"


def test_a_trusted_browser_is_spared_the_code_for_thirty_days_and_no_longer(
    world: World, mail_server: MailServer
) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    world.clock.advance(seconds=60)
    client = world.client
    make_known(client)
    sign_in(client)
    assert 'name="trust"' in client.get("/login/code").text
    assert code_step(client, totp.at(world.clock()), **TRUST).headers["Location"] == "/privacy"
    client.delete_cookie("placet")
    assert sign_in(client, known=False).headers["Location"] == "/privacy"
    assert is_signed_in(client)
    client.delete_cookie("placet")
    world.clock.advance(days=30)
    assert sign_in(client, known=False).headers["Location"] == "/login/code"


def test_a_trusted_browser_never_bypasses_a_high_risk(
    world: World, mail_server: MailServer
) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    world.clock.advance(seconds=60)
    client = world.client
    sign_in(client)
    code_step(client, totp.at(world.clock()), **TRUST)
    client.delete_cookie("placet")
    for _ in range(2):  # the second time shows that the first left the trust as it was
        for _failure in range(10):
            sign_in(client, password="no es esta, pero es larga", known=False)
            world.clock.advance(minutes=4)
        assert sign_in(client, known=False).headers["Location"] == "/login/code"
        assert 'name="trust"' not in client.get("/login/code").text


def test_a_short_password_is_never_spared_the_code(world: World, mail_server: MailServer) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE credential_password SET long_enough_alone = 0"))
    world.clock.advance(seconds=60)
    client = world.client
    sign_in(client)
    assert 'name="trust"' not in client.get("/login/code").text
    code_step(client, totp.at(world.clock()), **TRUST)  # sent all the same
    client.delete_cookie("placet")
    assert sign_in(client, known=False).headers["Location"] == "/login/code"


def test_a_used_recovery_code_is_told_with_how_many_are_left(
    world: World, mail_server: MailServer
) -> None:
    _totp, codes = enrol(world, register(world, mail_server))
    client = world.client
    sign_in(client)
    assert code_step(client, codes[0]).headers["Location"] == "/privacy"
    world.settle()
    assert letters_about(mail_server, "código de recuperación")
    body = mail_server.messages_to(ANA)[-1].get_body(preferencelist=("plain",))
    assert body is not None
    assert "quedan: 9" in " ".join(body.get_content().split())


def test_a_leaked_password_signs_in_to_nothing_but_a_new_one(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.identity.passwords.demand_change(uow, account_of(world).account_id)
        uow.commit()
    assert sign_in(client, path="/login?reauth=1").headers["Location"] == "/account/password"
    for path in ("/privacy", "/account", "/account/devices", "/rights"):
        assert client.get(path).headers["Location"] == "/account/password"
    assert client.get("/account/password").status_code == 200
    form = {"current": PASSWORD, "password": "una frase nueva y bien larga"}
    assert submit(client, "/account/password", form).status_code == 303
    assert client.get("/privacy").status_code == 200
    again = world.client
    assert sign_in(again, ANA, form["password"]).headers["Location"] == "/privacy"


def test_a_disabled_account_is_told_only_to_who_knows_the_password(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE account SET status = 'disabled'"))
    wrong = sign_in(world.client, password="no es esta, pero es larga", known=False)
    nobody = sign_in(world.client, BRUNO, known=False)
    assert wrong.status_code == nobody.status_code == 422
    right = sign_in(world.client, known=False)
    assert right.status_code == 403
    with world.placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(WaitingSignIn)).all() == []


def test_ending_everything_ends_what_waits_too(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    other = world.client
    sign_in(other, known=False)
    account, identity = account_of(world), world.placet.identity
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert identity.sessions.end_all(uow, account, "by-staff") == 1
        uow.commit()
    assert not is_signed_in(client)
    assert code_step_refused(other)
    world.settle()
    assert world.verify().ok


def code_step_refused(client: FlaskClient) -> bool:
    """Tell whether the waiting sign-in of the browser has ended."""
    return client.get("/login/code").headers.get("Location") == "/login"


def test_a_waiting_sign_in_is_finished_by_what_it_waits_for_alone(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    identity = world.placet.identity
    waiting = identity.sign_in.by_password(
        SYSTEM, email=ANA, password=PASSWORD, visit=Visit(Client("127.0.0.1", ""))
    )
    assert isinstance(waiting, Waiting)
    with pytest.raises(LinkNotValid):
        identity.second_step.by_code(SYSTEM, waiting.secret, "123456", Visit(Client(None, "")))
    assert waiting.secret not in repr(waiting)
    with world.placet.runtime.snapshot() as session:
        rows = session.scalars(sa.select(DeviceRow)).all()
        assert len(rows) == 1  # a browser that has proved nothing is not remembered
        assert len(session.scalars(sa.select(SessionRow)).all()) == 1
