"""A million people in a database within minutes: copies, row by row, of ten who are real.

Ten people are made known and answer through the product's own API, each in a way of their own.
Every other person is a copy of one of them: every row that the product wrote for the ten, in every
table that names a subject or a holder of keys, with ids, pseudonym and blind index of the copy's own.
So a new column or table is filled as the product fills it.

Rows are written in the order of their primary keys, by one statement a table, and nothing is flushed
or journalled meanwhile; PostgreSQL builds the other indexes afterwards.

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
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
import sqlalchemy as sa

from privacy.keys.store import DataKey
from privacy.tables import Base

EVENTS_UP_TO = 100_000
_PERSON_COLUMNS = ("subject_id", "holder")
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
    copies = _copies(templates, people)
    database: _Database = _Sqlite(url) if url.startswith("sqlite") else _Postgres(url)
    left_out = ["audit log entries", "sealed values that open"]
    if people > EVENTS_UP_TO:
        left_out.append("consent events")
    with closing(database.connection):
        database.prepare(templates, copies)
        for table in Base.metadata.sorted_tables:
            person = _person_column(table)
            if person is None or (table.name == "consent_event" and people > EVENTS_UP_TO):
                continue
            with database.filling(table):
                if table.name == DataKey.__tablename__:
                    _add_keys(database, copies, wrap)
                else:
                    _copy_rows(database, table, person)
        database.finish()
    kinds = [*range(len(templates)), *(copy[5] for copy in copies)]
    pseudonyms = [*templates, *(copy[2] for copy in copies)]
    return Population(pseudonyms, kinds, time.monotonic() - began, left_out)


#: number, subject id, pseudonym, blind index, how ids of its rows begin, which of the ten.
_Copy = tuple[int, str, str, bytes, str, int]


def _copies(templates: Sequence[str], people: int) -> list[_Copy]:
    prefix = templates[0][: templates[0].index("_") + 1]
    count = people - len(templates)
    ids = sorted(drawn.hex() for drawn in _random(count, 16))  # in the order of the tables' keys
    values = (prefix + base64.urlsafe_b64encode(drawn).decode() for drawn in _random(count, 24))
    return [
        (number, subject_id, pseudonym, blind, f"{number:020x}", number % len(templates))
        for number, (subject_id, pseudonym, blind) in enumerate(
            zip(ids, values, _random(count, 16), strict=True)
        )
    ]


def _random(count: int, size: int) -> Iterator[bytes]:
    """Draw so many values of so many bytes each."""
    drawn = os.urandom(count * size)
    return (drawn[at : at + size] for at in range(0, len(drawn), size))


def _add_keys(database: _Database, copies: Sequence[_Copy], wrap: Wrap) -> None:
    """Give each copy a key of its own wherever the copied one has one."""
    found = database.connection.execute(
        "SELECT p.kind, k.retention, k.epoch, k.created_at FROM data_key AS k"
        " JOIN bench_template AS p ON p.subject_id = k.holder ORDER BY k.retention"
    ).fetchall()
    keys: dict[int, list[Any]] = {}
    for kind, *key in found:
        keys.setdefault(kind, []).append(key)
    database.add(
        "data_key (holder, retention, epoch, wrapped, created_at)",
        (
            (copy[1], retention, epoch, wrap(copy[1], retention, epoch), created_at)
            for copy in copies
            for retention, epoch, created_at in keys.get(copy[5], ())
        ),
    )


def _person_column(table: sa.Table) -> str | None:
    """Which column names the person; None: none does, or its rows are not copied."""
    if table.name in _LEFT_OUT:
        return None
    return next((name for name in _PERSON_COLUMNS if name in table.columns), None)


def _copy_rows(database: _Database, table: sa.Table, person: str) -> None:
    """Copy a table's rows of the ten for everybody, each in the order of the primary key."""
    kept, values = [], {}
    for column in table.columns:
        name = column.name
        if name == "ordinal" and column.primary_key:
            continue  # the database counts
        if name == person:
            values[name] = "p.subject_id"
        elif name == "blind_index":
            values[name] = "p.blind"
        elif table.name == "pseudonym" and name == "value":
            values[name] = "p.pseudonym"
        elif name in _UNIQUE:
            kept.append(f'substr(t."{name}", 21) AS "{name}"')
            values[name] = f'p.prefix || t."{name}"'
        else:
            kept.append(f't."{name}"')
            values[name] = f't."{name}"'
    keys = ", ".join(f't."{column.name}"' for column in table.primary_key)
    # The ten's rows by themselves: a table that is read is not written to without another copy.
    connection = database.connection
    connection.execute(
        f"CREATE TEMPORARY TABLE bench_row AS SELECT k.kind AS bench_kind, {', '.join(kept)}"
        f" FROM bench_template AS k JOIN {table.name} AS t ON t.{person} = k.subject_id"
        f" ORDER BY k.kind, {keys}"
    )
    connection.execute("CREATE INDEX bench_row_kind ON bench_row (bench_kind)")
    columns = ", ".join(f'"{name}"' for name in values)
    connection.execute(
        f"INSERT INTO {table.name} ({columns}) SELECT {', '.join(values.values())}"
        f" FROM bench_person AS p {database.each} bench_row AS t ON t.bench_kind = p.kind"
        f"{' ORDER BY p.pseudonym' if table.name == 'pseudonym' else ''}"
    )
    connection.execute("DROP TABLE bench_row")


