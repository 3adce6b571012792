"""Fixtures that every test may ask for; whatever is dear starts when the first test asks."""

import gc
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app import create_app, set_up
from privacy.settings import settings_from
from tests.support.chromium import chromium
from tests.support.holes import copy_folder
from tests.support.postgres import PostgresServer, postgres
from tests.support.refill import Refill
from tests.support.reuse import reuse_what_is_alike, share_statements_of
from tests.support.smtp import MailServer
from tests.support.smtp import mail_server as start_mail_server
from tests.support.world import CHEAP, World, close_worlds, make_world

reuse_what_is_alike()


#: Folders of tests that start servers and browsers.
LONG = frozenset({"attacks", "faults", "flows"})


@pytest.hookimpl(trylast=True)  # after the order was made random
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones: none of them then runs alone when all the others have ended."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while the tests are imported: hardly any of it is."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


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


@pytest.fixture(scope="session")
def running_mail_server() -> Iterator[MailServer]:
    """An SMTP server of this worker's own."""
    with start_mail_server() as server:
        yield server


@pytest.fixture
def mail_server(running_mail_server: MailServer) -> MailServer:
    """An SMTP server that has received nothing yet."""
    running_mail_server.clear()
    return running_mail_server


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
def postgres_refill(
    postgres_server: PostgresServer, postgres_template: tuple[Path, str]
) -> Iterator[Refill]:
    """Brings a PostgreSQL database back to what it holds when it is set up."""
    with Refill(postgres_server.url(postgres_template[1])) as refill:
        yield refill


def _set_up_instance(instance: Path, url: str | None) -> Path:
    url = url or f"sqlite:///{instance / 'placet.sqlite3'}"
    app = create_app(settings_from(CHEAP | {"PLACET_DATABASE_URL": url}, instance))
    set_up(app)
    engine = app.extensions["placet"].runtime.database.engine
    engine.dispose()  # on SQLite this leaves one file alone, to be copied as it is
    share_statements_of(engine)
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
        copy_folder(template, instance)
        yield f"sqlite:///{instance / 'placet.sqlite3'}"
        close_worlds()
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template, template_name = request.getfixturevalue("postgres_template")
    refill: Refill = request.getfixturevalue("postgres_refill")
    copy_folder(template, instance)
    while _free_databases:
        name = _free_databases.pop()
        if refill.refill(server.url(name)):
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
