from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from privacy.audit import merkle
from tests.privacy.audit.rfc9162 import NaiveTree, numbered

VECTORS = Path(__file__).resolve().parents[3].parent / "shared" / "vectors" / "merkle"

# The leaves and roots of Certificate Transparency's own tests.
# Source: google/certificate-transparency, merkletree tests; transparency-dev/merkle testonly.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    bytes.fromhex(root)
    for root in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def read(level: int, index: int) -> bytes:
    """The complete subtree over the known leaves."""
    return merkle.root_of(HASHES[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_the_published_ones(size: int) -> None:
    assert merkle.root_of(HASHES[:size]) == ROOTS[size]
    assert merkle.root(size, read) == ROOTS[size]


def test_the_empty_root_is_the_hash_of_nothing() -> None:
    assert ROOTS[0] == merkle.EMPTY_ROOT


def test_the_proofs_are_those_of_the_rfc_for_seven_leaves() -> None:
    """RFC 9162 s. 2.1.5 draws them: a..j are leaves and nodes of the tree of seven."""
    a, b, c, d, e, f, j = HASHES[:7]
    g, h, i = (merkle.node_hash(*pair) for pair in ((a, b), (c, d), (e, f)))
    k, node_l = merkle.node_hash(g, h), merkle.node_hash(i, j)
    assert merkle.inclusion_proof(0, 7, read) == [b, h, node_l]
    assert merkle.inclusion_proof(3, 7, read) == [c, g, node_l]
    assert merkle.inclusion_proof(4, 7, read) == [f, j, k]
    assert merkle.inclusion_proof(6, 7, read) == [i, k]
    assert merkle.consistency_proof(3, 7, read) == [c, d, g, node_l]
    assert merkle.consistency_proof(4, 7, read) == [node_l]
    assert merkle.consistency_proof(6, 7, read) == [i, j, k]


def test_every_proof_of_small_trees_verifies_and_no_changed_one_does() -> None:
    naive = NaiveTree(LEAVES)
    for size in range(1, 9):
        for index in range(size):
            proof = naive.path(index, size)
            assert merkle.inclusion_proof(index, size, read) == proof
            assert merkle.verify_inclusion(HASHES[index], index, size, proof, ROOTS[size])
            for other in range(10):
                held = merkle.verify_inclusion(HASHES[index], other, size, proof, ROOTS[size])
                assert held == (other == index)
            for bad in spoiled(proof):
                assert not merkle.verify_inclusion(HASHES[index], index, size, bad, ROOTS[size])
        for old in range(1, size + 1):
            proof = naive.proof(old, size)
            assert merkle.consistency_proof(old, size, read) == proof
            assert merkle.verify_consistency(old, size, proof, ROOTS[old], ROOTS[size])
            for bad in spoiled(proof):
                assert not merkle.verify_consistency(old, size, bad, ROOTS[old], ROOTS[size])
            for root in (ROOTS[old - 1], b"", ROOTS[old][:31], ROOTS[old] + b"\x00"):
                assert not merkle.verify_consistency(old, size, proof, root, ROOTS[size])
                assert not merkle.verify_consistency(old, size, proof, ROOTS[old], root[::-1])


def spoiled(proof: list[bytes]) -> list[list[bytes]]:
    """The proof with each hash flipped, dropped, cut, and with one too many at either end."""
    extra = bytes(32)
    longer = [[*proof, extra], [extra, *proof], [*proof, b""], [b"", *proof]]
    return longer + [
        [*proof[:at], *other, *proof[at + 1 :]]
        for at, node in enumerate(proof)
        for other in ([], [node[:-1]], [node + b"\x00"], [bytes([node[0] ^ 1]) + node[1:]])
    ]


@pytest.mark.parametrize("size", [0, 1, 2**64 - 1, 2**64])
def test_an_index_at_or_past_the_size_is_refused(size: int) -> None:
    leaf = HASHES[0]
    for index in (size, size + 1, 2**64, -1):
        assert not merkle.verify_inclusion(leaf, index, size, [], leaf)


def test_a_place_near_the_end_of_64_bits_is_computed_without_wrapping() -> None:
    """The last leaf of 2^63 + 1 has one sibling, the whole complete subtree before it."""
    left, leaf = HASHES[1], HASHES[2]
    root = merkle.node_hash(left, leaf)
    assert merkle.verify_inclusion(leaf, 2**63, 2**63 + 1, [left], root)
    assert not merkle.verify_inclusion(leaf, 2**63 - 1, 2**63 + 1, [left], root)
    assert merkle.verify_consistency(2**63, 2**63 + 1, [leaf], left, root)
    assert not merkle.verify_consistency(2**63 - 1, 2**63 + 1, [leaf], left, root)


def test_an_empty_first_tree_proves_nothing() -> None:
    assert not merkle.verify_consistency(0, 0, [], ROOTS[0], ROOTS[0])
    assert not merkle.verify_consistency(0, 1, [], ROOTS[0], ROOTS[1])
    assert not merkle.verify_consistency(2, 1, [], ROOTS[2], ROOTS[1])


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    assert merkle.verify_consistency(1, 1, [], b"any", b"any")
    assert not merkle.verify_consistency(1, 1, [], b"any", b"other")
    assert not merkle.verify_consistency(1, 1, [ROOTS[1]], ROOTS[1], ROOTS[1])


def test_a_hash_that_is_not_32_bytes_is_refused() -> None:
    assert not merkle.verify_inclusion(b"", 0, 1, [], b"")
    assert not merkle.verify_inclusion(HASHES[0], 0, 1, [], b"")


def test_an_inner_node_is_no_leaf() -> None:
    data = HASHES[0] + HASHES[1]
    assert merkle.leaf_hash(data) != merkle.node_hash(HASHES[0], HASHES[1])
    assert not merkle.verify_inclusion(merkle.leaf_hash(data), 0, 1, [], ROOTS[2])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 3)])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="below the tree's size"):
        merkle.inclusion_proof(index, size, read)


