"""A task of the worker's that is done in batches: at once again while there is more, else later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime, UnitOfWork

#: Does a batch of what is due, commits, and returns how much it was.
Batch = Callable[[UnitOfWork], int]


class Batches:
    """Batches of a kind, one after the other.

    Args:
        runtime: the doors to the database.
        every: so long it rests after nothing was due.
        batches: each in a transaction of its own.
    """

    def __init__(self, runtime: Runtime, every: timedelta, *batches: Batch) -> None:
        self._runtime = runtime
        self._every = every
        self._batches = batches
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Do a batch of each unless it rests; return how much was done."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        done = 0
        for batch in self._batches:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                done += batch(uow)
        if not done:
            self._next = now + self._every
        return done
