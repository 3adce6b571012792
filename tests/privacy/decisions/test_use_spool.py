"""Counts on their way through files: none lost, none counted twice, whoever is killed when."""

from collections import Counter
from datetime import date

import pytest

from privacy.actor import SYSTEM
from privacy.decisions import store
from privacy.decisions.instants import micros
from privacy.decisions.model import Outcome, Use
from privacy.decisions.use_spool import MOST_IN_FILE, UseSpool
from privacy.decisions.uses import UseCounter
from tests.support.cast import Person
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
DAY = date(2026, 3, 3)


@pytest.fixture
def spool(world: World) -> UseSpool:
    return UseSpool(world.placet.settings.instance / "uses", world.ids)


def _uses(world: World, person: Person) -> list[Use]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.uses.of_subject(session, person.subject_id)


def test_what_a_decision_worker_counts_is_written_by_the_worker(
    world: World, ana: Person, spool: UseSpool
) -> None:
    counting = UseCounter(world.placet.runtime, "Europe/Madrid", spool, to_spool=True)
    now = micros(world.clock.now)
    told = [(ana.pseudonym, "newsletter", True), (ana.pseudonym, "newsletter", False)]
    counting.count_named("shop", now, [*told, *told, told[0]])
    counting.count_named("shop", now, [("d1v1_" + "A" * 32, "newsletter", True)])
    counting.flush()
    assert _uses(world, ana) == []
    world.placet.uses.run_due()
    world.placet.uses.run_due()
    assert _uses(world, ana) == [
        Use("shop", "newsletter", DAY, Outcome.PERMIT, 3),
        Use("shop", "newsletter", DAY, Outcome.DENY, 2),
    ]


def test_a_file_that_was_written_before_the_worker_died_is_not_written_again(
    world: World, ana: Person, spool: UseSpool
) -> None:
    spool.put(Counter({("shop", ana.pseudonym, "newsletter", DAY, Outcome.PERMIT): 7}))
    [name] = spool.waiting()
    kept = dict(spool.read(name))
    world.placet.uses.run_due()
    spool.put(kept)
    [again] = spool.waiting()
    folder = world.placet.settings.instance / "uses"
    (folder / f"{again}.json").rename(folder / f"{name}.json")  # it was never deleted
    world.placet.uses.run_due()
    assert [use.count for use in _uses(world, ana)] == [7]
    assert not spool.waiting()


def test_the_names_of_written_files_do_not_pile_up(
    world: World, ana: Person, spool: UseSpool
) -> None:
    for _ in range(3):
        spool.put(Counter({("shop", ana.pseudonym, "newsletter", DAY, Outcome.PERMIT): 1}))
        world.placet.uses.run_due()
    with world.placet.runtime.snapshot() as session:
        assert session.query(store.SpooledRow).count() == 1


def test_many_counts_go_in_several_files(world: World, spool: UseSpool) -> None:
    counts = {
        ("shop", f"p{number}", "newsletter", DAY, Outcome.PERMIT): number
        for number in range(MOST_IN_FILE + 1)
    }
    spool.put(counts)
    assert len(spool.waiting()) == 2
    read = {key: count for name in spool.waiting() for key, count in spool.read(name)}
    assert read == counts
    world.placet.uses.run_due()  # of nobody
    assert not spool.waiting()


def test_the_counts_of_an_erased_person_are_dropped(
    world: World, ana: Person, spool: UseSpool
) -> None:
    spool.put(Counter({("shop", ana.pseudonym, "newsletter", DAY, Outcome.PERMIT): 1}))
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    world.placet.uses.run_due()
    assert _uses(world, ana) == []
