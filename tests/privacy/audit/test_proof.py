from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit import merkle
from privacy.audit.checkpoint import Checkpoint
from privacy.audit.encoding import FormatError, b64
from privacy.audit.note import NoteError, Signer
from privacy.audit.proof import TlogProof
from tests.privacy.audit.rfc9162 import NaiveTree, numbered

# The example in the specification, its signatures cut there. Source: C2SP tlog-proof.
EXAMPLE = """\
c2sp.org/tlog-proof@v1
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJw[...]1roloI=
"""
HASH = b64(bytes(32))
HEAD = "c2sp.org/tlog-proof@v1\n"

signer = Signer("log.example", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1"))
tree = NaiveTree(numbered(9))
note = signer.sign(Checkpoint("log.example", 9, tree.root(9)).encode())


def test_the_published_example_is_read_and_written() -> None:
    proof = TlogProof.parse(EXAMPLE)
    assert proof.index == 73_894
    assert len(proof.hashes) == 5
    assert proof.hashes[0].hex().startswith("8122b25e8619")
    assert proof.extra is None
    assert proof.checkpoint.startswith("example.com/fancylog\n109482\n")
    assert proof.encode() == EXAMPLE


@given(
    st.integers(0, 2**64 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=64),
    st.text(min_size=1),
    st.none() | st.binary(min_size=1),
)
def test_a_proof_gives_itself_back(
    index: int, hashes: list[bytes], checkpoint: str, extra: bytes | None
) -> None:
    proof = TlogProof(index, tuple(hashes), checkpoint, extra)
    assert TlogProof.parse(proof.encode()) == proof


def test_a_receipt_verifies_for_its_leaf_place_and_log_only() -> None:
    keys = [signer.verifier]
    for index, leaf in enumerate(tree.leaves):
        path = tuple(tree.path(index, 9))
        receipt = TlogProof.parse(TlogProof(index, path, note, extra=leaf).encode())
        assert receipt.verify(leaf, keys, "log.example").size == 9
        with pytest.raises(FormatError, match="not at that index"):
            receipt.verify(leaf + b"x", keys, "log.example")
        with pytest.raises(FormatError, match="not at that index"):
            TlogProof((index + 1) % 9, path, note).verify(leaf, keys, "log.example")
        with pytest.raises(FormatError, match="another log"):
            receipt.verify(leaf, keys, "other.example")
        with pytest.raises(NoteError):
            receipt.verify(leaf, [], "log.example")


def test_a_log_of_one_leaf_has_a_proof_without_hashes() -> None:
    single = signer.sign(Checkpoint("log.example", 1, merkle.leaf_hash(b"0")).encode())
    text = f"{HEAD}index 0\n\n{single}"
    assert TlogProof.parse(text).verify(b"0", [signer.verifier], "log.example").size == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        f"{HEAD}index 0\n",
        f"{HEAD}index 0\n\n",
        f"{HEAD}\nnote\n",
        f"c2sp.org/tlog-proof@v2\nindex 0\n\n{note}",
        f" {HEAD}index 0\n\n{note}",
        f"{HEAD}index 00\n\n{note}",
        f"{HEAD}index 07\n\n{note}",
        f"{HEAD}index -1\n\n{note}",
        f"{HEAD}index  1\n\n{note}",
        f"{HEAD}index\n\n{note}",
        f"{HEAD}index 18446744073709551616\n\n{note}",
        f"{HEAD}index 0\n{HASH[:-1]}\n\n{note}",
        f"{HEAD}index 0\n{HASH[:-2]}B=\n\n{note}",
        f"{HEAD}index 0\n{HASH} \n\n{note}",
        f"{HEAD}index 0\r\n\n{note}",
        f"{HEAD}index 0\n{b64(bytes(31))}\n\n{note}",
        f"{HEAD}index 0\n" + f"{HASH}\n" * 65 + f"\n{note}",
        f"{HEAD}{HASH}\nindex 0\n\n{note}",
        f"{HEAD}extra \nindex 0\n\n{note}",
        f"{HEAD}extra AAAB\n\n{note}",
        f"{HEAD}extra AAA\nindex 0\n\n{note}",
        f"{HEAD}extra AAAA\nextra AAAA\nindex 0\n\n{note}",
        f"{HEAD}index 0\nextra AAAA\n\n{note}",
    ],
)
def test_a_malformed_proof_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        TlogProof.parse(text)


@pytest.mark.parametrize(
    ("index", "hashes", "checkpoint", "extra"),
    [
        (-1, (), "note", None),
        (2**64, (), "note", None),
        (0, (bytes(31),), "note", None),
        (0, (bytes(32),) * 65, "note", None),
        (0, (), "", None),
        (0, (), "x" * 1_000_001, None),
        (0, (), "note", b""),
    ],
)
def test_what_has_no_encoding_is_no_proof(
    index: int, hashes: tuple[bytes, ...], checkpoint: str, extra: bytes | None
) -> None:
    with pytest.raises(FormatError):
        TlogProof(index, hashes, checkpoint, extra)
