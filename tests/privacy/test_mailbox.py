"""The demo's mail program shows what would have been sent, and exists in the demo alone."""

from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect
from werkzeug.serving import make_server

from app import create_app
from privacy.mail import folder_transport
from privacy.settings import settings_from
from tests.support.chromium import page_errors, run_axe
from tests.support.world import CHEAP, CountedIds, FixedClock

LINK = "http://localhost:8000/register/confirm/abc_-123"
TEXT = f"Tu código: 20261234\n\nPulsa aquí: {LINK}.\n\n<b>Ana</b> & compañía\n"
HTML = (
    "<!doctype html><html lang=es><head><title>x</title></head>"
    f"<body><p id=words style='color:#123456'>Hola</p><a href={LINK}>Confirmar</a>"
    "<img src=http://tracker.example/pixel alt=''>"
    "<script>document.getElementById('words').textContent = 'hacked'</script></body></html>"
)


def _letter(subject: str, at: datetime) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "placet@localhost", "ana@example.com"
    message["Subject"], message["Date"] = subject, format_datetime(at)
    message.set_content(TEXT)
    message.add_alternative(HTML, subtype="html")
    return message


def _app(template: Path, instance: Path, *, demo: str) -> Flask:
    database = f"sqlite:///{template / 'placet.sqlite3'}"
    values = CHEAP | {"PLACET_DATABASE_URL": database, "PLACET_DEMO": demo}
    return create_app(settings_from(values, instance))


@pytest.fixture
def demo(sqlite_template: Path, tmp_path: Path) -> Flask:
    """A demo whose mailbox holds two letters."""
    clock = FixedClock()
    send = folder_transport(tmp_path / "mailbox", clock, CountedIds("letters"))
    send(_letter("Primera", clock()))
    clock.advance(seconds=1)
    send(_letter("Segunda <i>", clock()))
    return _app(sqlite_template, tmp_path, demo="true")


@pytest.fixture
def newest(tmp_path: Path, demo: Flask) -> str:
    """The address of the newest letter."""
    return f"/dev/mailbox/{max(path.stem for path in (tmp_path / 'mailbox').glob('*.eml'))}"


@pytest.fixture
def site(demo: Flask) -> Iterator[str]:
    """The demo over HTTP."""
    server = make_server("127.0.0.1", 0, demo, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.port}"
    server.shutdown()
    server.server_close()


def test_letters_are_listed_with_the_newest_on_top(demo: Flask) -> None:
    page = demo.test_client().get("/dev/mailbox").text
    assert 0 < page.index("Segunda &lt;i&gt;") < page.index("Primera")
    assert page.count("20261234") == 2
    assert "ana@example.com" in page


def test_an_empty_mailbox_says_what_to_do_first(sqlite_template: Path, tmp_path: Path) -> None:
    client = _app(sqlite_template, tmp_path, demo="true").test_client()
    page = client.get("/dev/mailbox", headers={"Accept-Language": "es"}).text
    assert "Todavía no hay correos" in page


def test_a_letter_shows_its_words_its_code_and_its_links(demo: Flask, newest: str) -> None:
    page = demo.test_client().get(newest).text
    assert "20261234" in page
    assert f'<a href="{LINK}">{LINK}</a>.' in page  # the full stop is no part of it
    assert "&lt;b&gt;Ana&lt;/b&gt; &amp; compañía" in page


def test_a_letters_html_has_a_policy_and_an_origin_of_its_own(demo: Flask, newest: str) -> None:
    response = demo.test_client().get(f"{newest}/html")
    allowed = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in allowed
    assert "style-src 'unsafe-inline'" in allowed
    assert "; sandbox" in allowed
    assert not {"script-src", "allow-scripts", "allow-same-origin"} & set(allowed.split())
    page = demo.test_client().get(newest).headers["Content-Security-Policy"]
    assert "unsafe-inline" not in page


@pytest.mark.parametrize(
    "name", ["nothing", "..%2F..%2Fkeys%2Fcookie", "20260303T110001000000-0000000g", ".hidden"]
)
def test_nothing_but_a_letter_can_be_read(demo: Flask, name: str) -> None:
    assert demo.test_client().get(f"/dev/mailbox/{name}").status_code == 404
    assert demo.test_client().get(f"/dev/mailbox/{name}/html").status_code == 404


def test_outside_the_demo_there_is_no_mailbox(
    sqlite_template: Path, tmp_path: Path, demo: Flask, newest: str
) -> None:
    client = _app(sqlite_template, tmp_path, demo="false").test_client()
    for path in ("/dev/mailbox", newest, f"{newest}/html"):
        assert client.get(path).status_code == 404


def test_a_letter_runs_nothing_and_its_link_leaves_the_frame(
    browser: Browser, site: str, newest: str
) -> None:
    refused = ("Content Security Policy", "Blocked script execution", "tracker.example")
    with browser.new_context() as context:
        page = context.new_page()
        with page_errors(page, origins=[site], allow=refused):
            page.goto(f"{site}/dev/mailbox")
            assert run_axe(page) == []
            page.get_by_role("link", name="Segunda").click()
            expect(page.get_by_role("heading", name="Segunda")).to_be_visible()
            letter = page.frame_locator("iframe.letter-html")
            expect(letter.locator("#words")).to_have_css("color", "rgb(18, 52, 86)")
            expect(letter.locator("#words")).to_have_text("Hola")
        context.route(LINK, lambda route: route.fulfill(body="confirmed"))
        letter.get_by_role("link", name="Confirmar").click()
        page.wait_for_url(LINK)
