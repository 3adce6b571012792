"""Bodies that come slowly, or never: they are waited for beside the work, not in its place.

The server gives each request a thread as soon as its headers are there, and nothing can call back a
thread that reads a body. So there are many more threads than turns to work: one that waits for a body
holds no turn, and one network may hold only so many of them. Pages, reads and whoever sends promptly
go on being answered. Threads that wait cost next to nothing, and end with their connections.

Applications that were let in lately are trusted to send what they announce: theirs are the calls that
must be quick, and they wait for a turn before anything of them is read.

Source: OWASP Denial of Service Cheat Sheet (slow HTTP attacks); CWE-400.
"""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from privacy.clock import Clock
from privacy.http import API_PREFIXES
from privacy.network import network_of

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

#: Bodies that a process waits for at once: of all networks together, and of one.
MOST_WAITED_FOR: Final = 192
MOST_OF_ONE: Final = 32
#: For so long a request waits until fewer are waited for; then it is sent away.
PATIENCE_SECONDS: Final = 1.0
#: Threads that a process needs beside its turns, those included that are just being sent away.
THREADS_BESIDE: Final = MOST_WAITED_FOR + 56
#: A body up to this size is there before its request takes a turn.
READ_FIRST_BYTES: Final = 64 * 1024
#: An Authorization header that was let in is trusted for so long, and so many of them.
TRUSTED_FOR: Final = timedelta(minutes=10)
MOST_TRUSTED: Final = 10_000
#: Where nobody gets a 2xx but by the Authorization header, if there is one: by these methods, and not by
#: GET, which answers some questions of anybody.
_ASKING_WHO_CALLS: Final = (
    *API_PREFIXES,
    *("/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/par"),
)
_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_known_network = lru_cache(maxsize=4096)(network_of)


class _Waits:
    """How many bodies are waited for, by network."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._of: Counter[str] = Counter()
        self._all = 0
        self._hoping = 0

    def begin(self, network: str) -> bool:
        """Count one more; False: there are too many, and it did not change soon."""
        with self._changed:
            if not self._has_room(network):
                self._hoping += 1
                found = self._changed.wait_for(lambda: self._has_room(network), PATIENCE_SECONDS)
                self._hoping -= 1
                if not found:
                    return False
            self._of[network] += 1
            self._all += 1
        return True

    def end(self, network: str) -> None:
        """Count one less."""
        with self._changed:
            self._all -= 1
            self._of[network] -= 1
            if not self._of[network]:
                del self._of[network]
            if self._hoping:
                self._changed.notify_all()

    def _has_room(self, network: str) -> bool:
        return self._all < MOST_WAITED_FOR and self._of[network] < MOST_OF_ONE


class _Turns:
    """A semaphore; `threading` has one that costs ten times as much."""

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(self, *_error: object) -> None:
        self._free.put(None)


class _Aside(io.RawIOBase):
    """A body that is read without holding the turn."""

    def __init__(self, sent: InputStream, turns: _Turns) -> None:
        self._sent = sent
        self._turns = turns

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what RawIOBase gives
        self._turns.__exit__()
        try:
            read = self._sent.read(len(buffer))
        finally:
            self._turns.__enter__()
        buffer[: len(read)] = read
        return len(read)


class SlowBodies:
    """A WSGI application that lets so many requests work at once, with their bodies at hand."""

    def __init__(self, inner: WSGIApplication, turns: int, clock: Clock) -> None:
        """Wire it.

        Args:
            inner: what answers.
            turns: requests that are worked on at once.
            clock: the present instant.
        """
        self._inner = inner
        self._clock = clock
        self._turns = _Turns(turns)
        self._waits = _Waits()
        #: By SHA-256 of the Authorization header: when it was let in last.
        self._let_in: dict[bytes, datetime] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; 503 where too many bodies of its network are waited for."""
        length, chunked = environ.get("CONTENT_LENGTH", ""), "HTTP_TRANSFER_ENCODING" in environ
        if length in {"", "0"} and not chunked:
            with self._turns:
                return self._inner(environ, start_response)
        header = environ.get("HTTP_AUTHORIZATION")
        if header is not None and _asks_who_calls(environ):
            named = sha256(header.encode()).digest()
            let_in = self._let_in.get(named)
            if let_in is not None and self._clock() - let_in < TRUSTED_FOR:
                with self._turns:
                    return self._inner(environ, start_response)
            start_response = self._noting(named, start_response)
        network = _known_network(environ.get("REMOTE_ADDR"))
        if not self._waits.begin(network):
            return _refuse(start_response, "503 Service Unavailable")
        sent: InputStream = environ["wsgi.input"]
        try:
            if chunked or not _is_short(length):
                environ["wsgi.input"] = _Aside(sent, self._turns)
                with self._turns:
                    return self._inner(environ, start_response)
            body = sent.read(int(length))
        finally:
            self._waits.end(network)
        if len(body) < int(length):  # whoever sent it is gone
            return _refuse(start_response, "400 Bad Request")
        environ["wsgi.input"] = io.BytesIO(body)
        with self._turns:
            return self._inner(environ, start_response)

    def _noting(self, named: bytes, start_response: StartResponse) -> StartResponse:
        """Return a `start_response` that trusts whom an answer let in."""

        def note(status: str, *rest: Any) -> Callable[[bytes], object]:  # noqa: ANN401 - as it is given
            if status.startswith("2"):
                if len(self._let_in) >= MOST_TRUSTED:
                    self._let_in.clear()
                self._let_in[named] = self._clock()
            return start_response(status, *rest)

        return note


def _asks_who_calls(environ: WSGIEnvironment) -> bool:
    path: str = environ["PATH_INFO"]
    return environ["REQUEST_METHOD"] in _METHODS and path.startswith(_ASKING_WHO_CALLS)


def _is_short(length: str) -> bool:
    return length.isascii() and length.isdigit() and int(length) <= READ_FIRST_BYTES


def _refuse(start_response: StartResponse, status: str) -> Iterable[bytes]:
    """Answer without reading more. Source: RFC 9457 s. 4.2.1 (about:blank)."""
    code, _, title = status.partition(" ")
    body = f'{{"type":"about:blank","title":"{title}","status":{code}}}\n'.encode()
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    if code == "503":
        headers.append(("Retry-After", "5"))
    start_response(status, headers)
    return [body]
