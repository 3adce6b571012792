"""Whoever sends a body slowly keeps nobody else waiting."""

import http.client
import io
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection, socket
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

import serving
from app import read_settings
from privacy.slow_bodies import MOST_OF_ONE, READ_FIRST_BYTES, TRUSTED_FOR, SlowBodies
from tests.support.deployment import Deployment
from tests.support.processes import program, wait_until
from tests.support.world import FixedClock

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TURNS = 2
HEADERS = (
    b"POST /login HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
)
NEVER = HEADERS + b"Content-Length: 50\r\n\r\n"
CHUNKED = HEADERS + b"Transfer-Encoding: chunked\r\n\r\n"


def answer(
    port: int, method: str, path: str, body: str | None = None, *, chunked: bool = False
) -> int:
    """Ask; the status."""
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        sent = [body.encode()] if body and chunked else body
        asking.request(method, path, sent, headers, encode_chunked=chunked)
        return asking.getresponse().status
    finally:
        asking.close()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_bodies_that_never_come_keep_nobody_else_waiting(
    database_url: str, instance: Path, tmp_path: Path
) -> None:
    """More connections than the process works on at once, from the same address as the others."""
    settings = {"PLACET_WORKERS": "1", "PLACET_THREADS": str(TURNS)}
    settings["PLACET_SLOW_BODIES"] = "true"
    placet = Deployment(database_url, instance, settings=settings)
    command = serving.web_command(read_settings(placet.environment), "127.0.0.1", placet.port)

    def never(opened: ExitStack, headers: bytes) -> socket:
        slow = opened.enter_context(create_connection(("127.0.0.1", placet.port), timeout=20))
        slow.sendall(headers)
        return slow

    log, ready = tmp_path / "web.log", f"{placet.url}/healthz"
    with (
        program(command, log=log, env=placet.environment, ready_url=ready) as server,
        ExitStack() as opened,
    ):
        for number in range(8 * TURNS):
            never(opened, CHUNKED if number % 4 == 0 else NEVER)
        assert answer(placet.port, "GET", "/login") == 200
        for chunked in (False, True):
            status = answer(placet.port, "POST", "/oauth/token", "grant_type=x", chunked=chunked)
            assert status in {400, 401}
        for _ in range(MOST_OF_ONE - 8 * TURNS):
            never(opened, NEVER)
        refused = never(opened, NEVER).recv(4096)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in refused.lower()
        assert answer(placet.port, "GET", "/login") == 200
        opened.close()
        wait_until(
            lambda: answer(placet.port, "POST", "/oauth/token", "grant_type=x") in {400, 401},
            "whoever waits no longer makes room",
        )
        assert "Traceback" not in server.output(), server.output()


class Never(io.RawIOBase):
    """A body that comes once it is let."""

    def __init__(self, come: threading.Event, sent: bytes = b"") -> None:
        self._come = come
        self._sent = io.BytesIO(sent)
        self.begun = threading.Event()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.begun.set()
        assert self._come.wait(10)
        return self._sent.readinto(buffer)


def read_all(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer how many bytes came."""
    length = environ["CONTENT_LENGTH"]
    body = environ["wsgi.input"].read(int(length)) if length else environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [str(len(body)).encode()]


def post(
    app: SlowBodies,
    sent: Any,
    length: int | None,
    address: str = "192.0.2.1",
    path: str = "/login",
    **headers: str,
) -> str:
    """Send a body, chunked where no length is told; the status."""
    environ = EnvironBuilder(method="POST", path=path).get_environ() | headers
    environ |= {"wsgi.input": sent, "REMOTE_ADDR": address, "CONTENT_LENGTH": ""}
    if length is None:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    else:
        environ["CONTENT_LENGTH"] = str(length)
    body, status, _headers = run_wsgi_app(app, environ)
    return f"{status.partition(' ')[0]} {b''.join(body).decode()}"


@pytest.mark.parametrize("length", [4, READ_FIRST_BYTES + 1, None])
def test_who_waits_for_a_body_holds_no_turn(length: int | None) -> None:
    app, come, sent = SlowBodies(read_all, 1, FixedClock()), threading.Event(), b"x" * (length or 9)
    told: list[str] = []
    body = Never(come, sent)
    waiting = threading.Thread(target=lambda: told.append(post(app, body, length)))
    waiting.start()
    assert body.begun.wait(10)
    assert post(app, io.BytesIO(b"hello"), 5) == "200 5"
    assert post(app, io.BytesIO(b"hello"), None) == "200 5"
    come.set()
    waiting.join(10)
    assert told == [f"200 {len(sent)}"]


def test_one_network_fills_its_own_places_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.slow_bodies.PATIENCE_SECONDS", 0.05)
    app, come = SlowBodies(read_all, 1, FixedClock()), threading.Event()

    def slowly(address: str) -> Callable[[], object]:
        return lambda: post(app, Never(come, b"1234"), 4, address)

    held = [threading.Thread(target=slowly(f"2001:db8::{n:x}")) for n in range(MOST_OF_ONE)]
    for each in held:
        each.start()
    wait_until(
        lambda: post(app, io.BytesIO(b"1234"), 4, "2001:db8::ffff").startswith("503 "),
        "all places of the /64 are taken",
    )
    assert post(app, io.BytesIO(b"1234"), 4, "2001:db8:0:1::1") == "200 4"
    come.set()
    for each in held:
        each.join(10)
    assert post(app, io.BytesIO(b"1234"), 4, "2001:db8::ffff") == "200 4"


def test_half_a_body_of_whoever_is_gone_is_not_acted_upon() -> None:
    def never(_environ: "WSGIEnvironment", _start: "StartResponse") -> Iterable[bytes]:
        raise AssertionError("it was acted upon")

    assert post(SlowBodies(never, 1, FixedClock()), io.BytesIO(b"half"), 8).startswith("400 ")


@pytest.mark.parametrize(
    ("status", "path", "is_trusted"),
    [
        ("200 OK", "/v1/consents", True),
        ("201 Created", "/oauth/token", True),
        ("401 Unauthorized", "/v1/consents", False),
        ("404 Not Found", "/v1/nothing", False),
        ("200 OK", "/login", False),
    ],
)
def test_who_was_let_in_lately_takes_a_turn_before_anything_is_read(
    status: str, path: str, is_trusted: bool
) -> None:
    clock, taken = FixedClock(), [False]

    def answering(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        taken[0] = isinstance(environ["wsgi.input"], Sent)
        start_response(status, [])
        return []

    class Sent(io.BytesIO):
        """What the server has of the body."""

    app = SlowBodies(answering, 1, clock)

    def is_trusted_now(token: str = "Bearer a") -> bool:
        post(app, Sent(b"1234"), 4, path=path, HTTP_AUTHORIZATION=token)
        return taken[0]

    assert [is_trusted_now(), is_trusted_now()] == [False, is_trusted]
    assert not is_trusted_now("Bearer b")
    clock.now += TRUSTED_FOR
    assert not is_trusted_now()
