"""Proving again, or more, within a session: exactly the factor that an action still lacks.

A step-up adds to what the session rests on and never claims more than was shown; the session gets
a new id. Five tries, and then the person signs in anew. Source: OWASP ASVS 5.0 7.2.4, 7.5.1,
7.5.3; NIST SP 800-63B-4 s. 2.2.3; OIDC Core s. 2 (`acr`, `amr`, `auth_time`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.orm import Session

from identity.accounts.attempts import Attempts
from identity.accounts.model import PRIVILEGED, Account, WrongCode, WrongCredentials
from identity.accounts.service import Accounts
from identity.credentials.service import Passwords
from identity.mfa.factors import HasIdentity
from identity.mfa.model import Ceremony, CeremonyKind, PasskeyRefused
from identity.mfa.passkeys import Passkeys
from identity.mfa.service import Proof, SecondFactor
from identity.risk.devices import Devices
from identity.sessions.arrival import Visit
from identity.sessions.failures import record_failure
from identity.sessions.model import SteppedUp, with_methods
from identity.sessions.second_step import MAY_SIGN_IN, SecondStep
from identity.sessions.service import Sessions
from identity.sessions.sign_in import FactorsOf
from policies.assurance import (
    METHODS_OF,
    NEEDS,
    Action,
    AssuranceLevel,
    Factor,
    Need,
    missing,
    missing_for_level,
)
from policies.errors import NotFound, Unauthenticated
from privacy.actor import Actor
from privacy.unit_of_work import Runtime, UnitOfWork


class StepUp:
    """What actions demand of sessions, and how a session comes to give it.

    Args:
        demo: whether this is a deployment to be tried, where an authenticator application is
            enough for what elsewhere takes a key bound to our address.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        factors_of: FactorsOf,
        second_factor: SecondFactor,
        passkeys: Passkeys,
        attempts: Attempts,
        devices: Devices,
        sessions: Sessions,
        second_step: SecondStep,
        has_identity: HasIdentity,
        demo: bool,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._factors_of = factors_of
        self._second_factor = second_factor
        self._passkeys = passkeys
        self._attempts = attempts
        self._devices = devices
        self._sessions = sessions
        self._second_step = second_step
        self._has_identity = has_identity
        self._demo = demo

    def need_of(self, action: Action) -> Need:
        """Return what this deployment demands for an action."""
        need = NEEDS[action]
        return replace(need, phishing_resistant=False) if self._demo else need

    def missing(self, actor: Actor, action: Action) -> frozenset[Factor]:
        """Return the factors of which any one is still to be shown; empty where none is.

        Raises:
            FactorNeeded: nothing that the account has would be enough.
        """
        with self._runtime.snapshot() as session:
            factors = self.factors(session, actor.account_id or "")
        need = self.need_of(action)
        if action is Action.CHANGE_FACTORS and self._opens_by_key_alone(actor, factors):
            need = replace(need, phishing_resistant=True)
        return missing(
            need,
            methods=actor.methods,
            authenticated_at=actor.authenticated_at,
            at=self._runtime.clock(),
            factors=factors,
        )

    def missing_for_level(self, actor: Actor, level: AssuranceLevel) -> frozenset[Factor]:
        """Return the factors of which any one is the next step to a level; empty: it is reached.

        Raises:
            FactorNeeded: all that the account has does not reach it.
        """
        with self._runtime.snapshot() as session:
            factors = self.factors(session, actor.account_id or "")
        return missing_for_level(level, methods=actor.methods, factors=factors)

    def _opens_by_key_alone(self, actor: Actor, factors: Collection[Factor]) -> bool:
        """Tell whether the person's role opens to a key alone, and they have one.

        Then a key is what adds another one: else password and code, asked for on a page of somebody
        else's, would add that one's own key. Source: NIST SP 800-63B-4 s. 4.1.2.
        """
        return not self._demo and actor.role in PRIVILEGED and Factor.PASSKEY in factors

    def factors(self, session: Session, account_id: str) -> frozenset[Factor]:
        """Return all that an account can show."""
        found = self._factors_of(session, account_id)
        if self._has_identity(session, account_id):
            found |= {Factor.FEDERATED}
        if self._passwords.encoded(session, account_id) is not None:
            found |= {Factor.PASSWORD}
        return found

    def by_password(self, actor: Actor, password: str, visit: Visit) -> str | None:
        """Look at the password again.

        Args:
            actor: whose session.
            password: as typed.
            visit: the browser.

        Returns:
            The session's new secret id, or None where the session has ended meanwhile.

        Raises:
            Unauthenticated: the session has ended, or its tries are used up and so it has.
            TooManyAttempts: of this account from such a browser.
            WrongCredentials: it is not the password; a try is used up.
        """
        with self._runtime.snapshot() as session:
            account = self._account(session, actor)
            address = self._accounts.email_of(session, account)
            encoded = self._passwords.encoded(session, account.account_id)
            device = self._devices.find(
                session, account.account_id, visit.device_token, now=self._runtime.clock()
            )
        counted = self._attempts.begin_sign_in(address, visit.client, device)
        self._count(actor)
        right = self._passwords.matches(encoded, password)
        with (
            self._failing(actor, account, "password", visit),
            self._runtime.unit_of_work(actor) as uow,
        ):
            self._hold(uow, account)
            if not right or self._passwords.encoded(uow.session, account.account_id) != encoded:
                raise WrongCredentials
            self._attempts.succeeded(uow, *counted)
            return self._renew(uow, actor, account, Factor.PASSWORD)

    def by_code(
        self, actor: Actor, code: str, visit: Visit, *, wanted: Collection[Factor]
    ) -> str | None:
        """Look at a code of the authenticator application, or a recovery code where one will do.

        Args:
            actor: whose session.
            code: as typed.
            visit: the browser.
            wanted: what `missing` returned; a recovery code that is not among it is refused.

        Returns:
            The session's new secret id, or None where the session has ended meanwhile.

        Raises:
            Unauthenticated: the session has ended, or its tries are used up and so it has.
            TooManyAttempts: of this account from such a browser.
            AddressProofNeeded: strangers used the tries up.
            WrongCode: it is not the code, or was used; a try is used up.
        """
        with self._runtime.snapshot() as session:
            account = self._account(session, actor)
            device = self._devices.find(
                session, account.account_id, visit.device_token, now=self._runtime.clock()
            )
        counted = self._attempts.begin_code(account.account_id, device)
        self._count(actor)
        with (
            self._failing(actor, account, "otp", visit),
            self._runtime.unit_of_work(actor) as uow,
        ):
            self._hold(uow, account)
            proof = self._second_factor.accept(uow, account, code)
            factor = Factor.RECOVERY_CODE if proof is Proof.RECOVERY_CODE else Factor.TOTP
            if factor not in wanted:
                raise WrongCode  # nothing is used up: the transaction is undone
            if factor is Factor.RECOVERY_CODE:
                self._second_step.tell_of_recovery_code(uow, account, visit.client)
            self._attempts.succeeded(uow, counted)
            return self._renew(uow, actor, account, factor)

    def begin_passkey(self, actor: Actor) -> Ceremony:
        """Begin to ask for one of the person's passkeys."""
        with self._runtime.snapshot() as session:
            account = self._account(session, actor)
        with self._runtime.unit_of_work(actor) as uow:
            return self._passkeys.begin_assertion(uow, account, purpose=CeremonyKind.STEP_UP)

    def by_passkey(self, actor: Actor, ceremony_id: str, response: str, visit: Visit) -> str | None:
        """Look at a passkey that was shown.

        Returns:
            The session's new secret id, or None where the session has ended meanwhile.

        Raises:
            Unauthenticated: the session has ended, or its tries are used up and so it has.
            CeremonyEnded: it was used or has expired.
            PasskeyRefused: it is not one of this account's; a try is used up.
            PasskeySuspended: it may have been copied.
        """
        with self._runtime.snapshot() as session:
            account = self._account(session, actor)
        self._count(actor)
        with (
            self._failing(actor, account, "passkey", visit),
            self._runtime.unit_of_work(actor) as uow,
        ):
            self._passkeys.accept(uow, ceremony_id, response, account=account)
            return self._renew(uow, actor, account, Factor.PASSKEY)

    def _renew(self, uow: UnitOfWork, actor: Actor, account: Account, factor: Factor) -> str | None:
        uow.record(
            SteppedUp(
                subject_id=account.subject_id,
                account_id=account.account_id,
                factor=factor.value,
            )
        )
        methods = with_methods(actor.methods, METHODS_OF[factor])
        return self._sessions.renew(uow, actor.session_id or "", methods, proved=True)

    def _count(self, actor: Actor) -> None:
        with self._runtime.unit_of_work(actor) as uow:
            self._sessions.count_step_up_try(uow)

    @contextmanager
    def _failing(self, actor: Actor, account: Account, factor: str, visit: Visit) -> Iterator[None]:
        """Write down that the proof inside was refused."""
        try:
            yield
        except (WrongCredentials, WrongCode, PasskeyRefused):
            record_failure(self._runtime, actor, account, factor, visit.client)
            raise

    def _hold(self, uow: UnitOfWork, account: Account) -> None:
        try:
            self._accounts.lock(uow, account.account_id, *MAY_SIGN_IN)
        except NotFound:
            raise Unauthenticated("the account lets nobody in any more") from None

    def _account(self, session: Session, actor: Actor) -> Account:
        account = self._accounts.find(session, actor.account_id or "")
        if account is None or account.status not in MAY_SIGN_IN:
            raise Unauthenticated("the account lets nobody in any more")
        return account