_PERSON = """
CREATE TEMPORARY TABLE bench_person (
    number integer PRIMARY KEY, subject_id text, pseudonym text, blind {binary}, prefix text,
    kind integer
)
"""
_PEOPLE = "bench_person (number, subject_id, pseudonym, blind, prefix, kind)"
_TEMPLATE = "CREATE TEMPORARY TABLE bench_template (kind integer, subject_id text)"
_TEMPLATE_ROW = """
INSERT INTO bench_template SELECT {kind}, subject_id FROM pseudonym WHERE value = '{pseudonym}'
"""


class _Result(Protocol):
    """What a statement found."""

    def fetchall(self) -> Sequence[tuple[Any, ...]]: ...


class _Connection(Protocol):
    """What both drivers' connections have."""

    def execute(self, sql: str, /) -> _Result: ...

    def close(self) -> None: ...


class _Database(Protocol):
    """What differs between the two kinds."""

    #: Joins people, one after the other, with what each gets.
    each: str

    @property
    def connection(self) -> _Connection:
        """Without foreign keys and without waiting for the disk; closed by whoever opened it."""

    def prepare(self, templates: Sequence[str], copies: Sequence[_Copy]) -> None:
        """Make the tables of who is copied and of who is to be."""

    def filling(self, table: sa.Table) -> AbstractContextManager[None]:
        """What a table is filled within."""

    def add(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Add rows to a table, with its columns named behind its name."""

    def finish(self) -> None:
        """Bring it to rest, with fresh statistics."""


class _Sqlite:
    each = "CROSS JOIN"  # SQLite's word for: in this order

    def __init__(self, url: str) -> None:
        path = sa.make_url(url).database
        self.connection = sqlite3.connect(str(path), isolation_level=None)
        for pragma in (
            "foreign_keys=OFF",
            "journal_mode=OFF",
            "synchronous=OFF",
            "secure_delete=OFF",
            "locking_mode=EXCLUSIVE",
            "temp_store=MEMORY",
            "cache_size=-500000",
        ):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()

    def prepare(self, templates: Sequence[str], copies: Sequence[_Copy]) -> None:
        self.connection.execute("BEGIN EXCLUSIVE")
        _name_people(self, templates, copies, "blob")

    def filling(self, table: sa.Table) -> AbstractContextManager[None]:
        if table.primary_key.columns[0].name in _PERSON_COLUMNS:
            return nullcontext()  # the indexes grow in order too, faster than they are sorted
        return _indexes_afterwards(
            self.connection,
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            f" AND tbl_name = '{table.name}'",
        )

    def add(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        marks = ", ".join("?" * (table.count(",") + 1))
        self.connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def finish(self) -> None:
        self.connection.execute("COMMIT")
        self.connection.execute("PRAGMA analysis_limit=1000")
        self.connection.execute("ANALYZE")
        for pragma in ("locking_mode=NORMAL", "journal_mode=WAL"):
            self.connection.execute(f"PRAGMA {pragma}").fetchall()


class _Postgres:
    each = "JOIN"

    def __init__(self, url: str) -> None:
        address = sa.make_url(url).set(drivername="postgresql")
        plain = address.render_as_string(hide_password=False)
        self.connection = psycopg.connect(plain, autocommit=True)
        for setting in (
            "session_replication_role = replica",  # no foreign keys, no triggers
            "synchronous_commit = off",
            "temp_buffers = '512MB'",
            "work_mem = '512MB'",
            "maintenance_work_mem = '512MB'",
        ):
            self.connection.execute(f"SET {setting}")

    def prepare(self, templates: Sequence[str], copies: Sequence[_Copy]) -> None:
        _name_people(self, templates, copies, "bytea")
        self.connection.execute("ANALYZE bench_person")

    def filling(self, table: sa.Table) -> AbstractContextManager[None]:
        return _indexes_afterwards(
            self.connection,
            "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index AS i"
            f" WHERE i.indrelid = '{table.name}'::regclass"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)",
        )

    def add(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def finish(self) -> None:
        self.connection.execute("VACUUM ANALYZE")
        self.connection.execute("CHECKPOINT")


@contextmanager
def _indexes_afterwards(connection: _Connection, indexes: str) -> Iterator[None]:
    """Take away the indexes that a statement finds, and build them when the rows are there."""
    found = connection.execute(indexes).fetchall()
    for name, _definition in found:
        connection.execute(f"DROP INDEX {name}")
    yield
    for _name, definition in found:
        connection.execute(definition)


def _name_people(
    database: _Database, templates: Sequence[str], copies: Sequence[_Copy], binary: str
) -> None:
    connection = database.connection
    connection.execute(_TEMPLATE)
    for kind, pseudonym in enumerate(templates):
        connection.execute(_TEMPLATE_ROW.format(kind=kind, pseudonym=pseudonym))
    connection.execute(_PERSON.format(binary=binary))
    database.add(_PEOPLE, copies)


def size_of(url: str) -> int:
    """Bytes of the database."""
    if url.startswith("sqlite"):
        return Path(str(sa.make_url(url).database)).stat().st_size
    with closing(_Postgres(url).connection) as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(found[0]) if found else 0
