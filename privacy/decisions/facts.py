"""What a decision worker remembers of people: flat arrays, no object for each person.

An entry is (a pseudonym in its domain, a purpose) -> (form of the answer, until when the clock lets it
stand, name of the event behind it). It answers only while nobody has begun to change the person, or
everyone, since before it was read (`privacy/versions.py`, docs/decisions/0011-freshness.md).

A person costs 36 bytes and 24 for each purpose that was asked about; memory that was never written is
not there. Where the table is full it forgets everything.
"""

from __future__ import annotations

import mmap
import threading
from array import array
from collections.abc import Mapping, Sequence
from hashlib import sha256
from struct import Struct
from typing import Final

from privacy.versions import EVERYONE, Versions, bucket_of

#: An instant after all others, in microseconds since 1970: the largest that fits an entry.
NEVER: Final = 2**52 - 1
#: So many forms of an answer can be told apart.
MOST_FORMS: Final = 4096

#: No form: nothing is remembered that holds.
UNKNOWN: Final = -1

_KEY_BYTES: Final = 16
#: The event's name where there is none; 128 bits of an HMAC never are that.
NO_EVENT: Final = bytes(16)
#: A person: key, stamp, bucket. What is read together lies together: most of the time of a look goes
#: into waiting for memory.
_PERSON: Final = Struct("<16sQI")
#: Of it, stamp and bucket alone.
_STANDING: Final = Struct("<16xQI")
#: What is remembered of a person and a purpose: form and until when, name of the event.
_CELL: Final = Struct("<Q16s")
#: Of it, form and until when alone.
_FORM: Final = Struct("<Q16x")
#: The first 64 bits of a key.
_HASH: Final = Struct("<Q8x")
_HASH_OF, _PERSON_AT, _CELL_AT = _HASH.unpack, _PERSON.unpack_from, _CELL.unpack_from
_STANDING_AT, _FORM_AT = _STANDING.unpack_from, _FORM.unpack_from
_PERSON_SIZE, _CELL_SIZE = _PERSON.size, _CELL.size
_NOBODY: Final = -1
#: The last character of one in 64 pseudonyms.
_ENDS_A_RUN: Final = "A"
#: Half as many as are in one on the mean: so many times fewer runs than people are remembered.
_FEWEST_IN_A_RUN: Final = 32

Pair = tuple[str, str]
"""(pseudonym, purpose)."""
Entry = tuple[int, int, bytes]
"""(form, until in microseconds since 1970, name of the event)."""


def key_of(domain: str, pseudonym: str) -> bytes:
    """Return under what a person is remembered: 128 bits of SHA-256.

    Args:
        domain: its name. The null character behind it lets no two pairs run together.
        pseudonym: as it was asked about.
    """
    return sha256(f"{domain}\0{pseudonym}".encode()).digest()[:_KEY_BYTES]


