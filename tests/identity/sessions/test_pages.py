"""Every page of identity, in both languages."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from identity.accounts.notices import Notice
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from privacy.events import Json
from tests.identity.people import (
    ANA,
    account_of,
    ask_for_account,
    enrol,
    letter,
    register,
    sign_in,
)
from tests.support.forms import csrf_token, submit
from tests.support.sample import PAGES
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = PAGES


def _check(client: FlaskClient, path: str) -> None:
    for language in ("es", "en"):
        page = client.get(path, query_string={"lang": language}, headers={"Accept": "text/html"})
        assert page.status_code == 200, (path, page.status)
        text = page.text
        assert f'<html lang="{language}">' in text
        assert text.count("<h1") == 1
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)
        assert not re.search(r"\sstyle=|\son[a-z]+=", text)
        assert "Traceback" not in text
        assert "Undefined" not in text


def test_the_pages_before_a_session_render_in_both_languages(
    world: World, mail_server: MailServer
) -> None:
    client = world.client
    for path in ("/register", "/login", "/recover"):
        _check(client, path)
    ask_for_account(client)
    _check(client, "/register/code")
    path = letter(world, mail_server, ANA).path
    _check(client, path)
    _check(world.client, path)  # asks for the password
    submit(client, path, {})
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        token = world.placet.identity.accounts.invite(uow, Role.DPO)
    _check(world.client, f"/invitation/{token}")
    client = world.client
    submit(client, "/recover", {"email": ANA})
    _check(client, "/recover/code")
    _check(client, letter(world, mail_server, ANA, 2).path)


def test_the_pages_of_a_session_render_in_both_languages(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    for path in ("/account", "/account/password", "/account/totp"):
        _check(client, path)
    page = client.get("/account/totp").text
    client.post("/account/totp", data={"csrf_token": csrf_token(page)})
    _check(client, "/account/totp")
    enrol(world, client)
    for path in ("/account", "/account/totp"):
        _check(client, path)
    other = world.client
    sign_in(other)
    _check(other, "/login/code")


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_letters_render_in_both_languages(
    world: World, mail_server: MailServer, language: str
) -> None:
    letters: dict[str, dict[str, Json]] = {
        "registration": {"code": "12345678", "action_url": "http://localhost:8000/a"},
        "account-exists": {"action_url": "http://localhost:8000/login"},
        "recovery": {"code": "12345678", "action_url": "http://localhost:8000/b"},
        "sign-in-code": {"code": "12345678", "device": "Firefox, Linux"},
        **{f"notice-{each}": {"what": each.value, "details": {}} for each in Notice},
    }
    for name, values in letters.items():
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.postbox.send(
                uow,
                to=f"{name}@example.com",
                letter="security-notice" if "what" in values else name,
                locale=language,
                values=values,
            )
            uow.commit()
    world.settle()
    for name, values in letters.items():
        message = mail_server.wait_for(to=f"{name}@example.com")
        assert message["Subject"].strip()
        for kind in ("plain", "html"):
            body = message.get_body(preferencelist=(kind,))
            assert body is not None
            text = body.get_content()
            assert all(
                str(value) in text
                for key, value in values.items()
                if key not in ("what", "details")
            )
        plain = message.get_body(preferencelist=("plain",))
        assert plain is not None
        if "code" in values:  # the code in the first line
            assert str(values["code"]) in plain.get_content().strip().splitlines()[0]


def test_a_signed_in_person_is_not_asked_to_sign_in(world: World, mail_server: MailServer) -> None:
    client = register(world, mail_server)
    for path in ("/login", "/register"):
        assert client.get(path).headers["Location"] == "/privacy"
        assert client.get(f"{path}?next=/account").headers["Location"] == "/account"
    assert client.get("/login?reauth=1&next=/account").status_code == 200


def test_the_chosen_language_holds_for_pages_and_letters(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    answer = submit(client, "/account", {"language": "en"}, to="/account/language")
    assert answer.headers["Location"] == "/account?lang=en"
    assert '<html lang="en">' in client.get(answer.headers["Location"]).text
    assert '<html lang="en">' in client.get("/account").text
    assert account_of(world).language == "en"
    refused = submit(client, "/account", {"language": "xx"}, to="/account/language")
    assert refused.status_code == 422
    assert account_of(world).language == "en"


def test_who_creates_an_account_on_the_way_to_an_application_still_gets_there(
    world: World,
) -> None:
    onward = "/oauth/authorize?client_id=shop&state=a%20b"
    page = world.client.get("/login", query_string={"next": onward}).text
    links = re.findall(r'href="(/register[^"]*)"', page)
    assert len(links) == 2  # in the header and below the form
    for link in links:
        form = world.client.get(unescape(link)).text
        kept = re.search(r'name="next" value="([^"]*)"', form)
        assert kept is not None
        assert unescape(kept.group(1)) == onward
