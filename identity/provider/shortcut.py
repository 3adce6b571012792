"""Answering the usual request before Flask; whatever is unusual takes the ordinary way.

A shortcut answers only where everything is as it should be, and never refuses: the ordinary way through
`api.py` alone refuses, counts and explains, so the two cannot disagree on a refusal.
"""

from __future__ import annotations

import base64
import binascii
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar, Final, cast

import sqlalchemy as sa
from flask import Flask, jsonify

from identity.accounts.attempts import Attempt
from identity.accounts.store import AttemptRow
from identity.provider.answers import FORM, unstored
from identity.provider.store import ClientRow, ClientSecretRow, TokenRow
from privacy.events import Json

if TYPE_CHECKING:
    from datetime import datetime

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_BODY: Final = 4096
_BASIC: Final = re.compile(r"Basic ([A-Za-z0-9+/]+={0,2})")
_CREDENTIALS: Final = re.compile(rb"([0-9a-f]{32}):([A-Za-z0-9_-]{1,128})")

CLIENT = cast("sa.Table", ClientRow.__table__)
SECRET = cast("sa.Table", ClientSecretRow.__table__)
TOKEN = cast("sa.Table", TokenRow.__table__)
_ATTEMPT = cast("sa.Table", AttemptRow.__table__)
AT: sa.BindParameter[datetime] = sa.bindparam("of_at", type_=TOKEN.c.expires_at.type)
_FAILED = (
    sa.exists()
    .where(
        _ATTEMPT.c.kind == sa.bindparam("of_kind"),
        _ATTEMPT.c.key_digest == sa.bindparam("of_counter"),
        _ATTEMPT.c.failures > 0,
    )
    .correlate(None)
)
#: Of a statement over `CLIENT` and `SECRET`: the client is in use and has not failed of late from
#: this network; one row for each secret that is valid now.
IN_ORDER: Final = (
    CLIENT.c.client_id == sa.bindparam("of_client"),
    CLIENT.c.disabled_at.is_(None),
    sa.or_(SECRET.c.retired_at.is_(None), SECRET.c.retired_at > AT),
    sa.not_(_FAILED),
)


def in_order(client_id: str, counter: Attempt, at: datetime) -> dict[str, object]:
    """Return the parameters of `IN_ORDER`."""
    return {
        "of_client": client_id,
        "of_kind": counter.kind.value,
        "of_counter": counter.key_digest,
        "of_at": at,
    }


class Shortcut(ABC):
    """A WSGI application that answers the usual request to one endpoint and leaves the rest."""

    path: ClassVar[str]

    def __init__(self, app: Flask, inner: WSGIApplication) -> None:
        self._app = app
        self._inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        told = None
        if environ.get("PATH_INFO") == self.path:
            body = _form_in(environ)
            presented = _credentials(environ.get("HTTP_AUTHORIZATION", ""))
            if body is not None and presented is not None:
                told = self._told(body, *presented, environ.get("REMOTE_ADDR"))
        if told is None:
            return self._inner(environ, start_response)
        answer = (self._app.json.dumps(told, separators=(",", ":")) + "\n").encode()
        start_response("200 OK", [*self._headers, ("Content-Length", str(len(answer)))])
        return [answer]

    @abstractmethod
    def _told(
        self, body: bytes, client_id: str, secret: str, address: str | None
    ) -> Mapping[str, Json] | None:
        """Return the answer to a client that proves itself by HTTP Basic; None: it is unusual.

        Args:
            body: the form, still encoded.
            client_id: as presented, not looked at.
            secret: as presented, not looked at.
            address: the client's network address as we trust it.
        """

    @cached_property
    def _headers(self) -> list[tuple[str, str]]:
        """The headers of every such answer, as Flask itself and our own hooks set them.

        But for `Vary`: nobody looks at a cookie here.
        """
        with self._app.test_request_context(self.path, method="POST"):
            response = self._app.process_response(unstored(jsonify({})))
        own = {"Content-Length", "Vary"}
        return [(name, value) for name, value in response.headers if name not in own]


def _form_in(environ: WSGIEnvironment) -> bytes | None:
    """Return the body of an ordinary POST of a form, which can be read once more; else None."""
    length = environ.get("CONTENT_LENGTH", "")
    if (
        environ.get("REQUEST_METHOD") != "POST"
        or environ.get("CONTENT_TYPE") != FORM
        or environ.get("QUERY_STRING")
        or not (length.isascii() and length.isdigit() and int(length) <= MAX_BODY)
    ):
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    return body if len(body) == int(length) else None


def _credentials(header: str) -> tuple[str, str] | None:
    """Return id and secret of an ordinary HTTP Basic header; None of one that needs a closer look."""
    basic = _BASIC.fullmatch(header)
    if basic is None:
        return None
    try:
        pair = _CREDENTIALS.fullmatch(base64.b64decode(basic[1], validate=True))
    except binascii.Error:
        return None
    return (pair[1].decode(), pair[2].decode()) if pair else None
