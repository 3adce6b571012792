"""What the worker does for collection: forget what ran out long ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from privacy.actor import SYSTEM
from privacy.collection.service import AttributeRequests
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(hours=1)


class Housekeeping:
    """A task of the worker's."""

    def __init__(self, runtime: Runtime, requests: AttributeRequests) -> None:
        self._runtime = runtime
        self._requests = requests
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Do what is due, at most every `EVERY`; return how much was done."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.unit_of_work(SYSTEM) as uow:
            return self._requests.forget_old(uow)
