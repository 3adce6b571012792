"""The log's signed statement of its size and root. Source: C2SP tlog-checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from privacy.audit.encoding import (
    HASH_BYTES,
    MAX_UINT64,
    FormatError,
    b64,
    parse_decimal,
    unb64,
)
from privacy.audit.note import Verifier, open_note

_FIXED_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree that a log vouches for.

    Attributes:
        origin: the log's permanent name.
        size: number of leaves.
        root: 32 bytes.
        extensions: further lines; ours has none, because nobody can audit them.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or any(char < " " for char in line):
                raise FormatError(
                    "a checkpoint's lines are not empty and hold no control character"
                )
        if not 0 <= self.size <= MAX_UINT64:
            raise FormatError("a tree's size is 0 to 2^64 - 1")
        if len(self.root) != HASH_BYTES:
            raise FormatError("a root is 32 bytes")

    def encode(self) -> str:
        """The text to be signed, newline at the end."""
        lines = (self.origin, str(self.size), b64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Which checkpoint a note's text states.

        Raises:
            FormatError: too few lines, an empty one, or a number or root that is not canonical.
        """
        lines = text.split("\n")
        if len(lines) <= _FIXED_LINES or lines.pop():
            raise FormatError("a checkpoint is three lines or more, each ended")
        origin, size, root, *extensions = lines
        return cls(origin, parse_decimal(size), unb64(root, HASH_BYTES), tuple(extensions))


def open_checkpoint(note: str, verifiers: Iterable[Verifier], origin: str) -> Checkpoint:
    """The checkpoint of the log `origin` that one of its keys signed.

    Args:
        note: the signed note.
        verifiers: keys of the log, now and before; not those of witnesses.
        origin: whose checkpoint it must be.

    Raises:
        NoteError: malformed, or not signed by a key of the log.
        FormatError: the text is no checkpoint, or another log's.
    """
    checkpoint = Checkpoint.parse(open_note(note, verifiers))
    if checkpoint.origin != origin:
        raise FormatError("the checkpoint is another log's")
    return checkpoint
