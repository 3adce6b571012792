"""Recovery codes: spare second factors of any account that has one, each to be used once."""

from __future__ import annotations

from sqlalchemy.orm import Session

from identity.accounts.model import Account
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.mfa import store
from identity.mfa.factors import has_second_factor
from identity.mfa.model import (
    RECOVERY_CODES,
    RecoveryCodesReplaced,
    new_recovery_code,
    plain_code,
)
from policies.errors import Conflict
from privacy.ids import secret_digest
from privacy.unit_of_work import UnitOfWork


class RecoveryCodes:
    """The recovery codes of this deployment's accounts. Source: OWASP ASVS 5.0 6.5.1 to 6.5.3."""

    def __init__(self, accounts: Accounts, notices: SecurityNotices) -> None:
        self._accounts = accounts
        self._notices = notices

    @staticmethod
    def left(session: Session, account_id: str) -> int:
        """Return how many were not used yet."""
        return store.unused_recovery_codes(session, account_id)

    def replace(self, uow: UnitOfWork, account: Account) -> list[str]:
        """Return a new set, shown this once; the old one is void. Tells the person; commits.

        Raises:
            Conflict: the account has no second factor that a code could stand in for.
        """
        self._accounts.lock(uow, account.account_id)
        if not has_second_factor(uow.session, account.account_id):
            raise Conflict("there is no second factor that a code could stand in for")
        codes = self._write(uow, account)
        self._notices.tell(uow, account, Notice.RECOVERY_CODES_REPLACED)
        uow.commit()
        return codes

    def ensure(self, uow: UnitOfWork, account: Account) -> list[str]:
        """Return a first set where none is left, else nothing; joins the transaction."""
        if self.left(uow.session, account.account_id):
            return []
        return self._write(uow, account)

    @staticmethod
    def claim(uow: UnitOfWork, account_id: str, typed: str) -> bool:
        """Use a code up; True for exactly one caller. Joins the transaction."""
        digest = _digest(account_id, plain_code(typed))
        return store.claim_recovery_code(uow.session, account_id, digest, uow.now)

    @staticmethod
    def _write(uow: UnitOfWork, account: Account) -> list[str]:
        account_id = account.account_id
        codes = [new_recovery_code(uow.ids) for _ in range(RECOVERY_CODES)]
        digests = [_digest(account_id, plain_code(shown)) for shown in codes]
        store.add_recovery_codes(uow.session, account_id, digests)
        uow.record(RecoveryCodesReplaced(subject_id=account.subject_id, account_id=account_id))
        return codes


def _digest(account_id: str, plain: str) -> str:
    return secret_digest(f"{account_id}:{plain}")
