"""A million people in a database within minutes: copies, row by row, of ten who are real.

Ten people are made known and answer through the product's own API, each in a way of their own.
Every other person is a copy of one of them: every row that the product wrote for the ten, in every
table that names a subject or a holder of keys, with ids, pseudonym and blind index of the copy's own.
So a new column or table is filled as the product fills it.

What is left out: the audit log's entries of the copies (so `placet audit verify` would rightly
object), sealed values that open (they have their size and no more), and above `EVENTS_UP_TO` people
the consent events, which no decision reads (the database would be five times as large).
"""

from __future__ import annotations

import base64
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
import sqlalchemy as sa

from privacy.database import Base
from privacy.keys.store import DataKey

EVENTS_UP_TO = 100_000
#: Columns that tell one row from all others: the copy's number, and the end of the copied value.
_UNIQUE = frozenset({"identifier_id", "event_id", "entry_id"})
#: Tables that know people by other columns, or hold what a copy would not have.
_LEFT_OUT = frozenset({"audit_payload", "audit_entry", "audit_pending", "outbox"})


@dataclass(frozen=True, slots=True)
class Population:
    """The people of a database.

    Attributes:
        pseudonyms: of everybody, those of the ten first.
        kinds: which of the ten each of them is a copy of.
        seconds: how long the copying took.
        left_out: tables and rows that the copies lack.
    """

    pseudonyms: Sequence[str]
    kinds: Sequence[int]
    seconds: float
    left_out: Sequence[str]


#: Makes a new data key and wraps it: holder, retention class, epoch of the wrapping key.
Wrap = Callable[[str, str, int], bytes]


def fill(url: str, templates: Sequence[str], people: int, wrap: Wrap) -> Population:
    """Copy people until there are so many.

    Args:
        url: SQLAlchemy's address of a database whose processes are stopped.
        templates: the pseudonyms of those who are copied.
        people: how many there are to be, the templates included.
        wrap: makes each copy's keys.
    """
    began = time.monotonic()
    copies = list(_copies(templates, people))
    database: _Database = _Sqlite() if url.startswith("sqlite") else _Postgres()
    left_out = ["audit log entries", "sealed values that open"]
    if people > EVENTS_UP_TO:
        left_out.append("consent events")
    with closing(database.connect(url)) as connection:
        database.prepare(connection, copies)
        for table in Base.metadata.sorted_tables:
            if table.name == DataKey.__tablename__:
                _add_keys(database, connection, copies, wrap)
                continue
            if table.name in _LEFT_OUT or (table.name == "consent_event" and people > EVENTS_UP_TO):
                continue
            statement = _copying(table, database)
            if statement is not None:
                connection.execute(statement)
        database.finish(connection)
    kinds = [*range(len(templates)), *(copy[4] for copy in copies)]
    pseudonyms = [*templates, *(copy[2] for copy in copies)]
    return Population(pseudonyms, kinds, time.monotonic() - began, left_out)


#: number, subject id, pseudonym, blind index, which of the ten, that one's pseudonym.
_Copy = tuple[int, str, str, bytes, int, str]


def _copies(templates: Sequence[str], people: int) -> Iterator[_Copy]:
    prefix = templates[0][: templates[0].index("_") + 1]
    ids = sorted(os.urandom(16).hex() for _ in range(people - len(templates)))
    for number, subject_id in enumerate(ids):  # in the order of the tables' keys
        pseudonym = prefix + base64.urlsafe_b64encode(os.urandom(24)).decode()
        kind = number % len(templates)
        yield number, subject_id, pseudonym, os.urandom(16), kind, templates[kind]


def _add_keys(
    database: _Database,
    connection: Any,  # noqa: ANN401 - a driver's connection
    copies: Sequence[_Copy],
    wrap: Wrap,
) -> None:
    """Give each copy a key of its own wherever the copied one has one."""
    found = connection.execute(
        "SELECT p.kind, k.retention, k.epoch, k.created_at FROM data_key AS k"
        " JOIN bench_person AS p ON p.template = k.holder AND p.number < 10"
    ).fetchall()
    database.add(
        connection,
        "data_key (holder, retention, epoch, wrapped, created_at)",
        (
            (subject_id, retention, epoch, wrap(subject_id, retention, epoch), created_at)
            for _number, subject_id, _pseudonym, _blind, kind, _template in copies
            for of_kind, retention, epoch, created_at in found
            if of_kind == kind
        ),
    )


