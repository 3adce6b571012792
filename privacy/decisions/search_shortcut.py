"""Searches for people before Flask: the page is the same, and comes without what surrounds a view.

It answers whoever can be told from the token at once, and refuses nothing: what is wrong takes the
ordinary way through `search_api.py`. Both end in `search_page.PeoplePages`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Final

from flask import Flask, Response

from policies.vocabulary import Scope
from privacy.actor import Actor, Callers
from privacy.clock import Clock
from privacy.decisions import parsing
from privacy.decisions.api import REQUEST_ID, is_request_id
from privacy.decisions.rendering import RESOURCE_SEARCH
from privacy.decisions.search_page import PeoplePages
from privacy.prepared import DRIVER_ERRORS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_BODY: Final = 4096


class SearchShortcut:
    """A WSGI application that answers searches for people and leaves the rest."""

    def __init__(
        self, app: Flask, inner: WSGIApplication, clock: Clock, callers: Callers, pages: PeoplePages
    ) -> None:
        """Wire it.

        Args:
            app: whose answers it gives.
            inner: the ordinary way.
            clock: the present instant.
            callers: who calls.
            pages: the answers.
        """
        self._app = app
        self._inner = inner
        self._clock = clock
        self._callers = callers
        self._pages = pages

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        page, request_id = None, environ.get("HTTP_X_REQUEST_ID")
        if environ["PATH_INFO"] == RESOURCE_SEARCH and (
            not request_id or is_request_id(request_id)
        ):
            page = self._page(environ)
        if page is None:
            return self._inner(environ, start_response)
        answer = page.encode()
        headers = [*self._headers, ("Content-Length", str(len(answer)))]
        if request_id:
            headers.append((REQUEST_ID, request_id))
        start_response("200 OK", headers)
        return [answer]

    def _page(self, environ: WSGIEnvironment) -> str | None:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if _asks(self._callers.known(authorization, self._clock())) is None:
            return None  # a stranger's body may never come
        body = _body_of(environ)
        if body is None:
            return None
        now = self._clock()  # after the question arrived
        actor = _asks(self._callers(authorization, now))
        if actor is None:
            return None
        try:
            return self._pages.page(actor, parsing.resource_search(parsing.read_json(body)), now)
        except (parsing.MalformedEvaluation, *DRIVER_ERRORS):
            return None

    @cached_property
    def _headers(self) -> list[tuple[str, str]]:
        """The headers of every such answer, as Flask itself and our own hooks set them.

        But for `Vary`: nobody looks at a cookie here.
        """
        with self._app.test_request_context(RESOURCE_SEARCH, method="POST"):
            response = self._app.process_response(Response(mimetype="application/json"))
        own = {"Content-Length", "Vary"}
        return [(name, value) for name, value in response.headers if name not in own]


def _asks(actor: Actor | None) -> Actor | None:
    """Return the actor, if it may ask for decisions."""
    return actor if actor and Scope.DECISIONS_EVALUATE in actor.scopes else None


def _body_of(environ: WSGIEnvironment) -> bytes | None:
    """Return the body of an ordinary POST of JSON, which can be read once more; else None."""
    length = environ.get("CONTENT_LENGTH", "")
    if (
        environ["REQUEST_METHOD"] != "POST"
        or environ.get("CONTENT_TYPE") != "application/json"
        or environ.get("QUERY_STRING")
        or not (length.isascii() and length.isdigit() and int(length) <= MAX_BODY)
    ):
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    return body if len(body) == int(length) else None


def put_before(app: Flask, *, clock: Clock, callers: Callers, pages: PeoplePages) -> None:
    """Let `app` answer searches for people so; call it before anything else wraps the app.

    Args:
        app: the application.
        clock: the present instant.
        callers: who calls.
        pages: the answers.
    """
    app.wsgi_app = SearchShortcut(app, app.wsgi_app, clock, callers, pages)  # type: ignore[method-assign]  # Flask's documented way
