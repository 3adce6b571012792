"""Which entries an erasure covered, to be shown one entry at a time.

A plain list in the log would tie together again what belonged to one person. The erasure's leaf
holds one root instead: of a tree of salted leaves in the order of their hashes, filled up with
random ones to a power of two. Who holds an entry's opening sees that this entry was erased, and of
the others not which they are, nor how many but for the order of magnitude.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from privacy.audit import merkle
from privacy.audit.encoding import HASH_BYTES, MAX_UINT64, FormatError, b64, unb64
from privacy.audit.proof import MAX_PROOF_HASHES

SALT_BYTES = 32
MIN_SIZE = 16
_TAG = b"placet-erasure@1"


@dataclass(frozen=True, slots=True)
class Opening:
    """The proof that one entry is among the erased.

    Attributes:
        salt: 32 bytes, of this entry alone.
        index: place among the salted leaves.
        size: number of salted leaves, padding included.
        path: the audit path to the root.
    """

    salt: bytes
    index: int
    size: int
    path: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES:
            raise FormatError("a salt is 32 bytes")
        if not 0 <= self.index < self.size <= MAX_UINT64:
            raise FormatError("an opening's index is below its size")
        if len(self.path) > MAX_PROOF_HASHES or any(len(node) != HASH_BYTES for node in self.path):
            raise FormatError("an opening's path is at most 64 hashes of 32 bytes")

    def to_json(self) -> dict[str, object]:
        """The opening as a JSON object, its bytes in base64."""
        return {
            "salt": b64(self.salt),
            "index": self.index,
            "size": self.size,
            "path": [b64(node) for node in self.path],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Which opening a JSON object holds; nothing is verified yet.

        Raises:
            FormatError: other members, other types, or base64 that is not canonical.
        """
        match value:
            case {
                "salt": str() as salt,
                "index": int() as index,
                "size": int() as size,
                "path": list() as path,
                **more,
            } if not more and not isinstance(index, bool) and not isinstance(size, bool):
                if len(path) > MAX_PROOF_HASHES or not all(isinstance(node, str) for node in path):
                    raise FormatError("an opening's path is at most 64 texts")
                hashes = tuple(unb64(node, HASH_BYTES) for node in path)
                return cls(unb64(salt, SALT_BYTES), index, size, hashes)
            case _:
                raise FormatError("an opening has exactly salt, index, size and path")

    def root(self, erased: bytes) -> bytes | None:
        """Which root the opening leads to from an entry's leaf hash, or None for a bad form."""
        salted = merkle.leaf_hash(_TAG + self.salt + erased)
        return merkle.root_from_inclusion(salted, self.index, self.size, self.path)


def padded_size(count: int) -> int:
    """How many salted leaves stand for `count` erased entries: a power of two, at least 16."""
    return max(MIN_SIZE, 1 << (count - 1).bit_length())


def commit(
    leaf_hashes: Sequence[bytes], salts: Sequence[bytes]
) -> tuple[bytes, Mapping[bytes, Opening]]:
    """The root over the erased entries, and the opening of each.

    An entry is named by the hash of its leaf in the log: that binds the opening to what the log
    itself proves, while an entry's random id stands nowhere in the tree.

    Args:
        leaf_hashes: RFC 9162 leaf hashes of the erased entries, 32 bytes each, all different.
        salts: as many fresh random 32-byte values as `padded_size` says; those beyond the entries
            become padding and are to be forgotten.

    Returns:
        The root for the erasure's leaf, and leaf hash -> opening.

    Raises:
        ValueError: no entry, one twice, or salts of another number or length, or repeated.
    """
    if not leaf_hashes or len(set(leaf_hashes)) != len(leaf_hashes):
        raise ValueError("an erasure covers entries, each once")
    if len(set(salts)) != len(salts) or len(salts) != padded_size(len(leaf_hashes)):
        raise ValueError("there is one salt, used once, for each place of the padded tree")
    if any(len(salt) != SALT_BYTES for salt in salts):
        raise ValueError("a salt is 32 bytes")
    if any(len(leaf) != HASH_BYTES for leaf in leaf_hashes):
        raise ValueError("a leaf hash is 32 bytes")
    padding = [b""] * (len(salts) - len(leaf_hashes))
    salted = [
        merkle.leaf_hash(_TAG + salt + name)
        for salt, name in zip(salts, [*leaf_hashes, *padding], strict=True)
    ]
    rows = [sorted(salted)]
    while len(rows[-1]) > 1:
        pairs = zip(rows[-1][::2], rows[-1][1::2], strict=True)
        rows.append([merkle.node_hash(left, right) for left, right in pairs])
    places = {node: place for place, node in enumerate(rows[0])}
    openings = {}
    for name, salt, node in zip(leaf_hashes, salts, salted, strict=False):  # padding left out
        place = places[node]
        path = tuple(row[place >> level ^ 1] for level, row in enumerate(rows[:-1]))
        openings[name] = Opening(salt, place, len(salts), path)
    return rows[-1][0], openings


def verify_opening(leaf_hash: bytes, opening: Opening, root: bytes) -> bool:
    """Whether the entry with that leaf hash is among those erased under `root`.

    Args:
        leaf_hash: the entry's RFC 9162 leaf hash, 32 bytes.
        opening: of that entry.
        root: member `erased` of an erasure's leaf that is itself proven to be in the log.
    """
    return len(leaf_hash) == HASH_BYTES and opening.root(leaf_hash) == root
