"""What the worker does for rights: forget what nobody proved, and end what has had its term."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from privacy.actor import SYSTEM
from privacy.rights.erasure import Eraser
from privacy.rights.service import Rights
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=1)


class Housekeeping:
    """A task of the worker's."""

    def __init__(self, runtime: Runtime, rights: Rights, eraser: Eraser) -> None:
        self._runtime = runtime
        self._tasks = (rights.expire_unproved, eraser.end_terms)
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Do what is due, at most every `EVERY` unless more is left; return how much was done."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        done = 0
        for task in self._tasks:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                done += task(uow)
        if not done:
            self._next = now + EVERY
        return done
