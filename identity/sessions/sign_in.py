"""Signing in by password: the attempt, the password, the risk, and what must still follow.

What follows a first factor is the same where an outside provider is that factor (`go_on`).

Each step is several transactions: the attempt is counted first, and no write lock is held while a
password is hashed or looked up in lists of leaked ones. Up to a right password a known and an
unknown address take the same way. Source: OWASP ASVS 5.0 6.3.5, 6.3.8, 6.6.3; NIST SP 800-63B-4
s. 3.1.1.2, 3.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts.attempts import Attempts
from identity.accounts.client import short_address, short_user_agent
from identity.accounts.mailbox_proof import CODE_LIFETIME, new_proof
from identity.accounts.model import (
    Account,
    AccountIsDisabled,
    AccountStatus,
    WrongCredentials,
)
from identity.accounts.origin import Origin
from identity.accounts.service import Accounts
from identity.credentials.service import Passwords
from identity.risk.devices import Devices
from identity.risk.model import Assessment, Device
from identity.risk.service import Risk
from identity.sessions import store
from identity.sessions.arrival import Arrival, SignedIn, Visit
from identity.sessions.failures import WrongPasswords, record_failure
from identity.sessions.model import (
    MAX_CODES_WAITING,
    WAITING_LIFETIME,
    Step,
    next_step,
)
from policies.assurance import METHODS_OF, Factor
from policies.errors import InvalidInput, NotFound, TooManyAttempts
from policies.risk import Outcome, Signal, judge
from privacy.actor import Actor
from privacy.ids import new_token, secret_digest
from privacy.keys.blind_index import normalise_email
from privacy.mail import Postbox
from privacy.unit_of_work import Runtime, UnitOfWork

#: The factors of an account beside its password, by account id; `identity.mfa.factors` knows.
FactorsOf = Callable[[Session, str], frozenset[Factor]]
#: Whether an account asks for one, be it that none can be shown at present; likewise.
HasSecondFactor = Callable[[Session, str], bool]

BY_PASSWORD: Final = tuple(sorted(METHODS_OF[Factor.PASSWORD]))
SECOND_FACTORS: Final = frozenset({Factor.TOTP, Factor.PASSKEY})
#: Accounts that a right password is looked at for; what each may do then differs.
_OPEN: Final = (AccountStatus.ACTIVE, AccountStatus.CLOSING, AccountStatus.DISABLED)
#: Looked up where there is no account, so that the work is the same.
_NOBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The password was right; one more proof must follow.

    Attributes:
        secret: names the waiting sign-in, for the cookie.
        step: what must follow.
    """

    secret: str = field(repr=False)
    step: Step


