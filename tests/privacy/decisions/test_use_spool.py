"""Counts on their way through files: none lost, none counted twice, whoever is killed when."""

import os
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.decisions import store, use_spool, uses
from privacy.decisions.model import Outcome, Use
from privacy.decisions.use_spool import UseSpool
from tests.support.cast import Person, introduce
from tests.support.world import World

DAY = date(2026, 3, 3)
GROUP = ("shop", "newsletter", DAY.isoformat(), Outcome.PERMIT.value)
only_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def spool(world: World) -> UseSpool:
    return UseSpool(world.placet.settings.instance / "uses")


def _uses(world: World, person: Person) -> list[Use]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.uses.of_subject(session, person.subject_id)


def _files(world: World) -> dict[str, bytes]:
    """The files that wait, under their names."""
    folder = world.placet.settings.instance / "uses"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "taken"}


def _bring_back(world: World, files: dict[str, bytes]) -> None:
    folder: Path = world.placet.settings.instance / "uses"
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_counts_of_several_files_are_written_together(
    world: World, ana: Person, spool: UseSpool
) -> None:
    denied = (*GROUP[:3], Outcome.DENY.value)
    spool.put({GROUP: {ana.pseudonym: 3}, denied: {ana.pseudonym: 2}})
    # By its subject id as well, and of whom nobody knows.
    spool.put({GROUP: {ana.subject_id: 4, "d1v1_" + "A" * 32: 9, "f" * 32: 1}})
    world.placet.uses.run_due()
    assert _uses(world, ana) == [
        Use("shop", "newsletter", DAY, Outcome.PERMIT, 7),
        Use("shop", "newsletter", DAY, Outcome.DENY, 2),
    ]
    assert _files(world) == {}
    spool.put({GROUP: {ana.pseudonym: 1}})
    world.placet.uses.run_due()
    assert _uses(world, ana)[0].count == 8
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(store.SpooledRow)) == 0


@only_sqlite
def test_a_worker_that_died_at_any_step_neither_loses_nor_doubles(
    world: World, ana: Person, spool: UseSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "WRITTEN_AT_ONCE", 1)
    monkeypatch.setattr(uses, "MOST_TRANSACTIONS", 1)
    bruno = introduce(world, "bruno@example.com")
    spool.put({GROUP: {ana.pseudonym: 7}})
    spool.put({GROUP: {bruno.pseudonym: 5}})
    sources = _files(world)
    world.placet.uses.run_due()  # a batch of both, and one of its two rows
    [batch] = spool.batches()
    _bring_back(world, sources)  # it died before it had dropped what the batch was made of
    kept = _files(world)
    world.placet.uses.run_due()  # the other row; the batch is written
    assert not spool.batches()
    _bring_back(world, {f"{batch}.batch": kept[f"{batch}.batch"]} | sources)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        size = len(kept[f"{batch}.batch"])
        store.note_written(uow.session, batch, size)  # it died before it had dropped the batch
        uow.commit()
    for _ in range(3):
        world.placet.uses.run_due()
    assert [use.count for use in (*_uses(world, ana), *_uses(world, bruno))] == [7, 5]
    assert _files(world) == {}


