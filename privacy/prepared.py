"""Reading by statements prepared once, past SQLAlchemy's session and pool, for the hottest paths.

Whoever reads takes a connection in autocommit for one statement: every statement is a snapshot that is
opened after it was asked for, and costs no more than the driver. The statements are SQLAlchemy's, so
there is no second text of any.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.sql import visitors

from privacy.database import Door, connection_of
from privacy.engine import SQLITE_BUSY_SECONDS

Raw = sqlite3.Connection | psycopg.Connection[Any]
#: So much of SQLite's file a connection reads where the kernel has it, without copying it first.
MAPPED_BYTES: Final = 2**30
#: What a driver raises where a statement could not be answered.
DRIVER_ERRORS = (sqlite3.Error, psycopg.Error)


class Connections:
    """As many connections as ever read at once; closed when the engine is disposed of.

    None belongs to a thread: the server's threads come and go.
    """

    def __init__(self, engine: Engine, *, mapped: int = 0) -> None:
        """Open none yet.

        Args:
            engine: of the database.
            mapped: so many bytes of SQLite's file are mapped. What is read of them counts as the
                process's memory, once for each connection, and is the kernel's to take back.
        """
        self.engine = engine
        self._mapped = mapped
        self._idle: list[Raw] = []  # the last one back is the next to go: it is warm
        event.listen(engine, "engine_disposed", lambda _engine: self._close())

    def fetch(self, sql: str, parameters: Any) -> list[Any]:  # noqa: ANN401 - by the driver's style
        """Run a statement; once more on a new connection where the server has closed ours."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _connect(self.engine, self._mapped)
        try:
            return _run(connection, sql, parameters)
        except psycopg.OperationalError:
            if not cast("psycopg.Connection[Any]", connection).closed:
                raise
            connection = _connect(self.engine, self._mapped)
            return _run(connection, sql, parameters)
        finally:
            self._idle.append(connection)

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()


Statement = sa.Select[*tuple[Any, ...]]


class Prepared:
    """A SELECT that is compiled once in a process, when it is first asked."""

    def __init__(
        self, connections: Connections, statement: Statement | Callable[[], Statement]
    ) -> None:
        """Compile nothing yet.

        Args:
            connections: to ask by.
            statement: or what makes it, and returns the same one each time.
        """
        self._connections = connections
        self._statement = statement

    @cached_property
    def _form(self) -> _Form:
        statement = self._statement() if callable(self._statement) else self._statement
        dialect = self._connections.engine.dialect
        form = _FORMS.get((statement, dialect.name))
        if form is None:
            form = _FORMS[statement, dialect.name] = _Form(statement, dialect)
        return form

    def rows(self, within: Raw | None = None, /, **wanted: Any) -> list[Any]:  # noqa: ANN401 - by the statement's own types
        """Return the rows, each with the statement's columns as attributes.

        Args:
            within: a connection whose transaction it is part of; None: a snapshot of its own.
            wanted: a value for each parameter, of its Python type.

        Raises:
            sqlite3.Error, psycopg.Error: the database could not answer.
        """
        form = self._form
        for name, process in form.writers.items():
            if name in wanted:
                wanted[name] = process(wanted[name])
        return [form.read(values) for values in self.raw(within, **wanted)]

    def raw(self, within: Raw | None = None, /, **wanted: Any) -> list[Any]:  # noqa: ANN401 - by the driver's types
        """Return the rows as the driver gives them, tuples of types of its own.

        Args:
            within: as for `rows`.
            wanted: a value for each parameter, of a type that the driver takes.

        Raises:
            sqlite3.Error, psycopg.Error: the database could not answer.
        """
        sql, parameters = self._said(wanted)
        if within is not None:
            return _run(within, sql, parameters)
        return self._connections.fetch(sql, parameters)

    def send(self, within: psycopg.Connection[Any], /, **wanted: Any) -> psycopg.Cursor[Any]:  # noqa: ANN401 - by the driver's types
        """Run it within a transaction, and return where its rows can be fetched.

        In a pipeline nobody waits for it: what went wrong is raised by whatever waits next, and
        once the rows of a later statement are there, its own have come as well.
        """
        sql, parameters = self._said(wanted)
        return within.execute(sql, parameters, prepare=True)

    def _said(self, wanted: dict[str, Any]) -> tuple[str, Any]:
        """Return the statement and its parameters in the driver's style."""
        form = self._form
        parameters: Any = form.fixed | wanted
        if form.positions is not None:
            parameters = [parameters[name] for name in form.positions]
        return form.sql, parameters


class _Form:
    """A statement in the words of one database's driver."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled = _with_constants(statement).compile(
            dialect=dialect, compile_kwargs={"render_postcompile": True}
        )
        self.sql = str(compiled)
        self.positions = compiled.positiontup
        self.fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self.writers = {
            name: process
            for name, bound in compiled.binds.items()
            if (process := bound.type.dialect_impl(dialect).bind_processor(dialect))
        }
        columns = list(statement.selected_columns)
        row = namedtuple("row", [str(each.key) for each in columns])  # type: ignore[misc]  # noqa: PYI024 - its fields are the statement's
        self._row: Callable[[Sequence[Any]], Any] = cast("Any", row)._make
        readers = [c.type.dialect_impl(dialect).result_processor(dialect, None) for c in columns]
        self._readers = [(place, each) for place, each in enumerate(readers) if each]

    def read(self, values: Sequence[Any]) -> Any:  # noqa: ANN401 - by the statement's own types
        """Return a row of the driver's with the statement's types and names."""
        read = list(values)
        for place, process in self._readers:
            read[place] = process(read[place])
        return self._row(read)


#: By statement and database: the statements are made once and stay.
_FORMS: Final[dict[tuple[Statement, str], _Form]] = {}


def driver_of(door: Door) -> Raw:
    """Return the driver's own connection, in the door's transaction."""
    return cast("Raw", connection_of(door).connection.driver_connection)


def _with_constants(statement: Statement) -> Statement:
    """Return the statement with its own constants in its text: the driver need not send them."""

    def write_out(bound: sa.BindParameter[Any]) -> None:
        bound.literal_execute = bound.value is not None
        bound.required = False  # comes with each execution

    return visitors.cloned_traverse(statement, {}, {"bindparam": write_out})


def _connect(engine: Engine, mapped: int) -> Raw:
    """Open a connection that can only read, and is in no transaction between statements."""
    if engine.dialect.name == "sqlite":
        # Used by one thread at a time; closed by whoever disposes of the engine.
        light = sqlite3.connect(
            str(engine.url.database),
            timeout=SQLITE_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        light.execute("PRAGMA query_only=ON")
        light.execute(f"PRAGMA mmap_size={mapped}")
        return light
    arguments, named = engine.dialect.create_connect_args(engine.url)
    connection = cast("psycopg.Connection[Any]", engine.dialect.connect(*arguments, **named))
    connection.autocommit = True
    connection.execute("SET default_transaction_read_only = on")
    connection.execute("SET plan_cache_mode = force_generic_plan")  # planning costs ten times more
    return connection


def _run(connection: Raw, sql: str, parameters: Any) -> list[Any]:  # noqa: ANN401 - as above
    if isinstance(connection, sqlite3.Connection):
        return connection.execute(sql, parameters).fetchall()
    return connection.execute(sql, parameters, prepare=True).fetchall()
