from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from privacy.audit.note import NoteError, Signer, Verifier, open_note

# Published keys, text and signatures. Source: golang.org/x/mod/sumdb/note, note_test.go.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH_VKEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)
ENOCH = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WW"
    "d1RvMc+QQ=\n"
)
NOTE = f"{TEXT}\n{PETER}"

peter = Verifier.from_vkey(PETER_VKEY)
enoch = Verifier.from_vkey(ENOCH_VKEY)
signer = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(PETER_SEED))


def test_the_published_notes_open() -> None:
    assert open_note(NOTE, [peter]) == TEXT
    assert open_note(f"{TEXT}\n{ENOCH}", [enoch]) == TEXT
    assert open_note(f"{TEXT}\n{PETER}{ENOCH}", [peter, enoch]) == TEXT


def test_signing_gives_the_published_note_byte_for_byte() -> None:
    assert signer.vkey == PETER_VKEY
    assert signer.sign(TEXT) == NOTE


def test_a_key_line_gives_itself_back_and_its_id_begins_the_fingerprint() -> None:
    assert peter.vkey == PETER_VKEY
    assert enoch.vkey == ENOCH_VKEY
    assert len(peter.fingerprint) == 64
    assert peter.fingerprint.startswith("c74f20a3")


def test_no_part_and_no_change_of_a_key_line_is_a_key() -> None:
    parts = [
        PETER_VKEY[start:end]
        for start in range(len(PETER_VKEY) + 1)
        for end in range(start, len(PETER_VKEY) + 1)
    ]
    parts.remove(PETER_VKEY)
    changed = [
        PETER_VKEY[:at] + chr(ord(PETER_VKEY[at]) ^ 1 << bit) + PETER_VKEY[at + 1 :]
        for at in range(len(PETER_VKEY))
        for bit in range(7)
    ]
    for vkey in parts + changed:
        with pytest.raises(NoteError):
            Verifier.from_vkey(vkey)


@pytest.mark.parametrize(
    "vkey",
    [
        # another length or algorithm, the id being right for it: note_test.go has both
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        PETER_VKEY.replace("c74f20a3", "C74F20A3"),
        PETER_VKEY + "\n",
        PETER_VKEY + "+",
        "\ud800" + PETER_VKEY,
    ],
)
def test_a_key_line_of_another_form_is_refused(vkey: str) -> None:
    with pytest.raises(NoteError):
        Verifier.from_vkey(vkey)


def test_each_single_bit_flip_of_a_note_is_refused() -> None:
    raw = NOTE.encode()
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NoteError):
            open_note(flipped.decode(errors="surrogateescape"), [peter, enoch])


def test_each_cut_of_a_note_is_refused() -> None:
    for end in range(len(NOTE)):
        with pytest.raises(NoteError):
            open_note(NOTE[:end], [peter])


def test_a_signature_by_an_unknown_key_is_passed_over() -> None:
    same_name = "— PeterNeumann " + base64.b64encode(b"\0\0\0\1" + bytes(64)).decode() + "\n"
    same_id = "— Peter" + PETER.removeprefix("— PeterNeumann")
    other_algorithm = "— witness " + base64.b64encode(bytes(5_000)).decode() + "\n"
    note = f"{TEXT}\n{ENOCH}{same_name}{same_id}{PETER}{other_algorithm}"
    assert open_note(note, [peter]) == TEXT


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    for verifiers in ([], [enoch]):
        with pytest.raises(NoteError, match="no known key"):
            open_note(NOTE, verifiers)


def test_one_failing_signature_of_a_known_key_spoils_the_note() -> None:
    broken = "— EnochRoot " + base64.b64encode(enoch.key_id + bytes(64)).decode() + "\n"
    assert open_note(f"{TEXT}\n{PETER}{broken}", [peter]) == TEXT
    for block in (PETER + broken, broken + PETER, PETER + ENOCH + broken):
        with pytest.raises(NoteError, match="does not fit"):
            open_note(f"{TEXT}\n{block}", [peter, enoch])


def test_a_signature_may_be_repeated_up_to_a_hundred_lines() -> None:
    assert open_note(f"{TEXT}\n{PETER * 100}", [peter]) == TEXT
    with pytest.raises(NoteError, match="too many"):
        open_note(f"{TEXT}\n{PETER * 101}", [peter])


def test_a_known_key_may_be_named_twice_but_two_keys_of_one_id_may_not() -> None:
    assert open_note(NOTE, [peter, peter]) == TEXT

    class Colliding(Verifier):
        """Another key whose id an attacker made equal; 32 bits are soon found."""

        key_id = peter.key_id

    with pytest.raises(NoteError, match="share name and id"):
        open_note(NOTE, [peter, Colliding("PeterNeumann", bytes(32))])


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}\n\n",
        f"{TEXT}{PETER}",
        f"{TEXT}\n{PETER}\n",
        f"{TEXT}\n{PETER[:-1]}",
        f"\x01{TEXT}\n{PETER}",
        f"{TEXT}\r\n{PETER}",
        f"{TEXT}\n{PETER}Unexpected line.\n",
        f"{TEXT}\n{PETER}—\n",
        f"{TEXT}\n{PETER}— \n",
        f"{TEXT}\n{PETER}— name\n",
        f"{TEXT}\n{PETER}— name \n",
        f"{TEXT}\n{PETER}—  AAAAAAA=\n",
        f"{TEXT}\n{PETER}— Bad Name AAAAAAA=\n",
        f"{TEXT}\n{PETER}— Bad+Name AAAAAAA=\n",
        f"{TEXT}\n{PETER}— Bad\u00a0Name AAAAAAA=\n",
        f"{TEXT}\n{PETER}— name AAAAAAA\n",
        f"{TEXT}\n{PETER}— name AAAAAAB=\n",
        f"{TEXT}\n{PETER}— name AAAA_AA=\n",
        f"{TEXT}\n{PETER}— name AAAAAAA= \n",
        f"{TEXT}\n{PETER}— name AAAAAA==\n",  # four bytes: a key id and no signature
        f"{TEXT}\n{PETER}- name AAAAAAA=\n",
        f"\ud800{TEXT}\n{PETER}",
        f"{TEXT}\n{PETER}— n\udc80me AAAAAAA=\n",
        "x" * 1_000_001 + f"\n{TEXT}\n{PETER}",
    ],
)
def test_a_malformed_note_is_refused(note: str) -> None:
    with pytest.raises(NoteError):
        open_note(note, [peter])


def test_the_last_blank_line_parts_text_and_signatures() -> None:
    for text in ("\n", "a\n\nb\n", "a\n\n", f"{NOTE}\n", "ñ\u2028\x7f\n"):
        assert open_note(signer.sign(text), [peter]) == text


@given(st.text().map(lambda text: text + "\n"))
def test_what_is_signed_opens_and_what_cannot_be_a_note_is_not_signed(text: str) -> None:
    if any(char < " " and char != "\n" for char in text):
        with pytest.raises(NoteError):
            signer.sign(text)
    else:
        assert open_note(signer.sign(text), [peter]) == text


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "\ud800\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        signer.sign(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "a\x00b", "\ud800"])
def test_a_key_name_without_form_is_refused(name: str) -> None:
    with pytest.raises(NoteError):
        Verifier(name, bytes(32))


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(NoteError, match="32 bytes"):
        Verifier("name", bytes(31))


def test_a_signer_shows_its_name_and_not_its_key() -> None:
    assert repr(signer) == "Signer('PeterNeumann')"
