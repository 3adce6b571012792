"""Reading a file of consents row by row, from any row on, whatever the file holds.

A row is what the format makes of one line, or in CSV of several where a quoted cell holds line ends.
Where that does not add up, the first line alone is refused and reading goes on with the next, so that
a stray quotation mark costs one row and not the rest of the file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import BinaryIO, Final

from policies.errors import InvalidInput
from privacy.consent.imports_model import COLUMNS, NEEDED, PERSON, RowRefused

#: Bytes of a line; nobody's consent takes more.
MAX_LINE: Final = 65_536
#: Lines of one row, whose quoted cells may hold line ends.
MAX_LINES: Final = 50
#: Bytes of an over-long line that the file of refused rows quotes.
QUOTED: Final = 1_000
_BOM: Final = b"\xef\xbb\xbf"


class Format(StrEnum):
    """The formats of a file."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file reading stands: the next row's first byte, and the number of its line."""

    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class Read:
    """One row as it was read.

    Attributes:
        line: its number, from 1; of the first where it has several.
        original: its bytes without the line end; of an over-long one the beginning.
        cells: by column, or why it is none.
        after: where the next row begins.
    """

    line: int
    original: bytes
    cells: Mapping[str, str] | RowRefused
    after: Place


class RowReader:
    """The rows of one open file.

    Args:
        file: open for reading, seekable.
        format: how its rows are written.

    Raises:
        InvalidInput: the header of a CSV does not name the columns.
    """

    def __init__(self, file: BinaryIO, format: Format) -> None:  # noqa: A002 - what it is called
        self._file = file
        self._format = format
        self._columns: list[str] = []
        self._delimiter = ","
        self.start = self._begin()

    def rows(self, place: Place) -> Iterator[Read]:
        """Yield the rows from a place on; empty lines are none."""
        self._file.seek(place.offset)
        while True:
            line, size = self._line()
            if size == 0:
                return
            read = self._read(line, size, place)
            place = read.after
            if b'"' in line:  # several lines may have been looked at
                self._file.seek(place.offset)
            if read.original.strip() or isinstance(read.cells, RowRefused):
                yield read

    def _begin(self) -> Place:
        self._file.seek(0)
        offset = len(_BOM) if self._file.read(len(_BOM)) == _BOM else 0
        if self._format is Format.JSONL:
            return Place(offset, 1)
        self._file.seek(offset)
        line, size = self._line()
        try:
            header = line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise InvalidInput("the header is not UTF-8") from None
        self._delimiter = ";" if ";" in header and "," not in header else ","
        try:
            [cells] = csv.reader([header], delimiter=self._delimiter, strict=True)
        except (csv.Error, ValueError):
            raise InvalidInput("the file does not begin with the names of its columns") from None
        self._columns = [cell.strip().lower() for cell in cells]
        _check(self._columns)
        return Place(offset + size, 2)

    def _line(self) -> tuple[bytes, int]:
        """Return the next line, its beginning where it is over-long, and how many bytes it has."""
        line = self._file.readline(MAX_LINE + 1)
        size = len(line)
        if size > MAX_LINE and not line.endswith(b"\n"):
            while more := self._file.readline(MAX_LINE):
                size += len(more)
                if more.endswith(b"\n"):
                    break
        return line, size

    def _read(self, line: bytes, size: int, place: Place) -> Read:
        after = Place(place.offset + size, place.line + 1)
        if size > MAX_LINE:
            refusal = RowRefused("", f"the line has more than {MAX_LINE} bytes")
            return Read(place.line, line[:QUOTED], refusal, after)
        cells: Mapping[str, str] | RowRefused = {}
        try:
            if line.strip() and self._format is Format.CSV:
                return self._csv(line, place, after)
            if line.strip():
                cells = _json(_decoded(line))
        except RowRefused as refusal:
            cells = refusal
        return Read(place.line, line.rstrip(b"\r\n"), cells, after)

    def _csv(self, first: bytes, place: Place, after: Place) -> Read:
        """Return the row that a line begins.

        Raises:
            RowRefused: it begins none.
        """
        row, end = first, after
        text = row.removesuffix(b"\n").removesuffix(b"\r")
        if b'"' not in text and b"\r" not in text:  # as nearly every row is
            return self._cells(_decoded(text).split(self._delimiter), text, place, end)
        for _ in range(MAX_LINES):
            try:
                lines = StringIO(_decoded(row), newline="")
                [cells] = csv.reader(lines, delimiter=self._delimiter, strict=True)
            except csv.Error as error:
                if "unexpected end" not in str(error):
                    raise RowRefused("", "the quotation marks do not add up") from None
            except ValueError:  # more than one row
                raise RowRefused("", "the line ends do not add up") from None
            else:
                return self._cells(cells, row.rstrip(b"\r\n"), place, end)
            more, size = self._line()
            if size == 0 or len(row) + size > MAX_LINE:
                break
            row += more
            end = Place(end.offset + size, end.line + 1)
        raise RowRefused("", "a quotation mark is not closed")

    def _cells(self, cells: list[str], original: bytes, place: Place, after: Place) -> Read:
        if len(cells) != len(self._columns):
            told = f"{len(cells)} cells where the header has {len(self._columns)}"
            raise RowRefused("", told)
        return Read(place.line, original, dict(zip(self._columns, cells, strict=True)), after)


def _check(columns: list[str]) -> None:
    for column in columns:
        if column not in COLUMNS:
            raise InvalidInput(f"there is no column {column!r}; there are: {', '.join(COLUMNS)}")
        if columns.count(column) > 1:
            raise InvalidInput(f"the column {column!r} stands there twice")
    missing = [column for column in NEEDED if column not in columns]
    if not set(PERSON) & set(columns):
        missing.insert(0, "email, phone or pseudonym")
    if missing:
        raise InvalidInput(f"the header lacks: {', '.join(missing)}")


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise RowRefused("", "the line is not UTF-8") from None


def _json(line: str) -> Mapping[str, str]:
    """Return the cells of a line of JSON lines; `subject` names the person as the API does."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise RowRefused("", "the line is not one JSON value") from None
    if not isinstance(told, dict):
        raise RowRefused("", "the line is no JSON object")
    match told.pop("subject", None):
        case None:
            pass
        case str() as pseudonym:
            told = {"pseudonym": pseudonym} | told
        case dict() as named if named and named.keys() <= {"email", "phone"}:
            told = {**named, **told}
        case _:
            raise RowRefused("subject", "is no pseudonym, address or number")
    cells = {name: _cell(name, value) for name, value in told.items()}
    for name in cells:
        if name not in COLUMNS:
            raise RowRefused(name[:64], "there is no such member")
    return cells


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise RowRefused(name[:64], "is no text, number or truth value")


def open_rows(path: Path, format: Format) -> tuple[BinaryIO, RowReader]:  # noqa: A002 - as above
    """Open a file and its rows; the caller closes it.

    Raises:
        InvalidInput: the header of a CSV does not name the columns.
    """
    file = path.open("rb")
    try:
        return file, RowReader(file, format)
    except InvalidInput:
        file.close()
        raise
