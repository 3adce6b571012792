"""Many requests in one turn: who is answered when, and what is kept of it."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.bulk import Insert
from privacy.changes import UnauditedChange
from privacy.gathering import Gathering
from privacy.sqlite_turn import NestedWriter
from privacy.subjects.store import SubjectRow
from privacy.unit_of_work import UnitOfWork
from tests.privacy.test_unit_of_work import SomethingHappened
from tests.support.processes import wait_until
from tests.support.world import World

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ADD = Insert(sa.Table("subject", SubjectRow.metadata), ["subject_id", "created_at"])


def add(uow: UnitOfWork, names: Sequence[str]) -> None:
    ADD.run(uow.door, [{"subject_id": each * 32, "created_at": uow.now} for each in names])


def people(world: World) -> str:
    with world.placet.runtime.snapshot() as session:
        return "".join(
            sorted(each[0] for each in session.scalars(sa.select(SubjectRow.subject_id)))
        )


class Gate:
    """Lets a commit that has begun go on, or fails it."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.fails = False

    def reach(self, point: str) -> None:
        if point == "commit:inside":
            self.begun.set()
            assert self.may_end.wait(10)
            if self.fails:
                raise OSError("the disk is full")


class Turns:
    """Adds people by turns, and notes of each turn whom it added."""

    def __init__(self, world: World) -> None:
        self.turns: list[str] = []
        self.gathering: Gathering[str, str] = Gathering(world.placet.runtime, self._work)

    def _work(self, uow: UnitOfWork, names: Sequence[str]) -> list[str]:
        self.turns.append("".join(names))
        add(uow, names)
        uow.record(SomethingHappened())
        return list(names)

    def submit(self, pool: ThreadPoolExecutor, names: str) -> list[Future[str | None]]:
        """Let names wait for a turn that cannot begin yet, in this order."""
        running = []
        for count, name in enumerate(names, start=1):
            running.append(pool.submit(self.gathering.submit, SYSTEM, name))
            waiting = partial(lambda wanted: len(self.gathering._queue) == wanted, count)
            wait_until(waiting, "it waits", seconds=10)
        return running


@SQLITE
def test_who_comes_during_a_commit_is_in_the_next_turn_and_answered_after_its_own(
    world: World,
) -> None:
    world.placet.runtime.faults = gate = Gate()
    turns = Turns(world)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(turns.gathering.submit, SYSTEM, "a")
        assert gate.begun.wait(10)
        others = turns.submit(pool, "bcd")
        assert not any(each.done() for each in [first, *others])
        gate.may_end.set()
        assert [each.result() for each in [first, *others]] == ["a", "b", "c", "d"]
    assert turns.turns == ["a", "bcd"]
    assert people(world) == "abcd"


@SQLITE
def test_a_commit_that_fails_is_told_to_all_of_its_turn_and_the_next_one_goes_on(
    world: World,
) -> None:
    runtime = world.placet.runtime
    gate, turns = Gate(), Turns(world)
    gate.fails = True
    gate.may_end.set()
    with ThreadPoolExecutor(2) as pool:
        with runtime.unit_of_work(SYSTEM):  # nobody can begin
            failing = turns.submit(pool, "ab")
            runtime.faults = gate
        for each in failing:
            with pytest.raises(OSError, match="disk"):
                each.result()
    gate.fails = False
    assert turns.gathering.submit(SYSTEM, "c") == "c"
    assert people(world) == "c"


def test_a_plain_unit_keeps_the_rules_of_every_other(world: World) -> None:
    runtime = world.placet.runtime
    with runtime.plain_unit_of_work(SYSTEM) as uow:
        add(uow, "a")  # and no commit
    with runtime.plain_unit_of_work(SYSTEM) as uow:
        add(uow, "b")
        with pytest.raises(UnauditedChange):
            uow.commit()
    with suppress(OSError), runtime.plain_unit_of_work(SYSTEM) as uow:
        add(uow, "c")
        raise OSError
    assert people(world) == ""
    with runtime.plain_unit_of_work(SYSTEM) as uow:
        add(uow, "d")
        assert uow.session.get_one(SubjectRow, "d" * 32)  # of the same transaction
        uow.session.add(SubjectRow(subject_id="e" * 32, created_at=uow.now))
        uow.record(SomethingHappened())
        uow.commit()
    with runtime.as_one(), runtime.plain_unit_of_work(SYSTEM) as uow:
        add(uow, "f")
        uow.record(SomethingHappened())
        uow.commit()
    assert people(world) == "def"


@SQLITE
def test_a_plain_unit_within_another_is_refused_and_leaves_the_door_open(world: World) -> None:
    runtime = world.placet.runtime
    with (
        runtime.plain_unit_of_work(SYSTEM),
        pytest.raises(NestedWriter),
        runtime.plain_unit_of_work(SYSTEM),
    ):
        pass
    assert Turns(world).gathering.submit(SYSTEM, "a") == "a"


@SQLITE
def test_no_door_that_reads_can_write_whichever_door_had_the_connection_before(
    world: World,
) -> None:
    runtime = world.placet.runtime
    for _ in range(2):
        with runtime.unit_of_work(SYSTEM) as uow:
            uow.record(SomethingHappened())
            uow.commit()
        with runtime.snapshot() as session:
            driver = session.connection().connection.driver_connection
            assert driver is not None
            with pytest.raises(Exception, match="readonly"):
                driver.execute("DELETE FROM subject")
