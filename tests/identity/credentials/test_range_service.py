"""The range service, against a real HTTP server."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from identity.credentials.range_service import MAX_BYTES, RangeService
from tests.support.processes import closed_port
from tests.support.world import FixedClock

LEAKED = "una contraseña que se filtró"
SHA1 = hashlib.sha1(LEAKED.encode()).hexdigest().upper()


class Ranges(ThreadingHTTPServer):
    """Answers every prefix with the same body, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.body = f"{'0' * 35}:3\r\n{SHA1[5:]}:42\r\n{'F' * 35}:0\r\n".encode()
        self.status = 200
        self.drip = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/range"


class _Handler(BaseHTTPRequestHandler):
    server: Ranges

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Add-Padding")))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", self.server.url)
        self.end_headers()
        if self.server.drip:
            for _ in range(50):
                try:
                    self.wfile.write(b"0")
                    self.wfile.flush()
                except OSError:  # the client has hung up, as it should
                    return
                time.sleep(0.05)
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Write nothing."""


@pytest.fixture
def ranges() -> Iterator[Ranges]:
    with Ranges() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


def test_it_is_told_five_digits_and_asked_to_pad(ranges: Ranges, clock: FixedClock) -> None:
    service = RangeService(ranges.url, clock)
    assert LEAKED in service
    assert ranges.asked == [(f"/range/{SHA1[:5]}", "true")]
    assert "otra contraseña cualquiera" not in service
    assert all(len(path) == len("/range/") + 5 for path, _ in ranges.asked)
    assert service.failures == 0


def test_a_padding_entry_is_no_leaked_password(ranges: Ranges, clock: FixedClock) -> None:
    ranges.body = f"{SHA1[5:]}:0\r\n".encode()
    assert LEAKED not in RangeService(ranges.url, clock)


def test_an_answer_is_used_again_for_an_hour(ranges: Ranges, clock: FixedClock) -> None:
    service = RangeService(ranges.url, clock)
    assert LEAKED in service
    clock.advance(minutes=59)
    assert LEAKED in service
    assert len(ranges.asked) == 1
    clock.advance(minutes=1)
    assert LEAKED in service
    assert len(ranges.asked) == 2


@pytest.mark.parametrize("wrong", ["status", "redirect", "too long", "no ascii"])
def test_whatever_is_wrong_with_the_answer_the_password_is_judged_without_it(
    ranges: Ranges, clock: FixedClock, wrong: str
) -> None:
    if wrong == "too long":
        ranges.body += b"\r\n" * MAX_BYTES
    elif wrong == "no ascii":
        ranges.body = "ñ".encode()
    else:
        ranges.status = 500 if wrong == "status" else 302
    service = RangeService(ranges.url, clock)
    assert LEAKED not in service
    assert service.failures == 1
    assert len(ranges.asked) == 1  # no redirect is followed


def test_an_answer_that_drips_is_not_waited_for(ranges: Ranges, clock: FixedClock) -> None:
    ranges.drip = True
    began = time.monotonic()
    assert LEAKED not in RangeService(ranges.url, clock, timeout_seconds=0.2)
    assert time.monotonic() - began < 1.5


def test_a_dead_service_is_counted_rested_from_and_logged_once_a_minute_without_the_prefix(
    clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with closed_port() as port:
        service = RangeService(f"http://127.0.0.1:{port}/range", clock)
        for _ in range(3):
            assert LEAKED not in service
        assert service.failures == 1  # it rests after a failure
        clock.advance(seconds=30)
        assert LEAKED not in service
        assert service.failures == 2
    assert len(caplog.records) == 1
    clock.advance(seconds=30)
    assert LEAKED not in service
    assert [record.getMessage() for record in caplog.records] == [
        "the password range service failed 1 times: ConnectionRefusedError",
        "the password range service failed 2 times: ConnectionRefusedError",
    ]
    assert SHA1[:5] not in caplog.text


def test_a_service_that_is_back_is_asked_again(ranges: Ranges, clock: FixedClock) -> None:
    ranges.status = 503
    service = RangeService(ranges.url, clock)
    assert LEAKED not in service
    ranges.status = 200
    assert LEAKED not in service
    clock.advance(seconds=30)
    assert LEAKED in service
