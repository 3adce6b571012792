"""One change of the world: rows, audit entries and outbox rows in one transaction.

A view opens a unit of work and hands it to one use case, which commits once. Whatever is not
committed is rolled back. A commit that changed audited rows and recorded no event fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy.orm import Session

from privacy.actor import Actor
from privacy.clock import Clock
from privacy.database import Database, UnauditedChange
from privacy.events import Event, Json
from privacy.faults import Faults, NoFaults
from privacy.group_commit import GroupCommit
from privacy.ids import Ids


class Recorder(Protocol):
    """The audit log as the unit of work needs it."""

    def append(
        self,
        session: Session,
        event: Event,
        evidence: Mapping[str, Json],
        *,
        at: datetime,
        actor: str,
        ids: Ids,
    ) -> str:
        """Write the entry in the caller's transaction and return its entry id."""
        ...


class UnitOfWork:
    """What a use case is handed: a session, one instant, who asks, and a source of ids."""

    def __init__(
        self,
        *,
        session: Session,
        now: datetime,
        actor: Actor,
        ids: Ids,
        recorder: Recorder,
        subscribers: Mapping[type[Event], list[Subscriber]],
        faults: Faults,
    ) -> None:
        self.session = session
        self.now = now
        self.actor = actor
        self.ids = ids
        self._recorder = recorder
        self._subscribers = subscribers
        self._faults = faults
        self._recorded = 0

    def record(self, event: Event, evidence: Mapping[str, Json] | None = None) -> str:
        """Write an audit entry for `event` and tell its subscribers, all in this transaction.

        Args:
            event: what happened, ids only.
            evidence: what must be provable later and may be personal; sealed with the event.

        Returns:
            The entry id, 32 hexadecimal digits; its place in the log is known within seconds.
        """
        entry_id = self._recorder.append(
            self.session,
            event,
            evidence or {},
            at=self.now,
            actor=self.actor.name,
            ids=self.ids,
        )
        self._recorded += 1
        for subscriber in self._subscribers.get(type(event), ()):
            subscriber(self, event)
        return entry_id

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what happens inside, and only that, where it raises."""
        changed = Database.changed_tables(self.session)
        before, recorded = frozenset(changed), self._recorded
        try:
            with self.session.begin_nested():
                yield
        except BaseException:
            changed.clear()
            changed.update(before)
            self._recorded = recorded
            self.session.info.clear()  # what was remembered may have been undone with it
            raise

    def commit(self) -> None:
        """Make everything durable at once.

        Raises:
            UnauditedChange: audited rows changed and no event was recorded; nothing is kept.
        """
        self.session.flush()
        changed = Database.changed_tables(self.session)
        if changed and not self._recorded:  # no history, no commit
            self.session.rollback()
            raise UnauditedChange(", ".join(sorted(changed)))
        self._recorded = 0  # whatever comes after needs an event of its own
        self._faults.reach("commit:before")
        self._faults.reach("commit:inside")
        self.session.commit()
        changed.clear()  # where the transaction is a shared one, it goes on
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

    def subscribe(self, event: type[Event], subscriber: Subscriber) -> None:
        """Call `subscriber` inside the transaction of every `event` recorded from now on."""
        self._subscribers[event].append(subscriber)

    @contextmanager
    def unit_of_work(self, actor: Actor) -> Iterator[UnitOfWork]:
        """Open the writing door for one use case; what it does not commit is undone."""
        with self.database.writing() as session:
            yield self._unit(session, actor)

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
        if self._group is None:
            with self.unit_of_work(actor) as uow:
                return work(uow)
        results: list[Result] = []
        self._group.run(lambda session: results.append(work(self._unit(session, actor))))
        return results[0]

    def _unit(self, session: Session, actor: Actor) -> UnitOfWork:
        return UnitOfWork(
            session=session,
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
        with self.database.reading() as session:
            yield session
