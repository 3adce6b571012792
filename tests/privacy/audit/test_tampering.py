"""Somebody changes the database behind our back: what they did is found, and where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from policies.vocabulary import RetentionClass
from privacy.actor import SYSTEM
from privacy.audit import commands, store
from privacy.audit.checkpoint import Checkpoint
from privacy.audit.entry_form import intake_tag
from privacy.audit.merkle import leaf_hash
from privacy.audit.note import Signer
from privacy.audit.sequencer import read_verifier
from privacy.audit.tiles import tile_width
from privacy.audit.verification import verify_log
from privacy.keys.keyring import RootKey
from tests.privacy.audit.logged import PEOPLE, record
from tests.support.postgres import PostgresServer
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world

ANA = PEOPLE[0]


@dataclass
class Tampering:
    """A settled log of three checkpoints, and somebody with the database's password.

    Attributes:
        sizes: leaves under the checkpoints.
        index: an entry in the middle, covered by the third checkpoint.
        erased: index of an entry whose payload was erased.
    """

    world: World
    connection: sa.Connection
    sizes: tuple[int, int, int]
    index: int
    erased: int

    def entry_id(self, index: int) -> str:
        query = sa.select(store.Leaf.entry_id).where(store.Leaf.leaf_index == index)
        return str(self.connection.scalar(query))

    def change(self, table: type, where: sa.ColumnElement[bool], **values: object) -> None:
        done = self.connection.execute(sa.update(table).where(where).values(**values))
        assert done.rowcount > 0

    def remove(self, table: type, where: sa.ColumnElement[bool]) -> None:
        assert self.connection.execute(sa.delete(table).where(where)).rowcount > 0

    def leaf(self, index: int) -> bytes:
        query = sa.select(store.Entry.leaf).where(store.Entry.entry_id == self.entry_id(index))
        return bytes(self.connection.scalar(query) or b"")

    def altered_leaf(self, index: int) -> bytes:
        return self.leaf(index).replace(b"2026-03-03", b"2026-03-04")

    def set_hash(self, index: int, hash_: bytes) -> None:
        whole = (store.Tile.level == 0) & (store.Tile.tile_index == index // 256)
        hashes = self.connection.scalar(sa.select(store.Tile.hashes).where(whole))
        assert hashes is not None
        at = index % 256 * 32
        self.change(store.Tile, whole, hashes=hashes[:at] + hash_ + hashes[at + 32 :])


def leaf_altered(t: Tampering) -> int:
    where = store.Entry.entry_id == t.entry_id(t.index)
    t.change(store.Entry, where, leaf=t.altered_leaf(t.index))
    return t.index


def intake_tag_altered(t: Tampering) -> int:
    where = store.Entry.entry_id == t.entry_id(t.index)
    t.change(store.Entry, where, intake_tag=bytes(32))
    return t.index


def payload_altered(t: Tampering) -> int:
    entry_id = t.entry_id(t.index)
    sealed = t.connection.scalar(
        sa.select(store.Payload.sealed).where(store.Payload.entry_id == entry_id)
    )
    assert sealed is not None
    forged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    t.change(store.Payload, store.Payload.entry_id == entry_id, sealed=forged)
    return t.index


def payload_given_to_another_person(t: Tampering) -> int:
    where = store.Payload.entry_id == t.entry_id(t.index)
    t.change(store.Payload, where, holder="d" * 32)
    return t.index


def payload_removed(t: Tampering) -> int:
    t.remove(store.Payload, store.Payload.entry_id == t.entry_id(t.index))
    return t.index


def payloads_swapped(t: Tampering) -> int:
    one, other = t.entry_id(t.index), t.entry_id(t.index + 3)
    t.change(store.Payload, store.Payload.entry_id == one, entry_id="x")
    t.change(store.Payload, store.Payload.entry_id == other, entry_id=one)
    t.change(store.Payload, store.Payload.entry_id == "x", entry_id=other)
    return t.index


def entry_removed(t: Tampering, index: int) -> int:
    entry_id = t.entry_id(index)
    for table in (store.Payload, store.Leaf, store.Entry):
        t.remove(table, table.entry_id == entry_id)
    return index


def entry_in_the_middle_removed(t: Tampering) -> int:
    return entry_removed(t, t.index)


def last_entry_removed(t: Tampering) -> int:
    return entry_removed(t, t.sizes[-1] - 1)


def place_removed(t: Tampering) -> int:
    t.remove(store.Leaf, store.Leaf.leaf_index == t.index)
    return t.index


def entry_added_at_the_end(t: Tampering) -> int:
    index = t.sizes[-1]
    entry = sa.insert(store.Entry).values(
        entry_id="f" * 32, leaf=t.leaf(t.index), intake_tag=bytes(32)
    )
    t.connection.execute(entry)
    t.connection.execute(sa.insert(store.Leaf).values(leaf_index=index, entry_id="f" * 32))
    return index


def entry_added_before_the_beginning(t: Tampering) -> int:
    entry_added_at_the_end(t)
    t.change(store.Leaf, store.Leaf.entry_id == "f" * 32, leaf_index=-1)
    return -1


def entry_put_in_the_place_of_another(t: Tampering) -> int:
    entry = sa.insert(store.Entry).values(
        entry_id="f" * 32, leaf=t.leaf(t.index), intake_tag=bytes(32)
    )
    t.connection.execute(entry)
    t.change(store.Leaf, store.Leaf.leaf_index == t.index, entry_id="f" * 32)
    return t.index


def tile_altered(t: Tampering) -> int:
    t.set_hash(t.index, bytes(32))
    return t.index


def tile_removed(t: Tampering) -> int:
    t.remove(store.Tile, (store.Tile.level == 0) & (store.Tile.tile_index == 0))
    return 0


def tile_lengthened(t: Tampering) -> int:
    t.set_hash(t.sizes[-1], bytes(32))
    return t.sizes[-1]


def upper_tile_altered(t: Tampering) -> int:
    t.change(store.Tile, store.Tile.level == 1, hashes=bytes(32))
    return 0


def tile_added(t: Tampering) -> int:
    t.connection.execute(sa.insert(store.Tile).values(level=0, tile_index=9, hashes=bytes(32)))
    return 9 * 256


def leaf_and_tile_altered_alike(t: Tampering) -> int:
    forged = t.altered_leaf(t.index)
    leaf_altered(t)
    t.set_hash(t.index, leaf_hash(forged))
    return t.index


def leaf_tile_and_tag_altered_by_an_insider(t: Tampering) -> int:
    """Who holds the web process's keys but not the log's: the checkpoint gives them away.

    The place is known up to the checkpoints around it.
    """
    forged = t.altered_leaf(t.index)
    entry_id = t.entry_id(t.index)
    tag = intake_tag(t.world.placet.keyring.root(RootKey.LOG_INTAKE), entry_id, forged)
    t.change(store.Entry, store.Entry.entry_id == entry_id, leaf=forged, intake_tag=tag)
    t.set_hash(t.index, leaf_hash(forged))
    return t.sizes[1]


def two_entries_swapped(t: Tampering) -> int:
    one, other = t.entry_id(t.index), t.entry_id(t.index + 1)
    t.change(store.Leaf, store.Leaf.leaf_index == t.index, entry_id="x")
    t.change(store.Leaf, store.Leaf.leaf_index == t.index + 1, entry_id=one)
    t.change(store.Leaf, store.Leaf.leaf_index == t.index, entry_id=other)
    return t.index


def newest_note(t: Tampering) -> tuple[sa.ColumnElement[bool], str]:
    newest = store.SignedCheckpoint.tree_size == t.sizes[-1]
    return newest, str(t.connection.scalar(sa.select(store.SignedCheckpoint.note).where(newest)))


def checkpoint_altered(t: Tampering) -> int:
    newest, note = newest_note(t)
    lines = note.split("\n")
    lines[2] = lines[2].swapcase()
    t.change(store.SignedCheckpoint, newest, note="\n".join(lines))
    return t.sizes[1]


def checkpoint_removed(t: Tampering) -> int:
    t.remove(store.SignedCheckpoint, newest_note(t)[0])
    return t.sizes[1]


def checkpoint_forged_with_another_key(t: Tampering) -> int:
    newest, note = newest_note(t)
    origin = read_verifier(t.world.placet.keys_folder).name
    forger = Signer(origin, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\7"))
    text = note.split("\n\n")[0] + "\n"
    assert Checkpoint.parse(text).size == t.sizes[-1]
    t.change(store.SignedCheckpoint, newest, note=forger.sign(text))
    return t.sizes[1]


def every_checkpoint_removed(t: Tampering) -> int:
    t.remove(store.SignedCheckpoint, sa.true())
    return 0


def opening_forged(t: Tampering) -> int:
    """A payload is removed, and the opening of an erased entry lent to it."""
    entry_id = t.entry_id(t.index)
    lent = t.connection.execute(sa.select(store.Opening.erasure_entry_id, store.Opening.opening))
    erasure_entry_id, opening = lent.first() or ("", "")
    t.remove(store.Payload, store.Payload.entry_id == entry_id)
    t.connection.execute(
        sa.insert(store.Opening).values(
            entry_id=entry_id, erasure_entry_id=erasure_entry_id, opening=opening
        )
    )
    return t.index


def opening_beside_a_payload(t: Tampering) -> int:
    opening_forged_text = '{"salt":"","index":0,"size":1,"path":[]}'
    entry_id = t.entry_id(t.index)
    t.connection.execute(
        sa.insert(store.Opening).values(
            entry_id=entry_id, erasure_entry_id=entry_id, opening=opening_forged_text
        )
    )
    return t.index


def opening_removed(t: Tampering) -> int:
    t.remove(store.Opening, store.Opening.entry_id == t.entry_id(t.erased))
    return t.erased


def wrapped_key_altered(t: Tampering) -> int:
    """All of Bruno's sign-ins are lost; the first of them is named."""
    mine = sa.text(
        "UPDATE data_key SET wrapped = :wrapped WHERE holder = :holder AND retention = :retention"
    )
    values = {
        "wrapped": b"\x01" + bytes(60),
        "holder": PEOPLE[1],
        "retention": RetentionClass.SECURITY_TRAIL.value,
    }
    assert t.connection.execute(mine, values).rowcount == 1
    first = (
        sa.select(sa.func.min(store.Leaf.leaf_index))
        .join(store.Payload, store.Payload.entry_id == store.Leaf.entry_id)
        .where(
            store.Payload.holder == PEOPLE[1],
            store.Payload.retention == RetentionClass.SECURITY_TRAIL.value,
        )
    )
    index = t.connection.scalar(first)
    assert index is not None
    return index


