"""Telling a person that strangers try their password, or know it. Source: OWASP ASVS 5.0 6.3.5."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.model import Account
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.risk import store
from privacy.unit_of_work import UnitOfWork

SUSPICIOUS_FAILURES: Final = 10
"""So many vain tries in a row from browsers that the account does not know."""

WRONG_CODES: Final = 3
"""So many wrong codes behind a right password, likewise: one or two are slips of the hand."""

NOTICE_EVERY: Final = timedelta(days=1)
"""One letter of a kind a day at most, however long they go on."""


class FailedSignIn(Protocol):
    """The event of a vain try, which belongs to sessions above."""

    @property
    def account_id(self) -> str:
        """Whose account was tried."""
        ...

    @property
    def factor(self) -> str:
        """What was wrong: `password`, `otp` and others."""
        ...


class Suspicion:
    """Listens to vain tries."""

    def __init__(self, attempts: Attempts, accounts: Accounts, notices: SecurityNotices) -> None:
        self._attempts = attempts
        self._accounts = accounts
        self._notices = notices

    def on_sign_in_failed(self, uow: UnitOfWork, event: FailedSignIn) -> None:
        """Mail the person where strangers have failed often enough; joins the transaction."""
        account = self._accounts.find(uow.session, event.account_id)
        if account is None:
            return
        if event.factor == "password" and self._guesses(uow, account) >= SUSPICIOUS_FAILURES:
            self._tell(uow, account, Notice.SUSPICIOUS_ATTEMPTS)
        if event.factor == "otp" and self._wrong_codes(uow, account) >= WRONG_CODES:
            self._tell(uow, account, Notice.PASSWORD_KNOWN)

    def _guesses(self, uow: UnitOfWork, account: Account) -> int:
        counters = (
            self._attempts.of_email(AttemptKind.PASSWORD, address)
            for address in self._accounts.addresses_of(uow.session, account)
        )
        return max((self._attempts.failures(uow.session, each) for each in counters), default=0)

    def _wrong_codes(self, uow: UnitOfWork, account: Account) -> int:
        counter = self._attempts.of_account(AttemptKind.OTP, account.account_id)
        return self._attempts.failures(uow.session, counter)

    def _tell(self, uow: UnitOfWork, account: Account, what: Notice) -> None:
        told_until = uow.now - NOTICE_EVERY
        if store.may_tell(uow.session, account.account_id, what.value, uow.now, told_until):
            self._notices.tell(uow, account, what)
