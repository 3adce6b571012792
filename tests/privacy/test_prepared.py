"""The connections of prepared reads: each one reader's at a time, used again, closed with the engine."""

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from privacy import prepared
from privacy.prepared import Connections, Raw

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
PID = "SELECT pg_backend_pid()"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[Raw]:
    """Every connection that a statement was run on, in their order."""
    seen, inner = list[Raw](), prepared._run

    def run(connection: Raw, sql: str, parameters: object) -> list[Any]:
        seen.append(connection)
        return inner(connection, sql, parameters)

    monkeypatch.setattr(prepared, "_run", run)
    return seen


def is_closed(connection: Raw) -> bool:
    if isinstance(connection, psycopg.Connection):
        return connection.closed
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError as error:
        return "closed" in str(error)
    return False


def test_two_who_read_at_once_share_no_connection_and_the_next_takes_one_of_theirs(
    engine: sa.Engine, used: list[Raw], monkeypatch: pytest.MonkeyPatch
) -> None:
    connections, together = Connections(engine), threading.Barrier(2, timeout=10)
    inner, told = prepared._run, list[Any]()

    def run(connection: Raw, sql: str, parameters: object) -> list[Any]:
        together.wait()
        return inner(connection, sql, parameters)

    connections.fetch("SELECT 1", ())  # one is idle
    with monkeypatch.context() as patched:
        patched.setattr(prepared, "_run", run)
        readers = [
            threading.Thread(target=lambda: told.extend(connections.fetch("SELECT 1", ())))
            for _ in range(2)
        ]
        for each in readers:
            each.start()
        for each in readers:
            each.join(20)
    assert [tuple(row) for row in told] == [(1,), (1,)]
    assert used[1] is not used[2]
    for _ in range(3):
        connections.fetch("SELECT 1", ())
    assert len({id(each) for each in used}) == 2


def test_the_connections_end_with_the_engine_and_begin_anew(
    engine: sa.Engine, used: list[Raw]
) -> None:
    connections = Connections(engine)
    connections.fetch("SELECT 1", ())
    assert not is_closed(used[0])
    engine.dispose()
    assert is_closed(used[0])
    assert [tuple(row) for row in connections.fetch("SELECT 2", ())] == [(2,)]
    engine.dispose()
    assert is_closed(used[1])


@on_postgresql
def test_a_connection_that_the_server_closed_is_replaced_once_and_for_all(
    engine: sa.Engine,
) -> None:
    connections = Connections(engine)
    [(first,)] = connections.fetch(PID, ())
    with engine.connect() as other:
        of_first = sa.text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
        assert other.scalar(of_first, {"pid": first}) == "idle"  # in no transaction
        ended = sa.text("SELECT pg_terminate_backend(:pid, 10000)")  # and wait until it is
        assert other.scalar(ended, {"pid": first})
    [(second,)] = connections.fetch(PID, ())
    assert second != first
    assert connections.fetch(PID, ()) == [(second,)]


@on_postgresql
def test_a_statement_that_fails_is_not_asked_again_and_its_connection_goes_on(
    engine: sa.Engine, used: list[Raw]
) -> None:
    connections = Connections(engine)
    connections.fetch("SELECT set_config('statement_timeout', '20', false)", ())
    with pytest.raises(psycopg.errors.QueryCanceled):
        connections.fetch("SELECT pg_sleep(5)", ())
    assert len(used) == 2
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connections.fetch("CREATE TABLE of_a_reader ()", ())
    connections.fetch(PID, ())
    assert used[0] is used[1] is used[2] is used[3]
