"""A real gateway for text messages on a loopback port, which keeps what it receives."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Gateway:
    """What was handed over, and what the gateway answers."""

    url: str = ""
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    taken: list[tuple[str | None, dict[str, str]]] = field(default_factory=list)

    def texts_to(self, number: str) -> list[str]:
        """Return the words that were sent to a number, in order."""
        return [
            message["text"] for _authorization, message in self.taken if message["to"] == number
        ]

    def code(self, number: str) -> str:
        """Return the code in the last text to a number."""
        found = re.search(r"\b\d{8}\b", self.texts_to(number)[-1])
        assert found, self.taken
        return found[0]


@contextmanager
def gateway() -> Iterator[Gateway]:
    """Start a gateway in a thread and stop it on leaving."""
    kept = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            kept.taken.append((self.headers.get("Authorization"), json.loads(body)))
            self.send_response(kept.status)
            for name, value in kept.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, *_: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/texts"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
