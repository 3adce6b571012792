"""The log on both databases: placing, signing, proving; and what refuses to be changed."""

from __future__ import annotations

import hashlib
import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.audit import store
from privacy.audit.checkpoint import open_checkpoint
from privacy.audit.inclusion import Inclusions
from privacy.audit.merkle import EMPTY_ROOT, leaf_hash, verify_inclusion
from privacy.audit.note import Verifier
from privacy.audit.proof import TlogProof
from privacy.audit.sequencer import BATCH, LogTampered, Sequencer, read_signer, read_verifier
from privacy.audit.verification import verify_log
from tests.privacy.audit.logged import drain, record
from tests.support.processes import program, wait_until
from tests.support.tampering import behind_our_back
from tests.support.world import CHEAP, CountedIds, World, make_world

ROOT = Path(__file__).resolve().parents[3]
PLACET = ROOT / ".venv" / "bin" / "placet"
#: SHA-256 over the roots of all checkpoints of the golden log; the encodings are fixed for good.
GOLDEN_ROOTS = "fae86e9702882017b8e75ca7d2e8b2623c72a7ed02d4c275c23bde8aca93cd1f"
GOLDEN_BATCH = 700
GOLDEN_ENTRIES = 3_000


def verifier_of(world: World) -> Verifier:
    return read_verifier(world.placet.keys_folder)


@pytest.fixture
def empty_log(world: World) -> World:
    """A deployment whose log has no entry yet, not even those of its set-up."""
    with behind_our_back(world.placet.settings.database_url) as connection:
        for table in ("pending", "payload", "opening", "leaf", "tile", "checkpoint", "entry"):
            connection.execute(sa.text(f"DELETE FROM audit_{table}"))
    return world


def record_golden(world: World) -> None:
    """3,000 entries from their own counted ids, whatever else the deployment needs randomness for."""
    ids = CountedIds("golden")
    world.placet.runtime.ids = ids
    world.placet.sealer._ids = CountedIds("sealing")
    record(world, GOLDEN_ENTRIES)


def test_three_thousand_entries_have_the_pinned_roots_and_each_its_proof(empty_log: World) -> None:
    world = empty_log
    record_golden(world)
    drain(world.placet.sequencer(), GOLDEN_BATCH)
    verifier = verifier_of(world)
    roots = hashlib.sha256()
    with world.placet.runtime.snapshot() as session:
        notes = session.scalars(
            sa.select(store.SignedCheckpoint.note).order_by(store.SignedCheckpoint.tree_size)
        ).all()
        checkpoints = [open_checkpoint(note, [verifier], verifier.name) for note in notes]
        assert [c.size for c in checkpoints] == [700, 1400, 2100, 2800, 3000]
        for checkpoint in checkpoints:
            roots.update(checkpoint.root)
        entry_ids = list(session.scalars(sa.select(store.Entry.entry_id)))
        placed = list(Inclusions(session).of(entry_ids))
        newest = checkpoints[-1]
        assert [p.index for p in placed] == list(range(GOLDEN_ENTRIES))
        for p in placed:
            assert verify_inclusion(leaf_hash(p.leaf), p.index, 3000, p.hashes, newest.root)
        inclusions = Inclusions(session)
        one = inclusions.find(entry_ids[1234])
        assert one is not None
        text = inclusions.tlog_proof(one)
        assert TlogProof.parse(text).verify(one.leaf, [verifier], verifier.name) == newest
    assert roots.hexdigest() == GOLDEN_ROOTS
    assert world.verify().ok


def test_mixed_events_are_placed_in_their_order_and_verify(world: World) -> None:
    entry_ids = record(world, 40)
    world.settle()
    with world.placet.runtime.snapshot() as session:
        indexes = [store.index_of(session, entry_id) for entry_id in entry_ids]
    assert indexes[0] is not None
    assert indexes == list(range(indexes[0], indexes[0] + 40))
    found = world.verify()
    assert found.ok
    assert (found.size, found.pending) == (indexes[0] + 40, 0)


def test_an_empty_log_and_one_that_only_waits_verify(empty_log: World) -> None:
    found = empty_log.verify()
    assert (found.ok, found.size, found.pending) == (True, 0, 0)
    record(empty_log, 3)
    found = empty_log.verify()
    assert (found.ok, found.size, found.pending) == (True, 0, 3)


def test_a_run_without_entries_signs_nothing(world: World) -> None:
    world.settle()
    with world.placet.runtime.snapshot() as session:
        before = session.scalar(sa.select(sa.func.count()).select_from(store.SignedCheckpoint))
    assert world.placet.sequencer().run_once() == 0
    with world.placet.runtime.snapshot() as session:
        after = session.scalar(sa.select(sa.func.count()).select_from(store.SignedCheckpoint))
    assert before == after


