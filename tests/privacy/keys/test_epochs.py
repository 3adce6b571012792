"""Epochs of key-encryption keys: begun, emptied and destroyed while everything runs on."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from app import main
from policies.vocabulary import RetentionClass
from privacy.actor import SYSTEM
from privacy.audit.leaf import parse_leaf
from privacy.audit.store import Entry
from privacy.keys import store
from privacy.keys.epochs import EpochRefused, Epochs, EpochState
from privacy.keys.keyring import KeyMissing
from privacy.keys.sealing import place
from tests.support.world import CHEAP, NOON, World, make_world

ANA, BRUNO = "a" * 32, "b" * 32
PROFILE = RetentionClass.PROFILE
HERE = place("table", "column", "row")

sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def epochs_of(world: World) -> Epochs:
    return Epochs(world.placet.runtime, world.placet.keyring, world.placet.sealer)


def seal(world: World, holder: str) -> bytes:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        sealed = world.placet.sealer.seal(uow.session, holder, PROFILE, HERE, b"x", at=uow.now)
        uow.commit()
    return sealed


def opens(world: World, holder: str, sealed: bytes) -> bool:
    with world.placet.runtime.snapshot() as session:
        return world.placet.sealer.open(session, holder, PROFILE, HERE, sealed) == b"x"


def epoch_of(world: World, holder: str) -> int:
    with world.placet.runtime.snapshot() as session:
        row = store.find(session, holder, PROFILE)
    assert row is not None
    return int(row.epoch)


def date_files(instance: Path, at: datetime = NOON - timedelta(days=1)) -> None:
    """Make the key files as old as the test's clock wants them."""
    for path in (instance / "keys" / "kek").iterdir():
        os.utime(path, (at.timestamp(), at.timestamp()))


def counts(world: World) -> dict[int, int]:
    return {each.number: each.data_keys for each in epochs_of(world).all()}


