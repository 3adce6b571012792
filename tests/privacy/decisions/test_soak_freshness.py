"""Ten thousand withdrawals, four processes that answer, and some that are killed: no permit after.

`placet serve` as it runs in production, decision workers that remember, on both databases.
"""

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app import create_app, read_settings, set_up
from identity.provider.client_settings import ClientSettings
from privacy.actor import SYSTEM
from tests.support.deployment import Deployment
from tests.support.postgres import PostgresServer, postgres
from tests.support.processes import Program, free_port, wait_until
from tests.support.sample import SOAK

WITHDRAWALS = 10_000
CLIENTS = 4
PEOPLE = 40
PROCESSES = 4
KILLED_EVERY_SECONDS = 5.0
UNIT = "newsletter"
SCOPES = ["consents:write", "decisions:evaluate"]


class Unanswered(Exception):
    """The connection ended before the answer: what became of the request, nobody knows."""


class Caller:
    """A connection, and so one process at a time, until that one dies."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        self._connection.close()

    def post(self, path: str, body: object) -> tuple[int, dict[str, object]]:
        try:
            self._connection.request("POST", path, json.dumps(body), self._headers)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            raise Unanswered from error


@dataclass
class Tally:
    """What was seen.

    Attributes:
        withdrawn: withdrawals that were answered.
        asked: questions that were answered after it.
        permits_before: questions that were permitted before it, so that there was what to forget.
        stale: permits after it.
    """

    withdrawn: int = 0
    asked: int = 0
    permits_before: int = 0
    unanswered: int = 0
    stale: list[tuple[str, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Soak:
    """A deployment under withdrawals."""

    deployment: Deployment
    client_id: str
    token: str
    people: list[str]
    tally: Tally = field(default_factory=Tally)

    def _word(self, person: str, action: str) -> dict[str, object]:
        words = {"notice_version": 2, "language": "es"} if action == "given" else {}
        return {"subject": person, "purpose": UNIT, "action": action, "channel": "api"} | words

    def question(self, person: str) -> dict[str, object]:
        return {
            "subject": {"type": "application", "id": self.client_id},
            "action": {"name": UNIT},
            "resource": {"type": "person", "id": person},
        }

    def withdraw(self, number: int, total: int) -> None:
        """Give and withdraw in turn, over people of one's own; ask each process in between."""
        web, port = self.deployment.port, self.deployment.decisions_port
        with ExitStack() as stack:
            writer, *readers = (
                stack.enter_context(closing(Caller(each, self.token)))
                for each in (web, port, port, port, web, web)
            )
            self._withdraw(writer, readers, number, total)

    def _withdraw(self, writer: Caller, readers: list[Caller], number: int, total: int) -> None:
        mine = self.people[number::CLIENTS]
        for turn in range(total):
            person = mine[turn % len(mine)]
            try:
                status, _ = writer.post("/v1/consents", self._word(person, "given"))
                assert status == 201
                before = [self._permits(reader, person) for reader in readers]
                status, told = writer.post("/v1/consents", self._word(person, "withdrawn"))
                assert status == 201, told
                after = [self._permits(reader, person) for reader in readers]
            except Unanswered:
                with self.tally.lock:
                    self.tally.unanswered += 1
                continue
            with self.tally.lock:
                self.tally.withdrawn += 1
                self.tally.permits_before += sum(before)
                self.tally.asked += len(after)
                self.tally.stale += [(person, at) for at, permit in enumerate(after) if permit]

    def _permits(self, reader: Caller, person: str) -> bool:
        """Ask until somebody answers: a process that was killed comes back."""
        for _ in range(600):
            with suppress(Unanswered):
                status, told = reader.post("/access/v1/evaluation", self.question(person))
                assert status == 200, told
                return told["decision"] is True
            threading.Event().wait(0.05)
        raise AssertionError("nobody answered within half a minute")


@pytest.fixture(scope="module")
def durable_server() -> Iterator[PostgresServer]:
    with postgres(durable=True) as server:
        yield server