class FactTable:
    """The people whom this process remembers."""

    _everyone: int
    _latest: int
    _count: int
    _index: memoryview
    _people: mmap.mmap
    _columns: dict[str, mmap.mmap]
    #: By digest of the pseudonyms: the places of people who followed one another.
    _runs: dict[bytes, Sequence[int]]

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
        self._mask = (1 << (capacity * 3 // 2).bit_length()) - 1
        self._lock = threading.Lock()
        self._forget()

    def __len__(self) -> int:
        """Return how many people are remembered, whether or not it still holds."""
        return self._count

    def room(self) -> int:
        """Return how many people more can be remembered before all are forgotten."""
        all_forgotten = self.versions.begun[EVERYONE] != self._everyone
        return self.capacity - (0 if all_forgotten else self._count)

    def find(self, domain: str, pseudonym: str, purpose: str, now: int) -> Entry | None:
        """Return what is remembered and holds at this instant; None: it must be read.

        Args:
            domain: the pseudonym's domain.
            pseudonym: the person's there.
            purpose: one of the table's.
            now: microseconds since 1970, read after the question arrived.
        """
        key = key_of(domain, pseudonym)
        with self._lock:
            return None if self._has_turned(now) else self._entry(key, purpose, now)

    def find_many(self, domain: str, wanted: Sequence[Pair], now: int) -> list[Entry | None]:
        """As `find`, for each (pseudonym, purpose) in its order.

        It is `find` written out: of a batch most time would go into calling its parts.
        """
        found: list[Entry | None] = []
        prefix, begun, columns = f"{domain}\0", self.versions.begun, self._columns
        with self._lock:
            if self._has_turned(now):
                return [None] * len(wanted)
            mask, index, people = self._mask, self._index, self._people
            for pseudonym, purpose in wanted:
                key = sha256((prefix + pseudonym).encode()).digest()[:_KEY_BYTES]
                slot, entry = _HASH_OF(key)[0] & mask, None
                while person := index[slot]:
                    person -= 1
                    kept, stamp, bucket = _PERSON_AT(people, person * _PERSON_SIZE)
                    if kept == key:
                        if begun[bucket] == stamp:
                            cell, event = _CELL_AT(columns[purpose], person * _CELL_SIZE)
                            until = cell & NEVER
                            if now < until:
                                entry = cell >> 52, until, event
                        break
                    slot = (slot + 1) & mask
                found.append(entry)
        return found

    def kept(self, domain: str, pseudonym: str) -> list[str]:
        """Return of which purposes anything was remembered of a person, whether or not it holds."""
        with self._lock:
            person, _, _ = self._person(key_of(domain, pseudonym))
            if person == _NOBODY:
                return []
            at = person * _CELL.size
            return [
                each for each, cells in self._columns.items() if _CELL.unpack_from(cells, at)[0]
            ]

    def forms_of(
        self, domain: str, people: Sequence[str], purpose: str, now: int, *, most_unknown: int
    ) -> list[int] | None:
        """Return the form of the answer about each; `UNKNOWN`: it must be read.

        Quickest where they come in an order in which they came before, or were kept by `preload`.

        Args:
            domain: the pseudonyms' domain.
            people: pseudonyms, without blanks.
            purpose: one of the table's.
            now: as for `find`.
            most_unknown: so many may have to be read.

        Returns:
            In their order; None where more must be read, or nothing of anybody holds.
        """
        forms: list[int] = []
        begun, unknown = self.versions.begun, 0
        with self._lock:
            if self._has_turned(now):
                return None
            rows, cells = self._people, self._columns[purpose]
            for place in self._places(domain, people):
                if place != _NOBODY:
                    stamp, bucket = _STANDING_AT(rows, place * _PERSON_SIZE)
                    cell = _FORM_AT(cells, place * _CELL_SIZE)[0]
                    if begun[bucket] == stamp and now < cell & NEVER:
                        forms.append(cell >> 52)
                        continue
                if unknown == most_unknown:
                    return None
                unknown += 1
                forms.append(UNKNOWN)
        return forms

    def keep(
        self,
        domain: str,
        pseudonym: str,
        entries: Mapping[str, Entry],
        *,
        subject_id: str,
        moment: int,
        now: int,
    ) -> None:
        """Remember what was read of a person, if nothing has changed since.

        Args:
            domain: the pseudonym's domain.
            pseudonym: the person's there.
            entries: what one snapshot showed, by purpose.
            subject_id: the person.
            moment: `Versions.moment`, asked for before the snapshot was opened.
            now: when that was, in microseconds since 1970.
        """
        bucket = bucket_of(subject_id)
        stamp = self.versions.settled_since(moment, bucket)
        everyone = self.versions.settled_since(moment, EVERYONE)
        if stamp is None or everyone is None:
            return
        key = key_of(domain, pseudonym)
        with self._lock:
            if everyone != self._everyone or self._count == self.capacity:
                self._forget()
                self._everyone = everyone
            self._latest = max(self._latest, now)
            person, before, of_bucket = self._person(key)
            if person == _NOBODY:
                person = self._add(key)
            elif before != stamp or of_bucket != bucket:
                for column in self._columns.values():  # what was read before counts no longer
                    if any(_CELL.unpack_from(column, person * _CELL.size)):
                        _CELL.pack_into(column, person * _CELL.size, 0, NO_EVENT)
            _PERSON.pack_into(self._people, person * _PERSON.size, key, stamp, bucket)
            at = person * _CELL.size
            for purpose, (form, until, event) in entries.items():
                _CELL.pack_into(self._columns[purpose], at, form << 52 | until, event)

    def _has_turned(self, now: int) -> bool:
        """Tell whether nothing holds: everyone may be changed, or the clock was put back."""
        return self.versions.begun[EVERYONE] != self._everyone or now < self._latest

    def _entry(self, key: bytes, purpose: str, now: int) -> Entry | None:
        person, stamp, bucket = self._person(key)
        if person == _NOBODY or self.versions.begun[bucket] != stamp:
            return None
        cell, event = _CELL.unpack_from(self._columns[purpose], person * _CELL.size)
        until = cell & NEVER
        if now >= until:  # what was never written ended in 1970
            return None
        return cell >> 52, until, event

    def _person(self, key: bytes) -> tuple[int, int, int]:
        """Return the person's place, or `_NOBODY`; stamp and bucket."""
        mask, index, people = self._mask, self._index, self._people
        slot = _HASH.unpack(key)[0] & mask
        while person := index[slot]:  # counted from 1: 0 is a free slot
            person -= 1
            found, stamp, bucket = _PERSON.unpack_from(people, person * _PERSON.size)
            if found == key:
                return person, stamp, bucket
            slot = (slot + 1) & mask
        return _NOBODY, 0, 0

    def _places(self, domain: str, people: Sequence[str]) -> list[int]:
        """Return each person's place, or `_NOBODY`.

        Those who followed one another before are looked up together, and their pseudonyms digested
        together: nobody changes places until all are forgotten. Where such a run ends is told by
        the last character of a pseudonym, wherever the list begins.
        """
        places: list[int] = []
        ends = [at for at, name in enumerate(people, 1) if name[-1:] == _ENDS_A_RUN]
        start = 0
        for end in ends:
            some = people[start:end]
            key = key_of(domain, " ".join(some))
            run = self._runs.get(key)
            if run is None:
                found = self._places_singly(domain, some)
                run = _run_of(found)
                if start and _NOBODY not in found:  # what comes first may be the rest of a run
                    if len(self._runs) >= self.capacity // _FEWEST_IN_A_RUN:
                        self._runs.clear()  # most are of people between whom somebody came since
                    self._runs[key] = run
            places += run
            start = end
        places += self._places_singly(domain, people[start:])
        return places

    def _places_singly(self, domain: str, people: Sequence[str]) -> list[int]:
        places, place = [], 0
        for pseudonym in people:
            key = key_of(domain, pseudonym)
            # The next place is often theirs: `preload` keeps people in the order of searches.
            if self._people[place * _PERSON.size : place * _PERSON.size + _KEY_BYTES] != key:
                found = self._person(key)[0]
                if found == _NOBODY:
                    places.append(_NOBODY)
                    continue
                place = found
            places.append(place)
            place = (place + 1) % self.capacity
        return places

    def _add(self, key: bytes) -> int:
        """Return a place for a person who has none."""
        slot = _HASH.unpack(key)[0] & self._mask
        while self._index[slot]:
            slot = (slot + 1) & self._mask
        person = self._count
        self._count += 1
        self._index[slot] = self._count
        return person

    def _forget(self) -> None:
        people = self.capacity
        self._count, self._everyone, self._latest = 0, 0, 0
        self._runs = {}
        self._index = _array("I", 4, self._mask + 1)
        self._people = _memory(people * _PERSON.size)
        self._columns = {each: _memory(people * _CELL.size) for each in self.purposes}


def _memory(size: int) -> mmap.mmap:
    """Return zeros, in memory that is there as soon as it is written to."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _array(form: str, width: int, length: int) -> memoryview:
    view: memoryview = memoryview(_memory(length * width)).cast(form)  # type: ignore[call-overload]  # a format that it knows
    return view


def _run_of(places: Sequence[int]) -> Sequence[int]:
    """Return the places in less memory."""
    following = range(places[0], places[0] + len(places))
    return following if places == [*following] else array("i", places)
