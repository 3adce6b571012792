"""A deployment with many people in it, as `placet serve` runs it, for the parts that ask about them."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from app import create_app, read_settings
from bench.population import Population, Wrap, fill, size_of
from bench.register import UNITS, VERSION, write_register
from privacy.actor import SYSTEM
from privacy.keys.keyring import KEY_BYTES
from tests.support.deployment import Deployment
from tests.support.postgres import ROOMY, postgres
from tests.support.processes import ROOT, free_port, program

DATABASES = ("sqlite", "postgresql")
SCOPES = ("consents:write", "pseudonyms:write", "decisions:evaluate")
#: What each of ten people said about unit after unit, beginning with another one each.
PATTERN = ("given",) * 6 + ("refused",) * 2 + ("withdrawn", None)
#: The units that change in the background; the others stand still.
STILL, CHANGING = range(5), range(5, 10)
PERMITTED = frozenset({"given"})
TEN = [f"person{number}@example.com" for number in range(len(PATTERN))]
CHANGES_A_SECOND = 100
START_SECONDS = 120.0
SEED = 20261122


@dataclass
class Stage:
    """A populated deployment.

    Attributes:
        kind: of its database: "sqlite" or "postgresql".
        people: how many are stored.
        client: what `placet client add` printed.
        token: of that application.
        population: the people.
        server: the process of its database server, where there is one.
    """

    kind: str
    people: int
    deployment: Deployment
    folder: Path
    client: dict[str, Any]
    token: str
    population: Population
    server: int | None = None
    chosen: random.Random = field(default_factory=lambda: random.Random(SEED))

    @property
    def web(self) -> str:
        """The address of the web processes."""
        return f"http://127.0.0.1:{self.deployment.port}"

    @property
    def decisions(self) -> str:
        """The address of the decision workers."""
        return f"http://127.0.0.1:{self.deployment.port + 1}"

    @property
    def headers(self) -> dict[str, str]:
        """The application's."""
        return {"Authorization": f"Bearer {self.token}"}

    def some(self, count: int) -> list[int]:
        """Numbers of people, from all of them alike."""
        return [self.chosen.randrange(self.people) for _ in range(count)]

    def permitted(self, number: int, unit: int) -> bool:
        """Tell whether the person may be asked for by this unit, before anything changes."""
        return said(self.population.kinds[number], unit) in PERMITTED

    def question(self, number: int, unit: int) -> dict[str, Any]:
        """The body of one evaluation."""
        return {
            "subject": {"type": "application", "id": self.client["client_id"]},
            "action": {"name": UNITS[unit]},
            "resource": {"type": "person", "id": self.population.pseudonyms[number]},
        }

    def word(self, number: int, unit: int, action: str = "given") -> dict[str, Any]:
        """The body of one consent, refusal or withdrawal."""
        return consent(self.population.pseudonyms[number], UNITS[unit], action)

    def bodies(self, name: str, bodies: Sequence[object]) -> Path:
        """Write request bodies, one a line, for wrk."""
        path = self.folder / f"{name}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for body in bodies:
                file.write(json.dumps(body, separators=(",", ":")) + "\n")
        return path

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Have a hundred consents and withdrawals a second committed meanwhile."""
        numbers = self.some(20_000)
        words = [
            self.word(
                number, self.chosen.choice(CHANGING), self.chosen.choice(("given", "refused"))
            )
            for number in numbers
        ]
        path = self.bodies("changes", words)
        command = [sys.executable, "-m", "bench.changes", f"{self.web}/v1/consents", str(path)]
        command += [self.token, str(CHANGES_A_SECOND)]
        log = self.folder / "changes.log"
        with program(command, log=log) as running:
            yield
            if not running.is_running():
                raise RuntimeError(f"the changes ended: {running.output()}")


def said(kind: int, unit: int) -> str | None:
    """What the copies of one of the ten said about a unit."""
    return PATTERN[(kind + unit) % len(PATTERN)]


def consent(person: str, unit: str, action: str) -> dict[str, Any]:
    """The body of one consent, refusal or withdrawal."""
    words = {"notice_version": VERSION, "language": "es"} if action != "withdrawn" else {}
    return {"subject": person, "purpose": unit, "action": action, "channel": "api"} | words


class Stages:
    """The deployments of one run: each is filled once, whatever part asks for it first.

    Args:
        folder: of the run.
        stack: ends what they need.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._made: dict[tuple[str, int], Stage] = {}

    def get(self, kind: str, people: int, **settings: str) -> Stage:
        """Return the deployment with so many people; its processes do not run."""
        self._fill([kind], people)
        stage = self._made[kind, people]
        register = stage.deployment.settings["PLACET_REGISTER"]
        stage.deployment.settings = {"PLACET_REGISTER": register} | settings
        return stage

    def on_each(self, people: int, **settings: str) -> list[Stage]:
        """As `get`, on each kind of database; what is missing is filled at the same time."""
        self._fill(DATABASES, people)
        return [self.get(kind, people, **settings) for kind in DATABASES]

    def _fill(self, kinds: Sequence[str], people: int) -> None:
        missing = [kind for kind in kinds if (kind, people) not in self._made]
        if not missing:
            return
        made = [self._stack.enter_context(_set_up(kind, people, self.folder)) for kind in missing]
        with ThreadPoolExecutor(len(made)) as pool:
            for stage in pool.map(lambda fills: fills(), made):
                self._made[stage.kind, people] = stage


