"""Counts on their way from the processes that answer to the worker that writes them.

Writing a count costs as much as the answer it counts. So every process puts what it counted into a
file of its own twice a second, and the worker makes one batch of the files that wait: each person's
counts are one, and lie in the order of the table they go to. A batch is written in short transactions,
each with how far it came, so that a crash of anybody neither loses what is in a file nor counts it twice.

- A file is there whole or not at all: it is on the disk before it gets its name.
- A batch names the files that it was made of. From the moment it has its name they count no more.
"""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

#: Made into JSON at once: nobody who answers waits for more of it than some 0.2 ms.
ENCODED_AT_ONCE: Final = 1_000
#: Of files, made into one batch: some 100,000 counts, which take 40 MB while they are made so.
BATCHED_BYTES: Final = 4 << 20
#: Whoever has not written to its unfinished file for so long was killed meanwhile.
UNFINISHED_FOR: Final = timedelta(hours=1)
_COUNTED: Final = ".counted"
_BATCH: Final = ".batch"
_NEW: Final = ".new"
_UNREADABLE: Final = ".unreadable"

log = logging.getLogger("placet.uses")

Group = tuple[str, str, str, str]
"""(domain, purpose, day as ISO 8601 writes it, outcome)."""
Row = tuple[str, int, int]
"""(subject id, place of the group among those of the batch, count)."""

_ENCODER: Final = msgspec.json.Encoder()
_LINES: Final = msgspec.json.Decoder(tuple[Group, dict[str, int]])
_ROWS: Final = msgspec.json.Decoder(Row)
_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError)


class _Head(msgspec.Struct):
    sources: list[str]
    groups: list[Group]


_HEAD: Final = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class Part:
    """What is written at once of a batch.

    Attributes:
        groups: JSON of the batch's groups.
        rows: JSON of some of its rows.
        end: how many bytes of the batch are read with these.
        is_last: there are no rows after these.
    """

    groups: str
    rows: str
    end: int
    is_last: bool


class UseSpool:
    """A folder of counted uses, of one host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, counted: Mapping[Group, Mapping[str, int]]) -> None:
        """Keep counts; what this returned from survives the end of the process and of the machine.

        Args:
            counted: for each group, pseudonym or subject id -> count.

        Raises:
            OSError: it could not; nothing was kept.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._keep(_COUNTED, _lines(counted))

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Let no other process make or write batches meanwhile; False: another does."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._folder / "taken", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def waiting(self) -> Sequence[str]:
        """Return the names of the files that are in no batch yet."""
        return self._names(_COUNTED)

    def waiting_bytes(self) -> int:
        """Return how much waits in files."""
        return sum(self._size(name + _COUNTED) for name in self.waiting())

    def read(self, names: Iterable[str]) -> tuple[list[str], dict[Group, dict[str, int]]]:
        """Read files together, as many as one batch is made of; return their names and counts."""
        taken: list[str] = []
        together: dict[Group, dict[str, int]] = {}
        size = 0
        for name in names:
            path = self._folder / f"{name}{_COUNTED}"
            lines = path.read_bytes()
            try:
                decoded = _LINES.decode_lines(lines)
            except _DECODE_ERRORS as error:
                _put_aside(path, error)
                continue
            for group, counts in decoded:
                counted = together.setdefault(group, {})
                for whom, count in counts.items():
                    counted[whom] = counted.get(whom, 0) + count
            taken.append(name)
            size += len(lines)
            if size >= BATCHED_BYTES:
                break
        return taken, together

    def batch(self, sources: Sequence[str], groups: Sequence[Group], rows: Sequence[Row]) -> str:
        """Make a batch of rows in the order they are to be written in, and return its name."""
        head = _ENCODER.encode(_Head(list(sources), list(groups))) + b"\n"
        return self._keep(_BATCH, (head, *_encoded(rows)))

    def batches(self) -> Sequence[str]:
        """Return the names of the batches that are not written to the end."""
        return self._names(_BATCH)

    def unfinished(self) -> Sequence[str]:
        """Return the names of the files that somebody is writing, or was when it was killed."""
        return self._names(_NEW)

    def sweep(self, now: datetime) -> None:
        """Delete what nobody is going to finish: it names people, who may be erased by now.

        Args:
            now: aware; of the clock by which the disk dates files.
        """
        latest = (now - UNFINISHED_FOR).timestamp()
        for name in self.unfinished():
            path = self._folder / f"{name}{_NEW}"
            with suppress(FileNotFoundError):  # it was finished just now
                if path.stat().st_mtime < latest:
                    path.unlink()

    def part(self, name: str, after: int, most: int) -> Part | None:
        """Return the next rows of a batch; None: there are no more that can be read.

        Args:
            name: of the batch.
            after: the end of the part before; 0: from its first row on.
            most: of rows.
        """
        path = self._folder / f"{name}{_BATCH}"
        try:
            with path.open("rb") as file:
                first = file.readline()
                head = _HEAD.decode(first)
                self._drop_all(head.sources)  # each time: whoever made it may have died before
                start = after or len(first)
                file.seek(start)
                lines = b"".join(islice(file, most))
                size = os.fstat(file.fileno()).st_size
            rows = _ROWS.decode_lines(lines)
        except _DECODE_ERRORS as error:
            _put_aside(path, error)
            return None
        if not rows:
            return None
        groups, end = _ENCODER.encode(head.groups), start + len(lines)
        return Part(groups.decode(), _ENCODER.encode(rows).decode(), end, end == size)

    def drop(self, name: str) -> None:
        """Delete a batch that is written; it does not come back, nor does what it was made of."""
        (self._folder / f"{name}{_BATCH}").unlink(missing_ok=True)
        self._sync()

    def _keep(self, suffix: str, lines: Iterable[bytes]) -> str:
        """Write a file and return its name, which it gets when all of it is on the disk."""
        descriptor, new = tempfile.mkstemp(_NEW, f"{os.getpid()}-", self._folder)
        path = Path(new)
        kept = path.with_suffix(suffix)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(descriptor)
            path.rename(kept)
            self._sync()
        except OSError:
            path.unlink(missing_ok=True)
            kept.unlink(missing_ok=True)
            raise
        return kept.stem

    def _sync(self) -> None:
        """Have the names in the folder outlive the machine's end."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _names(self, suffix: str) -> Sequence[str]:
        try:
            return sorted(each.stem for each in self._folder.iterdir() if each.suffix == suffix)
        except FileNotFoundError:  # nobody has counted anything yet
            return []

    def _size(self, name: str) -> int:
        return (self._folder / name).stat().st_size

    def _drop_all(self, sources: Iterable[str]) -> None:
        for name in sources:
            (self._folder / f"{name}{_COUNTED}").unlink(missing_ok=True)


def _put_aside(path: Path, error: Exception) -> None:
    """Have the others wait no longer for a file that the disk spoiled."""
    log.error("the counts in %s cannot be read", path.name, exc_info=error)
    path.rename(path.with_suffix(_UNREADABLE))


def _lines(counted: Mapping[Group, Mapping[str, int]]) -> Iterator[bytes]:
    for group, counts in counted.items():
        items = iter(counts.items())
        while some := dict(islice(items, ENCODED_AT_ONCE)):
            yield _ENCODER.encode((group, some)) + b"\n"


def _encoded(rows: Sequence[Row]) -> Iterator[bytes]:
    for start in range(0, len(rows), ENCODED_AT_ONCE):
        yield _ENCODER.encode_lines(rows[start : start + ENCODED_AT_ONCE])