def placed_entry_queued_again(t: Tampering) -> int:
    entry_id = t.entry_id(t.index)
    t.connection.execute(sa.insert(store.Pending).values(entry_id=entry_id, at=t.world.clock.now))
    return t.index


KINDS: list[Callable[[Tampering], int]] = [
    leaf_altered,
    intake_tag_altered,
    payload_altered,
    payload_given_to_another_person,
    payload_removed,
    payloads_swapped,
    entry_in_the_middle_removed,
    last_entry_removed,
    place_removed,
    entry_added_at_the_end,
    entry_added_before_the_beginning,
    entry_put_in_the_place_of_another,
    tile_altered,
    tile_removed,
    tile_lengthened,
    upper_tile_altered,
    tile_added,
    leaf_and_tile_altered_alike,
    leaf_tile_and_tag_altered_by_an_insider,
    two_entries_swapped,
    checkpoint_altered,
    checkpoint_removed,
    checkpoint_forged_with_another_key,
    every_checkpoint_removed,
    opening_forged,
    opening_beside_a_payload,
    opening_removed,
    wrapped_key_altered,
    placed_entry_queued_again,
]


def settled(world: World) -> tuple[tuple[int, int, int], int]:
    """Three checkpoints, Ana's entries of the first erased, a full tile; sizes and an erased index."""
    [erased_id, *_] = record(world, 30)
    world.settle()
    first = world.verify().size
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.log.erase(uow, ANA, [RetentionClass.CONSENT_EVIDENCE])
        uow.commit()
    record(world, 10, people=PEOPLE[1:])
    world.settle()
    second = world.verify().size
    record(world, 300, people=PEOPLE[1:])
    world.settle()
    found = world.verify()
    assert found.ok, found.findings
    with world.placet.runtime.snapshot() as session:
        erased = store.index_of(session, erased_id)
    assert erased is not None
    return (first, second, found.size), erased


