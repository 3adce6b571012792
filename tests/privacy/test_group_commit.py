"""Units of work that wait for SQLite together: one flush, and each stands or falls alone."""

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from privacy.actor import SYSTEM
from privacy.changes import UnauditedChange
from privacy.database import TransactionLost
from privacy.outbox import OutboxRow
from privacy.sqlite_turn import NestedWriter
from privacy.subjects.store import SubjectRow
from privacy.unit_of_work import UnitOfWork
from tests.privacy.test_unit_of_work import SomethingHappened
from tests.support.processes import wait_until
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

Work = Callable[[UnitOfWork], str]


def adds(name: str) -> Work:
    """Return a use case that adds a person and commits."""

    def work(uow: UnitOfWork) -> str:
        uow.session.add(SubjectRow(subject_id=name * 32, created_at=uow.now))
        uow.record(SomethingHappened())
        uow.commit()
        return name

    return work


def at_once(world: World, works: Sequence[Work]) -> list[Future[str]]:
    """Run use cases in threads of their own, in one turn, in this order."""
    runtime = world.placet.runtime
    group = runtime._group
    assert group is not None
    with ThreadPoolExecutor(len(works)) as pool:
        running: list[Future[str]] = []
        with runtime.unit_of_work(SYSTEM):  # nobody can begin
            for count, work in enumerate(works, start=1):
                running.append(pool.submit(runtime.together, SYSTEM, work))
                queued = partial(lambda wanted: len(group._queue) == wanted, count)
                wait_until(queued, "it waits", seconds=10)
    return running


def people(world: World) -> str:
    with world.placet.runtime.snapshot() as session:
        found = session.scalars(sa.select(SubjectRow.subject_id).order_by(SubjectRow.subject_id))
        return "".join(each[0] for each in found)


def test_those_who_wait_are_committed_once_and_each_gets_its_own_answer(world: World) -> None:
    commits: list[object] = []
    engine = world.placet.runtime.database.engine
    event.listen(engine, "commit", commits.append)
    running = at_once(world, [adds(name) for name in "abcdefgh"])
    assert "".join(each.result(0) for each in running) == people(world) == "abcdefgh"
    assert len(commits) == 1
    world.settle()
    assert world.verify().ok


def test_who_fails_forgets_to_commit_or_to_record_takes_nobody_along(world: World) -> None:
    def fails(uow: UnitOfWork) -> str:
        adds("x")(uow)
        uow.session.execute(sa.delete(SubjectRow))
        raise LookupError

    def forgets(uow: UnitOfWork) -> str:
        uow.session.execute(sa.delete(SubjectRow))
        uow.record(SomethingHappened())
        return "not kept"

    def hides(uow: UnitOfWork) -> str:
        uow.session.execute(sa.delete(SubjectRow))
        uow.commit()
        return "never"

    running = at_once(world, [adds("a"), fails, adds("b"), forgets, adds("c"), hides, adds("d")])
    with pytest.raises(LookupError):
        running[1].result(0)
    assert running[3].result(0) == "not kept"
    with pytest.raises(UnauditedChange):
        running[5].result(0)
    # What was committed before the failure stays, as in a unit of work of one's own.
    assert people(world) == "abcdx"


def test_a_second_commit_in_a_shared_turn_needs_an_event_of_its_own(world: World) -> None:
    def twice(uow: UnitOfWork) -> str:
        adds("x")(uow)
        uow.session.add(SubjectRow(subject_id="y" * 32, created_at=uow.now))
        uow.commit()
        return "never"

    for others in ([], [adds("a")]):
        running = at_once(world, [twice, *others])
        with pytest.raises(UnauditedChange):
            running[0].result(0)
        assert "y" not in people(world)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            uow.session.execute(sa.delete(SubjectRow))
            uow.record(SomethingHappened())
            uow.commit()


def test_nobody_is_told_of_success_where_the_common_commit_fails(world: World) -> None:
    def breaks(uow: UnitOfWork) -> str:  # a foreign key that is looked at in the commit alone
        uow.session.execute(sa.text("PRAGMA defer_foreign_keys=ON"))
        uow.session.execute(
            sa.text("UPDATE subject SET merged_into = 'nobody' WHERE subject_id = :id"),
            {"id": "a" * 32},
        )
        uow.record(SomethingHappened())
        uow.commit()
        return "never"

    for each in at_once(world, [adds("a"), breaks, adds("b")]):
        with pytest.raises(sa.exc.IntegrityError):
            each.result(0)
    assert people(world) == ""
    assert world.placet.runtime.together(SYSTEM, adds("c")) == people(world) == "c"


@pytest.mark.parametrize("has_begun", [True, False])
def test_nobody_is_told_of_success_where_sqlite_itself_gave_up_the_transaction(
    world: World, has_begun: bool
) -> None:
    """As it does when the disk is full: what had been done before is lost with it."""

    def loses(uow: UnitOfWork) -> str:
        shared = uow.session.connection() if has_begun else uow.session.get_bind()
        assert isinstance(shared, sa.Connection)
        driver = shared.connection.driver_connection
        assert driver is not None
        driver.execute("ROLLBACK")
        return "lost"

    for each in at_once(world, [adds("a"), loses, adds("b")]):
        with pytest.raises((TransactionLost, sa.exc.OperationalError)):
            each.result(0)
    assert people(world) == ""


def test_writers_in_sixteen_threads_lose_no_update(world: World) -> None:
    runtime = world.placet.runtime
    with runtime.unit_of_work(SYSTEM) as uow:
        uow.session.add(
            OutboxRow(
                row_id="n" * 32,
                kind="test",
                state="failed",
                attempts=0,
                created_at=uow.now,
                next_attempt_at=uow.now,
            )
        )
        uow.commit()
    barrier = threading.Barrier(16, timeout=30)

    def add(uow: UnitOfWork) -> None:
        row = uow.session.get_one(OutboxRow, "n" * 32)
        row.attempts += 1
        uow.commit()

    def many(_number: int) -> None:
        barrier.wait()
        for _ in range(10):
            runtime.together(SYSTEM, add)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(many, range(16)))
    with runtime.snapshot() as session:
        assert session.get_one(OutboxRow, "n" * 32).attempts == 160


def test_a_writer_within_another_is_told_and_does_not_wait_for_itself(world: World) -> None:
    runtime = world.placet.runtime

    def nests(uow: UnitOfWork) -> str:
        with runtime.unit_of_work(uow.actor):
            return "never"

    with pytest.raises(NestedWriter), runtime.unit_of_work(SYSTEM) as uow:
        nests(uow)
    with pytest.raises(NestedWriter):
        runtime.together(SYSTEM, nests)
    assert runtime.together(SYSTEM, adds("a")) == people(world)


def test_a_process_forked_while_one_writes_keeps_nobody_out(world: World) -> None:
    turnstile = world.placet.runtime.database._turnstile
    assert turnstile is not None
    waits, ends = os.pipe()
    with world.placet.runtime.unit_of_work(SYSTEM):
        child = os.fork()
        if child == 0:
            os.close(ends)
            os.read(waits, 1)
            os._exit(0)
    try:
        with turnstile.path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(ends)
        os.waitpid(child, 0)
        os.close(waits)
