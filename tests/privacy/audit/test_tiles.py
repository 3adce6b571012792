from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.audit import merkle, tiles
from privacy.audit.encoding import FormatError
from tests.privacy.audit.rfc9162 import NaiveTree, numbered

# SHA-256 over, for each size from 0 to 300 of the tree of the leaves "0", "1", ...: its root, the
# audit path of each leaf, the consistency proof from each smaller size. Computed once with
# `rfc9162.NaiveTree`, which shares no code with what is tested.
ACCUMULATED_SIZES = 300
ACCUMULATED = "3db698ffca8b33094e850194009b6ea6743c04b525df8c243270f0bd8e182edc"


class Storage:
    """Tiles in a dictionary, as a table would hold them."""

    def __init__(self) -> None:
        self.size = 0
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.reads = 0

    def read(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.tiles[level, index]

    def append(self, leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
        changed = tiles.append(self.size, [merkle.leaf_hash(leaf) for leaf in leaves], self.read)
        self.tiles |= changed
        self.size += len(leaves)
        return changed


def stored(count: int) -> Storage:
    storage = Storage()
    storage.append(numbered(count))
    return storage


def test_every_root_and_proof_up_to_300_leaves_adds_up_to_the_pinned_hash() -> None:
    storage, total = stored(ACCUMULATED_SIZES), sha256()
    for size in range(ACCUMULATED_SIZES + 1):
        tree = tiles.TileTree(size, storage.read)
        total.update(tree.root())
        for index in range(size):
            total.update(b"".join(tree.inclusion_proof(index)))
        for old in range(1, size + 1):
            total.update(b"".join(tree.consistency_proof(old)))
    assert total.hexdigest() == ACCUMULATED


@pytest.mark.parametrize("size", [1, 2, 3, 100, 255, 256, 257, 300, 511, 512, 513, 1000])
def test_tiles_give_the_roots_and_proofs_of_the_rfc(size: int) -> None:
    naive, tree = NaiveTree(numbered(size)), tiles.TileTree(size, stored(size).read)
    root = tree.root()
    assert root == naive.root(size)
    for index, leaf in enumerate(naive.leaves):
        proof = tree.inclusion_proof(index)
        assert proof == naive.path(index, size)
        assert merkle.verify_inclusion(merkle.leaf_hash(leaf), index, size, proof, root)
    for old in range(1, size + 1):
        proof = tree.consistency_proof(old)
        assert proof == naive.proof(old, size)
        assert merkle.verify_consistency(old, size, proof, naive.root(old), root)


def test_a_tree_of_three_levels_of_tiles_is_that_of_the_rfc() -> None:
    """The example of tlog-tiles: 70,000 leaves have 273 full tiles, then 112, 17 and 1 hashes."""
    size, naive, storage = 70_000, NaiveTree(numbered(70_000)), stored(70_000)
    widths = {place: len(tile) // 32 for place, tile in storage.tiles.items()}
    assert widths == {
        **{(0, n): 256 for n in range(273)},
        (0, 273): 112,
        (1, 0): 256,
        (1, 1): 17,
        (2, 0): 1,
    }
    tree = tiles.TileTree(size, storage.read)
    assert tree.root() == naive.root(size)
    for at in (0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999):
        assert tree.inclusion_proof(at) == naive.path(at, size)
        assert tree.consistency_proof(at + 1) == naive.proof(at + 1, size)


@given(st.lists(st.integers(0, 700), max_size=6))
@settings(deadline=None, max_examples=60)
def test_the_tiles_do_not_depend_on_how_the_leaves_were_batched(batches: list[int]) -> None:
    leaves, storage = numbered(sum(batches)), Storage()
    for batch in batches:
        before = dict(storage.tiles)
        changed = storage.append(leaves[storage.size : storage.size + batch])
        assert all(before.get(place) != tile for place, tile in changed.items())
    assert storage.tiles == stored(len(leaves)).tiles
    assert storage.tiles.keys() == {
        (level, index)
        for level in range(3)
        for index in range(len(leaves) // 256 + 1)
        if tiles.tile_width(storage.size, level, index)
    }
    for (level, index), tile in storage.tiles.items():
        assert len(tile) == 32 * tiles.tile_width(storage.size, level, index)
    assert tiles.TileTree(storage.size, storage.read).root() == NaiveTree(leaves).root(len(leaves))


def test_an_older_tree_is_read_from_tiles_that_have_grown_since() -> None:
    naive, storage = NaiveTree(numbered(600)), stored(600)
    tree = tiles.TileTree(300, storage.read)
    assert tree.root() == naive.root(300)
    assert tree.inclusion_proof(299) == naive.path(299, 300)


def test_leaves_are_appended_to_tiles_that_hold_more_than_the_tree() -> None:
    """After a crash between tiles and checkpoint the surplus is overwritten, not built upon."""
    storage = stored(300)
    again = tiles.append(290, [merkle.leaf_hash(str(i).encode()) for i in (290, 291)], storage.read)
    assert again == {(0, 1): storage.tiles[0, 1][: 36 * 32]}


def test_appending_reads_one_tile_a_level() -> None:
    storage = stored(70_000)
    storage.reads = 0
    storage.append(numbered(1_000))
    assert storage.reads == 2  # level 0 is partial, level 1 too, level 2 gets nothing


def test_one_tree_reads_each_tile_once_for_many_proofs() -> None:
    storage = stored(1_000)
    storage.reads = 0
    tree = tiles.TileTree(1_000, storage.read)
    for index in range(1_000):
        tree.inclusion_proof(index)
    assert storage.reads == len(storage.tiles)


def test_a_tile_that_lost_hashes_is_refused() -> None:
    storage = stored(300)
    storage.tiles[0, 1] = storage.tiles[0, 1][:-32]
    with pytest.raises(FormatError, match="shorter"):
        tiles.TileTree(300, storage.read).root()
    with pytest.raises(FormatError, match="shorter"):
        storage.append([b"next"])


def test_a_leaf_hash_of_another_length_is_refused() -> None:
    with pytest.raises(FormatError, match="32 bytes"):
        tiles.append(0, [bytes(32), bytes(31)], Storage().read)


def test_appending_nothing_changes_nothing() -> None:
    assert stored(256).append([]) == {}


# -- paths --------------------------------------------------------------------------------------

PATHS = {
    "tile/0/x001/x234/067": tiles.TilePath(0, 1_234_067),  # the example of tlog-tiles
    "tile/0/000": tiles.TilePath(0, 0),
    "tile/0/273.p/112": tiles.TilePath(0, 273, 112),
    "tile/1/001.p/17": tiles.TilePath(1, 1, 17),
    "tile/63/x001/000": tiles.TilePath(63, 1000),
    "tile/entries/x123/x456/789.p/255": tiles.TilePath(None, 123_456_789, 255),
    "tile/entries/999": tiles.TilePath(None, 999),
}


@pytest.mark.parametrize(("path", "tile"), PATHS.items())
def test_a_tile_has_one_path(path: str, tile: tiles.TilePath) -> None:
    assert tile.encode() == path
    assert tiles.TilePath.parse(path) == tile


@given(
    st.none() | st.integers(0, 63),
    st.integers(0, 2**56 - 1) | st.integers(0, 10_000),
    st.integers(1, 256),
)
def test_each_path_leads_back_to_its_tile(level: int | None, index: int, width: int) -> None:
    tile = tiles.TilePath(level, index, width)
    assert tiles.TilePath.parse(tile.encode()) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/",
        "tile/0/0",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/234",
        "tile/0/x001",
        "tile/0/x1/234",
        "tile/0/-01",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000\n",
        "/tile/0/000",
        "tile/0/٠٠٠",
        "tile/0/../000",
        "tile/0/x072/x057/x594/x037/x927/x936",
        "tile/0/x072/x057/x594/x037/x927/936",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ],
)
def test_no_other_path_names_a_tile(path: str) -> None:
    with pytest.raises(FormatError):
        tiles.TilePath.parse(path)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_outside_the_ranges_cannot_be_named(level: int, index: int, width: int) -> None:
    with pytest.raises(FormatError):
        tiles.TilePath(level, index, width)


# -- bundles of entries -----------------------------------------------------------------------


def test_entries_are_prefixed_with_their_length_in_two_bytes() -> None:
    assert tiles.encode_entries([b"", b"ab", b"c" * 258]) == b"\0\0\0\2ab\1\2" + b"c" * 258


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
@settings(deadline=None)
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    assert tiles.parse_entries(tiles.encode_entries(entries)) == entries


def test_the_longest_entry_fits_and_a_longer_one_does_not() -> None:
    longest = b"x" * 65_535
    assert tiles.parse_entries(tiles.encode_entries([longest])) == [longest]
    with pytest.raises(FormatError, match="65535"):
        tiles.encode_entries([longest + b"x"])


@pytest.mark.parametrize("count", [0, 257])
def test_a_bundle_holds_1_to_256_entries(count: int) -> None:
    with pytest.raises(FormatError, match="1 to 256"):
        tiles.encode_entries([b"x"] * count)
    with pytest.raises(FormatError, match="1 to 256"):
        tiles.parse_entries(b"\0\1x" * count)


@pytest.mark.parametrize("bundle", [b"\0", b"\0\1", b"\0\2a", b"\0\1a\0", b"\0\1a\0\2b"])
def test_a_bundle_cut_short_is_refused(bundle: bytes) -> None:
    with pytest.raises(FormatError, match="cut short"):
        tiles.parse_entries(bundle)
