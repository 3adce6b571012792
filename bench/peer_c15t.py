"""c15t 2.2 beside us: the checks and records of its own server on its own store.

It is installed from npm once below `.cache/`, with its own packages and nothing of ours; where that
fails the reason is printed and its figures are missing. One process, as its documentation runs
it; SQLite through node's own module (WAL, `synchronous=FULL`), PostgreSQL flushing each commit. It
checks no token and writes no audit entry of a consent.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests
import sqlalchemy as sa

from bench import parts
from bench.load import Load, lua_addresses, lua_file, run
from tests.support.node import node
from tests.support.postgres import ROOMY, postgres
from tests.support.processes import ROOT, free_port, program

NAME = "c15t 2.2.1"
PACKAGES = ("@c15t/backend@2.2.1", "kysely@0.28.18", "pg@8.16.3")
HOME = ROOT / ".cache" / "bench" / "c15t-2.2.1"
INSTALL_SECONDS = 300
START_SECONDS = 120.0
BASE = "/api/c15t"
WORDS = 50_000
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs.

    Attributes:
        url: the address that its routes stand below.
        store: SQLAlchemy's address of its database.
        pids: its process, and its database server's.
    """

    url: str
    store: str
    pids: tuple[int, ...]

    def fill(self, already: int, people: int) -> None:
        """Have so many people stored, each with the yes of the first: rows in its own tables.

        Raises:
            RuntimeError: it does not answer of them as of the first.
        """
        with requests.Session() as session:
            if not already:
                session.post(f"{self.url}/subjects", json=word(0)).raise_for_status()
            engine = sa.create_engine(self.store)
            with engine.begin() as connection:
                if connection.dialect.name == "postgresql":  # without looking for each subject
                    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
                for table, own in _COPIED.items():
                    connection.exec_driver_sql(_copying(connection, table, own, already, people))
                connection.exec_driver_sql("ANALYZE")
            engine.dispose()
            asked = {"type": "cookie_banner", "externalId": f"person-{people - 1}"}
            answer = session.get(f"{self.url}/consents/check", params=asked)
        answer.raise_for_status()
        if answer.json()["results"]["cookie_banner"]["hasConsent"] is not True:
            raise RuntimeError(f"{NAME} does not know who was filled in: {answer.text}")


#: Tables that a consent writes to, and what each copy has of its own there.
_COPIED = {
    "subject": {"id": "'sub_' || n.number", "externalId": "'person-' || n.number"},
    "consent": {"id": "'cns_' || n.number", "subjectId": "'sub_' || n.number"},
}


def _copying(
    connection: sa.Connection, table: str, own: Mapping[str, str], already: int, people: int
) -> str:
    """The statement that copies the first row for all who are not there yet."""
    columns = [column["name"] for column in sa.inspect(connection).get_columns(table)]
    named = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(own.get(column, f't."{column}"') for column in columns)
    return (
        f'INSERT INTO "{table}" ({named}) WITH RECURSIVE n (number) AS (SELECT {already or 1}'
        f" UNION ALL SELECT number + 1 FROM n WHERE number + 1 < {people})"
        f' SELECT {values} FROM n, (SELECT * FROM "{table}" LIMIT 1) AS t'
    )


def install() -> bool:
    """Install it where it is not yet; False, and the reason printed, where that cannot be done."""
    ready = HOME / ".ready"
    if not ready.exists():
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir(parents=True)
    shutil.copy(ROOT / "bench" / "peer_c15t.mjs", HOME)
    if ready.exists():
        return True
    (HOME / "package.json").write_text('{"private": true, "type": "module"}')
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    try:
        done = subprocess.run(
            command,
            cwd=HOME,
            env=dict(os.environ, PATH=path),
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{NAME} is not measured: {error}", flush=True)
        return False
    if done.returncode != 0:
        print(f"{NAME} is not measured: npm install failed: {done.stderr[-500:]}", flush=True)
        return False
    ready.touch()
    return True


@contextmanager
def serving(folder: Path, kind: str) -> Iterator[Server]:
    """Run it on a database of its own."""
    with ExitStack() as stack:
        port = free_port()
        database = str(folder / f"c15t-{port}.sqlite3")
        store, pids = f"sqlite:///{database}", list[int]()
        if kind == "postgresql":
            server = stack.enter_context(postgres(durable=True, settings=ROOMY))
            server.create_database("c15t")
            store = server.url("c15t")
            pids.append(server.pid)
            url = sa.make_url(store).set(drivername="postgresql")
            database = url.render_as_string(hide_password=False)
        url_base = f"http://127.0.0.1:{port}{BASE}"
        command = [str(node()), str(HOME / "peer_c15t.mjs"), str(port), database]
        served = program(
            command,
            log=folder / f"c15t-{port}.log",
            ready_url=f"{url_base}/status",
            ready_seconds=START_SECONDS,
        )
        running = stack.enter_context(served)
        yield Server(url_base, store, (running.pid, *pids))


def word(number: int) -> dict[str, object]:
    """The body that records one person's yes."""
    return {
        "type": "cookie_banner",
        "subjectId": f"sub_{_base58(number)}",
        "externalSubjectId": f"person-{number}",
        "domain": "example.com",
        "preferences": {"necessary": True, "marketing": True},
        "givenAt": 1_763_790_000_000 + number,
    }


def _base58(number: int) -> str:
    digits = ""
    for _ in range(22):
        number, digit = divmod(number + 1_000_003, 58)
        digits += _BASE58[digit]
    return digits


def recording(
    stack: ExitStack, folder: Path, clients: Iterable[int], databases: Iterable[str]
) -> Mapping[str, parts.Measure]:
    """Start it on each database; return what measures its records, none where it is not there."""
    measured: dict[str, parts.Measure] = {}
    if not install():
        return measured
    path = folder / "c15t-words.jsonl"
    path.write_text("".join(f"{json.dumps(word(number))}\n" for number in range(WORDS)))
    for kind in databases:
        address = f"{stack.enter_context(serving(folder, kind)).url}/subjects"
        offset = 0
        for count in clients:
            offset += WORDS // 4  # else the second would find what the first recorded
            script = lua_file(path, "none", start=offset)
            measured[f"c15t-record-{kind}-{count}"] = partial(_load, address, script, count)
    return measured


def start(stack: ExitStack, folder: Path, databases: Iterable[str]) -> Mapping[str, Server]:
    """Run it on each database; none where it is not there."""
    if not install():
        return {}
    return {kind: stack.enter_context(serving(folder, kind)) for kind in databases}


def checking(server: Server, folder: Path, people: int) -> parts.Measure:
    """What measures its checks of those stored, one after the other."""
    path = folder / f"c15t-checks-{people}.txt"
    path.write_text(
        "".join(
            f"{BASE}/consents/check?externalId=person-{number}&type=cookie_banner\n"
            for number in range(people)
        )
    )
    return partial(_load, server.url, lua_addresses(path), parts.CONNECTIONS)


def _load(url: str, script: str, clients: int) -> Load:
    return run(url, seconds=parts.SECONDS, connections=clients, script=script)
