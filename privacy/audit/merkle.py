"""The Merkle tree of the log: hashes, proofs, and their verification. Source: RFC 9162 s. 2.1.

Proofs are lists of 32-byte hashes in the order of the RFC, the one next to the leaf first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from privacy.audit.encoding import HASH_BYTES, MAX_UINT64

HashReader = Callable[[int, int], bytes]
"""`(level, index)` -> hash of the complete subtree over the 2^level leaves from `index * 2^level`.

Level 0 holds the leaf hashes. It is only ever asked for subtrees that lie wholly inside the tree.
"""

EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves. Source: RFC 9162 s. 2.1.1."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over its two children."""
    return sha256(b"\x01" + left + right).digest()


def parents(row: bytes) -> bytes:
    """The inner nodes over neighbouring pairs of concatenated hashes; an odd last one is left out."""
    pairs = range(0, len(row) - 2 * HASH_BYTES + 1, 2 * HASH_BYTES)
    return b"".join([sha256(b"\x01" + row[at : at + 2 * HASH_BYTES]).digest() for at in pairs])


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in their order; memory grows with the logarithm of their number."""
    edge: list[tuple[int, bytes]] = []  # (level, hash) of the complete subtrees, left to right
    for leaf in leaf_hashes:
        level, node = 0, leaf
        while edge and edge[-1][0] == level:
            node = node_hash(edge.pop()[1], node)
            level += 1
        edge.append((level, node))
    return _fold(node for _, node in edge)


def root_from_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes]
) -> bytes | None:
    """Which root an inclusion proof leads to, or None where it has not the form for that place.

    Args:
        leaf_hash: 32 bytes.
        index: place of the leaf, from 0.
        size: number of leaves of the tree.
        proof: the audit path.

    Source: RFC 9162 s. 2.1.3.2.
    """
    if not 0 <= index < size <= MAX_UINT64 or not _are_hashes((leaf_hash, *proof)):
        return None
    fn, sn, node = index, size - 1, leaf_hash
    for sibling in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            node = node_hash(node, sibling)
        fn >>= 1
        sn >>= 1
    return node if sn == 0 else None


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether the leaf stands at `index` in the tree of that size and root.

    An index at or past the size is refused, and so is any hash that is not 32 bytes long.

    Source: RFC 9162 s. 2.1.3.2.
    """
    return root_from_inclusion(leaf_hash, index, size, proof) == root


def verify_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes
) -> bool:
    """Whether the tree of `size1` leaves is the beginning of the tree of `size2` leaves.

    Two trees of one size are consistent when their roots are equal and the proof is empty.
    An empty first tree proves nothing and is refused, 0 to 0 included.

    Source: RFC 9162 s. 2.1.4.2.
    """
    if not 0 < size1 <= size2 <= MAX_UINT64:
        return False
    if size1 == size2:
        return not proof and root1 == root2
    if not proof or not _are_hashes((root1, root2, *proof)):
        return False
    path = list(proof)
    if size1 & (size1 - 1) == 0:
        path.insert(0, root1)
    fn, sn = size1 - 1, size2 - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = path[0]
    for node in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old = node_hash(node, old)
            new = node_hash(node, new)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, node)
        fn >>= 1
        sn >>= 1
    return sn == 0 and old == root1 and new == root2


def root(size: int, read: HashReader) -> bytes:
    """The root of the tree of `size` leaves."""
    return _subtree(0, size, read)


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """The audit path from the leaf at `index` to the root of the tree of `size` leaves.

    Raises:
        ValueError: the index is not below the size.

    Source: RFC 9162 s. 2.1.3.1.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf's index must be below the tree's size")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(middle, end, read))
            end = middle
        else:
            path.append(_subtree(start, middle, read))
            start = middle
    return path[::-1]


def consistency_proof(size1: int, size2: int, read: HashReader) -> list[bytes]:
    """The proof that the first `size1` leaves are the tree that had `size1` leaves.

    Raises:
        ValueError: not 0 < size1 <= size2.

    Source: RFC 9162 s. 2.1.4.1.
    """
    if not 0 < size1 <= size2:
        raise ValueError("a consistency proof leads from a tree with leaves to one not smaller")
    start, end, path = 0, size2, []
    while size1 < end:
        middle = start + _split(end - start)
        if size1 <= middle:
            path.append(_subtree(middle, end, read))
            end = middle
        else:
            path.append(_subtree(start, middle, read))
            start = middle
    if (
        start
    ):  # the verifier holds the old root, so it need not be sent when it is the subtree itself
        path.append(_subtree(start, end, read))
    return path[::-1]


def _split(width: int) -> int:
    """The largest power of two below `width`, which is above 1."""
    return 1 << ((width - 1).bit_length() - 1)


def _subtree(start: int, end: int, read: HashReader) -> bytes:
    """The hash over leaves [start, end), a subtree of the RFC's split: at most its right edge is ragged."""
    parts = []
    while start < end:
        level = (end - start).bit_length() - 1
        parts.append(read(level, start >> level))
        start += 1 << level
    return _fold(parts)


def _fold(subtrees: Iterable[bytes]) -> bytes:
    """The hash over complete subtrees of falling height, left to right."""
    node: bytes | None = None
    for left in reversed(list(subtrees)):
        node = left if node is None else node_hash(left, node)
    return EMPTY_ROOT if node is None else node


def _are_hashes(values: Iterable[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
