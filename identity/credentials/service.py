"""Choosing, checking and changing passwords."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from identity.accounts.model import Account, AccountClosed, WrongCredentials
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.credentials import store
from identity.credentials.hashing import Hasher
from identity.credentials.model import PasswordCompromised, PasswordSet
from policies import passwords
from policies.errors import InvalidInput, NotFound
from policies.passwords import Weakness, WeakPassword
from privacy.unit_of_work import UnitOfWork

#: Tells whether an account asks for a second factor; `identity.mfa` knows.
HasSecondFactor = Callable[[Session, str], bool]
#: Returns the names that a person has given, by subject id; `privacy.subjects` knows.
NamesOf = Callable[[Session, str], Collection[str]]


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of the person whose password it is to be.

    Attributes:
        email: the address that signs in.
        names: from the profile.
        second_factor_enforced: the account cannot sign in with the password alone.
    """

    email: str
    names: tuple[str, ...]
    second_factor_enforced: bool

    @property
    def minimum_length(self) -> int:
        """Code points that the password must have."""
        return passwords.minimum_length(second_factor_enforced=self.second_factor_enforced)


class Passwords:
    """The passwords of this deployment's accounts.

    Args:
        hasher: makes and checks hashes.
        accounts: the accounts.
        notices: tells the person.
        context_words: of this service: its product's and its controller's names.
        blocked: the lists of common and leaked passwords; looked up without a network.
        leaked: a service that knows more of them, or nothing; may take seconds.
        has_second_factor: whether an account enforces one.
        names_of: the names in a person's profile.
    """

    def __init__(
        self,
        hasher: Hasher,
        accounts: Accounts,
        notices: SecurityNotices,
        *,
        context_words: Collection[str],
        blocked: Container[str],
        leaked: Container[str] = (),
        has_second_factor: HasSecondFactor,
        names_of: NamesOf,
    ) -> None:
        self._hasher = hasher
        self._accounts = accounts
        self._notices = notices
        self._context_words = tuple(context_words)
        self._blocked = blocked
        self._leaked = leaked
        self._has_second_factor = has_second_factor
        self._names_of = names_of

    def owner(self, session: Session, account: Account) -> Owner:
        """Return what decides which passwords this account may have."""
        return Owner(
            email=self._accounts.email_of(session, account),
            names=tuple(self._names_of(session, account.subject_id)),
            second_factor_enforced=self._has_second_factor(session, account.account_id),
        )

    def check(
        self,
        password: str,
        *,
        email: str | None,
        names: Collection[str] = (),
        second_factor_enforced: bool = False,
    ) -> None:
        """Accept a password to be set. May ask the range service, so call it while no door is open.

        Args:
            password: as typed.
            email: the person's address, which counts for nothing, whole or its first part; None
                where it is not known whose password it is to be.
            names: the person's, which count for nothing either.
            second_factor_enforced: the account cannot sign in with the password alone.

        Raises:
            WeakPassword: it is not acceptable; says why.
            InvalidInput: it is not text.
        """
        address = [] if email is None else [email, email.partition("@")[0]]
        passwords.check(
            password,
            second_factor_enforced=second_factor_enforced,
            context_words=[*self._context_words, *address, *names],
            blocked=self._blocked,
        )
        if passwords.normalise(password) in self._leaked:
            minimum = passwords.minimum_length(second_factor_enforced=second_factor_enforced)
            raise WeakPassword(Weakness.COMMON, minimum)

    def check_for(self, owner: Owner, password: str) -> None:
        """Accept a password of this person; otherwise as `check`."""
        self.check(
            password,
            email=owner.email,
            names=owner.names,
            second_factor_enforced=owner.second_factor_enforced,
        )

    def choose(self, password: str, *, email: str | None) -> str:
        """Return the hash of a password to register with; slow, so call it while no door is open.

        Raises:
            WeakPassword: it is not acceptable; says why.
            InvalidInput: it is not text.
        """
        self.check(password, email=email)
        return self._hasher.hash(password)

    def choose_for(self, owner: Owner, password: str) -> str:
        """Return the hash of an acceptable password of this person; otherwise as `choose`."""
        self.check_for(owner, password)
        return self._hasher.hash(password)

    def compromised(self, password: str, email: str) -> bool:
        """Tell whether a password that was found right is among common or leaked ones.

        Slow where a range service is set: call it while no door is open. The person's own address
        is as good as leaked. Source: OWASP ASVS 5.0 6.2.12; NIST SP 800-63B-4 s. 3.1.1.2.
        """
        try:
            normal = passwords.normalise(password)
        except InvalidInput:
            return False
        folded = normal.casefold()
        if folded == email.casefold() or normal in self._blocked or folded in self._blocked:
            return True
        return normal in self._leaked

    def matches(self, encoded: str | None, password: str) -> bool:
        """Tell whether the password is the one of a hash; slow, and as slow without a hash."""
        return self._hasher.matches(encoded, password)

    def upgrade(self, encoded: str, password: str) -> str | None:
        """Return the password's hash at today's cost where `encoded` was made at another."""
        return self._hasher.hash(password) if self._hasher.is_outdated(encoded) else None

    @staticmethod
    def encoded(session: Session, account_id: str) -> str | None:
        """Return the stored hash, or None: the account has no password."""
        row = session.get(store.PasswordRow, account_id)
        return row.hash if row else None

    @staticmethod
    def changed_at(session: Session, account_id: str) -> datetime | None:
        """Return when the password was last set."""
        row = session.get(store.PasswordRow, account_id)
        return row.changed_at if row else None

    @staticmethod
    def long_enough_alone(session: Session, account_id: str) -> bool:
        """Tell whether the account has a password that may be its only factor."""
        row = session.get(store.PasswordRow, account_id, populate_existing=True)
        return row is not None and row.long_enough_alone is not False

    @staticmethod
    def set_by_mail(session: Session, account_id: str) -> bool:
        """Tell whether whoever set the password last had shown nothing but the mailbox."""
        row = session.get(store.PasswordRow, account_id)
        return row is not None and row.set_by_mail is True

    @staticmethod
    def must_change(session: Session, account_id: str) -> bool:
        """Tell whether the account must set another password before anything else."""
        row = session.get(store.PasswordRow, account_id)
        return row is not None and row.change_demanded_at is not None

    @staticmethod
    def demand_change(uow: UnitOfWork, account_id: str) -> None:
        """Have the account set another password before anything else; joins the transaction.

        Asked twice it happens once; an account without a password has nothing to change.
        Source: OWASP ASVS 5.0 6.2.10, 6.2.12.

        Raises:
            NotFound: there is no such account.
        """
        account = Accounts.find(uow.session, account_id)
        if account is None:
            raise NotFound("there is no such account")
        if store.demand_change(uow.session, account_id, uow.now):
            uow.record(PasswordCompromised(subject_id=account.subject_id, account_id=account_id))

    @staticmethod
    def rehash(uow: UnitOfWork, account_id: str, *, old: str, new: str) -> None:
        """Store the same password at a new cost; part of a recorded sign-in."""
        store.replace_hash(uow.session, account_id, old, new)

    def keep(
        self,
        uow: UnitOfWork,
        account: Account,
        encoded: str,
        *,
        long_enough_alone: bool = True,
        by_mail: bool = False,
        sessions_kept: bool = False,
    ) -> None:
        """Make `encoded` the account's password; joins the transaction.

        Args:
            uow: the transaction; it holds the account.
            account: whose.
            encoded: the hash.
            long_enough_alone: as `policies.passwords.is_long_enough_alone` says.
            by_mail: the person has shown nothing but the mailbox.
            sessions_kept: the other sessions go on.

        Raises:
            WeakPassword: it is too short alone, and the second factor has gone meanwhile.
        """
        if not long_enough_alone and not self._has_second_factor(uow.session, account.account_id):
            raise WeakPassword(Weakness.TOO_SHORT)
        row = uow.session.get(store.PasswordRow, account.account_id, populate_existing=True)
        if row is None:
            row = store.PasswordRow(account_id=account.account_id)
            uow.session.add(row)
        row.hash, row.changed_at = encoded, uow.now
        row.long_enough_alone, row.set_by_mail = long_enough_alone, by_mail
        row.change_demanded_at = None
        store.void_recoveries(uow.session, account.account_id, uow.now)
        uow.record(
            PasswordSet(
                subject_id=account.subject_id,
                account_id=account.account_id,
                sessions_kept=sessions_kept,
            )
        )

    def change(
        self,
        uow: UnitOfWork,
        account: Account,
        *,
        proven: str | None,
        new: str,
        long_enough_alone: bool,
        sessions_kept: bool,
    ) -> None:
        """Replace the password whose hash `proven` was found right; tell the person; commits.

        Args:
            uow: the unit of work.
            account: whose.
            proven: None where the account had no password.
            new: the hash of the new one.
            long_enough_alone: as `policies.passwords.is_long_enough_alone` says.
            sessions_kept: the other sessions go on; not where the change was demanded.

        Raises:
            WrongCredentials: another request changed the password meanwhile.
            WeakPassword: it is too short alone, and the second factor has gone meanwhile.
        """
        self._accounts.lock(uow, account.account_id)
        if self.encoded(uow.session, account.account_id) != proven:
            raise WrongCredentials
        demanded = self.must_change(uow.session, account.account_id)
        self.keep(
            uow,
            account,
            new,
            long_enough_alone=long_enough_alone,
            sessions_kept=sessions_kept and not demanded,
        )
        self.tell(uow, account)
        uow.commit()

    def tell(self, uow: UnitOfWork, account: Account) -> None:
        """Mail every address of the person that the password was changed; joins the transaction."""
        self._notices.tell(uow, account, Notice.PASSWORD_CHANGED)

    @staticmethod
    def void(uow: UnitOfWork, account: Account) -> None:
        """Forget the password, since somebody else may know it; joins the transaction.

        Another is set by recovery, which begins with the mailbox.
        """
        store.delete_of(uow.session, account.account_id)
        uow.record(
            PasswordCompromised(subject_id=account.subject_id, account_id=account.account_id)
        )

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget the password of a closed account."""
        store.delete_of(uow.session, event.account_id)
