"""What follows a right password: a second factor, or a code by mail that proves the address.

A sign-in waits ten minutes and bears five tries, each counted before it is looked at; exactly one
proof uses it up. Source: OWASP ASVS 5.0 6.5.1, 6.5.5, 6.6.2, 6.6.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from identity.accounts.attempts import Attempts
from identity.accounts.client import Client, short_address, short_user_agent
from identity.accounts.mailbox_proof import code_matches
from identity.accounts.model import Account, AccountStatus, LinkNotValid, WrongCode
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.origin import Origin
from identity.accounts.service import Accounts
from identity.mfa.model import Ceremony, CeremonyKind, PasskeyRefused
from identity.mfa.passkeys import Passkeys
from identity.mfa.recovery_codes import RecoveryCodes
from identity.mfa.service import Proof, SecondFactor
from identity.risk.devices import Devices
from identity.sessions import store
from identity.sessions.arrival import Arrival, SignedIn, Visit
from identity.sessions.failures import record_failure
from identity.sessions.model import MAX_TRIES, Step, with_methods
from identity.sessions.sign_in import FactorsOf
from policies.assurance import METHODS_OF, Factor
from policies.errors import NotFound
from privacy.actor import Actor
from privacy.ids import secret_digest
from privacy.unit_of_work import Runtime, UnitOfWork

#: An account that is closing lets its person in, to take it back.
MAY_SIGN_IN = (AccountStatus.ACTIVE, AccountStatus.CLOSING)
_FACTOR_OF = {Proof.TOTP: Factor.TOTP, Proof.RECOVERY_CODE: Factor.RECOVERY_CODE}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a waiting sign-in asks for.

    Attributes:
        step: what must follow.
        factors: what the account can show; empty where a mailed code is asked for.
        may_trust: whether the person may ask not to be asked again in this browser.
    """

    step: Step
    factors: frozenset[Factor]
    may_trust: bool


