"""The two doors to the database, its column types and naming conventions.

SQLite is the embedded default, PostgreSQL the production database; both are opened here and
nowhere else. Writers go through `Database.writing` (SQLite: `BEGIN IMMEDIATE`), readers through
`Database.reading`, on which a change is refused.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.orm.session import JoinTransactionMode

from privacy.versions import Touched, Versions, VersionsReplaced

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
SQLITE_BUSY_SECONDS = 30
#: A writer waits no longer for another's row. PostgreSQL sees a ring of its own locks, but not one
#: that closes in a process of ours: there it would wait for ever.
POSTGRESQL_LOCK_SECONDS = 30

#: Held shared by who changes facts on PostgreSQL, and alone by who says from which host they may be.
ONE_HOST_LOCK = 7_074_363

#: Through what a transaction is written: a session, or where it would cost too much, its connection.
Door = Session | Connection

#: The turnstiles that each thread has passed and not left.
_TURNS = threading.local()

#: `info` of a table whose rows change without an audit entry: counters, queues, job state.
OPERATIONAL = {"operational": True}
#: `info` of a table that decisions about people read: whoever changes it says of whom.
DECIDES = {"decides": True}
#: `info` of a table that tells who calls: what is ended or changed there is marked.
ADMITS = {"admits": True}


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


class UntouchedChange(Exception):
    """A transaction changed what decisions read and said of nobody: a defect of ours as well.

    Whoever remembers the state before would go on answering from it.
    """


class TransactionLost(Exception):
    """The database gave up a transaction by itself; nothing of it was kept."""


class ReadOnlyDoor(Exception):
    """A change was tried through the reading door: a defect of ours."""


class NestedWriter(Exception):
    """A unit of work was opened within another of the same thread: a defect of ours."""


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"busy_timeout={SQLITE_BUSY_SECONDS * 1000}",
        # 16 MiB: a page that many commits change is copied once, and few of them wait for it.
        "wal_autocheckpoint=4000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _configure_postgresql(connection: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's
    connection.execute(f"SET lock_timeout = '{POSTGRESQL_LOCK_SECONDS}s'")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    door = connection.get_execution_options().get("placet_door")
    if door == "glance":  # one statement is a transaction by itself; `_note_change` guards it
        return
    # The doors share pooled connections, so each says what it is; but only where it was the other
    # before, for SQLite prepares every statement anew after this.
    if connection.info.get("placet_reads_only") is not (reads_only := door == "reading"):
        _sqlite(connection).execute(f"PRAGMA query_only={'ON' if reads_only else 'OFF'}")
        connection.info["placet_reads_only"] = reads_only
    begin = "BEGIN IMMEDIATE" if door == "writing" else "BEGIN"
    try:
        _sqlite(connection).execute(begin)  # SQLAlchemy's way costs as much as a small statement
    except sqlite3.OperationalError as error:
        raise sa.exc.OperationalError(begin, None, error) from error


def _sqlite(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver


def connection_of(door: Door) -> Connection:
    """Return the connection that a door writes by."""
    return door.connection() if isinstance(door, Session) else door


@dataclass(slots=True)
class Changes:
    """What one transaction has changed so far.

    Attributes:
        audited: the tables that want an event; where raw SQL changed them, its text.
        facts: whether a table that decisions read is among them.
        admission: whether a row that tells who calls was changed or deleted.
    """

    audited: set[str] = field(default_factory=set)
    facts: bool = False
    admission: bool = False

    def copy(self) -> Changes:
        """Return what it is now, to come back to it."""
        return Changes(set(self.audited), self.facts, self.admission)

    def become(self, other: Changes) -> None:
        """Take over what the other is."""
        self.audited, self.facts, self.admission = set(other.audited), other.facts, other.admission


def _forget_changes(connection: Connection) -> None:
    """Begin each transaction with nothing changed, whoever had the pooled connection before."""
    connection.info["placet_changed"] = Changes()


#: What makes raw SQL a change, wherever it stands; `FOR UPDATE` locks and changes nothing.
_CHANGING = re.compile(
    r"(?<!FOR )(?<!KEY )\b(INSERT|UPDATE|DELETE|REPLACE INTO|MERGE|TRUNCATE|COPY|CREATE|ALTER|DROP)\b",
    re.IGNORECASE,
)


def _changed_by(statement: str, context: Any) -> Iterator[tuple[str, Mapping[str, bool], bool]]:  # noqa: ANN401 - untyped in SQLAlchemy
    """Yield (name, `info`, whether rows are only added) for each table that a statement changes."""
    compiled = context.compiled
    if compiled is None or isinstance(compiled.statement, sa.TextClause | sa.TextualSelect):
        if _CHANGING.search(statement):  # of which table, nobody can tell
            yield statement.strip(), DECIDES | ADMITS, False
        return
    changing = [cte.element for cte in compiled.ctes or () if cte.element.is_dml]
    if context.isinsert or context.isupdate or context.isdelete:
        changing.append(compiled.statement)
    for each in changing:
        yield each.table.name, each.table.info, each.is_insert


def _note_change(
    connection: Connection,
    _cursor: object,
    statement: str,
    _parameters: object,
    context: Any,  # noqa: ANN401 - SQLAlchemy's execution context has no public type
    _many: bool,
) -> None:
    """Remember what this transaction changes, whichever way it does so."""
    door = connection.get_execution_options().get("placet_door")
    if door is None:  # migrations and the tests' own look behind our back
        return
    for name, info, only_adds in _changed_by(statement, context):
        _note(connection, door, name, info, only_adds=only_adds)


def _note(
    connection: Connection, door: str, name: str, info: Mapping[str, bool], *, only_adds: bool
) -> None:
    if door != "writing":
        raise ReadOnlyDoor(f"{name} was changed through the reading door")
    changes: Changes = connection.info["placet_changed"]
    if not info.get("operational"):
        changes.audited.add(name)
    changes.facts |= info.get("decides", False)
    # Who is unknown is never remembered: a row more lets nobody in who was kept out.
    changes.admission |= info.get("admits", False) and not only_adds


def prepare_engine(engine: Engine) -> None:
    """Attach our rules to an engine; once per engine."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _configure_postgresql)
        # Many rows in one INSERT, also where nothing is asked back: psycopg sends each by itself.
        engine.dialect.use_insertmanyvalues_wo_returning = True
    event.listen(engine, "begin", _forget_changes)
    event.listen(engine, "before_cursor_execute", _note_change)


