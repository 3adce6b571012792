"""A PostgreSQL database used again: emptied and filled with what a fresh one holds.

Creating a database copies about a thousand files, and a suite does it a thousand times; deleting
the rows of one test costs a few milliseconds.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from privacy.database import Base

_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Content:
    """The rows and the sequences of a database.

    Attributes:
        tables: every table that exists there, so that a changed schema shows.
        rows: table -> its rows, in an order that respects foreign keys.
        sequences: name -> the value that comes next.
        revision: of the migrations.
    """

    tables: frozenset[str]
    rows: list[tuple[sa.Table, list[dict[str, Any]]]]
    sequences: dict[str, int]
    revision: str


def content_of(url: str) -> Content:
    """Return what a database holds."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        tables = frozenset(sa.inspect(connection).get_table_names())
        rows = [
            (table, [dict(row) for row in connection.execute(sa.select(table)).mappings()])
            for table in Base.metadata.sorted_tables
        ]
        query = sa.text("SELECT sequencename, coalesce(last_value + 1, 1) FROM pg_sequences")
        sequences = {row[0]: row[1] for row in connection.execute(query)}
        revision = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
        found = str(revision.scalar_one())
    engine.dispose()
    return Content(tables, [(table, each) for table, each in rows if each], sequences, found)


def refill(url: str, content: Content) -> bool:
    """Bring a database back to `content`; False where its schema is not the same any more."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(_TERMINATE))
            if frozenset(sa.inspect(connection).get_table_names()) != content.tables:
                return False
            statements = ["SET LOCAL session_replication_role = replica"]
            statements += [f"DELETE FROM {table.name}" for table in Base.metadata.sorted_tables]
            statements += [f"UPDATE alembic_version SET version_num = '{content.revision}'"]
            statements += [
                f"ALTER SEQUENCE {name} RESTART WITH {value}"
                for name, value in content.sequences.items()
            ]
            connection.exec_driver_sql("; ".join(statements))
            for table, rows in content.rows:
                connection.execute(sa.insert(table), rows)
    finally:
        engine.dispose()
    return True
