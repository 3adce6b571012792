"""Answers from memory: the form of an answer, filled with the present instant and the event's name."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable, Sequence
from typing import Final

from privacy.decisions.encoding import Forms
from privacy.decisions.facts import NO_EVENT, Entry, FactTable, Pair
from privacy.decisions.instants import rfc3339_of

#: Counts one answer: domain, instant in microseconds since 1970, whom, purpose, and whether permitted.
Count = Callable[[str, int, str, str, bool], None]
_NO_NAME: Final = b"-"


class Remembered:
    """Answers what a table holds, and counts it."""

    def __init__(self, table: FactTable, forms: Forms, revision: str, count: Count) -> None:
        """Wire it.

        Args:
            table: what this process remembers.
            forms: of the answers in it.
            revision: the register's, by which they were decided.
            count: counts an answer.
        """
        self._table = table
        self._forms = forms.all
        self._revision = revision.encode()
        self._count = count
        #: The millisecond of the last answer, and what `_evidence` returns for it.
        self._latest = (-1, b"")

    def one(self, domain: str, pseudonym: str, unit: str, instant: int) -> bytes | None:
        """Return the answer about one person; None: it must be read.

        Args:
            domain: the application's.
            pseudonym: the person's there.
            unit: one of the table's purposes.
            instant: microseconds since 1970, read after the question arrived.
        """
        entry = self._table.find(domain, pseudonym, unit, instant)
        if entry is None:
            return None
        answer, permit = self._told(entry, instant, self._evidence(instant))
        self._count(domain, instant, pseudonym, unit, permit)
        return answer

    def many(
        self, domain: str, wanted: Sequence[Pair], instant: int
    ) -> list[tuple[bytes, bool] | None]:
        """As `one`, for each (pseudonym, unit) in its order: answer, and whether it permits.

        It counts nothing: where another cannot be read, nobody is answered.
        """
        evidence, told = self._evidence(instant), self._told
        return [
            entry and told(entry, instant, evidence)
            for entry in self._table.find_many(domain, wanted, instant)
        ]

    def _evidence(self, instant: int) -> bytes:
        """Return what an evidence id says besides the event."""
        milli = instant // 1000
        latest, evidence = self._latest
        if latest != milli:
            evidence = b":%b:%b" % (self._revision, rfc3339_of(instant))
            self._latest = milli, evidence
        return evidence

    def _told(self, entry: Entry, instant: int, evidence: bytes) -> tuple[bytes, bool]:
        number, until, event = entry
        form = self._forms[number]
        name = hexlify(event) if event != NO_EVENT else _NO_NAME
        return form.fill(name + evidence, instant, until), form.permit
