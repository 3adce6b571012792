"""What the worker does for what applications ask of people: forget what ran out long ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Protocol

from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime, UnitOfWork

EVERY: Final = timedelta(hours=1)


class Requests(Protocol):
    """What was asked of people."""

    def forget_old(self, uow: UnitOfWork) -> int:
        """Delete what ran out long ago and return how much; commits."""
        ...


class Housekeeping:
    """A task of the worker's."""

    def __init__(self, runtime: Runtime, *requests: Requests) -> None:
        self._runtime = runtime
        self._requests = requests
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Do what is due, at most every `EVERY`; return how much was done."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        done = 0
        for each in self._requests:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                done += each.forget_old(uow)
        return done
