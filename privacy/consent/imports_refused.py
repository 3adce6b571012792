"""The file of refused rows: each row that an import did not record, its reason, and the row as it was.

It is the only copy of what was refused, so it is never written over: an import begins with an empty
one, and one that goes on cuts off nothing but rows that it is about to look at again.
"""

from __future__ import annotations

import csv
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from policies.errors import Conflict, DomainError, InvalidInput
from privacy.consent.imports_model import RowRefused
from privacy.consent.imports_reader import Read
from privacy.spreadsheets import guard_cell


def open_refused(path: Path, source: BinaryIO, *, must_be_empty: bool) -> BinaryIO:
    """Open the file of refused rows, for its owner and this process alone; nothing is cut yet.

    Args:
        path: of it.
        source: the imported file.
        must_be_empty: an import begins, and what stands there is another's.

    Raises:
        InvalidInput: it cannot be written to, is no plain file, or is the imported file itself.
        InvalidInput: or something is in it and nothing may be.
        Conflict: another import writes to it.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; name the file of refused rows") from None
    file = os.fdopen(descriptor, "r+b")
    try:
        _claim(descriptor, path, source, must_be_empty=must_be_empty)
    except DomainError:
        file.close()
        raise
    _sync_folder(path.parent)
    return file


def cut(file: BinaryIO, path: Path, length: int, coming: Iterator[Read] | None) -> None:
    """Cut the file to where a committed batch left it.

    Args:
        file: of refused rows, open.
        path: of it.
        length: what the batch left.
        coming: the rows that the import goes on with; None: it is cut whatever stands there.

    Raises:
        InvalidInput: it is shorter than it was: rows were lost.
        InvalidInput: or what would be cut off is not of the coming rows: it is another import's.
    """
    if os.fstat(file.fileno()).st_size < length:
        raise InvalidInput(f"{path} is shorter than it was; name the file of refused rows")
    file.seek(length)
    if coming is not None and not _come_again(file, coming):
        raise InvalidInput(
            f"{path}: holds refused rows of another import;"
            " name with --refused the file that this import wrote to before"
        )
    file.truncate(length)
    file.seek(length)


def lines_of(batch: Sequence[Read], refusals: Mapping[int, RowRefused]) -> bytes:
    """Return the lines of the file of refused rows, in their order."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for read in batch:
        refusal = refusals.get(read.line)
        if refusal is not None:
            cells = (read.line, *map(guard_cell, (refusal.field, refusal.reason, _text(read))))
            # Python's writer leaves a lone carriage return bare, and its reader stops at one.
            (quoting if any("\r" in str(cell) for cell in cells) else writer).writerow(cells)
    return text.getvalue().encode(errors="backslashreplace")


def _text(read: Read) -> str:
    return read.original.decode(errors="backslashreplace")


def _come_again(file: BinaryIO, coming: Iterator[Read]) -> bool:
    """Tell whether all that follows in the file is of the coming rows; the last may be half of one.

    A process that was killed leaves the refused rows of a batch that was not committed.
    """
    torn: list[bytes] = []

    def whole() -> Iterator[str]:
        for line in file:
            if line.endswith(b"\n"):
                yield line.decode(errors="replace")
            else:
                torn.append(line.rstrip(b"\0"))  # a loss of power may leave zeros

    try:
        for cells in csv.reader(whole()):
            if len(cells) != 4 or not cells[0].isdecimal():
                return False
            read = _row_at(int(cells[0]), coming)
            if read is None or not guard_cell(_text(read)).startswith(cells[3]):
                return False
    except csv.Error:
        return False
    return not any(torn) or torn[0].lstrip(b'"')[:1].isdigit()


def _row_at(line: int, coming: Iterator[Read]) -> Read | None:
    for read in coming:
        if read.line >= line:
            return read if read.line == line else None
    return None


def _claim(descriptor: int, path: Path, source: BinaryIO, *, must_be_empty: bool) -> None:
    """Let nobody else read or write it."""
    stat = os.fstat(descriptor)
    if not S_ISREG(stat.st_mode) or os.path.samestat(stat, os.fstat(source.fileno())):
        raise InvalidInput(f"{path}: no plain file of its own; name the file of refused rows")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if must_be_empty and os.fstat(descriptor).st_size:
            raise InvalidInput(
                f"{path}: holds refused rows already, and an import that begins writes over none;"
                " move it away, or name another file with --refused"
            )
        os.fchmod(descriptor, 0o600)
    except BlockingIOError:
        raise Conflict("somebody else is importing this file") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}; name the file of refused rows") from None


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file outlive a loss of power, as its content does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
