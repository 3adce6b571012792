"""Access evaluations before Flask: the usual question in a few microseconds.

It answers only what is as plain as most questions are, and never refuses: a body with another member, a
token that does not count, a purpose that is not the caller's, everything unusual takes the ordinary way
through `api.py`. Both ways end in `Decisions.conclude`, and a test walks all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from flask import Flask, Response

from policies.vocabulary import Scope
from privacy.actor import Actor, Callers
from privacy.clock import Clock
from privacy.decisions.api import BATCH_BYTES, EVALUATION, EVALUATIONS, REQUEST_ID, is_request_id
from privacy.decisions.encoding import Forms
from privacy.decisions.facts import MOST_FORMS, FactTable
from privacy.decisions.fresh import FreshAnswers
from privacy.decisions.instants import micros
from privacy.decisions.model import APPLICATION, PERSON, Answer
from privacy.decisions.parsing import LONGEST_NAME, MOST_EVALUATIONS
from privacy.decisions.preload import Preload
from privacy.decisions.reader import Reader
from privacy.decisions.remembered import Remembered
from privacy.decisions.rendering import context_of
from privacy.decisions.search import PeopleSearch
from privacy.decisions.search_memory import RememberedPeople
from privacy.decisions.service import Decisions
from privacy.decisions.uses import UseCounter
from privacy.prepared import Connections
from privacy.unit_of_work import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_BODY: Final = 4096
#: Of a Content-Length: `int` refuses to read very many.
_MOST_DIGITS: Final = 9
#: So many lengths of answers are remembered; then all are forgotten.
MOST_LENGTHS: Final = 4096
#: So many people are remembered at most; docs/performance.md says what they cost.
MOST_PEOPLE: Final = 2**20

#: The ordinary way's own JSON of an answer that is given at an instant.
Render = Callable[[Answer, datetime], bytes]


_Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]


class _Entity(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: _Name
    id: _Name


class _Action(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: _Name


class _One(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    subject: _Entity
    action: _Action
    resource: _Entity


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    subject: _Entity | msgspec.UnsetType = msgspec.UNSET  # null is no entity, and unusual
    action: _Action | msgspec.UnsetType = msgspec.UNSET
    resource: _Entity | msgspec.UnsetType = msgspec.UNSET


class _Many(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    evaluations: list[_Item]
    subject: _Entity | msgspec.UnsetType = msgspec.UNSET
    action: _Action | msgspec.UnsetType = msgspec.UNSET
    resource: _Entity | msgspec.UnsetType = msgspec.UNSET


_ONE: Final = msgspec.json.Decoder(_One)
_MANY: Final = msgspec.json.Decoder(_Many)
#: A text that breaks off within a character is no `DecodeError`.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Ways:
    """What the shortcut answers by.

    Attributes:
        clock: the present instant.
        callers: who calls.
        decisions: the authority.
        reader: reads the database.
        render: writes an answer.
        uses: counts the answers.
        table: what this process remembers; None: it reads each time.
    """

    clock: Clock
    callers: Callers
    decisions: Decisions
    reader: Reader
    render: Render
    uses: UseCounter
    table: FactTable | None


class EvaluationShortcut:
    """A WSGI application that answers usual questions and leaves the rest."""

    def __init__(self, app: Flask, inner: WSGIApplication, ways: Ways) -> None:
        """Wire it.

        Args:
            app: whose answers it gives.
            inner: the ordinary way.
            ways: what it answers by.
        """
        self._app = app
        self._inner = inner
        self._ways = ways
        self._clock, self._callers, self._rules = ways.clock, ways.callers, ways.decisions.rules
        self._forms = Forms(ways.render, MOST_FORMS)
        self._memory, count = None, ways.uses.count_one
        if ways.table is not None:
            revision = ways.decisions.revision
            self._memory = Remembered(ways.table, self._forms, revision, count)
        #: Content-Length by length.
        self._lengths: dict[int, tuple[str, str]] = {}
        self._fresh = FreshAnswers(ways.reader, ways.decisions, self._forms, count, ways.table)
        #: What searches answer by; None: they read each time.
        self.people = None
        if ways.table is not None:
            self.people = RememberedPeople(ways.table, self._forms, self._fresh)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path, answer = environ["PATH_INFO"], None
        request_id = environ.get("HTTP_X_REQUEST_ID")
        if request_id and not is_request_id(request_id):
            return self._inner(environ, start_response)
        if path == EVALUATION:
            answer = self._one(environ)
        elif path == EVALUATIONS:
            answer = self._many(environ)
        if answer is None:
            return self._inner(environ, start_response)
        length = len(answer)
        headers = [*self._headers, self._lengths.get(length) or self._length(length)]
        if request_id:
            headers.append((REQUEST_ID, request_id))
        start_response("200 OK", headers)
        return [answer]

    def _one(self, environ: WSGIEnvironment) -> bytes | None:
        body = None if self._is_stranger(environ) else _body_of(environ, MAX_BODY)
        if body is None:
            return None
        try:
            asked = _ONE.decode(body)
        except _UNREADABLE:
            return None
        now = self._clock()  # after the question arrived
        actor = self._actor(environ, now)
        if actor is None or not self._is_usual(actor, asked.subject, asked.action, asked.resource):
            return None
        pseudonym, unit = asked.resource.id, asked.action.name
        if self._memory is not None:
            answer = self._memory.one(actor.domain, pseudonym, unit, micros(now))
            if answer is not None:
                return answer + b"\n"
        answers = self._fresh.answers(actor, [(pseudonym, unit)], now)
        return answers[0] + b"\n" if answers else None

    def _many(self, environ: WSGIEnvironment) -> bytes | None:
        body = None if self._is_stranger(environ) else _body_of(environ, BATCH_BYTES)
        if body is None:
            return None
        try:
            asked = _MANY.decode(body)
        except _UNREADABLE:
            return None
        if not 0 < len(asked.evaluations) <= MOST_EVALUATIONS:
            return None
        now = self._clock()
        actor = self._actor(environ, now)
        if actor is None:
            return None
        wanted: list[tuple[str, str]] = []
        for item in asked.evaluations:
            subject = item.subject or asked.subject
            action = item.action or asked.action
            resource = item.resource or asked.resource
            if not (subject and action and resource):
                return None
            if not self._is_usual(actor, subject, action, resource):
                return None
            wanted.append((resource.id, action.name))
        answers = self._answers(actor, wanted, now)
        return b'{"evaluations":[%b]}\n' % b",".join(answers) if answers else None

    def _is_stranger(self, environ: WSGIEnvironment) -> bool:
        """Tell, before the body is waited for, that the ordinary way will not even read it.

        A body that never comes holds a thread, and a decision worker has one.
        """
        actor = self._callers.known(environ.get("HTTP_AUTHORIZATION", ""), self._clock())
        return not (actor and Scope.DECISIONS_EVALUATE in actor.scopes)

    def _actor(self, environ: WSGIEnvironment, now: datetime) -> Actor | None:
        actor = self._callers(environ.get("HTTP_AUTHORIZATION", ""), now)
        return actor if actor and Scope.DECISIONS_EVALUATE in actor.scopes else None

    def _is_usual(self, actor: Actor, subject: _Entity, action: _Action, resource: _Entity) -> bool:
        return (
            subject.id == actor.client_id
            and subject.type == APPLICATION
            and resource.type == PERSON
            and action.name in actor.purposes
            and action.name in self._rules
        )

    def _answers(
        self, actor: Actor, wanted: Sequence[tuple[str, str]], now: datetime
    ) -> list[bytes] | None:
        """Answer questions of (pseudonym, unit) in their order; None: one cannot be read."""
        if self._memory is None:
            return self._fresh.answers(actor, wanted, now)
        domain, instant = actor.domain, micros(now)
        found = self._memory.many(domain, wanted, instant)
        unknown = []
        if None in found:
            unknown = [each for each, told in zip(wanted, found, strict=True) if told is None]
        read = self._fresh.answers(actor, unknown, now) if unknown else []
        if read is None:
            return None
        following, answers = iter(read), []
        alike: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
        for (pseudonym, unit), told in zip(wanted, found, strict=True):
            if told is None:
                answers.append(next(following))
                continue
            answer, permit = told
            alike[unit, permit].append(pseudonym)
            answers.append(answer)
        for (unit, permit), people in alike.items():
            self._ways.uses.count_alike(domain, instant, people, unit, permit)
        return answers

    def load(self, actor: Actor, wanted: Sequence[tuple[str, str]]) -> None:
        """Remember what can be, of an application's (pseudonym, unit), unasked and uncounted."""
        self._fresh.load(actor, wanted, self._clock())

    def _length(self, length: int) -> tuple[str, str]:
        if len(self._lengths) >= MOST_LENGTHS:
            self._lengths.clear()
        header = self._lengths[length] = "Content-Length", str(length)
        return header

    @cached_property
    def _headers(self) -> list[tuple[str, str]]:
        """The headers of every such answer, as Flask itself and our own hooks set them.

        But for `Vary`: nobody looks at a cookie here.
        """
        with self._app.test_request_context(EVALUATION, method="POST"):
            response = self._app.process_response(Response(mimetype="application/json"))
        own = {"Content-Length", "Vary"}
        return [(name, value) for name, value in response.headers if name not in own]


