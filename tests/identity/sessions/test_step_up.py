"""Proving again: exactly the missing factor, a new session id, and never more than was shown."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.sessions.store import SessionRow
from policies.vocabulary import Role, Scope
from privacy.actor import Actor, ActorKind
from tests.identity.passkeys import add_passkey, with_passkey
from tests.identity.people import (
    PASSWORD,
    account_of,
    enrol,
    is_signed_in,
    prove_again,
    register,
    sign_in,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

AGAIN = "/login/again?next=/account/password&action=change-password"


def asked_for(page: str) -> set[str]:
    """The factors whose forms a page shows."""
    return set(re.findall(r'action="/login/again/(\w+)"', page))


def show(client: FlaskClient, factor: str, **fields: str) -> TestResponse:
    return submit(client, AGAIN, fields, to=f"/login/again/{factor}")


def row(world: World) -> SessionRow:
    with world.placet.runtime.snapshot() as session:
        query = sa.select(SessionRow).where(SessionRow.ended_at.is_(None))
        return session.scalars(query).one()


def test_a_sensitive_page_asks_again_after_ten_minutes_and_leads_back(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    world.clock.advance(minutes=10)
    world.clock.advance(microseconds=-1)
    assert client.get("/account/password").status_code == 200
    world.clock.advance(microseconds=1)
    answer = client.get("/account/password")
    assert answer.headers["Location"].startswith("/login/again?next=%2Faccount%2Fpassword")
    before, old = row(world), client.get_cookie("placet")
    assert asked_for(client.get(answer.headers["Location"]).text) == {"password"}
    wrong = show(client, "password", password="no es esta, pero es larga")
    assert wrong.status_code == 422
    assert 'href="#password"' in wrong.text
    assert show(client, "password", password=PASSWORD).headers["Location"] == "/account/password"
    after = row(world)
    assert after.session_digest != before.session_digest
    assert after.authenticated_at == world.clock.now
    assert after.created_at == before.created_at  # the absolute limit goes on counting
    assert after.methods == "pwd"
    assert client.get("/account/password").status_code == 200
    thief = world.client
    assert old
    thief.set_cookie("placet", old.value)
    assert not is_signed_in(thief)  # the id from before is worth nothing
    world.settle()
    assert world.verify().ok


def test_a_session_without_the_second_factor_is_asked_for_that_alone(
    world: World, mail_server: MailServer
) -> None:
    totp, codes = enrol(world, register(world, mail_server))
    world.clock.advance(seconds=60)
    client = world.client
    sign_in(client)
    submit(client, "/login/code", {"code": totp.at(world.clock()), "trust": "yes"})
    client.delete_cookie("placet")
    sign_in(client, known=False)  # a trusted browser: the password was enough
    assert client.get("/account/password").status_code == 303
    page = client.get(AGAIN).text
    assert asked_for(page) == {"code"}
    assert show(client, "password", password=PASSWORD).status_code == 303
    assert client.get("/account/password").status_code == 303  # that changed nothing of it
    world.clock.advance(seconds=60)
    assert show(client, "code", code=totp.at(world.clock())).status_code == 303
    with client:
        assert client.get("/account/password").status_code == 200
        actor = world.placet.identity.browser.authenticate()
    assert actor
    assert actor.methods == ("pwd", "otp")
    world.clock.advance(minutes=10)
    assert asked_for(client.get(AGAIN).text) == {"password", "code"}  # freshness: any of them
    assert show(client, "code", code=codes[0]).status_code == 422  # a recovery code is too dear
    assert show(client, "password", password=PASSWORD).status_code == 303
    with world.placet.runtime.snapshot() as session:
        account_id = account_of(world).account_id
        assert world.placet.identity.second_factor.recovery_codes_left(session, account_id) == 10


def test_five_wrong_tries_end_the_session(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    world.clock.advance(minutes=10)
    for _ in range(5):
        assert show(client, "password", password="no es esta, pero es larga").status_code == 422
        world.clock.advance(minutes=1)
    ended = show(client, "password", password=PASSWORD)
    assert ended.headers["Location"] == "/login"
    assert not is_signed_in(client)
    world.settle()
    assert world.verify().ok


def test_a_form_that_was_sent_too_early_is_found_again_and_its_page_says_so(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    page = client.get("/account").text
    world.clock.advance(minutes=10)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    form = {"csrf_token": token[1]}
    early = client.post("/account/sessions/end-others", data=form)
    asked = early.headers["Location"]
    assert asked.startswith("/login/again?next=%2Faccount&")
    assert "no se ha guardado" in client.get(asked).text
    fields = {"password": PASSWORD, "next": "/account", "resend": "1"}
    assert submit(client, asked, fields, to="/login/again/password").status_code == 303
    assert "Envía el formulario otra vez" in client.get("/account").text


def test_proving_again_leads_nowhere_but_here_and_asks_for_what_it_is_told_at_most(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", ""):
        assert client.get(f"/login/again?next={target}").headers["Location"] == "/account"
        world.clock.advance(minutes=10)
        answer = prove_again(client, target)
        assert answer.headers.get("Location") == "/account", (target, answer.text)
    world.clock.advance(minutes=10)
    assert asked_for(client.get("/login/again?action=nonsense").text) == {"password"}
    nobody = world.client.get("/login/again", headers={"Accept": "text/html"})
    assert nobody.headers["Location"].startswith("/login?next=")


def test_the_desk_asks_for_a_key_and_who_holds_no_role_is_refused_all_the_same(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    assert client.get("/dpo").status_code == 403  # no proof would help
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE account SET role = 'dpo'"))
    totp, _codes = enrol(world, client)
    world.clock.advance(seconds=60)
    client = world.client
    sign_in(client)
    code = submit(client, "/login/code", {"code": totp.at(world.clock())})
    assert code.headers["Location"] == "/account/passkeys"  # the first stop
    needed = client.get("/dpo")
    assert needed.status_code == 403
    assert "/account/security" in needed.text
    key = add_passkey(client)
    client.delete_cookie("placet")
    sign_in(client)
    with_passkey(client, key, page="/login/code")
    assert client.get("/dpo").status_code == 200


def test_a_step_up_with_a_passkey_opens_the_desk(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    totp, _codes = enrol(world, client)
    key = add_passkey(client)
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE account SET role = 'dpo'"))
    world.clock.advance(seconds=60)
    client = world.client
    sign_in(client)
    submit(client, "/login/code", {"code": totp.at(world.clock())})
    asked = client.get("/dpo").headers["Location"]
    assert asked_for(client.get(asked).text) == {"passkey"}
    with_passkey(client, key, page=asked)
    with client:
        assert client.get("/dpo").status_code == 200
        actor = world.placet.identity.browser.authenticate()
    assert actor
    assert set(actor.methods) == {"pwd", "otp", "swk", "user", "mfa"}


def test_in_a_demo_an_application_opens_the_desk_which_says_so(
    database_url: str, instance: Path
) -> None:
    demo = make_world(database_url, instance, PLACET_DEMO="true")
    actor = Actor(
        kind=ActorKind.PERSON,
        account_id="d" * 32,
        role=Role.DPO,
        scopes=frozenset({Scope.SIGNED_IN, Scope.DESK}),
        methods=("pwd", "otp"),
        authenticated_at=demo.clock(),
    )
    demo.app.extensions["placet.session"] = lambda: actor
    page = demo.client.get("/dpo")
    assert page.status_code == 200
    assert "basta una aplicación de autenticación" in page.text
    real = make_world(database_url, instance)
    real.app.extensions["placet.session"] = lambda: actor
    assert real.client.get("/dpo").status_code == 403


def test_whoever_opens_the_desk_with_a_key_changes_factors_with_a_key_alone(
    world: World, mail_server: MailServer
) -> None:
    owner = register(world, mail_server)
    totp, _codes = enrol(world, owner)
    key = add_passkey(owner)
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE account SET role = 'dpo'"))
    world.clock.advance(seconds=60)
    client = world.client  # of somebody who asked for password and code on a page of their own
    sign_in(client)
    submit(client, "/login/code", {"code": totp.at(world.clock())})
    for page in ("/account/passkeys", "/account/security", "/account/totp"):
        asked = client.get(page).headers["Location"]
        assert asked_for(client.get(asked).text) == {"passkey"}, page
    with_passkey(client, key, page=asked)
    assert client.get("/account/passkeys").status_code == 200
