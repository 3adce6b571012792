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

from privacy.database import Database
from privacy.prepared import DRIVER_ERRORS

Row = Mapping[str, Any]


@contextmanager
def at_once(session: Session) -> Iterator[None]:
    """Send what `Insert` writes inside without waiting for each answer (PostgreSQL).

    Raises:
        sqlalchemy.exc.DBAPIError: a statement was refused; at the end of the block at the latest.
    """
    connection = session.connection()
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

    def run(self, session: Session, rows: Sequence[Row]) -> None:
        """Insert rows in their order, in the caller's transaction.

        Raises:
            sqlalchemy.exc.DBAPIError: as `Session.execute` would.
        """
        if not rows:
            return
        session.flush()  # as before each statement of SQLAlchemy's
        connection = session.connection()
        Database.note(connection, self._table, only_adds=not self._replacing)
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
        writers = [each.type.dialect_impl(dialect).bind_processor(dialect) for each in columns]
        return _Compiled(sql, self._names, writers)


class _Compiled:
    """An INSERT in one database's words."""

    def __init__(
        self, sql: str, names: Sequence[str], writers: Sequence[Callable[[Any], Any] | None]
    ) -> None:
        self.sql = sql
        self._names = names
        self._writers = [(place, each) for place, each in enumerate(writers) if each]

    def run(self, driver: object, rows: Sequence[Row]) -> None:
        names = self._names
        if isinstance(driver, sqlite3.Connection):
            listed = [[row[name] for name in names] for row in rows]
            for place, write in self._writers:
                for values in listed:
                    values[place] = write(values[place])
            driver.executemany(self.sql, listed)
            return
        columns = [[row[name] for row in rows] for name in names]
        for place, write in self._writers:
            columns[place] = [write(value) for value in columns[place]]
        cast("psycopg.Connection[Any]", driver).execute(self.sql, columns, prepare=True)
