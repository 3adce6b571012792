"""Signing in: the password, and the second factor where the account has one.

Each step is several transactions: the attempt is counted first, and no write lock is held while a
password is hashed. Source: OWASP ASVS 5.0 6.3.8, 6.6.3; NIST SP 800-63B-4 s. 3.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.model import (
    Account,
    AccountStatus,
    LinkNotValid,
    WrongCode,
    WrongCredentials,
)
from identity.accounts.service import Accounts
from identity.credentials.service import Passwords
from identity.mfa.service import SecondFactor
from identity.sessions import store
from identity.sessions.model import (
    MAX_SECOND_STEP_TRIES,
    SECOND_STEP_LIFETIME,
    Client,
    SignInFailed,
)
from identity.sessions.service import Sessions
from policies.errors import InvalidInput, NotFound
from privacy.actor import Actor
from privacy.ids import new_token, secret_digest
from privacy.keys.blind_index import normalise_email
from privacy.unit_of_work import Runtime, UnitOfWork


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session has begun.

    Attributes:
        account: whose.
        secret: the session's id, for the cookie.
    """

    account: Account
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecondStep:
    """The password was right; the second factor is still to be shown.

    Attributes:
        secret: names the waiting sign-in, for the cookie.
    """

    secret: str = field(repr=False)


class SignIn:
    """The ways through the door."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        second_factor: SecondFactor,
        attempts: Attempts,
        sessions: Sessions,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._second_factor = second_factor
        self._attempts = attempts
        self._sessions = sessions

    def by_password(
        self,
        actor: Actor,
        *,
        email: str,
        password: str,
        client: Client,
        replaces: str | None = None,
    ) -> SignedIn | SecondStep:
        """Look at an address and a password.

        Args:
            actor: who asks, usually nobody known.
            email: as typed.
            password: as typed.
            client: the browser.
            replaces: digest of the session that this browser had.

        Raises:
            TooManyAttempts: of this address, or from this network; known or not, alike.
            WrongCredentials: they do not belong together; known or not, alike.
        """
        try:
            address = normalise_email(email)
        except InvalidInput:
            raise WrongCredentials from None
        of_account = self._attempts.of_email(AttemptKind.PASSWORD, address)
        of_network = self._attempts.of_network(AttemptKind.ADDRESS, client.address)
        self._attempts.begin(of_account, of_network)
        with self._runtime.snapshot() as session:
            account = self._accounts.by_email(session, address)
            encoded = self._passwords.encoded(session, account.account_id) if account else None
        right = self._passwords.matches(encoded, password)
        if account is None or encoded is None:
            self._attempts.count_unknown()
            raise WrongCredentials
        if not right:
            self._fail(actor, account, "password", client)
            raise WrongCredentials
        upgraded = self._passwords.upgrade(encoded, password)
        with self._runtime.unit_of_work(actor) as uow:
            account = self._still(uow, account)
            if self._passwords.encoded(uow.session, account.account_id) != encoded:
                raise WrongCredentials  # it was changed while we looked at it
            self._attempts.succeeded(uow, of_account, of_network)
            if self._second_factor.is_enrolled(uow.session, account.account_id):
                secret = new_token(uow.ids)
                uow.session.add(
                    store.SecondStepRow(
                        step_digest=secret_digest(secret),
                        account_id=account.account_id,
                        expires_at=uow.now + SECOND_STEP_LIFETIME,
                    )
                )
                uow.commit()
                return SecondStep(secret)
            secret = self._sessions.begin(uow, account, ("pwd",), client, replaces=replaces)
            if upgraded is not None:
                self._passwords.rehash(uow, account.account_id, old=encoded, new=upgraded)
            uow.commit()
        return SignedIn(account, secret)

    def by_second_factor(
        self,
        actor: Actor,
        *,
        step: str,
        code: str,
        client: Client,
        replaces: str | None = None,
    ) -> SignedIn:
        """Look at the code that follows a right password.

        Args:
            actor: who asks.
            step: the secret of the `SecondStep`.
            code: of the authenticator application, or a recovery code.
            client: the browser.
            replaces: digest of the session that this browser had.

        Raises:
            LinkNotValid: the waiting sign-in has ended: begin with the password again.
            TooManyAttempts: of this account.
            WrongCode: it is not the code, or it was used; a try is used up.
        """
        digest = secret_digest(step)
        with self._runtime.snapshot() as session:
            account = self._whose(session, digest)
        of_account = self._attempts.of_account(AttemptKind.OTP, account.account_id)
        self._attempts.begin(of_account)
        with self._runtime.unit_of_work(actor) as uow:
            tries = MAX_SECOND_STEP_TRIES
            if not store.count_second_step_try(uow.session, digest, tries, uow.now):
                raise LinkNotValid("the sign-in has ended")
            uow.commit()
        try:
            with self._runtime.unit_of_work(actor) as uow:
                account = self._still(uow, account)
                self._second_factor.accept(uow, account, code)
                if not store.end_second_step(uow.session, digest, uow.now):
                    raise LinkNotValid("the sign-in has ended")
                self._attempts.succeeded(uow, of_account)
                secret = self._sessions.begin(
                    uow, account, ("pwd", "otp"), client, replaces=replaces
                )
                uow.commit()
        except WrongCode:
            self._fail(actor, account, "otp", client)
            raise
        return SignedIn(account, secret)

    def _whose(self, session: Session, digest: str) -> Account:
        row = session.get(store.SecondStepRow, digest)
        now = self._runtime.clock()
        if row is None or row.ended_at is not None or row.expires_at <= now:
            raise LinkNotValid("the sign-in has ended")
        account = self._accounts.find(session, row.account_id)
        if account is None or account.status is not AccountStatus.ACTIVE:
            raise LinkNotValid("the sign-in has ended")
        return account

    def _still(self, uow: UnitOfWork, account: Account) -> Account:
        """Return the account as it is now, held until the commit."""
        try:
            return self._accounts.lock(uow, account.account_id)
        except NotFound:
            raise WrongCredentials from None

    def _fail(self, actor: Actor, account: Account, factor: str, client: Client) -> None:
        with self._runtime.unit_of_work(actor) as uow:
            uow.record(
                SignInFailed(
                    subject_id=account.subject_id, account_id=account.account_id, factor=factor
                ),
                {"address": client.address},
            )
            uow.commit()
