"""Whoever sends a body slowly keeps nobody else waiting."""

import http.client
import io
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from socket import create_connection, socket
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

import serving
from app import read_settings
from policies.vocabulary import Scope
from privacy.slow_bodies import (
    MOST_OF_ONE,
    MOST_WAITED_FOR,
    READ_FIRST_BYTES,
    TRUSTED_FOR,
    SlowBodies,
    _Waits,
)
from tests.support.deployment import Deployment
from tests.support.processes import program, wait_until
from tests.support.world import FixedClock, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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
    method: str = "POST",
    **headers: str,
) -> str:
    """Send a body, chunked where no length is told; the status."""
    environ = EnvironBuilder(path=path).get_environ() | headers
    environ["REQUEST_METHOD"] = method
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
    waiting = threading.Thread(target=lambda: told.append(post(app, body, length)), daemon=True)
    waiting.start()
    assert body.begun.wait(10)

    def promptly() -> None:
        told.extend(post(app, io.BytesIO(b"hello"), each) for each in (5, None))

    others = threading.Thread(target=promptly, daemon=True)
    others.start()
    others.join(10)
    assert told == ["200 5", "200 5"]
    come.set()
    waiting.join(10)
    assert told[2:] == [f"200 {len(sent)}"]
    assert app._turns._free.qsize() == 1  # nobody gave back more than they took


@pytest.mark.parametrize(
    ("length", "is_read_first"),
    [
        ("4", True),
        (f"{READ_FIRST_BYTES}", True),
        (f"{READ_FIRST_BYTES + 1}", False),
        ("-1", False),
        ("²", False),
    ],
)
def test_only_a_short_body_is_read_whole_before_its_turn(length: str, is_read_first: bool) -> None:
    told: list[bool] = []

    def answering(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        told.append(type(environ["wsgi.input"]) is io.BytesIO)
        start_response("200 OK", [])
        return []

    class Sent(io.BytesIO):
        """What the server has of the body."""

    environ = EnvironBuilder(method="POST", path="/login").get_environ()
    environ |= {"CONTENT_LENGTH": length, "wsgi.input": Sent(b"x" * (READ_FIRST_BYTES + 1))}
    _body, status, _headers = run_wsgi_app(SlowBodies(answering, 1, FixedClock()), environ)
    assert status.startswith("200 ")
    assert told == [is_read_first]


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


def test_all_networks_together_have_so_many_places_and_whoever_hopes_gets_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("privacy.slow_bodies.PATIENCE_SECONDS", 0.05)
    waits, networks = _Waits(), range(MOST_WAITED_FOR // MOST_OF_ONE)
    for network in networks:
        assert [waits.begin(f"{network}") for _ in range(MOST_OF_ONE)] == [True] * MOST_OF_ONE
    assert not waits.begin("another")
    monkeypatch.setattr("privacy.slow_bodies.PATIENCE_SECONDS", 60)
    told: list[bool] = []
    hoping = threading.Thread(target=lambda: told.append(waits.begin("another")), daemon=True)
    hoping.start()
    wait_until(lambda: waits._hoping == 1, "it waits for a place")
    waits.end("0")
    hoping.join(10)
    assert told == [True]


def test_who_is_trusted_is_forgotten_before_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("privacy.slow_bodies.MOST_TRUSTED", 2)
    app = SlowBodies(read_all, 1, FixedClock())
    for number in range(5):
        token = f"Bearer {number}"
        post(app, io.BytesIO(b"1234"), 4, path="/v1/consents", HTTP_AUTHORIZATION=token)
    assert list(app._let_in) == [sha256(b"Bearer 4").digest()]


def test_half_a_body_of_whoever_is_gone_is_not_acted_upon() -> None:
    def never(_environ: "WSGIEnvironment", _start: "StartResponse") -> Iterable[bytes]:
        raise AssertionError("it was acted upon")

    assert post(SlowBodies(never, 1, FixedClock()), io.BytesIO(b"half"), 8).startswith("400 ")


@pytest.mark.parametrize(
    ("status", "method", "path", "is_trusted"),
    [
        ("200 OK", "POST", "/v1/consents", True),
        ("204 No Content", "DELETE", "/v1/somebody", True),
        ("201 Created", "POST", "/oauth/token", True),
        ("401 Unauthorized", "POST", "/v1/consents", False),
        ("404 Not Found", "POST", "/v1/nothing", False),
        ("200 OK", "POST", "/login", False),
        ("200 OK", "GET", "/v1/audit/key", False),
        ("200 OK", "get", "/v1/audit/key", False),  # as GET to Flask
        ("200 OK", "OPTIONS", "/v1/consents", False),
        ("200 OK", "POST", "/oauth/userinfo", False),  # the token may be in the body
    ],
)
def test_who_was_let_in_lately_takes_a_turn_before_anything_is_read(
    status: str, method: str, path: str, is_trusted: bool
) -> None:
    clock, taken = FixedClock(), [False]

    def answering(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        taken[0] = isinstance(environ["wsgi.input"], Sent)
        start_response(status, [])
        return []

    class Sent(io.BytesIO):
        """What the server has of the body."""

    app = SlowBodies(answering, 1, clock)

    def is_trusted_now(
        token: str = "Bearer a", path: str = "/v1/consents", method: str = "POST"
    ) -> bool:
        post(app, Sent(b"1234"), 4, path=path, method=method, HTTP_AUTHORIZATION=token)
        return taken[0]

    assert [is_trusted_now(path=path, method=method), is_trusted_now()] == [False, is_trusted]
    assert not is_trusted_now(path="/login")
    assert not is_trusted_now("Bearer b")
    clock.now += TRUSTED_FOR
    assert not is_trusted_now()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_no_header_is_trusted_for_an_answer_that_anybody_gets(world: World) -> None:
    def is_trusted(inner: "WSGIApplication", path: str, method: str) -> bool:
        app = SlowBodies(inner, 1, world.clock)
        post(app, io.BytesIO(b"x"), 1, path=path, method=method, HTTP_AUTHORIZATION="junk")
        return bool(app._let_in)

    public = [
        (rule.rule, method)
        for rule in world.app.url_map.iter_rules()
        if getattr(world.app.view_functions[rule.endpoint], "required_scope", None) is Scope.PUBLIC
        for method in rule.methods or ()
    ]
    assert ("/v1/audit/key", "GET") in public
    prove_the_client = [each for each in public if is_trusted(read_all, *each)]
    assert sorted(prove_the_client) == [
        (f"/oauth/{name}", "POST") for name in ("introspect", "par", "revoke", "token")
    ]
    assert not any(is_trusted(world.app.wsgi_app, *each) for each in prove_the_client)