def run(world: World, *arguments: str) -> tuple[int, str]:
    placet = world.placet
    group = commands.group(
        lambda: commands.Deployment(
            placet.runtime, placet.log, placet.keys_folder, placet.kept_checkpoint
        )
    )
    result = CliRunner().invoke(group, ["verify", *arguments])
    return result.exit_code, result.output


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def settled_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, tuple[int, int, int], int]]:
    """One settled log for all kinds of tampering, each of which is rolled back."""
    instance = tmp_path_factory.mktemp("settled") / "instance"
    with ExitStack() as stack:
        if request.param == "sqlite":
            shutil.copytree(request.getfixturevalue("sqlite_template"), instance)
            url = f"sqlite:///{instance / 'placet.sqlite3'}"
        else:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            template, name = request.getfixturevalue("postgres_template")
            shutil.copytree(template, instance)
            server.create_database("settled", template=name)
            stack.callback(server.drop_database, "settled")
            url = server.url("settled")
        world = make_world(url, instance)
        stack.callback(world.placet.runtime.database.engine.dispose)
        sizes, erased = settled(world)
        yield world, sizes, erased


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_is_found_with_the_number_of_the_first_bad_entry(
    settled_world: tuple[World, tuple[int, int, int], int], kind: Callable[[Tampering], int]
) -> None:
    world, sizes, erased = settled_world
    verifier = read_verifier(world.placet.keys_folder)
    with behind_our_back(world.placet.settings.database_url, keep=False) as connection:
        index = kind(Tampering(world, connection, sizes, sizes[1] + 120, erased))
        with Session(connection) as session:
            found = verify_log(session, world.placet.log, verifier)
    assert (found.ok, found.first_bad) == (False, index), found.findings
    assert world.verify().ok  # it was undone, and so did not hide behind another finding