@pytest.fixture
def soak(request: pytest.FixtureRequest, tmp_path: Path) -> Soak:
    instance = tmp_path / "instance"
    instance.mkdir()
    url = f"sqlite:///{instance / 'placet.sqlite3'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("durable_server")
        name = f"soak_{request.node.name.split('[')[0][-40:]}"
        server.create_database(name)
        url = server.url(name)
    settings = {
        "PLACET_ONE_HOST": "1",
        "PLACET_WORKERS": "2",
        "PLACET_DECISION_WORKERS": "2",
    }
    deployment = Deployment(url, instance, settings=settings, decisions_port=free_port())
    app = create_app(read_settings(deployment.environment))
    set_up(app)
    placet = app.extensions["placet"]
    addresses = [f"person{number}@example.com" for number in range(PEOPLE)]
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        wanted = ClientSettings(name="shop", scopes=SCOPES, purposes=[UNIT])
        client, _secret = placet.clients.add(uow, wanted)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        form = {"grant_type": "client_credentials", "scope": " ".join(SCOPES)}
        token = placet.provider.exchange(uow, client, form).access_token
    for address in addresses:
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            subject_id = placet.subjects.by_email(uow, address, keep=True)
            placet.subjects.verify_email(uow, subject_id, address)
            uow.commit()
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        people = placet.pseudonyms.pseudonymise(uow, client.sector, addresses)
    placet.runtime.database.engine.dispose()
    return Soak(deployment, client.client_id, token, people)


def _servers(session: int) -> list[int]:
    """The processes that answer, the one that runs longest first.

    Each is a child of the process that granian keeps for its kind, under the same command.
    """
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            parent, its_session, started = int(fields[1]), int(fields[3]), int(fields[19])
            command = (stat.parent / "cmdline").read_text()
            above = Path(f"/proc/{parent}/cmdline").read_text()
            if its_session == session and "granian" in above and command == above:
                found.append((started, int(stat.parent.name)))
    return [pid for _started, pid in sorted(found)]


@contextmanager
def _killing(running: Program) -> Iterator[list[int]]:
    """Kill the one that runs longest every few seconds.

    More often, and granian takes it for a loop of crashes and gives up.
    """
    stop, killed = threading.Event(), list[int]()

    def kill() -> None:
        while not stop.wait(KILLED_EVERY_SECONDS):
            living = _servers(running.pid)
            if len(living) == PROCESSES:
                with suppress(ProcessLookupError):
                    os.kill(living[0], signal.SIGKILL)
                    killed.append(living[0])

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def _run(soak: Soak, total: int) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda each: soak.withdraw(each, total // CLIENTS), range(CLIENTS)))


def _until_ready(soak: Soak) -> None:
    question = soak.question(soak.people[0])
    with closing(Caller(soak.deployment.decisions_port, soak.token)) as reader:

        def answers() -> bool:
            with suppress(Unanswered):
                return reader.post("/access/v1/evaluation", question)[0] == 200
            return False

        wait_until(answers, "the decision workers answer", seconds=60)


@SOAK
@pytest.mark.parametrize("soak", ["sqlite", "postgresql"], indirect=True)
def test_no_permit_follows_ten_thousand_withdrawals(soak: Soak) -> None:
    with soak.deployment.serving():
        _until_ready(soak)
        _run(soak, WITHDRAWALS)
    tally = soak.tally
    assert tally.stale == []
    assert tally.withdrawn == WITHDRAWALS
    assert tally.permits_before == tally.asked == 5 * WITHDRAWALS


@SOAK
@pytest.mark.parametrize("soak", ["sqlite", "postgresql"], indirect=True)
def test_nor_where_writers_and_decision_workers_are_killed_meanwhile(soak: Soak) -> None:
    with soak.deployment.serving() as running:
        _until_ready(soak)
        with _killing(running) as killed:
            _run(soak, WITHDRAWALS // 5)
        assert len(killed) >= 3
    tally = soak.tally
    assert tally.stale == []
    assert tally.withdrawn > WITHDRAWALS // 10
    assert tally.permits_before == tally.asked
