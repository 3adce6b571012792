"""The floors: a bare WSGI reply and Flask's own hello, on the same server as Placet."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

REPLY = b'{"decision":true,"context":{"a":"b"}}'


def bare(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a constant of 37 bytes."""
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(REPLY)))]
    )
    return [REPLY]


flask_hello = Flask(__name__)


@flask_hello.route("/", methods=["GET", "POST"])
def hello() -> str:
    """Answer Flask's shortest reply."""
    return "Hello, World!"