def _body_of(environ: WSGIEnvironment, most: int) -> bytes | None:
    """Return the body of an ordinary POST of JSON, which can be read once more; else None."""
    length = environ.get("CONTENT_LENGTH", "")
    if (
        environ["REQUEST_METHOD"] != "POST"
        or environ.get("CONTENT_TYPE") != "application/json"
        or environ.get("QUERY_STRING")
        or not (length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS)
    ):
        return None
    size = int(length)
    if size > most:
        return None
    body: bytes = environ["wsgi.input"].read(size)
    environ["wsgi.input"] = BytesIO(body)
    return body if len(body) == size else None


def ways_of(
    app: Flask,
    *,
    runtime: Runtime,
    reader: Reader,
    callers: Callers,
    decisions: Decisions,
    uses: UseCounter,
    base_url: str,
    table: FactTable | None,
) -> Ways:
    """Return what a shortcut before `app` answers by; `Ways` tells what each is."""

    def render(answer: Answer, now: datetime) -> bytes:
        context = context_of(answer, base_url, now)
        told = {"context": context, "decision": answer.decision.permit}
        return app.json.dumps(told, separators=(",", ":")).encode()

    return Ways(runtime.clock, callers, decisions, reader, render, uses, table)


def put_before(
    app: Flask,
    *,
    runtime: Runtime,
    connections: Connections,
    callers: Callers,
    decisions: Decisions,
    uses: UseCounter,
    search: PeopleSearch,
    audience: Callable[[], Iterable[Actor]],
    base_url: str,
    remembers: bool,
) -> Preload | None:
    """Let `app` answer usual questions so; call it before anything else wraps the app.

    Args:
        app: the application.
        runtime: its clock, and the versions that confirm what is remembered.
        connections: to read by.
        callers: who calls.
        decisions: the authority.
        uses: counts the answers.
        search: finds people, and remembers what single answers tell of them.
        audience: the applications that may ask.
        base_url: of this deployment.
        remembers: it keeps what it read, where that can be confirmed.

    Returns:
        What goes through everybody beforehand, not begun; None where nothing is remembered.
    """
    versions = runtime.database.versions
    table = None
    if remembers and versions is not None:
        table = FactTable(versions, list(decisions.rules), MOST_PEOPLE)
    ways = ways_of(
        app,
        runtime=runtime,
        reader=Reader(connections),
        callers=callers,
        decisions=decisions,
        uses=uses,
        base_url=base_url,
        table=table,
    )
    shortcut = EvaluationShortcut(app, app.wsgi_app, ways)
    app.wsgi_app = shortcut  # type: ignore[method-assign]  # Flask's documented way
    search.remember_by(shortcut.people)
    return Preload(connections, table, audience, shortcut.load) if table is not None else None