class SignIn:
    """The way through the door that begins with a password."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        has_second_factor: HasSecondFactor,
        attempts: Attempts,
        devices: Devices,
        risk: Risk,
        arrival: Arrival,
        postbox: Postbox,
        wrong_passwords: WrongPasswords,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._has_second_factor = has_second_factor
        self._attempts = attempts
        self._devices = devices
        self._risk = risk
        self._arrival = arrival
        self._postbox = postbox
        self._wrong_passwords = wrong_passwords

    def by_password(
        self, actor: Actor, *, email: str, password: str, visit: Visit
    ) -> SignedIn | Waiting:
        """Look at an address and a password.

        Args:
            actor: who asks, usually nobody known.
            email: as typed.
            password: as typed.
            visit: the browser.

        Raises:
            TooManyAttempts: of this address, or from this network; known or not, alike.
            AddressProofNeeded: strangers used the tries up; known or not, alike.
            WrongCredentials: they do not belong together; known or not, alike.
            AccountIsDisabled: they do, and the company has disabled the account.
        """
        try:
            address = normalise_email(email)
        except InvalidInput:
            raise WrongCredentials from None
        with self._runtime.snapshot() as session:
            account = self._accounts.at_address(session, address)
            account_id = account.account_id if account else _NOBODY
            encoded = self._passwords.encoded(session, account_id)
            device = self._device(session, account_id, visit)
        counted = self._attempts.begin_sign_in(address, visit.client, device)
        right = self._passwords.matches(encoded, password)
        if account is None or encoded is None or not right:
            self._wrong_passwords.note(address, visit.client)
            raise WrongCredentials
        if not self._signs_in_by(account, address):
            self._wrong_passwords.note(address, visit.client)
            raise WrongCredentials
        upgraded = self._passwords.upgrade(encoded, password)
        breached = self._passwords.compromised(password, address)
        try:
            with self._runtime.unit_of_work(actor) as uow:
                account = self._still(uow, account, encoded)
                self._attempts.succeeded(uow, *counted)
                if upgraded is not None:
                    self._passwords.rehash(uow, account.account_id, old=encoded, new=upgraded)
                if breached:
                    self._passwords.demand_change(uow, account.account_id)
                result = self.go_on(
                    uow,
                    account,
                    address,
                    visit,
                    methods=BY_PASSWORD,
                    alone=self._passwords.long_enough_alone(uow.session, account.account_id),
                    breached=breached,
                )
                uow.commit()
        except AccountIsDisabled:
            reason = AccountIsDisabled.code
            record_failure(self._runtime, actor, account, "password", visit.client, reason=reason)
            raise
        return result

    def _signs_in_by(self, account: Account, address: str) -> bool:
        """Tell whether the account signs in by this of its addresses.

        Asked once the password is right: until then the work is the same for every address.
        """
        with self._runtime.snapshot() as session:
            return self._accounts.signing_in(session, address) == account

    def go_on(
        self,
        uow: UnitOfWork,
        account: Account,
        address: str,
        visit: Visit,
        *,
        methods: Sequence[str],
        alone: bool,
        breached: bool = False,
        origin: Origin | None = None,
    ) -> SignedIn | Waiting:
        """Assess the risk, and let the person in or say what must follow; joins the transaction.

        Args:
            uow: the transaction, which holds the account.
            account: whose first factor was right.
            address: where a code is mailed to.
            visit: the browser.
            methods: what was shown, RFC 8176 values.
            alone: whether that may be the only factor.
            breached: it is a password that is known from a breach.
            origin: where the person came from, if from an outside provider.

        Raises:
            TooManyAttempts: too many codes were mailed.
        """
        account_id = account.account_id
        device = self._device(uow.session, account_id, visit)
        assessment = self._risk.assess(
            uow,
            account=account,
            client=visit.client,
            methods=methods,
            device=device,
            breached_password=breached,
        )
        step = next_step(
            second_factor=self._has_second_factor(uow.session, account_id),
            trusted=_is_trusted(device, uow),
            long_enough_alone=alone,
            challenged=assessment.outcome is Outcome.CHALLENGE,
        )
        if step is None:
            return self._arrival.begin(
                uow,
                account,
                methods,
                visit,
                assessment_id=assessment.assessment_id,
                origin=origin,
            )
        secret = new_token(uow.ids)
        row = store.WaitingSignIn(
            step_digest=secret_digest(secret),
            account_id=account_id,
            expires_at=uow.now + WAITING_LIFETIME,
            step=step.value,
            methods=" ".join(methods),
            may_trust=alone and _is_calm(assessment),
            assessment_id=assessment.assessment_id,
            identity_id=origin.identity_id if origin else None,
            upstream_session=origin.upstream_session if origin else None,
            arrival=origin.arrival if origin else None,
        )
        if step is Step.ADDRESS_PROOF:
            self._mail_code(uow, account, address, visit, row)
        uow.session.add(row)
        return Waiting(secret, step)

    def _mail_code(
        self,
        uow: UnitOfWork,
        account: Account,
        address: str,
        visit: Visit,
        row: store.WaitingSignIn,
    ) -> None:
        if store.codes_waiting(uow.session, row.account_id, uow.now) >= MAX_CODES_WAITING:
            raise TooManyAttempts(
                "too many codes were mailed",
                retry_after_seconds=int(CODE_LIFETIME.total_seconds()),
            )
        proof = new_proof(uow.ids, row.step_digest)
        row.code_digest = proof.code_digest
        self._postbox.send(
            uow,
            to=address,
            letter="sign-in-code",
            locale=account.language,
            values={
                "code": proof.code,
                "device": short_user_agent(visit.client.user_agent),
                "network": short_address(visit.client.address),
                "federated": row.identity_id is not None or row.arrival is not None,
            },
        )

    def _device(self, session: Session, account_id: str, visit: Visit) -> Device | None:
        now = self._runtime.clock()
        return self._devices.find(session, account_id, visit.device_token, now=now)

    def _still(self, uow: UnitOfWork, account: Account, encoded: str) -> Account:
        """Return the account as it is now, held until the commit."""
        try:
            found = self._accounts.lock(uow, account.account_id, *_OPEN)
        except NotFound:
            raise WrongCredentials from None
        if self._passwords.encoded(uow.session, found.account_id) != encoded:
            raise WrongCredentials  # it was changed while we looked at it
        if found.status is AccountStatus.DISABLED:
            raise AccountIsDisabled("the account was disabled")
        return found


def _is_trusted(device: Device | None, uow: UnitOfWork) -> bool:
    until = device.trusted_until if device else None
    return until is not None and uow.now < until


def _is_calm(assessment: Assessment) -> bool:
    """Tell whether nothing but the new browser speaks against trusting it from now on."""
    others = frozenset(assessment.signals) - {Signal.NEW_DEVICE}
    return judge(others).outcome is Outcome.ALLOW
