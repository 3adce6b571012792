"""A PostgreSQL database used again: emptied and filled with what a fresh one holds.

Creating a database copies about a thousand files, and a suite does it a thousand times; deleting
the rows of one test costs a few milliseconds.
"""

from types import TracebackType
from typing import Self

import psycopg
import sqlalchemy as sa
from psycopg import sql

from privacy.tables import Base

_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_TABLES = """
SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_SEQUENCES = "SELECT sequencename, coalesce(last_value + 1, 1) FROM pg_sequences"


class Refill:
    """What a database holds, and how others with the same schema come to hold it.

    Keeps a connection to each database that it has refilled: a new one would cost more than all it
    is asked for.

    Args:
        url: SQLAlchemy's address of the database that shows what the others are to hold.
    """

    def __init__(self, url: str) -> None:
        self._connections: dict[str, psycopg.Connection] = {}
        with _connect(url) as connection:
            self._tables = _names(connection)
            self._statements = _statements(connection)

    def refill(self, url: str) -> bool:
        """Bring a database back; False where its schema is not the same any more."""
        connection = self._connections.get(url)
        if connection is None:
            connection = self._connections[url] = _connect(url)
        connection.execute(_TERMINATE)
        if _names(connection) != self._tables:
            self._connections.pop(url).close()
            return False
        connection.execute(self._statements)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for connection in self._connections.values():
            connection.close()


def _connect(url: str) -> psycopg.Connection:
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def _names(connection: psycopg.Connection) -> frozenset[str]:
    return frozenset(str(row[0]) for row in connection.execute(_TABLES))


def _statements(connection: psycopg.Connection) -> bytes:
    """Return, as one message, what empties all tables and fills them; it is one transaction."""
    tables = [table.name for table in Base.metadata.sorted_tables]
    parts: list[sql.Composable] = [sql.SQL("SET LOCAL session_replication_role = replica")]
    parts += [sql.SQL("DELETE FROM {}").format(sql.Identifier(name)) for name in tables]
    parts += [
        sql.SQL("ALTER SEQUENCE {} RESTART WITH {}").format(sql.Identifier(name), value)
        for name, value in connection.execute(_SEQUENCES)
    ]
    parts.append(sql.SQL("DELETE FROM alembic_version"))
    for name in [*tables, "alembic_version"]:
        table = sql.Identifier(name)
        rows = connection.execute(sql.SQL("SELECT t::text FROM {} AS t").format(table))
        parts += [
            sql.SQL("INSERT INTO {} SELECT (({})::{}).*").format(table, row, table)
            for (row,) in rows
        ]
    parts = [sql.SQL("BEGIN"), *parts, sql.SQL("COMMIT")]
    return sql.SQL("; ").join(parts).as_bytes(connection)