@pytest.mark.parametrize(("old", "size"), [(0, 0), (0, 3), (4, 3)])
def test_no_consistency_is_proven_from_nothing_or_backwards(old: int, size: int) -> None:
    with pytest.raises(ValueError, match="consistency proof"):
        merkle.consistency_proof(old, size, read)


def test_the_streaming_root_is_the_recursive_one() -> None:
    naive = NaiveTree(numbered(70))
    hashes = [merkle.leaf_hash(leaf) for leaf in naive.leaves]
    assert [merkle.root_of(iter(hashes[:n])) for n in range(71)] == [
        naive.root(n) for n in range(71)
    ]


# -- vectors of transparency-dev/merkle -------------------------------------------------------

needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason=f"the vectors of transparency-dev/merkle are not at {VECTORS}"
)


def unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


@needs_vectors
def test_inclusion_agrees_with_each_vector_of_transparency_dev() -> None:
    files = sorted((VECTORS / "inclusion").rglob("*.json"))
    assert len(files) == 98
    for file in files:
        case = json.loads(file.read_text())
        proof = [unb64(node) for node in case["proof"] or []]
        found = merkle.verify_inclusion(
            unb64(case["leafHash"]), case["leafIdx"], case["treeSize"], proof, unb64(case["root"])
        )
        assert found != case["wantErr"], file


@needs_vectors
def test_consistency_agrees_with_each_vector_of_transparency_dev() -> None:
    files = sorted((VECTORS / "consistency").rglob("*.json"))
    assert len(files) == 98
    for file in files:
        case = json.loads(file.read_text())
        proof = [unb64(node) for node in case["proof"] or []]
        roots = unb64(case["root1"]), unb64(case["root2"])
        found = merkle.verify_consistency(case["size1"], case["size2"], proof, *roots)
        assert found != case["wantErr"], file
