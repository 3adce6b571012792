"""What a decision worker remembers of people: flat arrays, no object for each person.

An entry is (a pseudonym in its domain, a purpose) -> (form of the answer, until when the clock lets it
stand, name of the event behind it). It answers only while nobody has begun to change the person, or
everyone, since before it was read (`privacy/versions.py`, docs/decisions/0011-freshness.md).

A person costs 34 bytes and 24 for each purpose that was asked about; memory that was never written is
not there. Where the table is full it forgets everything.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
from collections.abc import Sequence
from typing import Final

from privacy.versions import EVERYONE, Versions, bucket_of

#: An instant after all others, in microseconds since 1970: the largest that fits an entry.
NEVER: Final = 2**52 - 1
#: So many forms of an answer can be told apart.
MOST_FORMS: Final = 4096

_KEY_BYTES: Final = 16
_EVENT_BYTES: Final = 16
#: The event's name where there is none; 128 bits of an HMAC never are that.
NO_EVENT: Final = bytes(_EVENT_BYTES)
_NOBODY: Final = -1

Pair = tuple[str, str]
"""(pseudonym, purpose)."""
Entry = tuple[int, int, bytes]
"""(form, until in microseconds since 1970, name of the event)."""


def key_of(domain: bytes, pseudonym: str) -> bytes:
    """Return under what a person is remembered: 128 bits of SHA-256.

    Args:
        domain: its name in UTF-8 and a null character, so that no two pairs run together.
        pseudonym: as it was asked about.
    """
    return hashlib.sha256(domain + pseudonym.encode()).digest()[:_KEY_BYTES]


class FactTable:
    """The people whom this process remembers."""

    _everyone: int
    _latest: int
    _count: int
    _index: memoryview
    _keys: mmap.mmap
    _stamps: memoryview
    _buckets: memoryview
    _columns: list[tuple[memoryview, mmap.mmap]]

    def __init__(self, versions: Versions, purposes: Sequence[str], capacity: int) -> None:
        """Make room.

        Args:
            versions: confirm that what is remembered still holds.
            purposes: every purpose that may be asked about.
            capacity: most people remembered at once.
        """
        self.versions = versions
        self.purposes = frozenset(purposes)
        self.capacity = capacity
        self._places = {purpose: place for place, purpose in enumerate(purposes)}
        self._mask = (1 << (capacity * 3 // 2).bit_length()) - 1
        self._lock = threading.Lock()
        self._forget()

    def __len__(self) -> int:
        """Return how many people are remembered, whether or not it still holds."""
        return self._count

    def find(self, domain: str, wanted: Sequence[Pair], now: int) -> list[Entry | None]:
        """Return what is remembered and holds at this instant; None: it must be read.

        Args:
            domain: the pseudonyms' domain.
            wanted: (pseudonym, purpose), the purpose one of the table's.
            now: microseconds since 1970, read after the question arrived.
        """
        prefix, begun = f"{domain}\0".encode(), self.versions.begun
        found: list[Entry | None] = []
        with self._lock:
            if begun[EVERYONE] != self._everyone or now < self._latest:  # the clock was put back
                return [None] * len(wanted)
            for pseudonym, purpose in wanted:
                person = self._person(key_of(prefix, pseudonym))
                if person == _NOBODY or begun[self._buckets[person]] != self._stamps[person]:
                    found.append(None)
                    continue
                entries, events = self._columns[self._places[purpose]]
                entry = entries[person]
                until = entry & NEVER
                if now >= until:  # what was never written ended in 1970
                    found.append(None)
                    continue
                at = person * _EVENT_BYTES
                found.append((entry >> 52, until, events[at : at + _EVENT_BYTES]))
        return found

    def keep(
        self, domain: str, wanted: Pair, entry: Entry, *, subject_id: str, moment: int, now: int
    ) -> None:
        """Remember an entry, if nothing has changed since it was read.

        Args:
            domain: the pseudonym's domain.
            wanted: (pseudonym, purpose).
            entry: what a snapshot showed.
            subject_id: the person.
            moment: `Versions.moment`, asked for before the snapshot was opened.
            now: when that was, in microseconds since 1970.
        """
        bucket = bucket_of(subject_id)
        stamp = self.versions.settled_since(moment, bucket)
        everyone = self.versions.settled_since(moment, EVERYONE)
        if stamp is None or everyone is None:
            return
        form, until, event = entry
        pseudonym, purpose = wanted
        key = key_of(f"{domain}\0".encode(), pseudonym)
        with self._lock:
            if everyone != self._everyone or self._count == self.capacity:
                self._forget()
                self._everyone = everyone
            self._latest = max(self._latest, now)
            person = self._person(key)
            if person == _NOBODY:
                person = self._add(key)
            elif self._stamps[person] != stamp or self._buckets[person] != bucket:
                for entries, _events in self._columns:  # what was read before counts no longer
                    if entries[person]:
                        entries[person] = 0
            self._stamps[person], self._buckets[person] = stamp, bucket
            entries, events = self._columns[self._places[purpose]]
            at = person * _EVENT_BYTES
            events[at : at + _EVENT_BYTES] = event
            entries[person] = form << 52 | until

    def _person(self, key: bytes) -> int:
        """Return the person's place in the arrays, or `_NOBODY`."""
        mask, index, keys = self._mask, self._index, self._keys
        slot = int.from_bytes(key[:8], "little") & mask
        while person := index[slot]:  # counted from 1: 0 is a free slot
            at = person * _KEY_BYTES
            if keys[at - _KEY_BYTES : at] == key:
                return person - 1
            slot = (slot + 1) & mask
        return _NOBODY

    def _add(self, key: bytes) -> int:
        slot = int.from_bytes(key[:8], "little") & self._mask
        while self._index[slot]:
            slot = (slot + 1) & self._mask
        person = self._count
        self._keys[person * _KEY_BYTES : (person + 1) * _KEY_BYTES] = key
        self._count += 1
        self._index[slot] = self._count
        return person

    def _forget(self) -> None:
        people = self.capacity
        self._count, self._everyone, self._latest = 0, 0, 0
        self._index = _array("I", 4, self._mask + 1)
        self._keys = _memory(people * _KEY_BYTES)
        self._stamps = _array("Q", 8, people)
        self._buckets = _array("H", 2, people)
        self._columns = [
            (_array("Q", 8, people), _memory(people * _EVENT_BYTES)) for _ in self._places
        ]


def _memory(size: int) -> mmap.mmap:
    """Return zeros, in memory that is there as soon as it is written to."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _array(form: str, width: int, length: int) -> memoryview:
    view: memoryview = memoryview(_memory(length * width)).cast(form)  # type: ignore[call-overload]  # a format that it knows
    return view
