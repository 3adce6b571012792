"""The end of a lost factor's recovery: the mailbox is proven once more, and the factors go.

Source: NIST SP 800-63B-4 s. 4.2; OWASP ASVS 5.0 6.4.4.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.mailbox_proof import CODE_LIFETIME, new_proof
from identity.accounts.model import Account, LinkNotValid
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.credentials import lost_factor_store as store
from identity.credentials.lost_factor import SecondFactors
from identity.credentials.lost_factor_found import held, try_code
from identity.credentials.lost_factor_letters import LostFactorLetters
from identity.credentials.model import FactorRecoveryCompleted, RecoveryEnd
from identity.credentials.service import Passwords
from privacy.actor import Actor
from privacy.ids import secret_digest
from privacy.unit_of_work import Runtime, UnitOfWork

#: Ends every session and known device of an account; joins the transaction.
EndEverything = Callable[[UnitOfWork, Account], None]


class LostFactorEnd:
    """Recoveries whose waiting time is over."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        attempts: Attempts,
        letters: LostFactorLetters,
        notices: SecurityNotices,
        second_factors: SecondFactors,
        end_everything: EndEverything,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._attempts = attempts
        self._letters = letters
        self._notices = notices
        self._second_factors = second_factors
        self._end_everything = end_everything

    def offered(self, session: Session, token: str) -> str:
        """Return the id of the recovery whose last link this is; changes nothing.

        Raises:
            LinkNotValid: it was completed or cancelled, has expired or never was.
        """
        row = store.by_token(session, secret_digest(token))
        now = self._runtime.clock()
        if row is None or row.ended or row.offered_at is None or row.expires_at <= now:
            raise LinkNotValid("the link is not valid")
        return row.recovery_id

    def send_code(self, actor: Actor, token: str) -> None:
        """Mail the code that completes a recovery to whoever holds its last link; commits.

        Raises:
            LinkNotValid: as `offered`.
            TooManyAttempts: so many codes were mailed that the next must wait.
        """
        with self._runtime.snapshot() as session:
            recovery_id = self.offered(session, token)
        self._attempts.begin(self._attempts.of_account(AttemptKind.LETTER, recovery_id))
        with self._runtime.unit_of_work(actor) as uow:
            account = held(uow, self._accounts, recovery_id)
            proof = new_proof(uow.ids, recovery_id)
            until = uow.now + CODE_LIFETIME
            if not store.renew_code(uow.session, recovery_id, proof, uow.now, until):
                raise LinkNotValid("the recovery has ended")
            self._letters.code(uow, account, proof)
            uow.commit()

    def complete(self, actor: Actor, token: str, code: str) -> bool:
        """Remove the second factors by the last link and its code, once; end everything.

        A password too short to stand alone must be changed at the next sign-in.

        Returns:
            Whether the account has a password to sign in with; if not, one is set by mail.

        Raises:
            LinkNotValid: as `offered`, or no try is left.
            WrongCode: a try is used up.
        """
        with self._runtime.snapshot() as session:
            recovery_id = self.offered(session, token)
        try_code(self._runtime, actor, recovery_id, code)
        with self._runtime.unit_of_work(actor) as uow:
            account = held(uow, self._accounts, recovery_id)
            account_id = account.account_id
            if not store.complete(uow.session, recovery_id, uow.now, RecoveryEnd.COMPLETED.value):
                raise LinkNotValid("the recovery has ended")
            self._second_factors.remove_all(uow, account)
            self._end_everything(uow, account)
            has_password = self._passwords.encoded(uow.session, account_id) is not None
            if has_password and not self._passwords.long_enough_alone(uow.session, account_id):
                self._passwords.demand_change(uow, account_id)
            uow.record(
                FactorRecoveryCompleted(
                    subject_id=account.subject_id, account_id=account_id, recovery_id=recovery_id
                )
            )
            self._notices.tell(uow, account, Notice.FACTOR_RECOVERY_COMPLETED)
            uow.commit()
        return has_password