def _copying(table: sa.Table, database: _Database) -> str | None:
    """The statement that copies a table's rows of the ten; None where it names nobody."""
    person = next((name for name in ("subject_id", "holder") if name in table.columns), None)
    if person is None:
        return None
    values = {}
    for column in table.columns:
        name = column.name
        if name == person:
            values[name] = "p.subject_id"
        elif name == "blind_index":
            values[name] = "p.blind"
        elif table.name == "pseudonym" and name == "value":
            values[name] = "p.pseudonym"
        elif name in _UNIQUE:
            values[name] = database.unique.format(column=name)
        elif name == "ordinal" and column.primary_key:
            continue  # the database counts
        else:
            values[name] = f't."{name}"'
    columns = ", ".join(f'"{name}"' for name in values)
    order = "p.pseudonym" if table.name == "pseudonym" else "p.number"
    return (
        f"INSERT INTO {table.name} ({columns}) SELECT {', '.join(values.values())}"
        f" FROM bench_person AS p JOIN {table.name} AS t ON t.{person} = p.template"
        f" ORDER BY {order}"
    )


_PERSON = """
CREATE {temporary} TABLE bench_person (
    number integer PRIMARY KEY, subject_id text, pseudonym text, blind {binary},
    kind integer, template text
)
"""
_PERSON_COLUMNS = "(number, subject_id, pseudonym, blind, kind, template)"
#: The ten are known by their pseudonyms until here.
_TEMPLATES = """
UPDATE bench_person SET template =
    (SELECT subject_id FROM pseudonym WHERE value = bench_person.template)
"""


class _Database(Protocol):
    """What differs between the two kinds."""

    #: Makes a copied id one of its own, and keeps the copies in order.
    unique: str

    def connect(self, url: str) -> Any:  # noqa: ANN401 - a driver's connection
        """Open it, without foreign keys and without waiting for the disk."""

    def prepare(
        self,
        connection: Any,  # noqa: ANN401 - as above
        copies: Sequence[_Copy],
    ) -> None:
        """Make the table `bench_person` of those who are to be."""

    def add(
        self,
        connection: Any,  # noqa: ANN401 - as above
        table: str,
        rows: Iterable[tuple[object, ...]],
    ) -> None:
        """Add rows to a table, with its columns named behind its name."""

    def finish(self, connection: Any) -> None:  # noqa: ANN401 - as above
        """Bring it to rest, with fresh statistics."""


class _Sqlite:
    unique = "printf('%020x', p.number) || substr(t.{column}, 21)"

    def connect(self, url: str) -> sqlite3.Connection:
        path = sa.make_url(url).database
        connection = sqlite3.connect(str(path), isolation_level=None)
        for pragma in ("foreign_keys=OFF", "synchronous=OFF", "cache_size=-500000"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def prepare(self, connection: sqlite3.Connection, copies: Sequence[_Copy]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_PERSON.format(temporary="TEMPORARY", binary="blob"))
        self.add(connection, f"bench_person {_PERSON_COLUMNS}", copies)
        connection.execute(_TEMPLATES)

    def add(
        self, connection: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]
    ) -> None:
        marks = ", ".join("?" * (table.count(",") + 1))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def finish(self, connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA analysis_limit=1000")
        connection.execute("ANALYZE")


class _Postgres:
    unique = "lpad(to_hex(p.number), 20, '0') || substr(t.{column}, 21)"

    def connect(self, url: str) -> psycopg.Connection:
        plain = sa.make_url(url).set(drivername="postgresql")
        connection = psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True)
        for setting in (
            "session_replication_role = replica",  # no foreign keys, no triggers
            "synchronous_commit = off",
            "work_mem = '512MB'",
            "maintenance_work_mem = '512MB'",
        ):
            connection.execute(f"SET {setting}")
        return connection

    def prepare(self, connection: psycopg.Connection, copies: Sequence[_Copy]) -> None:
        connection.execute(_PERSON.format(temporary="TEMPORARY", binary="bytea"))
        self.add(connection, f"bench_person {_PERSON_COLUMNS}", copies)
        connection.execute(_TEMPLATES)
        connection.execute("ANALYZE bench_person")

    def add(
        self, connection: psycopg.Connection, table: str, rows: Iterable[tuple[object, ...]]
    ) -> None:
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def finish(self, connection: psycopg.Connection) -> None:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def size_of(url: str) -> int:
    """Bytes of the database."""
    if url.startswith("sqlite"):
        return Path(str(sa.make_url(url).database)).stat().st_size
    with closing(_Postgres().connect(url)) as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(found[0]) if found else 0
