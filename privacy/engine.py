"""How the engine of each database is made, and what its connections and transactions begin with."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from privacy import changes

if TYPE_CHECKING:
    import psycopg

SQLITE_BUSY_SECONDS = 30
#: A writer waits no longer for another's row. PostgreSQL sees a ring of its own locks, but not one
#: that closes in a process of ours: there it would wait for ever.
POSTGRESQL_LOCK_SECONDS = 30


def engine_options(url: str) -> dict[str, object]:
    """Return the options Flask-SQLAlchemy makes the engine with."""
    # An error's text is logged: what was to be stored has no place in it.
    options: dict[str, object] = {"pool_pre_ping": False, "hide_parameters": True}
    if not url.startswith("sqlite"):
        options |= {"pool_size": 8, "max_overflow": 16, "pool_pre_ping": True}
    return options


def prepare_engine(engine: Engine) -> None:
    """Attach our rules to an engine; once per engine."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _configure_postgresql)
        # Many rows in one INSERT, also where nothing is asked back: psycopg sends each by itself.
        engine.dialect.use_insertmanyvalues_wo_returning = True
    changes.guard(engine)


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"busy_timeout={SQLITE_BUSY_SECONDS * 1000}",
        # 16 MiB: a page that many commits change is copied once, and few of them wait for it.
        "wal_autocheckpoint=4000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _configure_postgresql(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.execute(f"SET lock_timeout = '{POSTGRESQL_LOCK_SECONDS}s'")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    door = connection.get_execution_options().get("placet_door")
    if door == "glance":  # one statement is a transaction by itself; `changes` guards it
        return
    driver = sqlite_driver(connection)
    # The doors share pooled connections, so each says what it is; but only where it was the other
    # before, for SQLite prepares every statement anew after this.
    if connection.info.get("placet_reads_only") is not (reads_only := door == "reading"):
        driver.execute(f"PRAGMA query_only={'ON' if reads_only else 'OFF'}")
        connection.info["placet_reads_only"] = reads_only
    begin = "BEGIN IMMEDIATE" if door == "writing" else "BEGIN"
    try:
        driver.execute(begin)  # SQLAlchemy's way costs as much as a small statement
    except sqlite3.OperationalError as error:
        raise sa.exc.OperationalError(begin, None, error) from error


def sqlite_driver(connection: Connection) -> sqlite3.Connection:
    """Return SQLite's own connection beneath SQLAlchemy's."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver
