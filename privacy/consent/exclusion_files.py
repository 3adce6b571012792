"""Reading an exclusion list's file: one address or number a line, or the first columns of a CSV.

Pure: lines in, identifiers or refusals out. A hash in the file cannot be matched: our own blind
index is computed from the plain value under a key that the list's owner does not have.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from policies.errors import InvalidInput
from privacy.keys.blind_index import MAX_EMAIL_LENGTH, IdentifierKind
from privacy.subjects.identifiers import Identifier

#: Names of columns, as exclusion lists write them, without accents and case.
_COLUMNS: Final = {
    "email": IdentifierKind.EMAIL,
    "e-mail": IdentifierKind.EMAIL,
    "correo": IdentifierKind.EMAIL,
    "phone": IdentifierKind.PHONE,
    "telefono": IdentifierKind.PHONE,
    "teléfono": IdentifierKind.PHONE,
    "movil": IdentifierKind.PHONE,
    "móvil": IdentifierKind.PHONE,
    "mobile": IdentifierKind.PHONE,
}
#: MD5, SHA-1, SHA-256 and SHA-512 in hexadecimal.
_HASH: Final = re.compile(r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128})")
_QUOTED: Final = re.compile(r'"[^"]*"')
#: Longer than any line of addresses: something else is in the file.
MAX_LINE: Final = 4_096
_MAX_BYTES: Final = 4 * MAX_LINE + 4  # every character of the longest, and its end

Reader = Callable[[IdentifierKind, str], Identifier]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file.

    Attributes:
        number: from 1, as an editor counts.
        found: the addresses and numbers in it.
        refused: why something in it was refused, without the value; None where nothing was.
    """

    number: int
    found: tuple[Identifier, ...]
    refused: str | None = None


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file, of an over-long one the beginning: memory stays bounded."""
    while line := file.readline(_MAX_BYTES):
        more = line
        while len(more) == _MAX_BYTES and not more.endswith(b"\n"):
            more = file.readline(_MAX_BYTES)
        yield line


def read_lines(raw: Iterable[bytes], read: Reader, *, after: int = 0) -> Iterator[Line]:
    """Yield each line that holds something.

    Args:
        raw: the file's lines, from its first.
        read: makes an identifier of a text; raises `InvalidInput`.
        after: lines up to this number were dealt with before.
    """
    columns: dict[int, IdentifierKind] | None = None
    delimiter = None  # of the whole file, as its first line shows it, or the first that shows any
    for number, line in enumerate(raw, start=1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace").strip()
        cells = None
        if len(text) <= MAX_LINE and "\ufffd" not in text:
            delimiter = delimiter or _delimiter(text)
            cells = _cells(text, delimiter or ",")
        if number == 1:
            columns = _header(cells or [])
            if columns:
                continue
        if number <= after or not text:
            continue
        if cells is None:
            yield Line(number, (), "not a line of text in UTF-8")
            continue
        yield _line(number, cells, columns, read)


def _delimiter(text: str) -> str | None:
    """What separates a line's cells: by which it names columns, or what comes first; None: nothing."""
    bare = _QUOTED.sub("", text)
    shown = sorted((each for each in ",;" if each in bare), key=bare.index)
    naming = [each for each in shown if _header(_cells(text, each) or [])]
    return next(iter(naming + shown), None)


def _cells(text: str, delimiter: str) -> list[str] | None:
    """The cells of a line; None where it is none, such as one with carriage returns within."""
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter), [])]
    except csv.Error:
        return None


def _header(cells: list[str]) -> dict[int, IdentifierKind] | None:
    """The columns that a first line names; None where it is no header."""
    named = {i: _COLUMNS.get(cell.casefold()) for i, cell in enumerate(cells)}
    return {i: kind for i, kind in named.items() if kind} or None


def _line(
    number: int, cells: list[str], columns: dict[int, IdentifierKind] | None, read: Reader
) -> Line:
    wanted: list[tuple[IdentifierKind, str]]
    if columns is None:
        first = cells[0] if cells else ""
        wanted = [(IdentifierKind.EMAIL if "@" in first else IdentifierKind.PHONE, first)]
    else:
        wanted = [(kind, cells[i]) for i, kind in columns.items() if i < len(cells) and cells[i]]
    found: list[Identifier] = []
    refused = None if wanted else "no address and no number"
    for kind, value in wanted:
        if _HASH.fullmatch(value):
            refused = "a hash: bring the list with its plain values"
        elif len(value) > MAX_EMAIL_LENGTH:
            refused = f"no {kind.value}: too long"
        else:
            try:
                found.append(read(kind, value))
            except InvalidInput:  # its text may quote the value, which stays out of every log
                refused = "not an address" if kind is IdentifierKind.EMAIL else "not a number"
    return Line(number, tuple(found), refused)
