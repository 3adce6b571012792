from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit.checkpoint import Checkpoint, open_checkpoint
from privacy.audit.encoding import FormatError
from privacy.audit.note import NoteError, Signer

# The example in the specification. Source: C2SP tlog-checkpoint.
EXAMPLE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="

LINE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)

signer = Signer("log.example", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1"))


def test_the_published_example_is_read_and_written() -> None:
    checkpoint = Checkpoint.parse(EXAMPLE)
    assert checkpoint.origin == "example.com/behind-the-sofa"
    assert checkpoint.size == 20_852_163
    assert checkpoint.root.hex().startswith("0ac5186a9186")
    assert checkpoint.encode() == EXAMPLE


@given(LINE, st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), st.lists(LINE))
def test_a_checkpoint_gives_itself_back(
    origin: str, size: int, root: bytes, extensions: list[str]
) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.encode()) == checkpoint


@given(st.integers(0, len(EXAMPLE) - 1), st.characters(exclude_categories=["Cs"]))
def test_a_changed_checkpoint_is_refused_or_reads_as_another(at: int, char: str) -> None:
    changed = EXAMPLE[:at] + char + EXAMPLE[at + 1 :]
    try:
        checkpoint = Checkpoint.parse(changed)
    except FormatError:
        return
    assert checkpoint.encode() == changed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "o\n1\n",
        f"o\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"o\n\n{ROOT}\n",
        "o\n1\n\n",
        f"o\n1\n{ROOT}\n\n",
        f"o\n1\n{ROOT}\next",
        f"o\n1\n{ROOT}\n\next\n",
        f"o\n1\n{ROOT}\next\n\n",
        f"o\n01\n{ROOT}\n",
        f"o\n+1\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n 1\n{ROOT}\n",
        f"o\n1_0\n{ROOT}\n",
        f"o\n1.0\n{ROOT}\n",
        f"o\n0x1\n{ROOT}\n",
        f"o\n١\n{ROOT}\n",
        f"o\n18446744073709551616\n{ROOT}\n",
        f"o\n{'9' * 5000}\n{ROOT}\n",
        f"o\n1\r\n{ROOT}\n",
        f"o\n1\n{ROOT[:-2]}J=\n",  # other spare bits, the same 32 bytes
        f"o\n1\n{ROOT[:-1]}\n",
        f"o\n1\n {ROOT}\n",
        f"o\n1\n{ROOT.replace('/', '_')}\n",
        f"o\n1\n{ROOT[4:]}\n",
        f"o\n1\nAAAA{ROOT}\n",
        f"o\t\n1\n{ROOT}\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 0, bytes(32), ()),
        ("a\nb", 0, bytes(32), ()),
        ("a", -1, bytes(32), ()),
        ("a", 2**64, bytes(32), ()),
        ("a", 0, bytes(31), ()),
        ("a", 0, bytes(32), ("",)),
        ("a", 0, bytes(32), ("x\ny",)),
    ],
)
def test_what_has_no_encoding_is_no_checkpoint(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
) -> None:
    with pytest.raises(FormatError):
        Checkpoint(origin, size, root, extensions)


def test_a_signed_checkpoint_opens_for_its_own_log_only() -> None:
    checkpoint = Checkpoint("log.example", 7, bytes(range(32)))
    note = signer.sign(checkpoint.encode())
    assert open_checkpoint(note, [signer.verifier], "log.example") == checkpoint
    with pytest.raises(FormatError, match="another log"):
        open_checkpoint(note, [signer.verifier], "other.example")
    with pytest.raises(NoteError):
        open_checkpoint(note.replace("\n7\n", "\n8\n"), [signer.verifier], "log.example")
    with pytest.raises(NoteError):
        open_checkpoint(checkpoint.encode(), [signer.verifier], "log.example")


def test_a_signed_note_that_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(FormatError):
        open_checkpoint(signer.sign("log.example\n"), [signer.verifier], "log.example")
