"""What the worker does for lost second factors: reminders, the last link, and the end of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from identity.accounts.mailbox_proof import new_proof
from identity.accounts.service import Accounts
from identity.credentials import lost_factor_store as store
from identity.credentials.lost_factor_letters import LostFactorLetters
from identity.credentials.model import OFFER_LIFETIME, FactorRecoveryExpired
from policies.errors import NotFound
from policies.recovery import REMINDER
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=1)
BATCH: Final = 100


class LostFactorTasks:
    """A task of the worker's; several workers side by side send one letter."""

    def __init__(self, runtime: Runtime, accounts: Accounts, letters: LostFactorLetters) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._letters = letters
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Do what is due, at most every `EVERY`; return how many recoveries were touched."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.snapshot() as session:
            reminders = [r.recovery_id for r in store.due_reminders(session, now + REMINDER, BATCH)]
            offers = [r.recovery_id for r in store.due_offers(session, now, BATCH)]
            over = [r.recovery_id for r in store.expired(session, now, BATCH)]
        offered = set(offers)
        for recovery_id in reminders:
            if recovery_id not in offered:  # a worker that was away reminds nobody of the past
                self._remind(recovery_id)
        for recovery_id in offers:
            self._offer(recovery_id)
        for recovery_id in over:
            if recovery_id not in offered:
                self._forget(recovery_id)
        return len({*reminders, *offers, *over})

    def _remind(self, recovery_id: str) -> None:
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = store.find(uow.session, recovery_id)
            if row is None or row.ready_at is None:
                return
            account = self._accounts.find(uow.session, row.account_id or "")
            if account is None or not store.remind(uow.session, recovery_id, uow.now):
                return
            self._letters.waits(uow, account, recovery_id, row.ready_at, reminder=True)
            uow.commit()

    def _offer(self, recovery_id: str) -> None:
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = store.find(uow.session, recovery_id)
            try:
                account = self._accounts.lock(uow, (row.account_id if row else None) or "")
            except NotFound:  # disabled or closing: it goes on when the account does
                return
            proof = new_proof(uow.ids, recovery_id)
            until = uow.now + OFFER_LIFETIME
            if not store.offer(uow.session, recovery_id, proof, uow.now, until):
                return
            self._letters.ready(uow, account, proof)
            uow.commit()

    def _forget(self, recovery_id: str) -> None:
        """Delete a recovery; one whose waiting time had begun and that nobody ended is told."""
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = store.find(uow.session, recovery_id)
            if row is None:
                return
            account = self._accounts.find(uow.session, row.account_id or "")
            untold = row.ended is None and row.ready_at is not None
            store.delete(uow.session, recovery_id)
            if untold and account is not None:
                uow.record(
                    FactorRecoveryExpired(
                        subject_id=account.subject_id,
                        account_id=account.account_id,
                        recovery_id=recovery_id,
                    )
                )
            uow.commit()