@pytest.mark.parametrize("table", ["audit_entry", "audit_leaf", "audit_checkpoint"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_ordinary_sql_can_neither_alter_nor_delete_the_log(
    world: World, table: str, change: str
) -> None:
    record(world, 2)
    world.settle()
    column = {"audit_entry": "leaf", "audit_leaf": "leaf_index", "audit_checkpoint": "note"}[table]
    statement = change.format(table, column, column)
    url = world.placet.settings.database_url
    if url.startswith("sqlite"):
        import sqlite3  # noqa: PLC0415 - the other database needs another driver

        with (
            closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            connection.execute(statement)
    else:
        with (
            closing(psycopg.connect(url.replace("+psycopg", ""))) as connection,
            pytest.raises(psycopg.errors.RaiseException, match="append-only"),
        ):
            connection.execute(statement)
    assert world.verify().ok


def test_two_sequencers_at_once_never_fork_the_tree(world: World) -> None:
    """Two workers by mistake: separate engines, the same log, entries coming in meanwhile."""
    url, instance = world.placet.settings.database_url, world.placet.settings.instance
    others = [make_world(url, instance, seed=f"worker {n}") for n in (1, 2)]
    record(world, 60)
    barrier = threading.Barrier(3)
    written = threading.Event()
    failures: list[BaseException] = []

    def place(other: World) -> None:
        sequencer = other.placet.sequencer()
        barrier.wait()
        try:
            done = False
            while not done:
                all_written = written.is_set()  # asked before looking, so that nothing is missed
                done = sequencer.run_once(limit=7) == 0 and all_written
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=place, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    barrier.wait()
    for _ in range(6):
        record(world, 10)
    written.set()
    for thread in threads:
        thread.join(60)
    for other in others:
        other.placet.runtime.database.engine.dispose()
    assert failures == []
    found = world.verify()
    assert found.ok, found.findings
    assert found.pending == 0
    with world.placet.runtime.snapshot() as session:
        indexes = session.scalars(sa.select(store.Leaf.leaf_index)).all()
    assert sorted(indexes) == list(range(found.size))


def test_the_worker_signs_a_checkpoint_within_five_seconds(world: World, tmp_path: Path) -> None:
    settings = world.placet.settings
    env = CHEAP | {
        "PLACET_INSTANCE": str(settings.instance),
        "PLACET_DATABASE_URL": settings.database_url,
        "PLACET_MAIL_PORT": str(settings.mail.port),
    }

    def pending() -> int:
        with world.placet.runtime.snapshot() as session:
            return store.pending_count(session)

    with program([PLACET, "worker"], log=tmp_path / "worker.log", env=env) as worker:
        wait_until(lambda: pending() == 0, "the worker runs", seconds=30)
        entry_ids = record(world, 20)
        wait_until(lambda: pending() == 0, "the entries are placed", seconds=5)
        assert worker.stop() == 0
    with world.placet.runtime.snapshot() as session:
        inclusions = Inclusions(session)
        assert len(list(inclusions.of(entry_ids))) == 20
    assert world.verify().ok


def test_the_sequencer_refuses_an_entry_that_we_did_not_write(world: World) -> None:
    world.settle()
    record(world, 1)
    with behind_our_back(world.placet.settings.database_url) as connection:
        tag = connection.scalar(sa.text("SELECT intake_tag FROM audit_entry LIMIT 1"))
        connection.execute(
            sa.insert(store.Entry).values(entry_id="f" * 32, leaf=b"{}", intake_tag=tag)
        )
        connection.execute(sa.insert(store.Pending).values(entry_id="f" * 32, at=world.clock.now))
    with pytest.raises(LogTampered, match="f" * 32):
        world.placet.sequencer().run_once()
    found = world.verify()
    assert not found.ok
    assert any("f" * 32 in finding.message for finding in found.findings)


def test_the_sequencer_signs_nothing_on_top_of_an_altered_tree(world: World) -> None:
    world.settle()
    with behind_our_back(world.placet.settings.database_url) as connection:
        hashes = connection.scalar(sa.text("SELECT hashes FROM audit_tile WHERE level = 0"))
        assert hashes is not None
        connection.execute(sa.update(store.Tile).values(hashes=bytes(32) + hashes[32:]))
    record(world, 1)
    with pytest.raises(LogTampered, match="tree"):
        world.placet.sequencer().run_once()


def test_the_sequencer_refuses_a_checkpoint_of_another_key(world: World) -> None:
    world.settle()
    ids = CountedIds("forger")
    from privacy.audit.sequencer import create_log_key  # noqa: PLC0415 - makes the forger's key

    forger_folder = world.placet.settings.instance / "forger"
    forger_folder.mkdir()
    create_log_key(forger_folder, verifier_of(world).name, ids)
    forger = Sequencer(world.placet.runtime, world.placet.log, read_signer(forger_folder))
    record(world, 1)
    with pytest.raises(ValueError, match="signed"):
        forger.run_once(BATCH)


def test_verification_counts_what_it_does(world: World) -> None:
    record(world, 10)
    world.settle()
    seen: list[tuple[int, int]] = []
    with world.placet.runtime.snapshot() as session:
        found = verify_log(
            session,
            world.placet.log,
            verifier_of(world),
            progress=lambda done, total: seen.append((done, total)),
        )
    assert seen == [(found.size, found.size)]


def test_a_snapshot_before_the_first_checkpoint_proves_nothing(empty_log: World) -> None:
    [entry_id] = record(empty_log, 1)
    with empty_log.placet.runtime.snapshot() as session:
        inclusions = Inclusions(session)
        assert inclusions.checkpoint is None
        assert inclusions.find(entry_id) is None
        assert inclusions._tree.root() == EMPTY_ROOT


def test_erased_entries_keep_their_proofs(world: World) -> None:
    from policies.vocabulary import RetentionClass  # noqa: PLC0415 - for this test alone

    record(world, 12)
    world.settle()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        gone = world.placet.log.erase(uow, "a" * 32, list(RetentionClass))
        uow.commit()
    assert gone == 4
    assert world.verify().erased == 4  # also while the erasure itself still waits
    world.settle()
    found = world.verify()
    assert found.ok, found.findings
    assert found.erased == 4