def engine_options(url: str) -> dict[str, object]:
    """Return the options Flask-SQLAlchemy makes the engine with."""
    # An error's text is logged: what was to be stored has no place in it.
    options: dict[str, object] = {"pool_pre_ping": False, "hide_parameters": True}
    if not url.startswith("sqlite"):
        options |= {"pool_size": 8, "max_overflow": 16, "pool_pre_ping": True}
    return options


_POSTGRESQL_READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class Database:
    """One engine and its two doors."""

    def __init__(
        self, engine: Engine, versions: Versions | None = None, *, must_mark: bool = False
    ) -> None:
        """Open the doors.

        Args:
            engine: as `prepare_engine` left it.
            versions: where writers mark what they change; None: nowhere.
            must_mark: others may remember what we change, so without marks there is no change.
        """
        self.engine = engine
        self.versions = versions
        self._must_mark = must_mark
        if versions is not None and not self.is_sqlite:
            event.listen(engine, "connect", self._name_writer)
        self._writing = engine.execution_options(placet_door="writing")
        self._reading = engine.execution_options(placet_door="reading")
        glance: dict[str, str] = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._glance = engine.execution_options(placet_door="glance", **glance)
        file = engine.url.database if self.is_sqlite else None
        self._turnstile = Path(f"{file}-turnstile") if file else None
        self._kept: list[Connection] = []
        event.listen(engine, "engine_disposed", lambda _engine: self._close_kept())

    @property
    def is_sqlite(self) -> bool:
        """Tell whether the embedded database is in use."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session over one consistent snapshot; nothing can be changed through it."""
        with Session(self._reading, expire_on_commit=False) as session:
            if not self.is_sqlite:
                session.connection(execution_options=_POSTGRESQL_READING)
            yield session  # closing rolls back what was not committed

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """Yield a connection for one reading statement, which is a snapshot by itself.

        Without a session, and without a transaction around it: they would double what the
        statement costs.
        """
        with self._glance.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield a session that holds the write lock from its first statement (SQLite)."""
        with self._turn(), Session(self._writing, expire_on_commit=False) as session:
            session.connection()  # takes the lock before the instant is read
            yield session  # closing rolls back what was not committed

    @contextmanager
    def writing_plainly(self) -> Iterator[Connection]:
        """As `writing`, for the hottest path: by a connection, past SQLAlchemy's session and pool.

        Connections are kept from one time to the next. The turn is left as soon as the transaction
        has ended: whoever waits need not wait for the rest.
        """
        pool = self.engine.pool
        connection = self._kept.pop() if self._kept else self._writing.connect()
        try:
            with self._turn():
                transaction = connection.begin()  # takes the lock before the instant is read
                try:
                    yield connection
                finally:
                    if transaction.is_active:
                        transaction.rollback()  # what was not committed
                    if self.is_sqlite:
                        _sqlite(connection).rollback()  # as in `writing_together`
        except BaseException:
            connection.close()
            raise
        self._kept.append(connection)
        if self.engine.pool is not pool:  # disposed of meanwhile: it may carry an old name
            self._close_kept()

    def _close_kept(self) -> None:
        while self._kept:
            connection = self._kept.pop()
            connection.detach()  # else it would go back to a pool that nobody has any more
            connection.close()

    @contextmanager
    def writing_together(self) -> Iterator[Callable[[int], Iterator[Session]]]:
        """Yield what opens so many sessions one after the other in one SQLite transaction.

        It is committed once, when the block is left. What a session commits before the next is
        opened is part of it; what it does not commit is undone alone.

        Raises:
            TransactionLost: SQLite itself gave up the transaction (disk full, I/O error): nothing
                of it was kept, whatever the sessions were told.
        """
        with self._turn(), self._writing.connect() as connection:
            common = connection.begin()
            touched = Touched()

            def sessions(count: int) -> Iterator[Session]:
                # One alone has the transaction to itself and needs no savepoint.
                mode: JoinTransactionMode = "create_savepoint" if count > 1 else "control_fully"
                connection.info["placet_touched_together"] = touched if count > 1 else None
                for _ in range(count):
                    _forget_changes(connection)
                    with Session(
                        connection, expire_on_commit=False, join_transaction_mode=mode
                    ) as session:
                        yield session
                    # After some errors it has rolled back everything unasked.
                    if common.is_active and not _sqlite(connection).in_transaction:
                        raise TransactionLost

            try:
                yield sessions
                if common.is_active:
                    with self._marked(touched):
                        common.commit()
            finally:
                connection.info["placet_touched_together"] = None
                # SQLite keeps a transaction open whose COMMIT it refused; SQLAlchemy then takes it
                # for ended, and the next who gets the connection would find it.
                _sqlite(connection).rollback()

    @contextmanager
    def one_transaction(self) -> Iterator[Callable[[], AbstractContextManager[Session]]]:
        """Yield what opens sessions that are part of one transaction, committed at the end.

        What a session commits is part of it; what it does not commit is undone alone. Where the
        block raises, nothing is kept.
        """
        with self._turn(), self._writing.connect() as connection:
            common = connection.begin()
            touched = Touched()
            connection.info["placet_touched_together"] = touched

            @contextmanager
            def session() -> Iterator[Session]:
                changes: Changes = connection.info["placet_changed"]
                before = changes.copy()
                try:
                    with Session(
                        connection,
                        expire_on_commit=False,
                        join_transaction_mode="create_savepoint",
                    ) as part:
                        yield part
                finally:
                    changes.become(before)  # its commit accounted for the rest, or it was undone

            try:
                yield session
                with self._marked(touched):
                    common.commit()
            finally:
                connection.info["placet_touched_together"] = None
                if self.is_sqlite:
                    _sqlite(connection).rollback()  # as above

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let SQLite's writers in one by one, in the order they came, over all processes.

        SQLite itself makes a waiting writer sleep and try again: under load most of the time
        passes asleep, and who comes last may win. The kernel's file lock wakes the next in line
        and is released by the kernel where a process dies.

        Raises:
            NestedWriter: this thread has its turn already, and would wait for itself for ever.
        """
        if self._turnstile is None:
            yield
            return
        inside = _TURNS.__dict__.setdefault("inside", set())
        if self._turnstile in inside:
            raise NestedWriter(self._turnstile.name)
        descriptor = os.open(self._turnstile, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            inside.add(self._turnstile)
            yield
        finally:
            inside.discard(self._turnstile)
            # A process forked meanwhile has a copy of the descriptor: closing ours is not enough.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    @staticmethod
    def changes(door: Door) -> Changes:
        """Return what this transaction has changed so far."""
        changes: Changes = connection_of(door).info["placet_changed"]
        return changes

    @staticmethod
    def note(connection: Connection, table: sa.Table, *, only_adds: bool) -> None:
        """Note a change that goes to the driver past SQLAlchemy; before it is made.

        Args:
            connection: of a session that `writing` or its kin opened.
            table: what is changed.
            only_adds: no row that was there is changed.

        Raises:
            ReadOnlyDoor: the session came through the reading door.
        """
        door = connection.get_execution_options().get("placet_door")
        if door is not None:  # as in `_note_change`
            _note(connection, door, table.name, table.info, only_adds=only_adds)

    def marking(self, door: Door, touched: Touched) -> AbstractContextManager[None]:
        """Mark what the door's commit changes, around it or around the one it is a part of."""
        together: Touched | None = connection_of(door).info.get("placet_touched_together")
        if together is None:
            return self._marked(touched)
        together.add(touched)
        return nullcontext()

    @contextmanager
    def nobody_writes(self) -> Iterator[Connection]:
        """Yield a connection while no transaction that changes facts is open, in any process."""
        with self._turn(), self.engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ONE_HOST_LOCK)))
            yield connection
        self.engine.dispose()  # the next connections carry the present name

    def _name_writer(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - psycopg's
        """Say from which host a PostgreSQL connection writes: shared_facts in `migrations`."""
        if self.versions is not None:
            setting = "SELECT set_config('placet.epoch', %s, false)"
            connection.execute(setting, (self.versions.epoch,))
            connection.commit()

    def _marked(self, touched: Touched) -> AbstractContextManager[None]:
        if self.versions is None and touched and self._must_mark:
            raise VersionsReplaced("the database came after this process: start it again")
        if self.versions is None or not touched:
            return nullcontext()
        return self.versions.marking(touched)


def alembic_config(url: str) -> Config:
    """Return Alembic's configuration for `url`, without a file."""
    from alembic.config import Config  # noqa: PLC0415 - dear, and serving never needs it

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest revision."""
    from alembic import command  # noqa: PLC0415 - as above

    command.upgrade(alembic_config(url), "head")


def newest_revisions() -> frozenset[str]:
    """Return the revisions that `migrate` brings a database to."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - as above

    return frozenset(ScriptDirectory.from_config(alembic_config("")).get_heads())


def revisions_of(session: Session) -> frozenset[str]:
    """Return the revisions that a database is at; empty where it was never migrated."""
    query = sa.select(sa.column("version_num", sa.String)).select_from(sa.table("alembic_version"))
    return frozenset(session.scalars(query))