@pytest.mark.parametrize("kind", [payload_removed, checkpoint_removed], ids=lambda k: k.__name__)
def test_the_command_says_ok_and_then_names_the_first_bad_entry(
    world: World, kind: Callable[[Tampering], int]
) -> None:
    sizes, erased = settled(world)
    words = f"ok: {sizes[-1]} entries, {world.verify().erased} of them erased; 0 pending\n"
    assert run(world) == (0, words)
    with behind_our_back(world.placet.settings.database_url) as connection:
        index = kind(Tampering(world, connection, sizes, sizes[1] + 120, erased))
    code, output = run(world)
    assert code == 1
    assert output.splitlines()[0] == f"not verified: first bad entry {index}"
    code, output = run(world, "--json")
    assert code == 1
    told = json.loads(output)
    assert (told["ok"], told["first_bad"]) == (False, index)


def test_an_older_checkpoint_that_was_altered_is_found(world: World) -> None:
    sizes, _erased = settled(world)
    with behind_our_back(world.placet.settings.database_url) as connection:
        older = store.SignedCheckpoint.tree_size == sizes[0]
        connection.execute(sa.update(store.SignedCheckpoint).where(older).values(note="x"))
    found = world.verify()
    assert not found.ok
    assert found.first_bad is None  # no entry is bad: a newer checkpoint covers them all
    code, output = run(world)
    assert code == 1
    assert f"checkpoint of size {sizes[0]}" in output


def test_a_waiting_entry_whose_payload_was_altered_or_turn_removed_is_found(world: World) -> None:
    world.settle()
    one, other = record(world, 2)
    with behind_our_back(world.placet.settings.database_url) as connection:
        connection.execute(
            sa.update(store.Payload).where(store.Payload.entry_id == one).values(sealed=b"\x01x")
        )
        connection.execute(sa.delete(store.Pending).where(store.Pending.entry_id == other))
    messages = [finding.message for finding in world.verify().findings]
    assert any("cannot be opened" in message for message in messages)
    assert any(other in message for message in messages)
    assert run(world)[0] == 1


