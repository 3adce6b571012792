"""What the person does with passkeys and recovery codes on the pages."""

import re

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from privacy.actor import SYSTEM
from tests.identity.passkeys import options, register_with_passkey
from tests.identity.people import (
    ANA,
    BRUNO,
    account_of,
    enrol,
    is_signed_in,
    register,
    sign_in,
)
from tests.support.authenticator import Authenticator, Says
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

ADD = "/account/passkeys"
CODES = re.compile(r"<li>([A-Z2-7-]{29})</li>")


def add(client: FlaskClient, key: Authenticator, name: str = "Móvil") -> TestResponse:
    """Add a passkey through the page."""
    begun = options(client, ADD, f"{ADD}/options")
    assert begun.status_code == 200, begun.text
    return submit(client, ADD, {"name": name, "credential": key.create(begun.text)})


def links(client: FlaskClient) -> list[str]:
    """The pages of the person's passkeys."""
    return re.findall(
        r'href="(/account/passkeys/[0-9a-f]{32})"', client.get("/account/security").text
    )


def test_a_passkey_is_added_named_and_removed(world: World, mail_server: MailServer) -> None:
    ana = register(world, mail_server)
    elsewhere = world.client
    sign_in(elsewhere)
    assert is_signed_in(elsewhere)
    first = add(ana, Authenticator())
    assert first.status_code == 200
    assert len(CODES.findall(first.text)) == 10  # the first second factor brings recovery codes
    second = add(ana, Authenticator(), "Llave USB")
    assert (second.status_code, second.headers["Location"]) == (303, "/account/security")
    page = ana.get("/account/security").text
    assert page.count("Móvil") == 1
    assert "Llave USB" in page
    one, other = links(ana)
    assert submit(ana, one, {"name": "Teléfono"}, to=f"{one}/name").status_code == 303
    assert submit(ana, one, {"name": ""}, to=f"{one}/name").status_code == 422
    assert "Teléfono" in ana.get("/account/security").text
    assert submit(ana, other, {}, to=f"{other}/remove").status_code == 303
    assert links(ana) == [one]
    assert is_signed_in(ana)
    assert not is_signed_in(elsewhere)
    world.settle()
    assert len(mail_server.messages_to(ANA)) >= 4  # registration, two added, one removed
    assert world.verify().ok


def test_nobody_reaches_another_person_s_passkeys(world: World, mail_server: MailServer) -> None:
    ana, bruno = register(world, mail_server), register(world, mail_server, BRUNO)
    add(ana, Authenticator())
    (page,) = links(ana)
    assert bruno.get(page).status_code == 404
    for act in ("name", "confirm", "remove"):
        answer = submit(bruno, "/account/security", {"name": "Mía"}, to=f"{page}/{act}")
        assert answer.status_code == 404
    assert len(links(ana)) == 1


def test_a_bad_response_is_told_in_words_and_adds_nothing(
    world: World, mail_server: MailServer
) -> None:
    ana = register(world, mail_server)
    begun = options(ana, ADD, f"{ADD}/options").text
    wrong = Authenticator().create(begun, Says(origin="http://localhost:8001"))
    for credential in ("", "{}", "x" * 40_000, wrong):
        answer = submit(ana, ADD, {"name": "Móvil", "credential": credential})
        assert answer.status_code == 422
        assert 'id="errors"' in answer.text
    assert links(ana) == []
    assert ana.post(f"{ADD}/options", json={}).status_code == 400  # no token, no ceremony


def test_new_recovery_codes_void_the_old_and_are_shown_once(
    world: World, mail_server: MailServer
) -> None:
    ana = register(world, mail_server)
    assert "Códigos de recuperación" not in ana.get("/account/security").text
    _totp, old = enrol(world, ana)
    page = ana.get("/account/security").text
    assert "Te quedan 10." in page
    answer = submit(ana, "/account/security", {}, to="/account/recovery-codes")
    new = CODES.findall(answer.text)
    assert len(set(new)) == 10
    assert not set(old) & set(new)
    assert all(code not in ana.get("/account/security").text for code in new)
    second_factor = world.placet.identity.second_factor
    account = account_of(world)
    for number, code in enumerate([old[0], *new[:7]]):
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            taken = world.placet.identity.recovery_codes.claim(uow, account.account_id, code)
            uow.session.commit()
        assert taken is (number > 0)
    with world.placet.runtime.snapshot() as session:
        assert second_factor.recovery_codes_left(session, account.account_id) == 3
    assert "Te quedan 3 códigos. Crea un juego nuevo" in ana.get("/account/security").text


def test_the_only_way_in_is_kept_with_words_that_say_what_to_do(
    world: World, mail_server: MailServer
) -> None:
    client, _key = register_with_passkey(world, mail_server)
    (page,) = links(client)
    answer = submit(client, page, {}, to=f"{page}/remove")
    assert answer.status_code == 409
    assert "Es tu única forma de entrar" in answer.text
    assert len(links(client)) == 1
    assert "no tiene contraseña" in client.get("/account/security").text