class SecondStep:
    """Finishes the sign-ins that wait."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        factors_of: FactorsOf,
        second_factor: SecondFactor,
        recovery_codes: RecoveryCodes,
        passkeys: Passkeys,
        attempts: Attempts,
        devices: Devices,
        arrival: Arrival,
        notices: SecurityNotices,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._factors_of = factors_of
        self._second_factor = second_factor
        self._recovery_codes = recovery_codes
        self._passkeys = passkeys
        self._attempts = attempts
        self._devices = devices
        self._arrival = arrival
        self._notices = notices

    def offer(self, session: Session, secret: str) -> Offer:
        """Return what a waiting sign-in asks for; changes nothing.

        Raises:
            LinkNotValid: it has ended: begin with the password again.
        """
        row, account = self._waiting(session, secret_digest(secret))
        step = Step(row.step)
        factors = frozenset[Factor]()
        if step is Step.SECOND_FACTOR:
            factors = self._factors_of(session, account.account_id)
        return Offer(step, factors, row.may_trust)

    def by_code(
        self, actor: Actor, secret: str, code: str, visit: Visit, *, trust: bool = False
    ) -> SignedIn:
        """Look at a code of the authenticator application, or a recovery code.

        Args:
            actor: who asks.
            secret: names the waiting sign-in.
            code: as typed.
            visit: the browser.
            trust: the person wants not to be asked again in this browser; heard where offered.

        Raises:
            LinkNotValid: the sign-in has ended: begin with the password again.
            TooManyAttempts: of this account from such a browser.
            AddressProofNeeded: strangers used the tries up.
            WrongCode: it is not the code, or it was used; a try is used up.
        """
        digest = secret_digest(secret)
        account = self._account(digest, Step.SECOND_FACTOR)
        with self._runtime.snapshot() as session:
            device = self._devices.find(
                session, account.account_id, visit.device_token, now=self._runtime.clock()
            )
        counted = self._attempts.begin_code(account.account_id, device)
        self._count(actor, digest)
        with (
            self._failing(actor, account, "otp", visit.client),
            self._runtime.unit_of_work(actor) as uow,
        ):
            account, row = self._claim(uow, digest)
            proof = self._second_factor.accept(uow, account, code)
            self._attempts.succeeded(uow, counted)
            if proof is Proof.RECOVERY_CODE:
                self.tell_of_recovery_code(uow, account, visit.client)
            signed_in = self._arrival.begin(
                uow,
                account,
                with_methods(row.methods.split(), METHODS_OF[_FACTOR_OF[proof]]),
                visit,
                assessment_id=row.assessment_id,
                trust=trust and row.may_trust,
                origin=_origin(row),
            )
            uow.commit()
        return signed_in

    def by_mailed_code(self, actor: Actor, secret: str, code: str, visit: Visit) -> SignedIn:
        """Look at the code that was mailed; it proves the address and is no factor.

        Raises:
            LinkNotValid: the sign-in has ended: begin with the password again.
            WrongCode: it is not the code; a try is used up.
        """
        digest = secret_digest(secret)
        account = self._account(digest, Step.ADDRESS_PROOF)
        self._count(actor, digest)
        with (
            self._failing(actor, account, "mailed-code", visit.client),
            self._runtime.unit_of_work(actor) as uow,
        ):
            row, _account = self._waiting(uow.session, digest)
            if not code_matches(digest, code, row.code_digest or ""):
                raise WrongCode
            account, row = self._claim(uow, digest)
            signed_in = self._arrival.begin(
                uow,
                account,
                row.methods.split(),
                visit,
                assessment_id=row.assessment_id,
                origin=_origin(row),
            )
            uow.commit()
        return signed_in

    def begin_passkey(self, actor: Actor, secret: str) -> Ceremony:
        """Begin to ask for one of the account's passkeys.

        Raises:
            LinkNotValid: the sign-in has ended: begin with the password again.
        """
        account = self._account(secret_digest(secret), Step.SECOND_FACTOR)
        with self._runtime.unit_of_work(actor) as uow:
            return self._passkeys.begin_assertion(uow, account, purpose=CeremonyKind.SIGN_IN)

    def by_passkey(
        self, actor: Actor, secret: str, ceremony_id: str, response: str, visit: Visit
    ) -> SignedIn:
        """Look at a passkey that was shown as second factor.

        Raises:
            LinkNotValid: the sign-in has ended: begin with the password again.
            CeremonyEnded: it was used or has expired.
            PasskeyRefused: it is not one of this account's; a try is used up.
            PasskeySuspended: the passkey may have been copied.
        """
        digest = secret_digest(secret)
        account = self._account(digest, Step.SECOND_FACTOR)
        self._count(actor, digest)
        with (
            self._failing(actor, account, "passkey", visit.client),
            self._runtime.unit_of_work(actor) as uow,
        ):
            account, row = self._claim(uow, digest)
            shown = self._passkeys.accept(uow, ceremony_id, response, account=account)
            signed_in = self._arrival.begin(
                uow,
                account,
                with_methods(row.methods.split(), shown.methods),
                visit,
                assessment_id=row.assessment_id,
                origin=_origin(row),
            )
            uow.commit()
        return signed_in

    def tell_of_recovery_code(self, uow: UnitOfWork, account: Account, client: Client) -> None:
        """Mail the person that a recovery code was used; joins the transaction."""
        left = self._recovery_codes.left(uow.session, account.account_id)
        details = {
            "device": short_user_agent(client.user_agent),
            "network": short_address(client.address),
            "left": str(left),
        }
        self._notices.tell(uow, account, Notice.RECOVERY_CODE_USED, details)

    @contextmanager
    def _failing(
        self, actor: Actor, account: Account, factor: str, client: Client
    ) -> Iterator[None]:
        """Write down that the proof inside was refused."""
        try:
            yield
        except (WrongCode, PasskeyRefused):
            record_failure(self._runtime, actor, account, factor, client)
            raise

    def _count(self, actor: Actor, digest: str) -> None:
        with self._runtime.unit_of_work(actor) as uow:
            if not store.count_try(uow.session, digest, MAX_TRIES, uow.now):
                raise LinkNotValid("the sign-in has ended")
            uow.commit()

    def _claim(self, uow: UnitOfWork, digest: str) -> tuple[Account, store.WaitingSignIn]:
        """Use the waiting sign-in up; return its account, held until the commit, and its row."""
        row, account = self._waiting(uow.session, digest)
        try:
            account = self._accounts.lock(uow, account.account_id, *MAY_SIGN_IN)
        except NotFound:
            raise LinkNotValid("the account lets nobody in") from None
        if not store.claim_waiting(uow.session, digest, uow.now):
            raise LinkNotValid("the sign-in has ended")
        return account, row

    def _account(self, digest: str, step: Step) -> Account:
        with self._runtime.snapshot() as session:
            row, account = self._waiting(session, digest)
            if row.step != step:
                raise LinkNotValid("the sign-in waits for something else")
        return account

    def _waiting(self, session: Session, digest: str) -> tuple[store.WaitingSignIn, Account]:
        row = session.get(store.WaitingSignIn, digest)
        now = self._runtime.clock()
        if row is None or row.ended_at is not None or row.expires_at <= now:
            raise LinkNotValid("the sign-in has ended")
        account = self._accounts.find(session, row.account_id)
        if account is None or account.status not in MAY_SIGN_IN:
            raise LinkNotValid("the sign-in has ended")
        return row, account


def _origin(row: store.WaitingSignIn) -> Origin | None:
    """Return where a waiting sign-in began, if at an outside provider."""
    if row.identity_id is None and row.arrival is None:
        return None
    return Origin(row.identity_id, row.upstream_session, row.arrival)
