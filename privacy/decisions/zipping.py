"""A ZIP that is written while it is sent: no more of it is in memory than a piece of one file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: So much is handed on at once, at least.
PIECE_BYTES: Final = 64 * 1024

#: A file's name and its content, piece by piece.
File = tuple[str, Iterable[bytes]]


class _Outgoing(io.RawIOBase):
    """What was written and nobody has taken yet; it cannot go back, which `zipfile` respects."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        piece = bytes(data)
        self._waiting += piece
        return len(piece)

    def take(self, at_least: int = 0) -> Iterator[bytes]:
        if len(self._waiting) > at_least:
            yield bytes(self._waiting)
            self._waiting.clear()


def zipped(files: Iterable[File], at: datetime) -> Iterator[bytes]:
    """Yield the ZIP of these files in pieces.

    Args:
        files: each is read only once the one before has been written.
        at: what they are dated.
    """
    outgoing = _Outgoing()
    with zipfile.ZipFile(outgoing, "w") as archive:
        for name, pieces in files:
            entry = zipfile.ZipInfo(name, date_time=at.timetuple()[:6])
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                for piece in pieces:
                    file.write(piece)
                    yield from outgoing.take(PIECE_BYTES)
    yield from outgoing.take()
