from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit import merkle
from privacy.audit.encoding import FormatError, b64
from privacy.audit.erasure import Opening, commit, padded_size, verify_opening
from tests.privacy.audit.rfc9162 import NaiveTree


def hashes(label: str, count: int) -> list[bytes]:
    """Stand for random values or leaf hashes, the same in each run."""
    return [sha256(f"{label} {i}".encode()).digest() for i in range(count)]


def committed(count: int) -> tuple[list[bytes], list[bytes], bytes, dict[bytes, Opening]]:
    erased, salts = hashes("leaf", count), hashes("salt", padded_size(count))
    root, openings = commit(erased, salts)
    return erased, salts, root, dict(openings)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 100])
def test_each_erased_entry_opens_by_itself_and_no_other_does(count: int) -> None:
    erased, _, root, openings = committed(count)
    assert openings.keys() == set(erased)
    for leaf in erased:
        assert verify_opening(leaf, openings[leaf], root)
        assert not verify_opening(leaf, openings[leaf], bytes(32))
        for other in [*erased, *hashes("stranger", 3), b""]:
            assert verify_opening(other, openings[leaf], root) == (other == leaf)


def test_the_root_is_that_of_the_salted_leaves_in_the_order_of_their_hashes() -> None:
    """The encoding, spelled out once more: it is fixed for good."""
    erased, salts, root, openings = committed(3)
    inputs = [
        b"placet-erasure@1" + salt + name
        for salt, name in zip(salts, [*erased, *[b""] * 13], strict=True)
    ]
    inputs.sort(key=merkle.leaf_hash)
    tree = NaiveTree(inputs)
    assert root == tree.root(16)
    for leaf, salt in zip(erased, salts, strict=False):
        place = inputs.index(b"placet-erasure@1" + salt + leaf)
        assert openings[leaf] == Opening(salt, place, 16, tuple(tree.path(place, 16)))
    assert root.hex() == "74c265615d43c341a11541b315c368a1e612b6a170b8f0ff2bdf1cb70511ac88"


def test_the_root_does_not_depend_on_the_order_of_the_entries() -> None:
    erased, salts, root, openings = committed(5)
    turned = commit(erased[::-1], [*salts[:5][::-1], *salts[5:]])
    assert turned == (root, openings)


def test_the_number_of_erased_entries_shows_only_as_an_order_of_magnitude() -> None:
    assert [padded_size(n) for n in (1, 2, 16, 17, 32, 33, 1000)] == [16, 16, 16, 32, 32, 64, 1024]
    for count, levels in ((1, 4), (16, 4), (17, 5), (100, 7)):
        openings = committed(count)[3]
        assert {len(opening.path) for opening in openings.values()} == {levels}


def test_an_opening_does_not_tell_the_salts_or_names_of_the_others() -> None:
    erased, salts, _, openings = committed(16)
    shown = json.dumps(openings[erased[0]].to_json())
    for secret in erased + salts[1:]:
        assert b64(secret) not in shown
    unsalted = {merkle.leaf_hash(leaf) for leaf in erased}
    assert not unsalted & set(openings[erased[0]].path)


def test_padding_opens_for_nobody() -> None:
    """A padding leaf has no name, and an empty one is refused."""
    erased, salts, root, openings = committed(1)
    inputs = [b"placet-erasure@1" + salts[0] + erased[0]]
    inputs += [b"placet-erasure@1" + salt for salt in salts[1:]]
    inputs.sort(key=merkle.leaf_hash)
    tree, place = NaiveTree(inputs), inputs.index(b"placet-erasure@1" + salts[1])
    opening = Opening(salts[1], place, 16, tuple(tree.path(place, 16)))
    assert opening.root(b"") == root
    assert not verify_opening(b"", opening, root)
    assert verify_opening(erased[0], openings[erased[0]], root)


def test_a_changed_opening_does_not_verify() -> None:
    erased, _, root, openings = committed(20)
    leaf, opening = erased[3], openings[erased[3]]
    path = opening.path
    for changed in (
        replace(opening, salt=bytes(32)),
        replace(opening, index=opening.index ^ 1),
        replace(opening, size=64),
        replace(opening, path=path[:-1]),
        replace(opening, path=(*path, bytes(32))),
        replace(opening, path=(bytes(32), *path[1:])),
    ):
        assert not verify_opening(leaf, changed, root)


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(1, 2**64 - 1).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))),
    st.lists(st.binary(min_size=32, max_size=32), max_size=64),
)
def test_an_opening_gives_itself_back(
    salt: bytes, place: tuple[int, int], path: list[bytes]
) -> None:
    opening = Opening(salt, *place, tuple(path))
    assert Opening.from_json(json.loads(json.dumps(opening.to_json()))) == opening


GOOD: dict[str, object] = {"salt": b64(bytes(32)), "index": 0, "size": 16, "path": []}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "opening",
        {},
        GOOD | {"extra": 1},
        {name: member for name, member in GOOD.items() if name != "size"},
        GOOD | {"salt": None},
        GOOD | {"salt": "!"},
        GOOD | {"salt": b64(bytes(31))},
        GOOD | {"salt": b64(bytes(32)).replace("=", "")},
        GOOD | {"index": 16},
        GOOD | {"index": -1},
        GOOD | {"index": True},
        GOOD | {"index": 1.0},
        GOOD | {"index": 10**6000},
        GOOD | {"size": 2**64},
        GOOD | {"size": True},
        GOOD | {"path": None},
        GOOD | {"path": "AAAA"},
        GOOD | {"path": [1]},
        GOOD | {"path": ["AAAA"]},
        GOOD | {"path": [b64(bytes(32))] * 65},
    ],
    ids=range(22),
)
def test_an_opening_of_another_form_is_refused(value: object) -> None:
    with pytest.raises(FormatError):
        Opening.from_json(value)


@pytest.mark.parametrize(
    ("erased", "salts"),
    [
        ([], hashes("salt", 16)),
        (hashes("leaf", 1) * 2, hashes("salt", 16)),
        (hashes("leaf", 1), hashes("salt", 15)),
        (hashes("leaf", 1), hashes("salt", 17)),
        (hashes("leaf", 17), hashes("salt", 16)),
        (hashes("leaf", 1), hashes("salt", 8) * 2),
        (hashes("leaf", 1), [*hashes("salt", 15), bytes(31)]),
        ([bytes(31)], hashes("salt", 16)),
    ],
    ids=range(8),
)
def test_an_erasure_that_could_not_be_opened_is_not_committed(
    erased: list[bytes], salts: list[bytes]
) -> None:
    with pytest.raises(ValueError, match=r"erasure|salt|leaf hash"):
        commit(erased, salts)
