"""One change of the world: rows, audit entries and outbox rows in one transaction.

A view opens a unit of work and hands it to one use case, which commits once. Whatever is not
committed is rolled back. A commit that changed audited rows and recorded no event fails; so does one
that changed what decisions read and said of nobody (docs/decisions/0011-freshness.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from privacy.actor import Actor
from privacy.changes import Changes, UnauditedChange, UntouchedChange, changes_of
from privacy.clock import Clock
from privacy.database import Database, Door, connection_of
from privacy.events import Event, Json
from privacy.faults import Faults, NoFaults
from privacy.group_commit import GroupCommit
from privacy.ids import Ids
from privacy.versions import Touched

if TYPE_CHECKING:  # the log records by a unit of work
    from privacy.audit.store import NewEntry


class Recorder(Protocol):
    """The audit log as the unit of work needs it."""

    def append(
        self,
        session: Session,
        happened: Sequence[tuple[Event, Mapping[str, Json]]],
        *,
        at: datetime,
        actor: str,
        ids: Ids,
    ) -> list[str]:
        """Write an entry for each event with its evidence, in the caller's transaction, in order.

        Returns:
            Their entry ids.
        """
        ...

    def write(self, door: Door, entries: Sequence[NewEntry], *, at: datetime) -> None:
        """Write entries that were drafted before, in the caller's transaction, in order."""
        ...


