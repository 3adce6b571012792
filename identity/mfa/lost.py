"""The second factors of an account as the recovery of lost ones needs them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from identity.accounts.model import Account
from identity.mfa import store
from identity.mfa.factors import has_second_factor
from identity.mfa.passkeys import Passkeys
from identity.mfa.recovery_codes import RecoveryCodes
from identity.mfa.service import SecondFactor
from privacy.unit_of_work import UnitOfWork


class LostSecondFactors:
    """All of an account's at once; `identity.credentials` asks by its own protocol."""

    def __init__(self, second_factor: SecondFactor, passkeys: Passkeys) -> None:
        self._second_factor = second_factor
        self._passkeys = passkeys

    @staticmethod
    def has_any(session: Session, account_id: str) -> bool:
        """Tell whether the account asks for a second factor."""
        return has_second_factor(session, account_id)

    @staticmethod
    def claim_recovery_code(uow: UnitOfWork, account_id: str, typed: str) -> bool:
        """Use a recovery code up; joins the transaction."""
        return RecoveryCodes.claim(uow, account_id, typed)

    def remove_all(self, uow: UnitOfWork, account: Account) -> None:
        """Remove every second factor and recovery code; joins, and tells nobody."""
        self._second_factor.remove_lost(uow, account)
        self._passkeys.remove_all(uow, account)
        store.delete_recovery_codes(uow.session, account.account_id)