@sqlite
def test_a_process_that_runs_uses_the_next_epoch_and_a_broken_off_rewrap_goes_on(
    world: World, database_url: str, instance: Path
) -> None:
    other = make_world(database_url, instance, seed="another process")
    sealed = seal(other, ANA)
    before = counts(world)[1]
    assert before > 2
    assert epochs_of(world).begin() == 2
    later = seal(other, BRUNO)
    assert (epoch_of(world, ANA), epoch_of(world, BRUNO)) == (1, 2)

    def break_off(_moved: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        epochs_of(world).rewrap(break_off, batch=1)
    assert counts(world) == {1: before - 1, 2: 2}
    moved: list[int] = []
    done = epochs_of(world).rewrap(moved.append, batch=2)
    assert (done.moved, done.left, done.broken) == (before - 1, 0, 0)
    assert sum(moved) == before - 1
    assert max(moved) == 2
    assert counts(world) == {1: 0, 2: before + 1}
    for each in (world, other):
        assert opens(each, ANA, sealed)
        assert opens(each, BRUNO, later)


@sqlite
def test_no_epoch_is_destroyed_that_is_current_or_was_a_moment_ago_or_wraps_a_key(
    world: World, instance: Path
) -> None:
    epochs = epochs_of(world)
    for number, words in ((1, "is the current one"), (7, "there is no epoch 7")):
        with pytest.raises(EpochRefused, match=words):
            epochs.destroy(number)
    epochs.begin()
    with pytest.raises(EpochRefused, match="data keys wrapped under epoch 1: "):
        epochs.destroy(1)
    epochs.rewrap(lambda _moved: None)
    date_files(instance, NOON - timedelta(minutes=9, seconds=59))
    with pytest.raises(EpochRefused, match=r"try again from 2026-03-03T11:00:01\.000Z"):
        epochs.destroy(1)
    assert world.placet.keyring.epochs() == (1, 2)
    world.clock.advance(seconds=1)
    epochs.destroy(1)
    assert world.placet.keyring.epochs() == (2,)
    assert epochs.begin() == 3  # no number means two keys


@sqlite
def test_a_key_that_does_not_open_stops_no_other_and_keeps_its_epoch(
    world: World, instance: Path
) -> None:
    seal(world, ANA)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        row = uow.session.get(store.DataKey, (ANA, PROFILE.value))
        assert row is not None
        row.wrapped = row.wrapped[:-1] + bytes([row.wrapped[-1] ^ 1])
        uow.commit()
    epochs, before = epochs_of(world), counts(world)[1]
    epochs.begin()
    done = epochs.rewrap(lambda _moved: None, batch=1)
    assert (done.moved, done.left, done.broken) == (before - 1, 1, 1)
    date_files(instance)
    with pytest.raises(EpochRefused, match="epoch 1: 1"):
        epochs.destroy(1)


@sqlite
def test_a_backup_put_back_after_the_destruction_opens_nothing_and_is_shown(
    world: World, instance: Path
) -> None:
    sealed = seal(world, ANA)
    with world.placet.runtime.snapshot() as session:
        old = store.find(session, ANA, PROFILE)
    assert old is not None
    epochs = epochs_of(world)
    epochs.begin()
    epochs.rewrap(lambda _moved: None)
    date_files(instance)
    epochs.destroy(1)
    assert opens(world, ANA, sealed)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        row = uow.session.get(store.DataKey, (ANA, PROFILE.value))
        assert row is not None
        row.wrapped, row.epoch = old.wrapped, old.epoch
        uow.commit()
    with pytest.raises(KeyMissing):
        opens(world, ANA, sealed)
    missing = epochs.all()[0]
    assert (missing.number, missing.state, missing.data_keys) == (1, EpochState.MISSING, 1)
    assert epochs.rewrap(lambda _moved: None).left == 0  # there is nothing to be done about it


def test_who_adds_a_key_is_waited_for_and_who_deletes_one_is_passed_by(
    world: World, instance: Path
) -> None:
    runtime, sealer, epochs = world.placet.runtime, world.placet.sealer, epochs_of(world)
    if runtime.database.is_sqlite:
        pytest.skip("SQLite has one writer")
    seal(world, ANA)
    with ThreadPoolExecutor(1) as threads:
        with runtime.unit_of_work(SYSTEM) as uow:
            sealer.seal(uow.session, BRUNO, PROFILE, HERE, b"x", at=uow.now)  # under epoch 1
            sealer.destroy(uow.session, ANA, PROFILE)
            epochs.begin()
            assert epochs.rewrap(lambda _moved: None).left == 1  # Ana's; Bruno's is unseen yet
            date_files(instance)
            destroyed = threads.submit(epochs.destroy, 1)
            with pytest.raises(TimeoutError):
                destroyed.result(0.3)
            uow.commit()
        with pytest.raises(EpochRefused, match="epoch 1: 1"):
            destroyed.result(10)
    assert counts(world)[1] == 1
    assert epoch_of(world, BRUNO) == 1


@sqlite
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_nobody_begins_an_epoch_whose_key_the_processes_could_not_read(
    world: World, instance: Path
) -> None:
    os.chown(instance / "keys", 65534, -1)
    with pytest.raises(EpochRefused, match="run the command as that user"):
        epochs_of(world).begin()
    assert world.placet.keyring.epochs() == (1,)


@sqlite
def test_an_operator_goes_through_it_by_commands_and_the_log_tells(
    world: World, database_url: str, instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CHEAP | {"PLACET_DATABASE_URL": database_url, "PLACET_INSTANCE": str(instance)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "", code: int = 0) -> str:
        done = CliRunner().invoke(main, ["keys", "epoch", *arguments], input=typed)
        assert done.exit_code == code, done.output
        return done.output

    long_ago = datetime(2020, 1, 1, tzinfo=UTC)  # the commands have the true time
    date_files(instance, long_ago)
    [first] = json.loads(run("list", "--json"))
    assert (first["epoch"], first["state"]) == (1, "current")
    assert first["since"] == "2020-01-01T00:00:00.000Z"
    assert json.loads(run("rotate", "--json")) == {"epoch": 2}
    assert "run `placet keys epoch rewrap` first" in run("destroy", "1", "--yes", code=1)
    # Its entry was sealed under the deployment's key, which was there.
    assert f"moved: {first['data_keys']}, left: 0" in run("rewrap")
    date_files(instance, long_ago)
    assert "Destroy the key of epoch 1? [y/N]" in run("destroy", "1", typed="n\n", code=1)
    assert f"1  old       since {first['since']}, data keys: 0" in run("list")
    assert "epoch 1 is destroyed" in run("destroy", "1", typed="y\n")
    [second] = json.loads(run("list", "--json"))
    assert (second["epoch"], second["data_keys"]) == (2, first["data_keys"])
    with world.placet.runtime.snapshot() as session:
        tags = [parse_leaf(leaf).type for leaf in session.scalars(sa.select(Entry.leaf))]
    assert [tag for tag in tags if "epoch" in tag] == ["keys:epoch:created", "keys:epoch:destroyed"]
    world.settle()
    assert world.verify().ok
