import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from policies.vocabulary import RetentionClass
from privacy.actor import SYSTEM
from privacy.keys import store
from privacy.keys.keyring import KeyMissing, Keyring, RootKey
from privacy.keys.sealing import DEPLOYMENT, KeyDestroyed, SealBroken, place
from privacy.unit_of_work import UnitOfWork
from tests.support.world import CountedIds, World

ANA, BRUNO = "a" * 32, "b" * 32
PROFILE, EVIDENCE = RetentionClass.PROFILE, RetentionClass.CONSENT_EVIDENCE
HERE = place("table", "column", "row")


def _seal(world: World, uow: UnitOfWork, holder: str = ANA, plain: bytes = b"secret") -> bytes:
    return world.placet.sealer.seal(uow.session, holder, PROFILE, HERE, plain, at=uow.now)


def test_what_was_sealed_opens_in_its_place_and_nowhere_else(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        sealed = _seal(world, uow)
        _seal(world, uow, BRUNO)
        world.placet.sealer.seal(uow.session, ANA, EVIDENCE, HERE, b"x", at=uow.now)
        opened = world.placet.sealer.open
        assert opened(uow.session, ANA, PROFILE, HERE, sealed) == b"secret"
        for holder, retention, where in (
            (BRUNO, PROFILE, HERE),
            (ANA, EVIDENCE, HERE),
            (ANA, PROFILE, place("table", "column", "another row")),
            (ANA, PROFILE, place("table", "another column", "row")),
        ):
            with pytest.raises(SealBroken):
                opened(uow.session, holder, retention, where, sealed)


def test_every_altered_byte_is_noticed(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        sealed = _seal(world, uow)
        for position in range(len(sealed)):
            altered = bytearray(sealed)
            altered[position] ^= 1
            with pytest.raises(SealBroken):
                world.placet.sealer.open(uow.session, ANA, PROFILE, HERE, bytes(altered))
        with pytest.raises(SealBroken):
            world.placet.sealer.open(uow.session, ANA, PROFILE, HERE, b"")


def test_a_destroyed_key_ends_one_class_of_one_person_alone(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        sealer, session = world.placet.sealer, uow.session
        profile, bruno = _seal(world, uow), _seal(world, uow, BRUNO)
        evidence = sealer.seal(session, ANA, EVIDENCE, HERE, b"evidence", at=uow.now)
        assert sealer.destroy(session, ANA, PROFILE)
        assert not sealer.destroy(session, ANA, PROFILE)
        with pytest.raises(KeyDestroyed):
            sealer.open(session, ANA, PROFILE, HERE, profile)
        assert sealer.open(session, ANA, EVIDENCE, HERE, evidence) == b"evidence"
        assert sealer.open(session, BRUNO, PROFILE, HERE, bruno) == b"secret"


def test_a_wrapped_key_moved_to_another_person_does_not_open(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        _seal(world, uow)
        sealed = _seal(world, uow, BRUNO)
        uow.commit()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        ana = uow.session.get(store.DataKey, (ANA, PROFILE.value))
        bruno = uow.session.get(store.DataKey, (BRUNO, PROFILE.value))
        assert ana is not None
        assert bruno is not None
        bruno.wrapped = ana.wrapped
        uow.commit()
    with world.placet.runtime.snapshot() as session, pytest.raises(SealBroken):
        world.placet.sealer.open(session, BRUNO, PROFILE, HERE, sealed)


def test_after_a_rewrap_the_old_epoch_can_be_destroyed_and_an_old_backup_stays_shut(
    world: World,
) -> None:
    keyring, sealer = world.placet.keyring, world.placet.sealer
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        sealed = _seal(world, uow)
        uow.commit()
    with world.placet.runtime.snapshot() as session:
        old = store.find(session, ANA, PROFILE)
        assert old is not None
    keyring.create_epoch(world.ids, 2)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        while sealer.rewrap(uow.session, 2).moved:
            pass
        uow.commit()
    keyring.destroy_epoch(1)
    with world.placet.runtime.snapshot() as session:
        assert sealer.open(session, ANA, PROFILE, HERE, sealed) == b"secret"
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:  # a backup brings the old row back
        row = uow.session.get(store.DataKey, (ANA, PROFILE.value))
        assert row is not None
        row.wrapped, row.epoch = old.wrapped, old.epoch
        uow.commit()
    with world.placet.runtime.snapshot() as session, pytest.raises(KeyMissing):
        sealer.open(session, ANA, PROFILE, HERE, sealed)


def test_no_plaintext_rests_beside_the_sealed_value(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert b"secret" not in _seal(world, uow)
        assert _seal(world, uow) != _seal(world, uow)  # a fresh nonce each time
        sealed = world.placet.sealer.seal(uow.session, DEPLOYMENT, PROFILE, HERE, b"", at=uow.now)
        assert world.placet.sealer.open(uow.session, DEPLOYMENT, PROFILE, HERE, sealed) == b""


def test_key_files_are_for_their_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    assert keyring.create_missing(CountedIds())
    before = {path: path.read_bytes() for path in keyring.key_files()}
    assert len(before) == len(RootKey) + 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in before)
    assert not Keyring(tmp_path / "keys").create_missing(CountedIds("other"))
    assert {path: path.read_bytes() for path in keyring.key_files()} == before
    assert len(set(before.values())) == len(before)


def test_a_missing_or_short_key_file_is_named(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    with pytest.raises(KeyMissing, match="placet setup"):
        keyring.current_epoch()
    with pytest.raises(KeyMissing, match=r"pseudonym\.key"):
        keyring.root(RootKey.PSEUDONYM)
    keyring.create_missing(CountedIds())
    (tmp_path / "keys" / "cookie.key").write_bytes(b"short")
    with pytest.raises(KeyMissing, match="32 bytes"):
        keyring.root(RootKey.COOKIE)


def test_derived_keys_differ_by_every_part_of_their_name(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys")
    keyring.create_missing(CountedIds())
    names = [("a", "b"), ("ab",), ("a", "b", "c"), ("b", "a")]
    keys = {keyring.derive(root, *name) for root in RootKey for name in names}
    assert len(keys) == len(RootKey) * len(names)
    with pytest.raises(ValueError, match="separator"):
        keyring.derive(RootKey.COOKIE, "a|b")


def test_the_first_key_of_a_class_is_made_once_by_many_at_once(world: World) -> None:
    """Two first requests at the same moment: neither fails, and both values open."""
    together = threading.Barrier(8)

    def first(_number: int) -> bytes:
        together.wait()
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            sealed = _seal(world, uow)
            uow.commit()
            return sealed

    with ThreadPoolExecutor(8) as threads:
        values = list(threads.map(first, range(8)))
    with world.placet.runtime.snapshot() as session:
        for sealed in values:
            assert world.placet.sealer.open(session, ANA, PROFILE, HERE, sealed) == b"secret"


def test_a_key_is_not_destroyed_under_who_is_sealing_with_it(world: World) -> None:
    """The erasure waits, and so sees and erases what was sealed meanwhile."""
    runtime, sealer = world.placet.runtime, world.placet.sealer
    if runtime.database.is_sqlite:
        pytest.skip("SQLite has one writer")
    with runtime.unit_of_work(SYSTEM) as uow:
        _seal(world, uow)
        uow.commit()

    def destroy() -> bool:
        with runtime.unit_of_work(SYSTEM) as uow:
            destroyed = sealer.destroy(uow.session, ANA, PROFILE)
            uow.commit()
            return destroyed

    with ThreadPoolExecutor(1) as threads:
        with runtime.unit_of_work(SYSTEM) as uow:
            _seal(world, uow)
            destroyed = threads.submit(destroy)
            with pytest.raises(TimeoutError):
                destroyed.result(0.5)
            uow.commit()
        assert destroyed.result(10)
