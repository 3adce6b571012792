"""`POST /v1/consents` before Flask: the usual request, with whoever else asks at the moment.

It answers only where everything is as it should be, and never refuses: whatever is unusual takes the
ordinary way through `api.py`, which alone refuses and explains. So the two cannot disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Final

from flask import Flask, Response

from policies.register.lock import MAX_VERSION
from policies.vocabulary import ConsentAction, Scope
from privacy.actor import Actor
from privacy.consent.applications import Recorded, Word
from privacy.consent.receipts import PENDING
from privacy.consent.schemas import HEARD, MAX_LANGUAGE, MAX_NAME, MAX_PSEUDONYM, SAID
from privacy.consent.usual_words import UsualWord, UsualWords
from privacy.gathering import Gathering
from privacy.unit_of_work import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH: Final = "/v1/consents"
MAX_BODY: Final = 4096
_MEMBERS: Final = frozenset(
    {"subject", "purpose", "action", "notice_version", "language", "channel", "explicit"}
)
_ACTIONS: Final = {each.value: each for each in SAID}
_CHANNELS: Final = {each.value: each for each in HEARD}

#: Tells from an Authorization header, now, who calls; None: nobody, or unusual.
Caller = Callable[[str, datetime], Actor | None]


class ConsentShortcut:
    """A WSGI application that records the usual word and leaves the rest.

    Args:
        app: whose answers it gives.
        inner: the ordinary way.
        runtime: the doors to the database.
        caller: who calls.
        words: what is usual, and how it is recorded.
    """

    def __init__(
        self,
        app: Flask,
        inner: WSGIApplication,
        *,
        runtime: Runtime,
        caller: Caller,
        words: UsualWords,
    ) -> None:
        self._app = app
        self._inner = inner
        self._runtime = runtime
        self._caller = caller
        self._words = words
        self._gathering: Gathering[UsualWord, Recorded] = Gathering(runtime, words.record)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        recorded = None
        if environ.get("PATH_INFO") == PATH and environ.get("REQUEST_METHOD") == "POST":
            recorded = self._recorded(environ)
        if recorded is None:
            return self._inner(environ, start_response)
        event = recorded.event
        address = f"/v1/receipts/{event.event_id}"
        told = {
            "event_id": event.event_id,
            "entry_id": event.entry_id,
            "subject": recorded.pseudonym,
            "receipt": address,
            "log": PENDING,
        }
        answer = (self._app.json.dumps(told, separators=(",", ":")) + "\n").encode()
        own = [("Location", address), ("Content-Length", str(len(answer)))]
        start_response("201 CREATED", [*self._headers, *own])
        return [answer]

    def _recorded(self, environ: WSGIEnvironment) -> Recorded | None:
        if environ.get("QUERY_STRING") or "HTTP_IDEMPOTENCY_KEY" in environ:
            return None
        word = _word_in(environ)
        if word is None:
            return None
        actor = self._caller(environ.get("HTTP_AUTHORIZATION", ""), self._runtime.clock())
        if actor is None or not actor.may(Scope.CONSENTS_WRITE):
            return None
        usual = self._words.read(actor, word)
        return None if usual is None else self._gathering.submit(actor, usual)

    @cached_property
    def _headers(self) -> list[tuple[str, str]]:
        """The headers of every such answer, as Flask itself and our own hooks set them.

        But for `Vary`: nobody looks at a cookie here.
        """
        with self._app.test_request_context(PATH, method="POST"):
            response = self._app.process_response(Response(mimetype="application/json"))
        own = {"Content-Length", "Vary"}
        return [(name, value) for name, value in response.headers if name not in own]


def _word_in(environ: WSGIEnvironment) -> Word | None:
    """Return the word of an ordinary request, whose body can be read once more; else None."""
    length = environ.get("CONTENT_LENGTH", "")
    if environ.get("CONTENT_TYPE") != "application/json" or not (
        length.isascii() and length.isdigit() and int(length) <= MAX_BODY
    ):
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return word_of(told)


def word_of(told: object) -> Word | None:
    """Return the word that a JSON value is, if it is as plain as most are; else None.

    What it lets pass `ConsentRequest` lets pass alike.
    """
    if not isinstance(told, dict) or not told.keys() <= _MEMBERS:
        return None
    purpose = _text(told.get("purpose"), MAX_NAME)
    language = _text(told.get("language"), MAX_LANGUAGE)
    version, explicit = told.get("notice_version"), told.get("explicit", False)
    action, channel = told.get("action", ConsentAction.GIVEN.value), told.get("channel")
    pseudonym = _text(told.get("subject"), MAX_PSEUDONYM)
    if purpose is None or language is None or pseudonym is None:
        return None
    if type(version) is not int or not 1 <= version <= MAX_VERSION or type(explicit) is not bool:
        return None
    if not (isinstance(action, str) and isinstance(channel, str)):
        return None
    if action not in _ACTIONS or channel not in _CHANNELS:
        return None
    return Word(
        purpose=purpose,
        action=_ACTIONS[action],
        channel=_CHANNELS[channel],
        notice_version=version,
        language=language,
        explicit=explicit,
        pseudonym=pseudonym,
    )


def _text(value: object, longest: int) -> str | None:
    """Return a text of fitting length without null characters; None of anything else."""
    if isinstance(value, str) and 0 < len(value) <= longest and "\0" not in value:
        return value
    return None


def put_before(app: Flask, *, runtime: Runtime, caller: Caller, words: UsualWords) -> None:
    """Let `app` record usual words so; call it before anything else wraps the app."""
    shortcut = ConsentShortcut(app, app.wsgi_app, runtime=runtime, caller=caller, words=words)
    app.wsgi_app = shortcut  # type: ignore[method-assign]  # Flask's documented way
