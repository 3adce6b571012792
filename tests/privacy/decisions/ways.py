"""The ways by which a question is answered, side by side."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from werkzeug.test import Client, TestResponse

from privacy.actor import Actor
from privacy.decisions.facts import FactTable
from privacy.decisions.preload import Preload
from privacy.decisions.reader import Reader
from privacy.decisions.search_memory import RememberedPeople
from privacy.decisions.shortcut import EvaluationShortcut, ways_of
from privacy.prepared import Connections
from tests.support.cast import application, calls_as
from tests.support.world import World

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"


class CountedReader(Reader):
    """The reader, and how often it was asked: first who is plain, then about everybody else."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.reads, self.whole = 0, 0

    def see_plain(self, *asked: Any) -> Any:
        self.reads += 1
        return super().see_plain(*asked)

    def see(self, *asked: Any) -> Any:
        self.whole += 1
        return super().see(*asked)


class Late(io.RawIOBase):
    """A body that arrives after something has happened."""

    def __init__(self, sent: bytes, happens: Callable[[], None]) -> None:
        self._sent = io.BytesIO(sent)
        self._happens = happens

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._happens()
        return self._sent.readinto(buffer)


@dataclass(frozen=True)
class Always:
    """Whoever calls is this one."""

    actor: Actor

    def __call__(self, _authorization: str, _now: datetime) -> Actor:
        return self.actor

    known = __call__


@dataclass
class Way:
    """One way to ask."""

    client: Client
    reader: CountedReader | None = None
    preload: Preload | None = None
    people: RememberedPeople | None = None
    left: list[str] = field(default_factory=list)

    def post(self, path: str, body: object, **headers: str) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.post(path, data=data, content_type="application/json", headers=headers)


def ways(world: World, actor: Actor | None = None) -> dict[str, Way]:
    """Return Flask alone, the shortcut that reads each time, and the one that remembers."""
    actor = actor or application()
    calls_as(world, actor)
    made = {"flask": Way(Client(world.app.wsgi_app))}
    for name in ("reading", "remembering"):
        made[name] = shortcut(world, actor, remembers=name == "remembering")
    return made


def shortcut(world: World, actor: Actor, *, remembers: bool, people: int = 16) -> Way:
    """Return a way before Flask, as a process of its own would have it."""
    placet = world.placet
    versions = placet.runtime.database.versions
    connections = Connections(placet.runtime.database.engine)
    reader = CountedReader(connections)

    table = None
    if remembers:
        assert versions is not None
        table = FactTable(versions, list(placet.decisions.rules), people)
    found = ways_of(
        world.app,
        runtime=placet.runtime,
        reader=reader,
        callers=Always(actor),
        decisions=placet.decisions,
        uses=placet.uses,
        base_url=placet.settings.base_url,
        table=table,
    )
    way = Way(Client(lambda *_: []), reader)

    def inner(environ: Any, start_response: Any) -> Any:
        way.left.append(environ["PATH_INFO"])
        return world.app.wsgi_app(environ, start_response)

    answering = EvaluationShortcut(world.app, inner, found)
    way.client = Client(answering)
    way.people = answering.people
    if table is not None:
        way.preload = Preload(connections, table, lambda: [actor], answering.load)
    return way
