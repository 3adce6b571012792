"""The doors to the database: who writes, who reads, and whose commits are one.

SQLite is the embedded default, PostgreSQL the production database. Writers go through
`Database.writing` and its kin (SQLite: `BEGIN IMMEDIATE`, by turn), readers through
`Database.reading` and `glance`, on which a change is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.session import JoinTransactionMode

from privacy import one_host
from privacy.changes import changes_of, forget_changes
from privacy.engine import sqlite_driver
from privacy.sqlite_turn import Turnstile
from privacy.versions import Touched, Versions, VersionsReplaced

#: Through what a transaction is written: a session, or where it would cost too much, its connection.
Door = Session | Connection

_POSTGRESQL_READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class TransactionLost(Exception):
    """The database gave up a transaction by itself; nothing of it was kept."""


def connection_of(door: Door) -> Connection:
    """Return the connection that a door writes by."""
    return door.connection() if isinstance(door, Session) else door


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
            one_host.name_writers(engine, versions)
        self._writing = engine.execution_options(placet_door="writing")
        self._reading = engine.execution_options(placet_door="reading")
        glance: dict[str, str] = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._glance = engine.execution_options(placet_door="glance", **glance)
        file = engine.url.database if self.is_sqlite else None
        self._turnstile = Turnstile(Path(f"{file}-turnstile")) if file else None
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
                        sqlite_driver(connection).rollback()  # as in `writing_together`
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
                    forget_changes(connection)
                    with Session(
                        connection, expire_on_commit=False, join_transaction_mode=mode
                    ) as session:
                        yield session
                    # After some errors it has rolled back everything unasked.
                    if common.is_active and not sqlite_driver(connection).in_transaction:
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
                sqlite_driver(connection).rollback()

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
                changes = changes_of(connection)
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
                    sqlite_driver(connection).rollback()  # as above

    def _turn(self) -> AbstractContextManager[None]:
        """Wait for the turn of SQLite's writers; PostgreSQL, and SQLite in memory, have none."""
        return self._turnstile.turn() if self._turnstile else nullcontext()

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
                one_host.keep_writers_out(connection)
            yield connection
        self.engine.dispose()  # the next connections carry the present name

    def _marked(self, touched: Touched) -> AbstractContextManager[None]:
        if self.versions is None and touched and self._must_mark:
            raise VersionsReplaced("the database came after this process: start it again")
        if self.versions is None or not touched:
            return nullcontext()
        return self.versions.marking(touched)
