"""Reading by statements prepared once, past SQLAlchemy's session and pool, for the hottest paths.

Each thread has a connection of its own in autocommit: every statement is a snapshot that is opened
after it was asked for, and costs no more than the driver. The statements are SQLAlchemy's, so there is
no second text of any.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine

from privacy.database import SQLITE_BUSY_SECONDS

Raw = sqlite3.Connection | psycopg.Connection[Any]
#: What a driver raises where a statement could not be answered.
DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)


class Connections:
    """One connection for each thread that reads; closed when the engine is disposed of."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._of_thread = threading.local()
        self._open: list[Raw] = []
        event.listen(engine, "engine_disposed", lambda _engine: self._close())

    def fetch(self, sql: str, parameters: Any) -> list[Any]:  # noqa: ANN401 - by the driver's style
        """Run a statement; once more on a new connection where the server has closed ours."""
        connection: Raw | None = getattr(self._of_thread, "connection", None)
        if connection is not None:
            try:
                return _run(connection, sql, parameters)
            except psycopg.OperationalError:
                if not cast("psycopg.Connection[Any]", connection).closed:
                    raise
        connection = self._of_thread.connection = _connect(self.engine)
        self._open.append(connection)
        return _run(connection, sql, parameters)

    def _close(self) -> None:
        while self._open:
            self._open.pop().close()
        self._of_thread = threading.local()


class Prepared:
    """A SELECT that was compiled once."""

    def __init__(self, connections: Connections, statement: sa.Select[*tuple[Any, ...]]) -> None:
        dialect = connections.engine.dialect
        compiled = statement.compile(dialect=dialect)
        self._connections = connections
        self._sql = str(compiled)
        self._positions = compiled.positiontup
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._writers = {
            name: process
            for name, bound in compiled.binds.items()
            if (process := bound.type.dialect_impl(dialect).bind_processor(dialect))
        }
        columns = list(statement.selected_columns)
        row = namedtuple("row", [str(each.key) for each in columns])  # type: ignore[misc]  # noqa: PYI024 - its fields are the statement's
        self._row: Callable[[Sequence[Any]], Any] = cast("Any", row)._make
        readers = [c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns]
        self._readers = [(place, each) for place, each in enumerate(readers) if each]

    def rows(self, **wanted: Any) -> list[Any]:  # noqa: ANN401 - by the statement's own types
        """Return the rows, each with the statement's columns as attributes.

        Args:
            wanted: a value for each parameter, of its Python type.

        Raises:
            sqlite3.Error, psycopg.Error: the database could not answer.
        """
        for name, process in self._writers.items():
            if name in wanted:
                wanted[name] = process(wanted[name])
        parameters: Any = self._fixed | wanted
        if self._positions is not None:
            parameters = [parameters[name] for name in self._positions]
        return [self._read(values) for values in self._connections.fetch(self._sql, parameters)]

    def _read(self, values: Sequence[Any]) -> Any:  # noqa: ANN401 - as above
        read = list(values)
        for place, process in self._readers:
            read[place] = process(read[place])
        return self._row(read)


def _connect(engine: Engine) -> Raw:
    """Open a connection that can only read, and is in no transaction between statements."""
    if engine.dialect.name == "sqlite":
        # Used by one thread; closed by whoever disposes of the engine.
        light = sqlite3.connect(
            str(engine.url.database),
            timeout=SQLITE_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        light.execute("PRAGMA query_only=ON")
        return light
    arguments, named = engine.dialect.create_connect_args(engine.url)
    connection = cast("psycopg.Connection[Any]", engine.dialect.connect(*arguments, **named))
    connection.autocommit = True
    connection.execute("SET default_transaction_read_only = on")
    return connection


def _run(connection: Raw, sql: str, parameters: Any) -> list[Any]:  # noqa: ANN401 - as above
    if isinstance(connection, sqlite3.Connection):
        return connection.execute(sql, parameters).fetchall()
    return connection.execute(sql, parameters, prepare=True).fetchall()
