"""Deleting who came from a provider and was never linked, once nothing can come of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from identity.sso import store
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=5)


class Housekeeping:
    """A task of the worker's."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Delete what has run out, at most every `EVERY`; return how many rows went."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.unit_of_work(SYSTEM) as uow:
            count = store.delete_expired_arrivals(uow.session, uow.now)
            uow.commit()
        return count
