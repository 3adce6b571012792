"""Access evaluations before Flask: the usual question in a few microseconds.

It answers only what is as plain as most questions are, and never refuses: a body with another member, a
token that does not count, a purpose that is not the caller's, everything unusual takes the ordinary way
through `api.py`. Both ways end in `Decisions.conclude`, and a test walks all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Final

import msgspec
from flask import Flask, Response

from policies.asking import rests_until
from policies.vocabulary import Scope
from privacy.actor import Actor
from privacy.clock import Clock
from privacy.consent.model import StateUnreadable
from privacy.decisions.api import BATCH_BYTES, EVALUATION, EVALUATIONS, REQUEST_ID, is_request_id
from privacy.decisions.encoding import Forms
from privacy.decisions.facts import MOST_FORMS, NEVER, NO_EVENT, FactTable
from privacy.decisions.instants import micros, rfc3339_of
from privacy.decisions.model import APPLICATION, PERSON, Answer, Question
from privacy.decisions.parsing import MOST_EVALUATIONS
from privacy.decisions.preload import Preload
from privacy.decisions.reader import UNSEEN, Reader, Seen
from privacy.decisions.rendering import context_of
from privacy.decisions.service import Decisions
from privacy.decisions.uses import UseCounter
from privacy.prepared import Connections
from privacy.unit_of_work import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_BODY: Final = 4096
#: So many people are remembered at most; docs/performance.md says what they cost.
MOST_PEOPLE: Final = 2**20

#: Tells from an Authorization header and the present instant who calls; None: nobody, or unusual.
Caller = Callable[[str, datetime], Actor | None]
Told = tuple[str, str, bool]
"""(pseudonym, purpose, whether it was permitted)."""
#: The ordinary way's own JSON of an answer that is given at an instant.
Render = Callable[[Answer, datetime], bytes]


class _Entity(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    id: str


class _Action(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _One(msgspec.Struct, forbid_unknown_fields=True):
    subject: _Entity
    action: _Action
    resource: _Entity


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    subject: _Entity | None = None
    action: _Action | None = None
    resource: _Entity | None = None


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    evaluations: list[_Item]
    subject: _Entity | None = None
    action: _Action | None = None
    resource: _Entity | None = None


_ONE: Final = msgspec.json.Decoder(_One)
_MANY: Final = msgspec.json.Decoder(_Many)


@dataclass(frozen=True, slots=True)
class Ways:
    """What the shortcut answers by.

    Attributes:
        clock: the present instant.
        caller: who calls.
        decisions: the authority.
        reader: reads the database.
        render: writes an answer.
        count: counts answers: the domain, when in microseconds since 1970, and what was told.
        table: what this process remembers; None: it reads each time.
    """

    clock: Clock
    caller: Caller
    decisions: Decisions
    reader: Reader
    render: Render
    count: Callable[[str, int, Sequence[Told]], None]
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
        self._revision = ways.decisions.revision.encode()
        self._forms = Forms(ways.render, MOST_FORMS)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path, answer = environ["PATH_INFO"], None
        if path == EVALUATION:
            answer = self._one(environ)
        elif path == EVALUATIONS:
            answer = self._many(environ)
        if answer is None:
            return self._inner(environ, start_response)
        headers = [*self._headers, ("Content-Length", str(len(answer)))]
        request_id = environ.get("HTTP_X_REQUEST_ID")
        if request_id is not None and is_request_id(request_id):
            headers.append((REQUEST_ID, request_id))
        start_response("200 OK", headers)
        return [answer]

    def _one(self, environ: WSGIEnvironment) -> bytes | None:
        body = _body_of(environ, MAX_BODY)
        if body is None:
            return None
        try:
            asked = _ONE.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return None
        now = self._ways.clock()  # after the question arrived
        actor = self._actor(environ, now)
        if actor is None or not self._is_usual(actor, asked.subject, asked.action, asked.resource):
            return None
        answers = self._answers(actor, [(asked.resource.id, asked.action.name)], now)
        return answers[0] + b"\n" if answers else None

    def _many(self, environ: WSGIEnvironment) -> bytes | None:
        body = _body_of(environ, BATCH_BYTES)
        if body is None:
            return None
        try:
            asked = _MANY.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return None
        if not 0 < len(asked.evaluations) <= MOST_EVALUATIONS:
            return None
        now = self._ways.clock()
        actor = self._actor(environ, now)
        if actor is None:
            return None
        wanted: list[tuple[str, str]] = []
        for item in asked.evaluations:
            subject = item.subject or asked.subject
            action = item.action or asked.action
            resource = item.resource or asked.resource
            if subject is None or action is None or resource is None:
                return None
            if not self._is_usual(actor, subject, action, resource):
                return None
            wanted.append((resource.id, action.name))
        answers = self._answers(actor, wanted, now)
        return b'{"evaluations":[%b]}\n' % b",".join(answers) if answers else None

    def _actor(self, environ: WSGIEnvironment, now: datetime) -> Actor | None:
        actor = self._ways.caller(environ.get("HTTP_AUTHORIZATION", ""), now)
        return actor if actor and Scope.DECISIONS_EVALUATE in actor.scopes else None

    def _is_usual(self, actor: Actor, subject: _Entity, action: _Action, resource: _Entity) -> bool:
        return (
            subject.id == actor.client_id
            and subject.type == APPLICATION
            and resource.type == PERSON
            and action.name in actor.purposes
            and action.name in self._ways.decisions.rules
        )

    def _answers(
        self, actor: Actor, wanted: Sequence[tuple[str, str]], now: datetime
    ) -> list[bytes] | None:
        """Answer questions of (pseudonym, unit) in their order; None: one cannot be read."""
        table, instant = self._ways.table, micros(now)
        if table is None:
            return self._read(actor, wanted, now)
        found = table.find(actor.domain, wanted, instant)
        unknown = [each for each, entry in zip(wanted, found, strict=True) if entry is None]
        read = self._read(actor, unknown, now) if unknown else []
        if read is None:
            return None
        following, known, answers = iter(read), [], []
        evidence = b":%b:%b" % (self._revision, rfc3339_of(instant))
        for (pseudonym, unit), entry in zip(wanted, found, strict=True):
            if entry is None:
                answers.append(next(following))
                continue
            number, until, event = entry
            form = self._forms[number]
            known.append((pseudonym, unit, form.permit))
            name = event.hex().encode() if event != NO_EVENT else b"-"
            answers.append(form.fill(name + evidence, instant, until))
        self._ways.count(actor.domain, instant, known)
        return answers

    # ---- from the database

    def _read(
        self, actor: Actor, wanted: Sequence[tuple[str, str]], now: datetime
    ) -> list[bytes] | None:
        decided = self._decided(actor, wanted, now)
        if decided is None:
            return None
        answers, known, instant = [], [], micros(now)
        for (pseudonym, unit), answer in zip(wanted, decided, strict=True):
            form = self._forms.form_of(answer)
            if answer.subject_id is not None:
                known.append((pseudonym, unit, form.permit))
            valid_until = answer.decision.valid_until
            ends = micros(valid_until) if valid_until else 0
            answers.append(form.fill(answer.evidence_id.encode(), instant, ends))
        self._ways.count(actor.domain, instant, known)
        return answers

    def load(self, actor: Actor, wanted: Sequence[tuple[str, str]]) -> None:
        """Remember what can be, of an application's (pseudonym, unit), unasked and uncounted."""
        self._decided(actor, wanted, self._ways.clock())

    def _decided(
        self, actor: Actor, wanted: Sequence[tuple[str, str]], now: datetime
    ) -> list[Answer] | None:
        """Read, decide and remember; None: something cannot be read."""
        table, reader = self._ways.table, self._ways.reader
        moment = table.versions.moment() if table is not None else 0  # before the snapshot
        try:
            seen = reader.see(actor.domain, wanted, now)
        except StateUnreadable:
            return None
        answers = []
        for pseudonym, unit in wanted:
            question = Question(APPLICATION, actor.client_id or "", unit, PERSON, pseudonym)
            each = seen.get((pseudonym, unit), UNSEEN)
            answer = self._ways.decisions.conclude(actor, question, unit, each.sighting, now)
            if table is not None and answer.subject_id is not None:
                self._remember(table, actor, pseudonym, answer, each, now, moment)
            answers.append(answer)
        return answers

    def _remember(
        self,
        table: FactTable,
        actor: Actor,
        pseudonym: str,
        answer: Answer,
        seen: Seen,
        now: datetime,
        moment: int,
    ) -> None:
        """Keep an answer, if all of it that differs from others fits an entry."""
        decision, consent = answer.decision, seen.sighting.facts.consent
        ends = [seen.until] if seen.until else []
        if not decision.permit and consent is not None and (rests := rests_until(consent)) > now:
            ends.append(rests)  # from then on the answer may say that the person can be asked
        until = micros(min(ends)) if ends else NEVER
        if decision.valid_until is not None and micros(decision.valid_until) != until:
            return
        number = self._forms.number_of(self._forms.form_of(answer))
        if number is None or answer.subject_id is None or answer.unit is None:
            return
        event, _, _ = answer.evidence_id.partition(":")
        entry = number, until, NO_EVENT if event == "-" else bytes.fromhex(event)
        table.keep(
            actor.domain,
            (pseudonym, answer.unit),
            entry,
            subject_id=answer.subject_id,
            moment=moment,
            now=micros(now),
        )

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
        or not (length.isascii() and length.isdigit() and int(length) <= most)
    ):
        return None
    body: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = BytesIO(body)
    return body if len(body) == int(length) else None


def ways_of(
    app: Flask,
    *,
    runtime: Runtime,
    reader: Reader,
    caller: Caller,
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

    return Ways(runtime.clock, caller, decisions, reader, render, uses.count_named, table)


def put_before(
    app: Flask,
    *,
    runtime: Runtime,
    connections: Connections,
    caller: Caller,
    decisions: Decisions,
    uses: UseCounter,
    audience: Callable[[], Iterable[Actor]],
    base_url: str,
    remembers: bool,
) -> Preload | None:
    """Let `app` answer usual questions so; call it before anything else wraps the app.

    Args:
        app: the application.
        runtime: its clock, and the versions that confirm what is remembered.
        connections: to read by.
        caller: who calls.
        decisions: the authority.
        uses: counts the answers.
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
        caller=caller,
        decisions=decisions,
        uses=uses,
        base_url=base_url,
        table=table,
    )
    shortcut = EvaluationShortcut(app, app.wsgi_app, ways)
    app.wsgi_app = shortcut  # type: ignore[method-assign]  # Flask's documented way
    return Preload(connections, table, audience, shortcut.load) if table is not None else None
