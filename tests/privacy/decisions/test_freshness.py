"""No permit is answered to a question that arrived after the withdrawal's own answer.

Each way in which a writer and a reader can overlap, forced by barriers. docs/decisions/0011.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from policies.vocabulary import ConsentChannel
from privacy.actor import SYSTEM
from privacy.changes import UntouchedChange
from privacy.decisions import preload
from privacy.decisions.instants import micros
from privacy.subjects.store import SubjectRow
from privacy.unit_of_work import UnitOfWork
from tests.privacy.decisions.ways import EVALUATION, Way, shortcut
from tests.privacy.test_unit_of_work import SomethingHappened
from tests.support.cast import Person, application, give, introduce, withdraw
from tests.support.processes import wait_until
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

LONGEST = 20.0


class NobodysBusiness(SomethingHappened):
    """An event that names nobody."""

    people = ()


class Died(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


class PauseAt:
    """Stops whoever reaches a fault point until it may go on."""

    def __init__(self, point: str, *, dies: bool = False) -> None:
        self._point = point
        self._dies = dies
        self.reached = threading.Event()
        self.may_go_on = threading.Event()

    def reach(self, point: str) -> None:
        if point == self._point:
            self.reached.set()
            if self._dies:
                raise Died
            assert self.may_go_on.wait(LONGEST)


@pytest.fixture
def writer(world: World, database_url: str, instance: Path) -> World:
    """Another process, which writes."""
    return make_world(database_url, instance, seed="writer")


@pytest.fixture
def ana(world: World) -> Person:
    person = introduce(world)
    give(world, person)
    return person


@pytest.fixture
def reader(world: World) -> Way:
    return shortcut(world, application(), remembers=True)


def permits(way: Way, person: Person, purpose: str = "newsletter") -> bool:
    body = {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": purpose},
        "resource": {"type": "person", "id": person.pseudonym},
    }
    answer = way.post(EVALUATION, body).get_json()
    assert not way.left
    return bool(answer["decision"])


def reads(way: Way) -> int:
    assert way.reader is not None
    return way.reader.reads


@contextmanager
def paused(writer: World, point: str, person: Person) -> Iterator[Future[Any]]:
    """Withdraw in a thread that stands still at a point while the block runs."""
    pause = PauseAt(point)
    writer.placet.runtime.faults = pause
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(withdraw, writer, person)
        assert pause.reached.wait(LONGEST)
        yield running
        pause.may_go_on.set()
        running.result(LONGEST)


def test_what_was_remembered_before_the_withdrawal_is_not_answered_after_it(
    writer: World, reader: Way, ana: Person
) -> None:
    assert permits(reader, ana)
    assert permits(reader, ana)
    assert reads(reader) == 1
    withdraw(writer, ana)
    assert not permits(reader, ana)
    assert not permits(reader, ana)
    assert reads(reader) == 2


@pytest.mark.parametrize("point", ["commit:begun", "commit:unmarked"])
@pytest.mark.parametrize("known_before", [True, False])
def test_while_a_withdrawal_is_under_way_nothing_is_kept(
    writer: World, reader: Way, ana: Person, point: str, known_before: bool
) -> None:
    if known_before:
        assert permits(reader, ana)
    with paused(writer, point, ana):
        before = reads(reader)
        is_committed = point == "commit:unmarked"
        assert permits(reader, ana) is not is_committed
        assert permits(reader, ana) is not is_committed
        assert reads(reader) == before + 2
    assert not permits(reader, ana)
    assert not permits(reader, ana)
    assert reads(reader) == before + 3


@pytest.mark.parametrize("read", ["see_plain", "see"])
def test_a_snapshot_from_before_the_withdrawal_is_not_kept_after_it(
    writer: World, reader: Way, ana: Person, database_url: str, read: str
) -> None:
    """The slowest reader: it read, then slept while somebody withdrew."""
    assert reader.reader is not None
    if read == "see":  # whoever was a minor once is read whole
        with behind_our_back(database_url) as connection:
            connection.execute(sa.text("UPDATE subject SET minor_until = '2020-01-01 00:00:00'"))
    inner = getattr(reader.reader, read)

    def slow(*asked: Any) -> Any:
        seen = inner(*asked)
        assert seen
        withdraw(writer, ana)
        return seen

    setattr(reader.reader, read, slow)  # the barrier
    assert permits(reader, ana)  # it was asked before the withdrawal
    setattr(reader.reader, read, inner)
    assert not permits(reader, ana)


@pytest.mark.parametrize(
    ("point", "is_committed"), [("commit:begun", False), ("commit:unmarked", True)]
)
def test_a_writer_that_dies_costs_speed_and_nothing_else(
    writer: World, world: World, reader: Way, ana: Person, point: str, is_committed: bool
) -> None:
    assert permits(reader, ana)
    writer.placet.runtime.faults = PauseAt(point, dies=True)
    with pytest.raises(Died):
        withdraw(writer, ana)
    for _ in range(2):
        before = reads(reader)
        assert permits(reader, ana) is not is_committed
        assert reads(reader) == before + 1
    if not is_committed:
        withdraw(world, ana)
        assert not permits(reader, ana)


def test_writers_in_one_flush_are_marked_around_the_common_commit(
    world: World, reader: Way, ana: Person
) -> None:
    bruno = introduce(world, "bruno@example.com")
    give(world, bruno)
    assert permits(reader, ana)
    assert permits(reader, bruno)
    runtime = world.placet.runtime

    def withdrawing(person: Person) -> Callable[[UnitOfWork], object]:
        return lambda uow: world.placet.consents.withdraw(
            uow, person.subject_id, "newsletter", channel=ConsentChannel.WEB
        )

    with ThreadPoolExecutor(3) as pool:
        with runtime.unit_of_work(SYSTEM):  # both wait for this one, and for each other
            running = [pool.submit(runtime.together, SYSTEM, withdrawing(ana))]
            running += [pool.submit(runtime.together, SYSTEM, withdrawing(bruno))]
        for each in running:
            each.result(LONGEST)
    assert not permits(reader, ana)
    assert not permits(reader, bruno)


def test_a_change_of_facts_that_names_nobody_is_refused(world: World, ana: Person) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.get_one(SubjectRow, ana.subject_id).restricted_at = uow.now
        uow.record(NobodysBusiness())
        with pytest.raises(UntouchedChange, match="subject"):
            uow.commit()
    with world.placet.runtime.snapshot() as session:
        assert session.get_one(SubjectRow, ana.subject_id).restricted_at is None


def test_what_a_savepoint_undid_names_nobody(world: World, ana: Person) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        with pytest.raises(RuntimeError), uow.savepoint():
            uow.touch(ana.subject_id)
            raise RuntimeError
        uow.session.get_one(SubjectRow, ana.subject_id).restricted_at = uow.now
        uow.record(NobodysBusiness())
        with pytest.raises(UntouchedChange):
            uow.commit()


def test_what_concerns_everyone_is_read_anew(world: World, reader: Way, ana: Person) -> None:
    assert permits(reader, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.touch_everyone()
        uow.commit()
    assert permits(reader, ana)
    assert permits(reader, ana)
    assert reads(reader) == 2


def test_a_full_table_forgets_and_answers_on(world: World) -> None:
    reader = shortcut(world, application(), remembers=True, people=4)
    people = [introduce(world, f"p{number}@example.com") for number in range(6)]
    for person in people:
        give(world, person)
    for _ in range(2):
        assert all(permits(reader, person) for person in people)
    withdraw(world, people[0])
    assert [permits(reader, person) for person in people] == [False, *[True] * 5]


def test_whoever_is_loaded_beforehand_is_answered_without_a_read_and_as_freshly(
    world: World, ana: Person
) -> None:
    people = [ana, *(introduce(world, f"p{number}@example.com") for number in range(20))]
    reader = shortcut(world, application(), remembers=True, people=32)
    assert reader.preload is not None
    reader.preload.run()
    loaded = reads(reader)
    assert [permits(reader, person) for person in people] == [True, *[False] * 20]
    assert reads(reader) == loaded
    withdraw(world, ana)
    assert not permits(reader, ana)
    assert reads(reader) == loaded + 1


def test_whoever_was_changed_is_read_once_for_all_purposes_that_were_remembered(
    world: World, ana: Person
) -> None:
    purposes = sorted(application().purposes)
    reader = shortcut(world, application(), remembers=True)
    before = {purpose: permits(reader, ana, purpose) for purpose in purposes}
    withdraw(world, ana)
    read = reads(reader)
    after = {purpose: permits(reader, ana, purpose) for purpose in purposes}
    assert after == before | {"newsletter": False} != before
    assert len(purposes) > 1
    assert reads(reader) == read + 1


def test_everybody_is_loaded_again_after_a_change_of_everyone(
    world: World, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preload, "LOOK_SECONDS", 0.01)
    reader = shortcut(world, application(), remembers=True)
    assert reader.preload is not None
    reader.preload.start()
    try:
        for _ in range(2):
            wait_until(lambda: _is_remembered(world, reader, ana), "Ana is remembered", seconds=10)
            with world.placet.runtime.unit_of_work(SYSTEM) as uow:
                uow.touch_everyone()
                uow.commit()
    finally:
        reader.preload.stop()
    give(world, ana)
    assert permits(reader, ana)


def _is_remembered(world: World, reader: Way, person: Person) -> bool:
    """Look without asking, which would make it remembered."""
    assert reader.preload is not None
    table, now = reader.preload._table, micros(world.clock.now)
    return table.find("shop", person.pseudonym, "newsletter", now) is not None


def test_loading_beforehand_ends_where_the_table_is_full(world: World, ana: Person) -> None:
    for number in range(20):
        introduce(world, f"p{number}@example.com")
    reader = shortcut(world, application(), remembers=True, people=16)
    assert reader.preload is not None
    reader.preload.run()
    table = reader.preload._table
    assert (len(table), table.room()) == (16, 0)
    assert permits(reader, ana)