class UnitOfWork:
    """What a use case is handed: a session, one instant, who asks, and a source of ids.

    Attributes:
        door: through which it is written: the session, or the connection alone while nobody needed one.
    """

    def __init__(
        self,
        *,
        database: Database,
        door: Door,
        now: datetime,
        actor: Actor,
        ids: Ids,
        recorder: Recorder,
        subscribers: Mapping[type[Event], list[Subscriber]],
        faults: Faults,
    ) -> None:
        self.door = door
        self._database = database
        self.now = now
        self.actor = actor
        self.ids = ids
        self._recorder = recorder
        self._subscribers = subscribers
        self._faults = faults
        self._recorded = 0
        self._concerned: set[str] = set()  # by the events
        self._touched = Touched()  # said besides

    @property
    def session(self) -> Session:
        """The session of this transaction; made now, where the unit was opened without one."""
        if not isinstance(self.door, Session):
            self.door = Session(
                self.door, expire_on_commit=False, join_transaction_mode="control_fully"
            )
        return self.door

    def touch(self, subject_id: str) -> None:
        """Say that this transaction changes what decisions about a person read.

        Where a table of facts changes, the events that are recorded say it of whom they are about.
        """
        self._touched.people.add(subject_id)

    def touch_everyone(self) -> None:
        """Say it of people whom nobody can list."""
        self._touched.everyone = True

    def record(self, event: Event, evidence: Mapping[str, Json] | None = None) -> str:
        """Write an audit entry for `event` and tell its subscribers, all in this transaction.

        Args:
            event: what happened, ids only.
            evidence: what must be provable later and may be personal; sealed with the event.

        Returns:
            The entry id, 32 hexadecimal digits; its place in the log is known within seconds.
        """
        [entry_id] = self.record_many([(event, evidence or {})])
        return entry_id

    def record_many(self, happened: Sequence[tuple[Event, Mapping[str, Json]]]) -> list[str]:
        """As `record`, for many events with their evidence at once, in their order.

        All entries are written before the first subscriber is told.
        """
        entry_ids = self._recorder.append(
            self.session, happened, at=self.now, actor=self.actor.name, ids=self.ids
        )
        self._tell([event for event, _evidence in happened])
        return entry_ids

    def record_drafted(self, drafted: Sequence[tuple[Event, NewEntry]]) -> None:
        """As `record_many`, for events whose entries were drafted before."""
        self._recorder.write(self.door, [entry for _event, entry in drafted], at=self.now)
        self._tell([event for event, _entry in drafted])

    def _tell(self, events: Sequence[Event]) -> None:
        self._recorded += len(events)
        for event in events:
            self._concerned.update(event.people)
        for event in events:
            for subscriber in self._subscribers.get(type(event), ()):
                subscriber(self, event)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens inside, and only that, where it raises."""
        changes = changes_of(connection_of(self.session))
        before = changes.copy()
        said = self._recorded, set(self._concerned), self._touched.copy()
        try:
            with self.session.begin_nested():
                yield
        except BaseException:
            changes.become(before)
            self._recorded, self._concerned, self._touched = said
            self.session.info.clear()  # what was remembered may have been undone with it
            raise

    def commit(self) -> None:
        """Make everything durable at once.

        Raises:
            UnauditedChange: audited rows changed and no event was recorded; nothing is kept.
            UntouchedChange: what decisions read was changed, and nobody was named; as above.
        """
        if isinstance(self.door, Session):
            self.door.flush()
        changes = changes_of(connection_of(self.door))
        if changes.audited and not self._recorded:  # no history, no commit
            self.door.rollback()
            raise UnauditedChange(", ".join(sorted(changes.audited)))
        touched = self._touched
        if changes.facts:
            touched.people |= self._concerned
            if not (touched.people or touched.everyone):
                self.door.rollback()
                raise UntouchedChange(", ".join(sorted(changes.audited)))
        touched.callers |= changes.admission
        # Whatever comes after says its own.
        self._recorded, self._concerned, self._touched = 0, set(), Touched()
        self._faults.reach("commit:before")
        with self._database.marking(self.door, touched):
            self._faults.reach("commit:begun")
            self._faults.reach("commit:inside")
            self.door.commit()
            self._faults.reach("commit:unmarked")
        changes.become(Changes())  # where the transaction is a shared one, it goes on
        self._faults.reach("commit:after")


Subscriber = Callable[[UnitOfWork, Any], None]
Result = TypeVar("Result")


class Runtime:
    """The two doors with everything a unit of work needs; one per process, made by `app.py`."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ids: Ids,
        recorder: Recorder,
        faults: Faults | None = None,
    ) -> None:
        self.database = database
        self.clock = clock
        self.ids = ids
        self.faults = faults or NoFaults()
        self._recorder = recorder
        self._subscribers: dict[type[Event], list[Subscriber]] = defaultdict(list)
        self._group = GroupCommit(database) if database.is_sqlite else None
        self._within: ContextVar[Callable[[], AbstractContextManager[Session]] | None] = ContextVar(
            "within", default=None
        )

    def subscribe(self, event: type[Event], subscriber: Subscriber) -> None:
        """Call `subscriber` inside the transaction of every `event` recorded from now on."""
        self._subscribers[event].append(subscriber)

    @contextmanager
    def unit_of_work(self, actor: Actor) -> Iterator[UnitOfWork]:
        """Open the writing door for one use case; what it does not commit is undone."""
        within = self._within.get()
        with within() if within else self.database.writing() as session:
            yield self._unit(session, actor)

    @contextmanager
    def plain_unit_of_work(self, actor: Actor) -> Iterator[UnitOfWork]:
        """As `unit_of_work`, without a session until somebody asks for it: for the hottest path."""
        within = self._within.get()
        with within() if within else self.database.writing_plainly() as door:
            yield self._unit(door, actor)

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """Make one transaction of all units of work within, committed when the block is left.

        A unit that commits is part of it; one that does not is undone alone. What is read through
        the other door sees what was written. Where the block raises, nothing is kept.
        """
        with self.database.one_transaction() as within:
            token = self._within.set(within)
            try:
                yield
            finally:
                self._within.reset(token)

    def together(self, actor: Actor, work: Callable[[UnitOfWork], Result]) -> Result:
        """Do one use case as by `unit_of_work`, on SQLite in one flush with others that wait.

        Args:
            actor: who asks.
            work: the use case. It may run in another thread, so it is quick, waits for nobody and
                reads nothing that belongs to a thread. What it commits is durable when this
                returns, not before.

        Returns:
            What `work` returned.

        Raises:
            Exception: what `work` raises; or why the common commit failed, and nothing is kept.
        """
        if self._group is None or self._within.get() is not None:
            with self.unit_of_work(actor) as uow:
                return work(uow)
        results: list[Result] = []
        self._group.run(lambda session: results.append(work(self._unit(session, actor))))
        return results[0]

    def _unit(self, door: Door, actor: Actor) -> UnitOfWork:
        return UnitOfWork(
            database=self.database,
            door=door,
            now=self.clock(),
            actor=actor,
            ids=self.ids,
            recorder=self._recorder,
            subscribers=self._subscribers,
            faults=self.faults,
        )

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """Open the reading door: one consistent state, and no change."""
        within = self._within.get()
        with within() if within else self.database.reading() as session:
            yield session