@only_sqlite
def test_a_transaction_that_fails_is_done_again_whole(
    world: World, ana: Person, spool: UseSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.put({GROUP: {ana.pseudonym: 7}})

    def die(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as dying:
        dying.setattr(store, "note_written", die)
        with pytest.raises(RuntimeError):
            world.placet.uses.run_due()
    assert _uses(world, ana) == []
    world.placet.uses.run_due()
    assert [use.count for use in _uses(world, ana)] == [7]


@only_sqlite
def test_two_workers_do_not_write_the_same_files(
    world: World, ana: Person, spool: UseSpool
) -> None:
    spool.put({GROUP: {ana.pseudonym: 1}})
    with spool.taken() as first, spool.taken() as second:
        assert first
        assert not second
        world.placet.uses.run_due()
        assert _uses(world, ana) == []
    world.placet.uses.run_due()
    assert [use.count for use in _uses(world, ana)] == [1]


@only_sqlite
def test_what_lags_behind_is_made_into_one_batch_and_written_part_by_part(
    world: World, ana: Person, spool: UseSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "WRITTEN_AT_ONCE", 3)
    monkeypatch.setattr(uses, "MOST_TRANSACTIONS", 1)
    monkeypatch.setattr(use_spool, "ENCODED_AT_ONCE", 2)
    people = [ana, *(introduce(world, f"p{number}@example.com") for number in range(4))]
    groups = [("shop", f"purpose{number}", DAY.isoformat(), "deny") for number in range(2)]
    for _ in range(4):
        spool.put({group: {person.pseudonym: 1 for person in people} for group in groups})
    turns = 0
    while spool.waiting() or spool.batches():
        world.placet.uses.run_due()
        turns += 1
    assert turns == 4  # ten rows, three at once
    assert [[use.count for use in _uses(world, person)] for person in people] == [[4, 4]] * 5


@only_sqlite
def test_a_file_that_the_disk_spoiled_keeps_no_other_waiting(
    world: World, ana: Person, spool: UseSpool, caplog: pytest.LogCaptureFixture
) -> None:
    spool.put({GROUP: {ana.pseudonym: 7}})
    _bring_back(world, {"0-spoiled.counted": b'[["shop", "newsl'})
    world.placet.uses.run_due()
    assert [use.count for use in _uses(world, ana)] == [7]
    assert "0-spoiled.counted cannot be read" in caplog.text
    assert list(_files(world)) == ["0-spoiled.unreadable"]


@only_sqlite
@pytest.mark.parametrize("end", [10, -3], ids=["in its head", "in a row"])
def test_a_batch_that_the_disk_spoiled_keeps_no_file_waiting(
    world: World,
    ana: Person,
    spool: UseSpool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    end: int,
) -> None:
    monkeypatch.setattr(uses, "WRITTEN_AT_ONCE", 1)
    monkeypatch.setattr(uses, "MOST_TRANSACTIONS", 1)
    both = {ana.pseudonym: 7, introduce(world, "bruno@example.com").pseudonym: 7}
    spool.put({GROUP: both})
    world.placet.uses.run_due()  # a batch, and one of its two rows
    [(name, batch)] = _files(world).items()
    _bring_back(world, {name: batch[:end]})
    spool.put({GROUP: both})
    for _ in range(3):
        world.placet.uses.run_due()
    with world.placet.runtime.snapshot() as session:
        counts = sa.select(store.UseRow.count).order_by(store.UseRow.count)
        assert list(session.scalars(counts)) == [7, 14]
        assert session.scalar(sa.select(sa.func.count()).select_from(store.SpooledRow)) == 0
    assert f"{name} cannot be read" in caplog.text
    assert _files(world) == {name.replace(".batch", ".unreadable"): batch[:end]}


@only_sqlite
def test_what_somebody_began_before_it_was_killed_is_deleted_after_an_hour(
    world: World, ana: Person, spool: UseSpool
) -> None:
    spool.put({GROUP: {ana.pseudonym: 1}})
    world.placet.uses.run_due()
    _bring_back(world, {"1-killed.new": b"", "2-writing.new": b""})
    hour_ago = world.clock.now.timestamp() - use_spool.UNFINISHED_FOR.total_seconds()
    folder = world.placet.settings.instance / "uses"
    os.utime(folder / "1-killed.new", (hour_ago, hour_ago - 1))
    os.utime(folder / "2-writing.new", (hour_ago, hour_ago))
    with spool.taken():
        world.placet.uses.run_due()
        assert len(_files(world)) == 2  # whoever else is at it sweeps
    world.placet.uses.run_due()
    assert list(_files(world)) == ["2-writing.new"]


@only_sqlite
def test_the_counts_of_an_erased_person_are_dropped(
    world: World, ana: Person, spool: UseSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "WRITTEN_AT_ONCE", 1)
    monkeypatch.setattr(uses, "MOST_TRANSACTIONS", 1)
    bruno = introduce(world, "bruno@example.com")
    spool.put({GROUP: {ana.pseudonym: 1, bruno.pseudonym: 1}})
    world.placet.uses.run_due()  # in a batch by now, under the subject ids
    for person in (ana, bruno):
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.eraser.erase(uow, person.subject_id)
            uow.commit()
    spool.put({GROUP: {ana.subject_id: 1, bruno.pseudonym: 1}})  # written later
    while spool.waiting() or spool.batches():
        world.placet.uses.run_due()
    assert _uses(world, ana) == _uses(world, bruno) == []
