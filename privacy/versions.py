"""How often what a decision reads was changed, in memory that all processes of a host share.

A process may answer from what it remembers only if nobody has begun to change it since: writers mark
before their commit and after it, readers look after the question arrived. Why no answer outlives
a change is written in docs/decisions/0011-freshness.md; change nothing here without reading it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from privacy.ids import Ids

#: People share a bucket where the last 18 bits of a checksum agree: one's change makes all read anew.
BUCKETS: Final = 262_144
#: The pair of counters for what concerns people whom nobody can list, such as an exclusion list.
EVERYONE: Final = BUCKETS
#: The pair of counters for access tokens and clients.
CALLERS: Final = BUCKETS + 1
#: The pair of counters that moves with every other.
ANY: Final = BUCKETS + 2

_MAGIC: Final = b"placet-versions2"
_EPOCH_BYTES: Final = 16
_HEADER_BYTES: Final = 64
_PAIRS: Final = BUCKETS + 64
_WORD: Final = 8
_SIZE: Final = _HEADER_BYTES + 2 * _PAIRS * _WORD


class VersionsReplaced(Exception):
    """The shared file was put aside while in use: what is marked in ours, nobody would see."""


@dataclass(slots=True)
class Touched:
    """Of whom a transaction changes what decisions read.

    Attributes:
        people: subject ids.
        everyone: whoever may be concerned.
        callers: an access token or a client ended or changed.
    """

    people: set[str] = field(default_factory=set)
    everyone: bool = False
    callers: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is anything to mark."""
        return bool(self.people) or self.everyone or self.callers

    def copy(self) -> Touched:
        """Return what it is now, to come back to it."""
        return Touched(set(self.people), self.everyone, self.callers)

    def add(self, other: Touched) -> None:
        """Touch what another transaction touches as well."""
        self.people |= other.people
        self.everyone |= other.everyone
        self.callers |= other.callers


def bucket_of(subject_id: str) -> int:
    """Return the bucket of a person, 0 to `BUCKETS` - 1."""
    return zlib.crc32(subject_id.encode()) & (BUCKETS - 1)


class Versions:
    """Pairs of 64-bit counters in one file: changes begun, and changes ended.

    Attributes:
        begun: by bucket; moves before a commit. Only to be read.
        ended: by bucket; moves after it, and lags behind for good where its writer died.
    """

    def __init__(self, path: Path, ids: Ids) -> None:
        """Open the file, and make it where there is none.

        Args:
            path: the same for all processes of this deployment on this host.
            ids: names a new file.
        """
        self._path = path
        with self._alone() as descriptor:
            if os.pread(descriptor, len(_MAGIC), 0) != _MAGIC:
                os.ftruncate(descriptor, 0)
                os.ftruncate(descriptor, _SIZE)
                epoch = ids.random_bytes(_EPOCH_BYTES)
                os.pwrite(descriptor, _MAGIC + epoch, 0)  # last: with it the file counts
        # Of a descriptor of its own: the mapping keeps it, and with it any lock that it holds.
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._inode = os.fstat(descriptor).st_ino
            self._memory = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        counters = memoryview(self._memory)[_HEADER_BYTES:].cast("Q")
        self.begun, self.ended = counters[:_PAIRS], counters[_PAIRS:]

    @property
    def epoch(self) -> str:
        """What `renew` named the file last; 32 hexadecimal digits."""
        return self._memory[len(_MAGIC) : len(_MAGIC) + _EPOCH_BYTES].hex()

    def moment(self) -> int:
        """Return how many changes have ended; asked for before a snapshot is opened."""
        return self.ended[ANY]

    def settled_since(self, moment: int, bucket: int) -> int | None:
        """Return how many changes a snapshot shows that was opened after `moment`; asked afterwards.

        None: one is under way, or has ended meanwhile, and what was read may not be kept.
        """
        ended = self.ended[bucket]
        if self.begun[bucket] != ended or self.ended[ANY] != moment:  # in this order
            return None
        return ended

    @contextmanager
    def marking(self, touched: Touched) -> Iterator[None]:
        """Mark what the commit inside changes, before it and after it.

        Where nobody can tell what became of the commit (the process dies, the connection is lost) it
        is never marked as ended: what it touched is read from the database until `renew`.
        """
        buckets = _buckets(touched)
        with self._alone():
            epoch = self.epoch
            for bucket in buckets:
                self.begun[bucket] += 1
        try:
            yield
        except DBAPIError as error:
            if not error.connection_invalidated:  # the database itself refused: nothing was kept
                self._end(epoch, buckets)
            raise
        self._end(epoch, buckets)

    def renew(self, ids: Ids) -> None:
        """Let every bucket count again, and forget whoever died on the way.

        The caller keeps every writer away meanwhile, and knows that no commit is under way.
        """
        with self._alone():
            self._memory[len(_MAGIC) : len(_MAGIC) + _EPOCH_BYTES] = ids.random_bytes(_EPOCH_BYTES)
            later = memoryview(array("Q", (count + 1 for count in self.begun)))
            self.begun[:] = later  # the order of `marking`
            self.ended[:] = later

    def _end(self, epoch: str, buckets: Sequence[int]) -> None:
        with self._alone():
            if self.epoch == epoch:  # else `renew` has ended it
                for bucket in buckets:
                    self.ended[bucket] += 1

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Keep out all other threads and processes; the kernel lets them in where we die."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if getattr(self, "_inode", None) not in (None, os.fstat(descriptor).st_ino):
                raise VersionsReplaced(self._path.name)
            yield descriptor
        finally:
            fcntl.flock(
                descriptor, fcntl.LOCK_UN
            )  # `mmap` keeps a duplicate: closing is not enough
            os.close(descriptor)


def _buckets(touched: Touched) -> list[int]:
    """Return what to mark, `ANY` first: who finds a change ended finds that one has ended."""
    buckets = {bucket_of(subject_id) for subject_id in touched.people}
    if touched.everyone:
        buckets.add(EVERYONE)
    if touched.callers:
        buckets.add(CALLERS)
    return [ANY, *sorted(buckets)]
