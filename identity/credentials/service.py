"""Choosing, checking and changing passwords."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from identity.accounts.model import Account, AccountClosed, WrongCredentials
from identity.accounts.service import Accounts
from identity.credentials import store
from identity.credentials.common import COMMON
from identity.credentials.hashing import Hasher
from identity.credentials.model import PasswordSet
from policies import passwords
from privacy.mail import Postbox
from privacy.unit_of_work import UnitOfWork


class Passwords:
    """The passwords of this deployment's accounts."""

    def __init__(
        self,
        hasher: Hasher,
        accounts: Accounts,
        postbox: Postbox,
        *,
        context_words: Collection[str],
    ) -> None:
        self._hasher = hasher
        self._accounts = accounts
        self._postbox = postbox
        self._context_words = tuple(context_words)

    def check(self, password: str, *, email: str | None) -> None:
        """Accept a password to be set, as the only factor.

        Args:
            password: as typed.
            email: the person's address, whose parts count for nothing; None where it is not
                known whose password it is to be.

        Raises:
            WeakPassword: it is not acceptable; says why.
            InvalidInput: it is not text.
        """
        local = [] if email is None else [email.partition("@")[0]]
        passwords.check(
            password,
            second_factor_enforced=False,
            context_words=[*self._context_words, *local],
            blocked=COMMON,
        )

    def choose(self, password: str, *, email: str | None) -> str:
        """Return the hash of an acceptable password; slow, so call it while no door is open.

        Raises:
            WeakPassword: it is not acceptable; says why.
            InvalidInput: it is not text.
        """
        self.check(password, email=email)
        return self._hasher.hash(password)

    def matches(self, encoded: str | None, password: str) -> bool:
        """Tell whether the password is the one of a hash; slow, and as slow without a hash."""
        return self._hasher.matches(encoded, password)

    def upgrade(self, encoded: str, password: str) -> str | None:
        """Return the password's hash at today's cost where `encoded` was made at another."""
        return self._hasher.hash(password) if self._hasher.is_outdated(encoded) else None

    @staticmethod
    def encoded(session: Session, account_id: str) -> str | None:
        """Return the stored hash."""
        row = session.get(store.PasswordRow, account_id)
        return row.hash if row else None

    @staticmethod
    def changed_at(session: Session, account_id: str) -> datetime | None:
        """Return when the password was last set."""
        row = session.get(store.PasswordRow, account_id)
        return row.changed_at if row else None

    @staticmethod
    def rehash(uow: UnitOfWork, account_id: str, *, old: str, new: str) -> None:
        """Store the same password at a new cost; part of a recorded sign-in."""
        store.replace_hash(uow.session, account_id, old, new)

    @staticmethod
    def keep(uow: UnitOfWork, account: Account, encoded: str) -> None:
        """Make `encoded` the account's password; joins the transaction."""
        row = uow.session.get(store.PasswordRow, account.account_id)
        if row is None:
            row = store.PasswordRow(account_id=account.account_id)
            uow.session.add(row)
        row.hash = encoded
        row.changed_at = uow.now
        store.void_recoveries(uow.session, account.account_id, uow.now)
        uow.record(PasswordSet(subject_id=account.subject_id, account_id=account.account_id))

    def change(self, uow: UnitOfWork, account: Account, *, proven: str, new: str) -> None:
        """Replace the password whose hash `proven` was found right; tell the person; commits.

        Raises:
            WrongCredentials: another request changed the password meanwhile.
        """
        self._accounts.lock(uow, account.account_id)
        if self.encoded(uow.session, account.account_id) != proven:
            raise WrongCredentials
        self.keep(uow, account, new)
        self.tell(uow, account)
        uow.commit()

    def tell(self, uow: UnitOfWork, account: Account) -> None:
        """Mail the person that the password was changed; joins the transaction."""
        self._postbox.send(
            uow,
            to=self._accounts.email_of(uow.session, account),
            letter="password-changed",
            locale=account.language,
        )

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget the password of a closed account."""
        store.delete_of(uow.session, event.account_id)
