"""c15t 2.2 beside us: the checks and records of its own server on its own store.

It is installed from npm into a folder of the run, with its own packages and nothing of ours; where
that fails the reason is printed and its figures are missing. One process, as its documentation runs
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
from functools import partial
from pathlib import Path

import requests
import sqlalchemy as sa

from bench import parts
from bench.load import Load, lua_addresses, lua_file, run
from tests.support.node import node
from tests.support.postgres import postgres
from tests.support.processes import ROOT, free_port, program

NAME = "c15t 2.2.1"
PACKAGES = ("@c15t/backend@2.2.1", "kysely@0.28.18", "pg@8.16.3")
INSTALL_SECONDS = 300
BASE = "/api/c15t"
PEOPLE = 1000
WORDS = 50_000
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def install(folder: Path) -> Path | None:
    """Install it below `folder`; None, and the reason printed, where that cannot be done."""
    home = folder / "c15t"
    if home.exists():
        return home
    home.mkdir()
    (home / "package.json").write_text('{"private": true, "type": "module"}')
    shutil.copy(ROOT / "bench" / "peer_c15t.mjs", home)
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    try:
        done = subprocess.run(
            command,
            cwd=home,
            env=dict(os.environ, PATH=path),
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{NAME} is not measured: {error}", flush=True)
        return None
    if done.returncode != 0:
        print(f"{NAME} is not measured: npm install failed: {done.stderr[-500:]}", flush=True)
        return None
    return home


@contextmanager
def serving(home: Path, kind: str) -> Iterator[str]:
    """Run it on a database of its own; yield the address that its routes stand below."""
    with ExitStack() as stack:
        database = str(home / f"{kind}.sqlite3")
        if kind == "postgresql":
            server = stack.enter_context(postgres(durable=True))
            server.create_database("c15t")
            url = sa.make_url(server.url("c15t")).set(drivername="postgresql")
            database = url.render_as_string(hide_password=False)
        port = free_port()
        url_base = f"http://127.0.0.1:{port}{BASE}"
        command = [str(node()), str(home / "peer_c15t.mjs"), str(port), database]
        log = home / f"{kind}.log"
        stack.enter_context(program(command, log=log, ready_url=f"{url_base}/status"))
        yield url_base


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
    home = install(folder)
    measured: dict[str, parts.Measure] = {}
    if home is None:
        return measured
    path = folder / "c15t-words.jsonl"
    path.write_text("".join(f"{json.dumps(word(number))}\n" for number in range(WORDS)))
    for kind in databases:
        address = f"{stack.enter_context(serving(home, kind))}/subjects"
        offset = 0
        for count in clients:
            offset += WORDS // 4  # else the second would find what the first recorded
            script = lua_file(path, "none", start=offset)
            measured[f"c15t-record-{kind}-{count}"] = partial(_load, address, script, count)
    return measured


def checking(stack: ExitStack, folder: Path) -> Mapping[str, parts.Measure]:
    """Start it on each database with a thousand people; return what measures its checks."""
    home = install(folder)
    measured: dict[str, parts.Measure] = {}
    if home is None:
        return measured
    for kind in ("sqlite", "postgresql"):
        base = stack.enter_context(serving(home, kind))
        with requests.Session() as session:
            for number in range(PEOPLE):
                session.post(f"{base}/subjects", json=word(number)).raise_for_status()
        path = folder / "c15t-checks.txt"
        asked = (
            f"{BASE}/consents/check?externalId=person-{number}&type=cookie_banner\n"
            for number in range(PEOPLE)
        )
        path.write_text("".join(asked))
        script = lua_addresses(path)
        measured[f"c15t-check-{kind}"] = partial(_load, base, script, parts.CONNECTIONS)
    return measured


def _load(url: str, script: str, clients: int) -> Load:
    return run(url, seconds=parts.SECONDS, connections=clients, script=script)
