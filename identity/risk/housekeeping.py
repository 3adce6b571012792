"""Letting go of what the guard of the accounts no longer needs. Source: GDPR Art. 5(1)(e)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from identity.accounts import store as accounts_store
from identity.risk import store
from identity.risk.devices import Devices
from identity.risk.model import ASSESSMENTS_KEPT
from policies.risk import LATELY
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=1)


class Housekeeping:
    """A task of the worker's."""

    def __init__(self, runtime: Runtime, devices: Devices) -> None:
        self._runtime = runtime
        self._devices = devices
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Delete what has run out, at most every `EVERY`; return how much went."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.unit_of_work(SYSTEM) as uow:
            count = (
                store.forget_addresses(uow.session, uow.now)
                + store.delete_assessments(uow.session, uow.now - ASSESSMENTS_KEPT)
                + self._devices.forget_unseen(uow)
                + store.delete_expired_proofs(uow.session, uow.now)
                + accounts_store.delete_tries(uow.session, uow.now - LATELY)
            )
            uow.commit()
        return count
