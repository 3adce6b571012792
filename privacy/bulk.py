"""Rows into one table by the driver itself, within a unit of work: the writes that cannot wait.

SQLAlchemy spends more on a statement than the database does. What changes is noted as if it had gone
through it, so that the rules of `unit_of_work.py` hold alike.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.orm import Session

from privacy.changes import note_change
from privacy.database import Door, connection_of
from privacy.prepared import DRIVER_ERRORS

Row = Mapping[str, Any]


@contextmanager
def at_once(door: Door) -> Iterator[None]:
    """Send what `Insert` writes inside without waiting for each answer (PostgreSQL).

    Raises:
        sqlalchemy.exc.DBAPIError: a statement was refused; at the end of the block at the latest.
    """
    connection = connection_of(door)
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.Connection):
        with _as_sqlalchemy(connection, "several at once"), driver.pipeline():
            yield
    else:
        yield


@contextmanager
def _as_sqlalchemy(connection: Connection, sql: str) -> Iterator[None]:
    """Raise a driver's error as SQLAlchemy would; what was to be stored has no place in it."""
    try:
        yield
    except DRIVER_ERRORS as error:
        dialect, driver = connection.dialect, connection.connection.driver_connection
        is_disconnect = dialect.is_disconnect(cast("Any", error), cast("Any", driver), None)
        raise sa.exc.DBAPIError.instance(
            sql,
            None,
            error,
            cast("type[Exception]", dialect.loaded_dbapi.Error),
            hide_parameters=True,
            connection_invalidated=is_disconnect,
            dialect=dialect,
        ) from error


class Insert:
    """An INSERT of any number of rows that was compiled once.

    Args:
        table: where.
        names: the columns that each row names; the database fills the others.
        replacing: the columns of the key by which a row takes the place of one that is there, in
            all other columns named.
    """

    def __init__(
        self, table: sa.Table, names: Sequence[str], *, replacing: Sequence[str] = ()
    ) -> None:
        self._table = table
        self._names = tuple(names)
        self._replacing = tuple(replacing)
        self._of_dialect: dict[str, _Compiled] = {}

    def run(self, door: Door, rows: Sequence[Row]) -> None:
        """Insert rows in their order, in the caller's transaction.

        Raises:
            sqlalchemy.exc.DBAPIError: as `Session.execute` would.
        """
        names = self._names
        self.run_values(door, [[row[name] for name in names] for row in rows])

    def run_values(self, door: Door, rows: Sequence[Sequence[Any]]) -> None:
        """As `run`, of rows that give their values in the order of the columns' names."""
        if not rows:
            return
        if isinstance(door, Session):
            door.flush()  # as before each statement of SQLAlchemy's
        connection = connection_of(door)
        note_change(connection, self._table, only_adds=not self._replacing)
        dialect = connection.dialect
        compiled = self._of_dialect.get(dialect.name)
        if compiled is None:
            compiled = self._of_dialect[dialect.name] = self._compiled(dialect)
        driver = connection.connection.driver_connection
        with _as_sqlalchemy(connection, compiled.sql):
            compiled.run(driver, rows)

    def _compiled(self, dialect: Dialect) -> _Compiled:
        quoted = dialect.identifier_preparer.quote
        columns = [self._table.c[name] for name in self._names]
        into = f"{quoted(self._table.name)} ({', '.join(map(quoted, self._names))})"
        if dialect.name == "sqlite":
            values = f"VALUES ({', '.join('?' * len(columns))})"
        else:  # a parameter for each column, not for each value: the statement is always the same
            # Without its length: a cast to VARCHAR(32) would cut off in silence what a column refuses.
            types = (each.type.compile(dialect).partition("(")[0] for each in columns)
            arrays = (f"%b::{each}[]" for each in types)
            values = f"SELECT * FROM unnest({', '.join(arrays)})"  # noqa: S608 - names of ours
        sql = f"INSERT INTO {into} {values}"
        if self._replacing:
            moved = [
                f"{quoted(name)} = excluded.{quoted(name)}"
                for name in self._names
                if name not in self._replacing
            ]
            key = ", ".join(map(quoted, self._replacing))
            sql += f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(moved)}"
        writers = [
            None  # both drivers take bytes as they are
            if isinstance(each.type, sa.LargeBinary)
            else each.type.dialect_impl(dialect).bind_processor(dialect)
            for each in columns
        ]
        return _Compiled(sql, writers)


class _Compiled:
    """An INSERT in one database's words."""

    def __init__(self, sql: str, writers: Sequence[Callable[[Any], Any] | None]) -> None:
        self.sql = sql
        self._writers = writers

    def run(self, driver: object, rows: Sequence[Sequence[Any]]) -> None:
        columns = [
            values if write is None else _written(values, write)
            for values, write in zip(zip(*rows, strict=True), self._writers, strict=True)
        ]
        if isinstance(driver, sqlite3.Connection):
            driver.executemany(self.sql, zip(*columns, strict=True))
        else:
            arrays = [list(values) for values in columns]
            cast("psycopg.Connection[Any]", driver).execute(self.sql, arrays, prepare=True)


def _written(values: Sequence[Any], write: Callable[[Any], Any]) -> list[Any]:
    """The values as the database takes them; of one object that comes again and again once."""
    written: list[Any] = []
    last = now = None
    for value in values:
        if value is not last or value is None:
            last, now = value, write(value)
        written.append(now)
    return written