def _cut_to(world: World, size: int) -> None:
    """Remove everything from entry `size` on, consistently: what is left verifies by itself."""
    with behind_our_back(world.placet.settings.database_url) as connection:
        beyond = sa.select(store.Leaf.entry_id).where(store.Leaf.leaf_index >= size)
        gone = connection.scalars(beyond).all()
        for table in (store.Leaf, store.Payload, store.Entry):
            connection.execute(sa.delete(table).where(table.entry_id.in_(gone)))
        later = store.SignedCheckpoint.tree_size > size
        connection.execute(sa.delete(store.SignedCheckpoint).where(later))
        for level, index in connection.execute(sa.select(store.Tile.level, store.Tile.tile_index)):
            width = tile_width(size, level, index) * 32
            where = (store.Tile.level == level, store.Tile.tile_index == index)
            hashes = connection.scalar(sa.select(store.Tile.hashes).where(*where)) or b""
            if width:
                changed = sa.update(store.Tile).where(*where).values(hashes=hashes[:width])
                connection.execute(changed)
            else:
                connection.execute(sa.delete(store.Tile).where(*where))


def test_a_log_cut_with_its_checkpoints_does_not_fit_the_one_kept_outside(world: World) -> None:
    record(world, 5)
    world.settle()
    early = world.verify().size
    kept_early = world.placet.kept_checkpoint.read_text()
    record(world, 5)
    world.settle()
    assert run(world)[0] == 0
    _cut_to(world, early)
    assert world.verify().ok  # by itself it looks whole
    code, output = run(world)
    assert code == 1
    assert output.startswith(f"not verified: first bad entry {early}\n")
    world.placet.kept_checkpoint.write_text(kept_early)  # whoever holds the file too goes unseen
    assert run(world)[0] == 0


def test_a_rewritten_log_does_not_fit_a_checkpoint_kept_elsewhere(
    world: World, tmp_path: Path
) -> None:
    record(world, 5)
    world.settle()
    early = world.verify().size
    record(world, 2)
    world.settle()
    elsewhere = tmp_path / "checkpoint"
    shutil.copy(world.placet.kept_checkpoint, elsewhere)
    _cut_to(world, early)
    record(world, 2)  # the worker, which knows nothing, places and signs other entries there
    world.settle()
    assert run(world)[0] == 0
    code, output = run(world, "--checkpoint", str(elsewhere))
    assert code == 1
    assert "not those signed" in output or "two checkpoints" in output
    elsewhere.write_text("nonsense")
    assert run(world, "--checkpoint", str(elsewhere))[0] == 1


def test_many_findings_do_not_hide_the_first_bad_entry(world: World) -> None:
    sizes, _erased = settled(world)
    with behind_our_back(world.placet.settings.database_url) as connection:
        connection.execute(
            sa.delete(store.Payload).where(
                store.Payload.entry_id.in_(
                    sa.select(store.Leaf.entry_id).where(store.Leaf.leaf_index > sizes[1])
                )
            )
        )
        tile = sa.select(store.Tile.hashes).where(store.Tile.level == 1)
        assert connection.scalar(tile)
        connection.execute(
            sa.update(store.Tile).where(store.Tile.level == 1).values(hashes=bytes(32))
        )
    assert world.verify().first_bad == sizes[1] + 1


def test_another_key_than_the_logs_is_told_from_a_bad_log(world: World) -> None:
    record(world, 3)
    world.settle()
    good = read_verifier(world.placet.keys_folder).vkey
    assert run(world, "--key", good)[0] == 0
    other = Signer("x/audit", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\7")).vkey
    assert run(world, "--key", other)[0] == 1
    assert run(world, "--key", "nonsense")[0] == 2
    assert run(world, "--export", "/no/such/file")[0] == 2
