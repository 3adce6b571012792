"""Searches from memory: they read nobody whom nothing happened to, and miss nothing that happened."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from privacy.actor import SYSTEM
from privacy.decisions.facts import NEVER, UNKNOWN, FactTable
from privacy.decisions.search import PeopleSearch
from privacy.prepared import Connections
from privacy.subjects.store import SubjectRow
from privacy.versions import Touched, Versions
from tests.privacy.decisions.test_freshness import paused, reads
from tests.privacy.decisions.ways import Way, shortcut
from tests.privacy.test_unit_of_work import SomethingHappened
from tests.support.cast import Person, application, give, introduce, withdraw
from tests.support.world import CountedIds, World, make_world

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

SHOP = application()


class Remembering:
    """A process that has loaded everybody, and searches."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.way: Way = shortcut(world, SHOP, remembers=True, people=64)
        placet = world.placet
        self._search = PeopleSearch(
            Connections(placet.runtime.database.engine), placet.decisions.rules, placet.uses
        )
        self._search.remember_by(self.way.people)
        assert self.way.preload is not None
        self.way.preload.run()

    def found(self) -> list[str]:
        after: str | None = ""
        found: list[str] = []
        while after is not None:
            now = self._world.clock.now
            page = self._search.page(SHOP, "newsletter", now, after=after, limit=7)
            found += page.people
            after = page.last
        return found

    def answered_from_memory(self) -> bool:
        before = reads(self.way)
        self.found()
        return reads(self.way) == before


@pytest.fixture
def people(world: World) -> list[Person]:
    people = [introduce(world, f"p{number}@example.com") for number in range(12)]
    for person in people:
        give(world, person)
    return people


def names(people: Sequence[Person]) -> list[str]:
    return sorted(each.pseudonym for each in people)


@SQLITE
def test_a_search_misses_nothing_that_happened_since_everybody_was_loaded(
    world: World, people: list[Person]
) -> None:
    process = Remembering(world)
    before = reads(process.way)
    assert process.found() == names(people)
    assert reads(process.way) == before

    withdraw(world, people[0])
    assert process.found() == names(people[1:])
    assert reads(process.way) == before + 1
    assert process.answered_from_memory()

    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, people[1].subject_id)
        uow.session.get_one(SubjectRow, people[2].subject_id).restricted_at = uow.now
        uow.record(SomethingHappened())
        uow.touch(people[2].subject_id)
        uow.commit()
    assert process.found() == names(people[3:])

    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.merge(uow, people[4].subject_id, people[3].subject_id)
        uow.commit()
    late = introduce(world, "late@example.com")
    give(world, late)
    assert len(process.found()) == len(people[4:]) + 1
    assert {late.pseudonym, people[5].pseudonym} < set(process.found())

    before = reads(process.way)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.touch_everyone()
        uow.commit()
    withdraw(world, late)
    assert len(process.found()) == len(people[4:])
    assert reads(process.way) == before  # nothing holds: one statement tells of all


@SQLITE
@pytest.mark.parametrize("point", ["commit:begun", "commit:unmarked"])
def test_of_whom_a_withdrawal_is_under_way_is_read(
    world: World, people: list[Person], database_url: str, instance: Path, point: str
) -> None:
    writer = make_world(database_url, instance, seed="writer")
    process = Remembering(world)
    leaving, is_committed = people[5].pseudonym, point == "commit:unmarked"
    with paused(writer, point, people[5]):
        for _ in range(2):
            assert (leaving not in process.found()) is is_committed
            assert not process.answered_from_memory()
    assert leaving not in process.found()
    assert process.answered_from_memory()


@pytest.mark.parametrize("capacity", [1_500, 40_000])  # the lesser forgets runs now and then
def test_people_one_after_the_other_are_remembered_as_each_is(
    tmp_path: Path, capacity: int
) -> None:
    chance = random.Random(5)
    versions = Versions(tmp_path / "versions", CountedIds())
    table = FactTable(versions, ["newsletter"], capacity)
    letters = "AAAAbcdef"  # so that runs are short
    everybody = sorted({"".join(chance.choices(letters, k=12)) for _ in range(800)})
    subjects = {name: f"{number:032}" for number, name in enumerate(everybody)}

    def keep(people: Sequence[str]) -> None:
        for name in people:
            until = chance.choice([NEVER, NEVER, 50])
            entries = {"newsletter": (chance.randrange(9), until, bytes(16))}
            moment = versions.moment()
            subject_id = subjects[name]
            table.keep("shop", name, entries, subject_id=subject_id, moment=moment, now=1)

    def agree(now: int) -> list[int]:
        """Many at once are told what each is told alone; return that."""
        forms: list[int] = []
        for _ in range(20):
            start = chance.randrange(len(everybody))
            people = everybody[start : start + chance.randrange(200)]
            found = table.find_many("shop", [(name, "newsletter") for name in people], now)
            expected = [UNKNOWN if entry is None else entry[0] for entry in found]
            unknown = expected.count(UNKNOWN)
            told = table.forms_of("shop", people, "newsletter", now, most_unknown=unknown)
            assert told == expected
            if unknown:
                less = table.forms_of("shop", people, "newsletter", now, most_unknown=unknown - 1)
                assert less is None
            forms += expected
        return forms

    assert set(agree(1)) == {UNKNOWN}
    keep(everybody[:300])
    keep(chance.sample(everybody[300:], 250))
    assert {*range(9), UNKNOWN} == set(agree(1))
    assert agree(1).count(UNKNOWN) < agree(50).count(UNKNOWN)
    with versions.marking(Touched({subjects[name] for name in everybody[::3]})):
        agree(1)
    agree(1)
    keep(everybody)  # the places of some change nothing for those who have one
    assert UNKNOWN not in agree(1)
    everybody.reverse()  # as they never came
    assert UNKNOWN not in agree(1)
    with versions.marking(Touched(everyone=True)):
        assert table.forms_of("shop", everybody, "newsletter", 1, most_unknown=900) is None
    keep(everybody[50:])  # they have other places than before
    assert {*range(9), UNKNOWN} == set(agree(1))
