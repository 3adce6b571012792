"""Signing in with a passkey: alone, and after a password."""

import json

import pytest

from identity.accounts.attempts import AttemptKind
from identity.mfa.lost import LostSecondFactors
from privacy.actor import SYSTEM
from tests.identity.passkeys import (
    add_passkey,
    options,
    register_with_passkey,
    with_passkey,
)
from tests.identity.people import ANA, BRUNO, account_of, is_signed_in, register, sign_in
from tests.support.authenticator import Authenticator, Says
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def test_a_passkey_alone_signs_in_with_both_factors_and_nothing_more_is_asked(
    world: World, mail_server: MailServer
) -> None:
    _browser, key = register_with_passkey(world, mail_server)
    with world.client as client:  # a browser that nobody knows: the person is told
        answer = with_passkey(client, key)
        assert answer.headers["Location"] == "/privacy"
        assert client.get("/account").status_code == 200
        actor = world.placet.identity.browser.authenticate()
    assert actor
    assert set(actor.methods) == {"swk", "user", "mfa"}
    world.settle()
    subjects = [message["Subject"] for message in mail_server.messages_to(ANA)]
    assert "Has iniciado sesión en un dispositivo nuevo" in subjects
    with world.placet.runtime.snapshot() as session:
        account_id = actor.account_id or ""
        assert world.placet.identity.risk.explain(session, account_id, 10)
    assert world.verify().ok


def test_the_options_are_the_same_whoever_asks_and_ask_for_no_address(
    world: World, mail_server: MailServer
) -> None:
    browser, _key = register_with_passkey(world, mail_server)
    hers = json.loads(options(browser, "/login?reauth=1", "/login/passkey/options").text)
    nobodys = json.loads(options(world.client, "/login", "/login/passkey/options").text)
    assert hers.pop("challenge") != nobodys.pop("challenge")
    assert hers == nobodys
    assert not hers.get("allowCredentials")
    assert hers["userVerification"] == "required"
    page = world.client.get("/login").text
    assert 'autocomplete="username webauthn"' in page
    assert "data-conditional" in page
    assert world.client.post("/login/passkey/options", json={}).status_code == 400  # no token


def test_a_wrong_passkey_signs_nobody_in_and_is_counted_on_the_network(
    world: World, mail_server: MailServer
) -> None:
    _browser, key = register_with_passkey(world, mail_server)
    client = world.client
    for says in (Says(uv=False), Says(origin="https://evil.example"), Says(type="webauthn.create")):
        refused = with_passkey(client, key, says=says)
        assert refused.status_code == 422
        assert 'id="errors"' in refused.text
        assert not is_signed_in(client)
    assert with_passkey(client, Authenticator(handle=b"x" * 32)).status_code == 422
    attempts = world.placet.attempts
    from_here = attempts.of_network(AttemptKind.ADDRESS, "127.0.0.1")
    assert from_here
    with world.placet.runtime.snapshot() as session:
        assert attempts.failures(session, from_here) == 4
    for garbage in ("", "null", "[]", "{" * 3000, "\0"):
        answer = submit(client, "/login", {"credential": garbage}, to="/login/passkey")
        assert answer.status_code in (400, 422)
    begun = options(client, "/login", "/login/passkey/options")
    shown = {"credential": key.get(begun.text)}
    assert submit(client, "/login", shown, to="/login/passkey").status_code == 303
    replayed = world.client
    replayed.get("/login")
    assert submit(replayed, "/login", shown, to="/login/passkey").status_code == 422


def test_a_passkey_is_the_second_factor_after_a_password(
    world: World, mail_server: MailServer
) -> None:
    key = add_passkey(register(world, mail_server))
    bruno_s = add_passkey(register(world, mail_server, BRUNO))
    with world.client as client:
        assert sign_in(client).headers["Location"] == "/login/code"
        page = client.get("/login/code").text
        assert "/login/code/passkey" in page
        assert "Código de recuperación" in page
        assert with_passkey(client, bruno_s, page="/login/code").status_code == 422
        assert not is_signed_in(client)
        answer = with_passkey(client, key, page="/login/code")
        assert answer.headers["Location"] == "/privacy"
        assert client.get("/account").status_code == 200
        actor = world.placet.identity.browser.authenticate()
    assert actor
    assert actor.methods == ("pwd", "mfa", "swk", "user")
    assert options(world.client, "/login", "/login/code/passkey/options").status_code == 303


def test_a_suspended_passkey_goes_on_being_asked_for_beside_the_password(
    world: World, mail_server: MailServer
) -> None:
    key = add_passkey(register(world, mail_server))
    key.count = 5
    assert with_passkey(world.client, key).status_code == 303
    assert with_passkey(world.client, key, says=Says(count=1)).status_code == 422  # perhaps copied
    identity, account_id = world.placet.identity, account_of(world).account_id
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        code = identity.recovery_codes.replace(uow, account_of(world))[0]
    client = world.client
    assert sign_in(client).headers["Location"] == "/login/code"  # the password alone is not enough
    page = client.get("/login/code").text
    assert "Código de recuperación" in page
    assert "/login/code/passkey" not in page
    assert submit(client, "/login/code", {"code": code}).status_code == 303
    assert is_signed_in(client)
    with world.placet.runtime.snapshot() as session:
        assert LostSecondFactors.has_any(session, account_id)  # and whoever has no code gets help
