"""The two doors to the database, its column types and naming conventions.

SQLite is the embedded default, PostgreSQL the production database; both are opened here and
nowhere else. Writers go through `Database.writing` (SQLite: `BEGIN IMMEDIATE`), readers through
`Database.reading`, on which a change is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.orm import DeclarativeBase, Session

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
SQLITE_BUSY_SECONDS = 30

#: `info` of a table whose rows change without an audit entry: counters, queues, job state.
OPERATIONAL = {"operational": True}


class Base(DeclarativeBase):
    """Declarative base of every table."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


#: Flask-SQLAlchemy carries the engine; the tables are plain SQLAlchemy.
orm = SQLAlchemy(model_class=Base, disable_autonaming=True)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware instant, stored and read as UTC; a naive one is refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive instants and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored instant needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy passes it
    ) -> datetime | None:
        """Return the instant as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class UnauditedChange(Exception):
    """A transaction changed rows and recorded no event: a defect of ours, never the caller's."""


class ReadOnlyDoor(Exception):
    """A change was tried through the reading door: a defect of ours."""


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"busy_timeout={SQLITE_BUSY_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("placet_door") == "writing"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


_CHANGING = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE")


def _note_change(
    connection: Connection,
    _cursor: object,
    statement: str,
    _parameters: object,
    context: Any,  # noqa: ANN401 - SQLAlchemy's execution context has no public type
    _many: bool,
) -> None:
    """Remember which audited tables this transaction changes, whichever way it does so."""
    door = connection.get_execution_options().get("placet_door")
    if door is None:  # migrations and the tests' own look behind our back
        return
    if context.isinsert or context.isupdate or context.isdelete:
        table = context.compiled.statement.table
        name, operational = table.name, bool(table.info.get("operational"))
    elif statement.lstrip().upper().startswith(_CHANGING):
        name, operational = statement.strip(), False
    else:
        return
    if door == "reading":
        raise ReadOnlyDoor(f"{name} was changed through the reading door")
    if not operational:
        connection.info.setdefault("placet_changed", set()).add(name)


def prepare_engine(engine: Engine) -> None:
    """Attach our rules to an engine; once per engine."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "before_cursor_execute", _note_change)


def engine_options(url: str) -> dict[str, object]:
    """Return the options Flask-SQLAlchemy makes the engine with."""
    options: dict[str, object] = {"pool_pre_ping": False}
    if not url.startswith("sqlite"):
        options |= {"pool_size": 8, "max_overflow": 16, "pool_pre_ping": True}
    return options


class Database:
    """One engine and its two doors."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(placet_door="writing")
        self._reading = engine.execution_options(placet_door="reading")

    @property
    def is_sqlite(self) -> bool:
        """Tell whether the embedded database is in use."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session over one consistent snapshot; nothing can be changed through it."""
        with Session(self._reading, expire_on_commit=False) as session:
            if not self.is_sqlite:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session  # closing rolls back what was not committed

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a session that holds the write lock from its first statement (SQLite)."""
        with Session(self._writing, expire_on_commit=False) as session:
            session.connection().info["placet_changed"] = set()
            yield session  # closing rolls back what was not committed

    @staticmethod
    def changed_tables(session: Session) -> set[str]:
        """Return the audited tables that this transaction has changed so far."""
        changed: set[str] = session.connection().info["placet_changed"]
        return changed


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for `url`, without a file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest revision."""
    command.upgrade(alembic_config(url), "head")
