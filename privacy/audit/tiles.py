"""How the tree is stored and served: tiles of 256 hashes. Source: C2SP tlog-tiles.

Tile (L, N) holds the hashes of the complete subtrees of 256^L leaves, from the (256 * N)-th on.
A tile with fewer than 256 hashes is partial. Arithmetic only: who stores them is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from privacy.audit import merkle
from privacy.audit.encoding import HASH_BYTES, MAX_UINT64, FormatError

HEIGHT = 8
WIDTH = 256
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 65_535
_CACHED_TILES = 64  # about 1 MB; a tree of a million leaves has 17 tiles above its leaves

TileReader = Callable[[int, int], bytes]
"""`(level, index)` -> the tile's hashes so far, concatenated. More than asked for does no harm."""

_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


def tile_width(size: int, level: int, index: int) -> int:
    """How many hashes tile (level, index) holds in the tree of `size` leaves: 0 to 256."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - WIDTH * index))


def tile_root(tile: bytes) -> bytes | None:
    """The hash over a full tile: its place in the tile above. None for another length."""
    if len(tile) != WIDTH * HASH_BYTES:
        return None
    return merkle.parents(_rows(tile)[-1])


class TileTree:
    """The tree of `size` leaves as its tiles tell it.

    Keeps the last tiles it read, so one object serves many proofs of one size fast.

    Args:
        size: number of leaves.
        read_tile: gives each tile with at least the hashes that this size needs.
    """

    def __init__(self, size: int, read_tile: TileReader) -> None:
        self.size = size
        self._read_tile = read_tile
        self._rows = lru_cache(maxsize=_CACHED_TILES)(self._load_rows)

    def root(self) -> bytes:
        """The root, 32 bytes."""
        return merkle.root(self.size, self.node)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """The audit path of the leaf at `index`.

        Raises:
            ValueError: the index is not below the size.
            FormatError: a tile is shorter than this size demands.
        """
        return merkle.inclusion_proof(index, self.size, self.node)

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """The proof that the tree of `old_size` leaves is the beginning of this one.

        Raises:
            ValueError: `old_size` is 0 or above the size.
            FormatError: a tile is shorter than this size demands.
        """
        return merkle.consistency_proof(old_size, self.size, self.node)

    def node(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree over 2^level leaves: a `merkle.HashReader`."""
        tile_level, height = divmod(level, HEIGHT)
        tile_index, place = divmod(index << height, WIDTH)
        row = self._rows(tile_level, tile_index)[height]
        start = (place >> height) * HASH_BYTES
        return row[start : start + HASH_BYTES]

    def _load_rows(self, level: int, index: int) -> list[bytes]:
        """The tile's hashes and the seven levels of complete subtrees above them."""
        width = tile_width(self.size, level, index)
        return _rows(_prefix(self._read_tile(level, index), width))


def append(
    size: int, leaf_hashes: Sequence[bytes], read_tile: TileReader
) -> dict[tuple[int, int], bytes]:
    """Which tiles change when leaves are appended to the tree of `size` leaves, and to what.

    Args:
        size: number of leaves before.
        leaf_hashes: hashes of the new leaves, 32 bytes each, in order.
        read_tile: asked only for the partial tiles at the right edge, at most one a level.

    Returns:
        (level, index) -> all hashes of that tile after the append, full or partial.

    Raises:
        FormatError: a leaf hash is not 32 bytes, or a stored tile is shorter than `size` demands.
    """
    if any(len(leaf) != HASH_BYTES for leaf in leaf_hashes):
        raise FormatError("a leaf hash is not 32 bytes")
    changed: dict[tuple[int, int], bytes] = {}
    level, count, hashes = 0, size, b"".join(leaf_hashes)
    while hashes:
        index, width = divmod(count, WIDTH)
        row = (_prefix(read_tile(level, index), width) if width else b"") + hashes
        full = []
        for start in range(0, len(row), WIDTH * HASH_BYTES):
            tile = row[start : start + WIDTH * HASH_BYTES]
            changed[level, index] = tile
            if len(tile) == WIDTH * HASH_BYTES:
                full.append(merkle.parents(_rows(tile)[-1]))
            index += 1
        level, count, hashes = level + 1, count >> HEIGHT, b"".join(full)
    return changed


def _prefix(tile: bytes, width: int) -> bytes:
    if len(tile) < width * HASH_BYTES:
        raise FormatError("a tile is shorter than the tree's size demands")
    return tile[: width * HASH_BYTES]


def _rows(tile: bytes) -> list[bytes]:
    """The tile and the seven levels above it, each a concatenation; incomplete subtrees left out."""
    rows = [tile]
    for _ in range(HEIGHT - 1):
        rows.append(merkle.parents(rows[-1]))
    return rows


@dataclass(frozen=True, slots=True)
class TilePath:
    """The name of a tile or of a bundle of entries below the log's address.

    Attributes:
        level: 0 to 63, or None for a bundle of entries.
        index: place among the tiles of that level.
        width: 256, or 1 to 255 for a partial tile.
    """

    level: int | None
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise FormatError("a tile's level is 0 to 63")
        if not 0 <= self.index <= MAX_UINT64 >> HEIGHT:
            raise FormatError("a tile's index is 0 to 2^56 - 1")
        if not 1 <= self.width <= WIDTH:
            raise FormatError("a tile's width is 1 to 256")

    def encode(self) -> str:
        """The path, such as `tile/0/x001/x234/067` or `tile/entries/000.p/17`."""
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        elements = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([f"x{element}" for element in elements[:-1]] + elements[-1:])
        level = "entries" if self.level is None else str(self.level)
        suffix = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{name}{suffix}"

    @classmethod
    def parse(cls, path: str) -> Self:
        """Which tile a path names.

        Raises:
            FormatError: not the one path of a tile.
        """
        match = _PATH.fullmatch(path)
        if match is None:
            raise FormatError("not a tile's path")
        level, name, width = match.groups()
        tile = cls(
            level=None if level == "entries" else int(level),
            index=int(name.replace("/", "").replace("x", "")),
            width=WIDTH if width is None else int(width),
        )
        if tile.encode() != path:
            raise FormatError("not the canonical path of a tile")
        return tile


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """The bundle of 1 to 256 log entries: each one's length as uint16 big-endian, then its bytes.

    Raises:
        FormatError: no entry, more than 256, or one above 65,535 bytes.
    """
    bundle = list(entries)
    if not 1 <= len(bundle) <= WIDTH:
        raise FormatError("a bundle holds 1 to 256 entries")
    if any(len(entry) > MAX_ENTRY_BYTES for entry in bundle):
        raise FormatError("an entry is longer than 65535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in bundle)


def parse_entries(bundle: bytes) -> list[bytes]:
    """Which log entries a bundle holds.

    Raises:
        FormatError: no entry, more than 256, or an entry cut short.
    """
    entries, at = [], 0
    while at < len(bundle):
        start = at + 2
        at = start + int.from_bytes(bundle[at:start], "big")
        entries.append(bundle[start:at])
    if at != len(bundle):
        raise FormatError("the last entry is cut short")
    if not 1 <= len(entries) <= WIDTH:
        raise FormatError("a bundle holds 1 to 256 entries")
    return entries
