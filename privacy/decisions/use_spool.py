"""Counts on their way from a process that only answers to the worker that writes them.

Writing a count costs more than the answer it counts. So a decision worker puts what it counted into
files twice a second, and the worker writes each file's counts in one transaction with the file's name:
a crash of either neither loses what is in a file nor counts it twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from privacy.decisions.model import Outcome
from privacy.ids import Ids, new_id

#: Counts in one file, and so in one transaction.
MOST_IN_FILE: Final = 1_000
_SUFFIX: Final = ".json"

NamedKey = tuple[str, str, str, date, Outcome]
"""(domain, the person's pseudonym there, purpose, day, outcome)."""


class UseSpool:
    """A folder of counted uses."""

    def __init__(self, folder: Path, ids: Ids) -> None:
        self._folder = folder
        self._ids = ids

    def put(self, counts: Mapping[NamedKey, int]) -> None:
        """Keep counts; what this returned from survives the end of the process."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        listed = list(counts.items())
        for start in range(0, len(listed), MOST_IN_FILE):
            rows = [
                (domain, pseudonym, purpose, day.isoformat(), outcome.value, count)
                for (domain, pseudonym, purpose, day, outcome), count in listed[
                    start : start + MOST_IN_FILE
                ]
            ]
            path = self._folder / f"{new_id(self._ids)}.new"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(rows, file)
            path.rename(path.with_suffix(_SUFFIX))

    def waiting(self) -> Sequence[str]:
        """Return the names of the files that are complete."""
        return sorted(path.stem for path in self._folder.glob(f"*{_SUFFIX}"))

    def read(self, name: str) -> Iterator[tuple[NamedKey, int]]:
        """Yield the counts of a file."""
        rows = json.loads((self._folder / f"{name}{_SUFFIX}").read_text())
        for domain, pseudonym, purpose, day, outcome, count in rows:
            yield (domain, pseudonym, purpose, date.fromisoformat(day), Outcome(outcome)), count

    def drop(self, name: str) -> None:
        """Delete a file whose counts are written."""
        (self._folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
