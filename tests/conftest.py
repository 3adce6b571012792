"""Fixtures that every test may ask for; whatever is dear starts when the first test asks."""

import gc
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app import create_app, set_up
from privacy.settings import settings_from
from tests.support.chromium import chromium
from tests.support.postgres import PostgresServer, postgres
from tests.support.refill import Content, content_of, refill
from tests.support.reuse import compile_each_route_once
from tests.support.smtp import MailServer
from tests.support.smtp import mail_server as start_mail_server
from tests.support.world import CHEAP, World, close_worlds, make_world

compile_each_route_once()


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported and collected: it stays for good.

    Looking through it again and again would cost more than the deployments of the tests do.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


_numbers = count(1)
#: PostgreSQL databases that no test uses at present.
_free_databases: list[str] = []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this worker's own."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium of this worker's own; a test opens a context of its own in it."""
    with chromium() as running:
        yield running


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """An SMTP server that has received nothing yet."""
    with start_mail_server() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance folder, set up: keys, and a migrated SQLite file, to be copied."""
    return _set_up_instance(tmp_path_factory.mktemp("sqlite"), None)


@pytest.fixture(scope="session")
def postgres_template(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """An instance folder, set up, and the name of its PostgreSQL database, to be copied."""
    name = "template_placet"
    postgres_server.create_database(name)
    instance = tmp_path_factory.mktemp("postgresql")
    return _set_up_instance(instance, postgres_server.url(name)), name


@pytest.fixture(scope="session")
def postgres_content(
    postgres_server: PostgresServer, postgres_template: tuple[Path, str]
) -> Content:
    """What a PostgreSQL database holds when it is set up."""
    return content_of(postgres_server.url(postgres_template[1]))


def _set_up_instance(instance: Path, url: str | None) -> Path:
    url = url or f"sqlite:///{instance / 'placet.sqlite3'}"
    app = create_app(settings_from(CHEAP | {"PLACET_DATABASE_URL": url}, instance))
    set_up(app)
    app.extensions["placet"].runtime.database.engine.dispose()
    return instance


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn; what works on one works on the other."""
    return str(request.param)


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """The test's own instance folder."""
    return tmp_path / "instance"


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, database_kind: str, instance: Path
) -> Iterator[str]:
    """The address of a database of the test's own, set up with the keys in `instance`."""
    if database_kind == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copytree(template, instance, ignore=shutil.ignore_patterns("*.sqlite3*"))
        with (
            closing(sqlite3.connect(template / "placet.sqlite3")) as source,
            closing(sqlite3.connect(instance / "placet.sqlite3")) as copy,
        ):
            source.backup(copy)
        yield f"sqlite:///{instance / 'placet.sqlite3'}"
        close_worlds()
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template, template_name = request.getfixturevalue("postgres_template")
    content: Content = request.getfixturevalue("postgres_content")
    shutil.copytree(template, instance)
    while _free_databases:
        name = _free_databases.pop()
        if refill(server.url(name), content):
            break
        server.drop_database(name)
    else:
        name = f"test_{next(_numbers)}"
        server.create_database(name, template=template_name)
    yield server.url(name)
    close_worlds()
    _free_databases.append(name)


@pytest.fixture
def world(database_url: str, instance: Path, mail_server: MailServer) -> World:
    """A whole deployment on each kind of database, with a real mail server."""
    return make_world(database_url, instance, PLACET_MAIL_PORT=str(mail_server.port))
