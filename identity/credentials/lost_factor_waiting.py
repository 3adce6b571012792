"""The waiting time of a lost factor's recovery: it begins, every address is told, it is cancelled.

Signing in with the factor cancels it. Source: NIST SP 800-63B-4 s. 4.2; OWASP ASVS 5.0 6.4.4.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from identity.accounts.model import PRIVILEGED, Account, LinkNotValid
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.credentials import lost_factor_store as store
from identity.credentials.lost_factor_found import held
from identity.credentials.lost_factor_letters import LostFactorLetters
from identity.credentials.model import (
    OFFER_LIFETIME,
    FactorRecoveryBegun,
    FactorRecoveryCancelled,
    PendingRecovery,
    RecoveryEnd,
)
from identity.credentials.service import Passwords
from policies.recovery import WAITING, Proof, enough
from privacy.actor import Actor
from privacy.unit_of_work import Runtime, UnitOfWork


class LostFactorWaiting:
    """Recoveries whose waiting time begins, runs or is cancelled."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        letters: LostFactorLetters,
        notices: SecurityNotices,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._letters = letters
        self._notices = notices

    def pending(self, session: Session, account_id: str) -> PendingRecovery | None:
        """Return the account's recovery whose waiting time has begun, if there is one."""
        row = store.waiting_of(session, account_id, self._runtime.clock())
        if row is None or row.ready_at is None:
            return None
        return PendingRecovery(row.recovery_id, row.ready_at)

    def advance(
        self, uow: UnitOfWork, account: Account, recovery_id: str, shown: set[Proof]
    ) -> None:
        """Begin the waiting time where what was shown is enough; joins the transaction.

        Raises:
            LinkNotValid: the recovery has ended, or another one of this account waits already.
        """
        row = store.find(uow.session, recovery_id)
        if row is None:
            raise LinkNotValid("the recovery is not valid any more")
        proofs = shown | {Proof(each) for each in row.proofs.split()}
        account_id = account.account_id
        if not enough(
            proofs,
            password_set_by_mail=self._passwords.set_by_mail(uow.session, account_id),
            privileged=account.role in PRIVILEGED,
        ):
            return
        waiting = store.waiting_of(uow.session, account_id, uow.now)
        if waiting is not None:  # a second one neither shortens nor lengthens the first
            raise LinkNotValid("a recovery of this account is waiting already")
        named, ready_at = " ".join(sorted(proofs)), uow.now + WAITING
        if not store.begin_waiting(
            uow.session,
            recovery_id,
            proofs=named,
            at=uow.now,
            ready_at=ready_at,
            until=ready_at + OFFER_LIFETIME,
        ):
            raise LinkNotValid("the recovery is not valid any more")
        store.end_others(
            uow.session, account_id, recovery_id, uow.now, RecoveryEnd.SUPERSEDED.value
        )
        uow.record(
            FactorRecoveryBegun(
                subject_id=account.subject_id,
                account_id=account_id,
                recovery_id=recovery_id,
                proofs=named,
            )
        )
        self._letters.waits(uow, account, recovery_id, ready_at, reminder=False)

    # ---- cancelling

    def cancellable(self, session: Session, recovery_id: str, mark: str) -> None:
        """Find the recovery that a mailed link cancels; changes nothing.

        Raises:
            LinkNotValid: the link is not ours, or there is nothing left to cancel.
        """
        row = store.find(session, recovery_id)
        ours = self._letters.is_cancel_mark(recovery_id, mark)
        if not ours or row is None or row.ended or row.expires_at <= self._runtime.clock():
            raise LinkNotValid("the link is not valid")

    def cancel_by_link(self, actor: Actor, recovery_id: str, mark: str) -> None:
        """Cancel a recovery by a mailed link's button, once.

        Raises:
            LinkNotValid: as `cancellable`.
        """
        with self._runtime.unit_of_work(actor) as uow:
            self.cancellable(uow.session, recovery_id, mark)
            account = held(uow, self._accounts, recovery_id)
            if not self._cancel(uow, account, recovery_id, by="link"):
                raise LinkNotValid("the recovery has ended")
            uow.commit()

    def cancel(self, uow: UnitOfWork, account: Account) -> None:
        """Cancel what the account's page shows; commits. Nothing happens where nothing waits."""
        pending = self.pending(uow.session, account.account_id)
        if pending is not None:
            self._cancel(uow, account, pending.recovery_id, by="person")
        uow.commit()

    def on_factor_shown(self, uow: UnitOfWork, account_id: str) -> None:
        """Cancel it since the factor is there: somebody signed in with it. Joins."""
        pending = self.pending(uow.session, account_id)
        account = self._accounts.find(uow.session, account_id)
        if pending is not None and account is not None:
            self._cancel(uow, account, pending.recovery_id, by="sign-in")

    def _cancel(self, uow: UnitOfWork, account: Account, recovery_id: str, *, by: str) -> bool:
        if not store.cancel(uow.session, recovery_id, uow.now, RecoveryEnd.CANCELLED.value):
            return False
        uow.record(
            FactorRecoveryCancelled(
                subject_id=account.subject_id,
                account_id=account.account_id,
                recovery_id=recovery_id,
                by=by,
            )
        )
        self._notices.tell(uow, account, Notice.FACTOR_RECOVERY_CANCELLED)
        return True