@contextmanager
def _set_up(kind: str, people: int, folder: Path) -> Iterator[Callable[[], Stage]]:
    """Set up a deployment; yield what fills it."""
    folder = folder / f"{kind}-{people}"
    instance = folder / "instance"
    instance.mkdir(parents=True)
    settings = {"PLACET_REGISTER": str(write_register(folder))}
    with ExitStack() as stack:
        url, pid = f"sqlite:///{instance / 'placet.sqlite3'}", None
        if kind == "postgresql":
            server = stack.enter_context(postgres(durable=True, settings=ROOMY))
            server.create_database("bench")
            url, pid = server.url("bench"), server.pid
        port = _two_ports()
        deployment = Deployment(
            url, instance, port, settings, decisions_port=port + 1, ready_seconds=START_SECONDS
        )
        with deployment.serving():
            client, token, ten = _the_ten(deployment)
        wrap = _prepared(deployment)

        def filled() -> Stage:
            population = fill(url, ten, people, wrap)
            print(
                f"  {kind}: {people:,} people and {len(UNITS)} purposes in"
                f" {population.seconds:.0f} s, {size_of(url) / 1e6:,.0f} MB,"
                f" without {', '.join(population.left_out)}",
                flush=True,
            )
            return Stage(kind, people, deployment, folder, client, token, population, pid)

        yield filled


def _two_ports() -> int:
    """Return a free port whose successor is free too: the decision workers listen there."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port + 1)):
                return port


def _the_ten(deployment: Deployment) -> tuple[dict[str, Any], str, list[str]]:
    """Make ten people known who say each something of their own; with the application's token."""
    options = [part for unit in UNITS for part in ("--purpose", unit)]
    options += [part for scope in SCOPES for part in ("--scope", scope)]
    client = deployment.add_client("shop", *options)
    token = deployment.token(client, " ".join(SCOPES))
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        answer = session.post(f"{deployment.url}/v1/pseudonyms", json={"identifiers": TEN})
        answer.raise_for_status()
        ten: list[str] = answer.json()["pseudonyms"]
        for kind, person in enumerate(ten):
            for number, unit in enumerate(UNITS):
                action = said(kind, number)
                steps = ("given", "withdrawn") if action == "withdrawn" else (action,)
                for step in steps:
                    if step is not None:
                        body = consent(person, unit, step)
                        session.post(f"{deployment.url}/v1/consents", json=body).raise_for_status()
    return client, token, ten


def _prepared(deployment: Deployment) -> Wrap:
    """Have the ten prove their addresses; return what makes keys of the deployment.

    Without proof nothing that an application says of them permits anything.
    """
    app = create_app(read_settings(deployment.environment))
    placet = app.extensions["placet"]
    for address in TEN:
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            subject_id = placet.subjects.by_email(uow, address, keep=True)
            placet.subjects.verify_email(uow, subject_id, address)
            uow.commit()
    placet.runtime.database.engine.dispose()

    def wrap(holder: str, retention: str, epoch: int) -> bytes:
        sealer = placet.sealer
        wrapped: bytes = sealer._wrap(holder, retention, epoch, os.urandom(KEY_BYTES))  # noqa: SLF001 - as it wraps one
        return wrapped

    return wrap


def children(pid: int) -> list[int]:
    """Return the process ids below a process, itself not among them."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    parents = {int(listed[at]): int(listed[at + 1]) for at in range(0, len(listed), 2)}
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]
