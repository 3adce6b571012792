"""The receipt that can be checked offline for ever. Source: C2SP tlog-proof."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from privacy.audit import merkle
from privacy.audit.checkpoint import Checkpoint, open_checkpoint
from privacy.audit.encoding import (
    HASH_BYTES,
    MAX_UINT64,
    FormatError,
    b64,
    parse_decimal,
    unb64,
)
from privacy.audit.note import MAX_NOTE_CHARACTERS, Verifier

MAGIC = "c2sp.org/tlog-proof@v1"
MAX_PROOF_HASHES = 64
_EXTRA = "extra "
_INDEX = "index "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That a leaf stands in the log at `index`, with the signed checkpoint that says so.

    Attributes:
        index: place of the leaf, from 0.
        hashes: the audit path, 32 bytes each.
        checkpoint: the signed note, verbatim.
        extra: bytes for the reader that nothing vouches for, or None.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_UINT64:
            raise FormatError("a leaf's index is 0 to 2^64 - 1")
        if len(self.hashes) > MAX_PROOF_HASHES:
            raise FormatError("a proof has at most 64 hashes")
        if any(len(node) != HASH_BYTES for node in self.hashes):
            raise FormatError("a hash of a proof is not 32 bytes")
        if not self.checkpoint or len(self.checkpoint) > MAX_NOTE_CHARACTERS:
            raise FormatError("a proof holds a checkpoint of at most 1,000,000 characters")
        if self.extra == b"":
            raise FormatError("extra data is absent or not empty")

    def encode(self) -> str:
        """The text of a `.tlog-proof` file."""
        extra = [] if self.extra is None else [_EXTRA + b64(self.extra)]
        lines = [MAGIC, *extra, f"{_INDEX}{self.index}", *map(b64, self.hashes), ""]
        return "".join(f"{line}\n" for line in lines) + self.checkpoint

    @classmethod
    def parse(cls, text: str) -> Self:
        """Which proof a `.tlog-proof` file holds; nothing is verified yet.

        Raises:
            FormatError: not that form, or a number or base64 that is not canonical.
        """
        head, separator, checkpoint = text.partition("\n\n")
        data: bytes | None = None
        match head.split("\n"):
            case [magic, extra, index, *hashes] if extra.startswith(_EXTRA):
                data = unb64(extra.removeprefix(_EXTRA))
            case [magic, index, *hashes]:
                pass
            case _:
                raise FormatError("a proof has its name and an index")
        if not separator or magic != MAGIC or not index.startswith(_INDEX):
            raise FormatError("not a c2sp.org/tlog-proof@v1")
        if len(hashes) > MAX_PROOF_HASHES:
            raise FormatError("a proof has at most 64 hashes")
        return cls(
            index=parse_decimal(index.removeprefix(_INDEX)),
            hashes=tuple(unb64(node, HASH_BYTES) for node in hashes),
            checkpoint=checkpoint,
            extra=data,
        )

    def verify(self, leaf: bytes, verifiers: Iterable[Verifier], origin: str) -> Checkpoint:
        """The checkpoint of the log `origin` under which `leaf` stands at the index.

        Args:
            leaf: the leaf's exact bytes.
            verifiers: keys of the log that the reader trusts.
            origin: the log's name.

        Raises:
            NoteError: no trusted key signed the checkpoint.
            FormatError: another log's checkpoint, or the leaf is not under its root.
        """
        checkpoint = open_checkpoint(self.checkpoint, verifiers, origin)
        found = merkle.verify_inclusion(
            merkle.leaf_hash(leaf), self.index, checkpoint.size, self.hashes, checkpoint.root
        )
        if not found:
            raise FormatError("the leaf is not at that index of the checkpoint's tree")
        return checkpoint
