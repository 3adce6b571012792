"""Signed notes: a text with Ed25519 signatures below it. Source: C2SP signed-note v1.0.0, RFC 8032."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.audit.encoding import FormatError, b64, unb64

MAX_NOTE_CHARACTERS = 1_000_000
MAX_SIGNATURES = 100

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_KEY_BYTES = 32
_DASH = "\u2014 "


class NoteError(FormatError):
    """The note or key is malformed, or no known key signed the note."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Who may sign: a key name and an Ed25519 public key.

    Attributes:
        name: non-empty, without spaces and `+`; for a log, its origin.
        public_key: 32 bytes.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise NoteError("a key's name is not empty and has neither space nor plus sign")
        if len(self.public_key) != _KEY_BYTES:
            raise NoteError("an Ed25519 public key is 32 bytes")

    @classmethod
    def from_vkey(cls, vkey: str) -> Self:
        """Which key a line `name+key id+base64` names.

        Raises:
            NoteError: not that form, another algorithm, or the key id is not this key's.
        """
        match vkey.split("+", 2):
            case [name, _, encoded]:
                try:
                    key = unb64(encoded, len(_ED25519) + _KEY_BYTES)
                except FormatError as error:
                    raise NoteError(f"the key: {error}") from None
            case _:
                raise NoteError("a key is a name, its id and its bytes, with plus signs between")
        if not key.startswith(_ED25519):
            raise NoteError("the key is not an Ed25519 one")
        verifier = cls(name, key[len(_ED25519) :])
        if verifier.vkey != vkey:
            raise NoteError("the key's id is not that of this name and key")
        return verifier

    @property
    def vkey(self) -> str:
        """The key as one line of text, to be published."""
        return f"{self.name}+{self.key_id.hex()}+{b64(_ED25519 + self.public_key)}"

    @property
    def key_id(self) -> bytes:
        """The four bytes that point to this key in a signature line."""
        return self._digest()[:_KEY_ID_BYTES]

    @property
    def fingerprint(self) -> str:
        """The whole hash, hex, of which the key id is the beginning: what people compare."""
        return self._digest().hex()

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key made that signature over the text."""
        try:
            key = Ed25519PublicKey.from_public_bytes(self.public_key)
            key.verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _digest(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()


class Signer:
    """Signs notes under a name.

    Args:
        name: the key's name; for a log, its origin.
        private_key: held, never shown.

    Raises:
        NoteError: the name is empty or holds a space or a plus sign.
    """

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.verifier = Verifier(name, private_key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.verifier.name!r})"

    @property
    def vkey(self) -> str:
        """The public half as one line of text."""
        return self.verifier.vkey

    def sign(self, text: str) -> str:
        """The note: the text, a blank line, one signature line.

        Raises:
            NoteError: the text does not end in a newline, or holds another control character.
        """
        _check_characters(text)
        if not text.endswith("\n"):
            raise NoteError("a note's text ends in a newline")
        signature = self.verifier.key_id + self._private_key.sign(text.encode())
        return f"{text}\n{_DASH}{self.verifier.name} {b64(signature)}\n"


def open_note(note: str, verifiers: Iterable[Verifier]) -> str:
    """The text of a note that at least one known key signed.

    Each signature by a known key is verified, repeated ones too, and one that fails spoils the
    note. Signatures by unknown keys are passed over, but must be well formed.

    Args:
        note: the whole note.
        verifiers: the keys that the reader trusts, each of them enough by itself.

    Raises:
        NoteError: malformed, a known key's signature fails, or none by a known key.
    """
    text, signatures = _parse(note)
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise NoteError("two known keys share name and id")
    signed = False
    for name, key_id, signature in signatures:
        match known.get((name, key_id)):
            case Verifier() as verifier:
                if not verifier.verifies(text, signature):
                    raise NoteError("a known key's signature does not fit the text")
                signed = True
            case None:
                continue
    if not signed:
        raise NoteError("no known key signed the note")
    return text


def _parse(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """A note's text and its signatures as (key name, key id, signature)."""
    if len(note) > MAX_NOTE_CHARACTERS:
        raise NoteError("the note is too long")
    _check_characters(note)
    text, separator, block = note.rpartition("\n\n")
    if not separator or not block.endswith("\n"):
        raise NoteError("a note is a text, a blank line and signature lines, each ended")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("the note has too many signatures")
    return text + "\n", [_parse_signature(line) for line in lines]


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _is_key_name(name):
        raise NoteError("a signature line begins with an em dash and a key's name")
    try:
        signature = unb64(encoded)
    except FormatError as error:
        raise NoteError(f"a signature: {error}") from None
    if len(signature) <= _KEY_ID_BYTES:
        raise NoteError("a signature line holds no signature")
    return name, signature[:_KEY_ID_BYTES], signature[_KEY_ID_BYTES:]


def _is_key_name(name: str) -> bool:
    if any(char.isspace() or char == "+" or ord(char) < ord(" ") for char in name):
        return False
    return bool(name) and _is_unicode(name)


def _check_characters(text: str) -> None:
    if any(char < " " and char != "\n" for char in text) or not _is_unicode(text):
        raise NoteError("a note is UTF-8 without control characters other than newline")


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold the text: a lone surrogate it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
