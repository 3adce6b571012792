"""Getting back into an account whose last second factor is lost: its proofs.

1. Somebody names an address. The mailbox is proven by a mailed code, or by the button behind the
   mailed link; the browser that did so is the only one that goes on.
2. A further, independent proof is shown (`policies.recovery`), and the waiting time begins: every
   address is told, at once and again before the end, each time with a link that cancels it
   (`lost_factor_waiting`).
3. After it the mailbox is proven once more, by a mailed link and a code asked for behind it. Then
   the second factors go, every session and known device ends, and the person signs in anew
   (`lost_factor_end`).

Signing in with the factor cancels it. Source: NIST SP 800-63B-4 s. 4.2; OWASP ASVS 5.0 6.4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy.orm import Session

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.mailbox_proof import (
    CODE_LIFETIME,
    MailboxProof,
    new_proof,
)
from identity.accounts.model import (
    PRIVILEGED,
    Account,
    AccountStatus,
    LinkNotValid,
    WrongCode,
    WrongCredentials,
)
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.credentials import lost_factor_store as store
from identity.credentials.lost_factor_found import held, of_browser, try_code
from identity.credentials.lost_factor_letters import LostFactorLetters
from identity.credentials.lost_factor_waiting import LostFactorWaiting
from identity.credentials.model import (
    RECOVERY_LIFETIME,
    FactorRecoveryRequested,
)
from identity.credentials.service import Passwords
from identity.credentials.store import FactorRecoveryRow
from policies.errors import Conflict, NotFound
from policies.recovery import Proof, is_known
from privacy.actor import SYSTEM, Actor
from privacy.events import Json
from privacy.ids import new_id, new_token, secret_digest
from privacy.keys.blind_index import normalise_email
from privacy.outbox import Outbox
from privacy.unit_of_work import Runtime, UnitOfWork

#: The outbox's rows that ask the worker to look for the account.
KIND: Final = "factor-recovery"
MAX_PROOF_TRIES: Final = 5


class SecondFactors(Protocol):
    """What is needed of the second factors; `identity.mfa` has the real ones."""

    def has_any(self, session: Session, account_id: str) -> bool:
        """Tell whether the account asks for a second factor."""
        ...

    def claim_recovery_code(self, uow: UnitOfWork, account_id: str, typed: str) -> bool:
        """Use a recovery code up; joins the transaction."""
        ...

    def remove_all(self, uow: UnitOfWork, account: Account) -> None:
        """Remove every second factor and recovery code; joins the transaction."""
        ...


#: Returns since when a browser, by the token in its cookie, belongs to the account, or None.
KnownSince = Callable[[Session, str, str | None, datetime], datetime | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a recovery stands whose mailbox was proven in this browser.

    Attributes:
        has_password: a password can be shown, and would count.
        by_staff: only somebody of the staff can start it for this account.
        ready_at: when the waiting time ends; None before it begins.
    """

    has_password: bool
    by_staff: bool
    ready_at: datetime | None


class LostFactor:
    """Recoveries of lost second factors, until the waiting time begins."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        attempts: Attempts,
        outbox: Outbox,
        letters: LostFactorLetters,
        notices: SecurityNotices,
        waiting: LostFactorWaiting,
        second_factors: SecondFactors,
        known_since: KnownSince,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._attempts = attempts
        self._outbox = outbox
        self._letters = letters
        self._notices = notices
        self._waiting = waiting
        self._second_factors = second_factors
        self._known_since = known_since

    # ---- the mailbox ----

    def begin(self, uow: UnitOfWork, email: str) -> str:
        """Keep a recovery whose code nobody has yet, and return its id; commits.

        The worker looks for the account, in `answer`: this answer and its time tell nothing.

        Raises:
            InvalidInput: it is not an address.
        """
        address = normalise_email(email)
        recovery_id = new_id(uow.ids)
        self._keep(uow, recovery_id, new_proof(uow.ids, recovery_id))
        self._outbox.put(uow, KIND, {"recovery_id": recovery_id, "email": address})
        uow.commit()
        return recovery_id

    def answer(self, message: Mapping[str, Json]) -> None:
        """Mail a link and a code where the address has an account with a second factor.

        The outbox's deliverer; a second delivery finds it answered and does nothing.
        """
        recovery_id, address = str(message["recovery_id"]), str(message["email"])
        with self._runtime.unit_of_work(SYSTEM) as uow:
            account = self._accounts.by_email(uow.session, address)
            if account is None or not self._second_factors.has_any(uow.session, account.account_id):
                return
            pending = self._waiting.pending(uow.session, account.account_id)
            if pending is not None:  # who asks again is told until when, and can cancel
                self._letters.waits(
                    uow, account, pending.recovery_id, pending.ready_at, reminder=True
                )
                uow.commit()
                return
            proof = new_proof(uow.ids, recovery_id)
            if not store.answer(uow.session, recovery_id, account.account_id, proof):
                return
            self._ask(uow, account, recovery_id, proof, by_staff=False)
            uow.commit()

    def start_by_staff(self, uow: UnitOfWork, account: Account) -> None:
        """Mail the person the link that begins a recovery; joins the transaction.

        It counts as one proof; the mailbox is the person's to prove. Nothing is removed or seen by
        whoever starts it.

        Raises:
            NotFound: the account has no second factor.
            Conflict: one waits already.
        """
        if not self._second_factors.has_any(uow.session, account.account_id):
            raise NotFound("the account has no second factor")
        if self._waiting.pending(uow.session, account.account_id) is not None:
            raise Conflict("a recovery of this account is waiting already")
        recovery_id = new_id(uow.ids)
        proof = new_proof(uow.ids, recovery_id)
        self._keep(uow, recovery_id, proof, account_id=account.account_id, proofs=Proof.STAFF.value)
        self._ask(uow, account, recovery_id, proof, by_staff=True)

    @staticmethod
    def _keep(
        uow: UnitOfWork,
        recovery_id: str,
        proof: MailboxProof,
        *,
        account_id: str | None = None,
        proofs: str = "",
    ) -> None:
        row = FactorRecoveryRow(
            recovery_id=recovery_id,
            account_id=account_id,
            token_digest=proof.token_digest,
            code_digest=proof.code_digest,
            proofs=proofs,
            created_at=uow.now,
            code_expires_at=uow.now + CODE_LIFETIME,
            expires_at=uow.now + RECOVERY_LIFETIME,
        )
        uow.session.add(row)
        uow.session.flush()

    def _ask(
        self,
        uow: UnitOfWork,
        account: Account,
        recovery_id: str,
        proof: MailboxProof,
        *,
        by_staff: bool,
    ) -> None:
        uow.record(
            FactorRecoveryRequested(
                subject_id=account.subject_id,
                account_id=account.account_id,
                recovery_id=recovery_id,
                by_staff=by_staff,
            )
        )
        self._letters.ask(uow, account, proof, by_staff=by_staff)

    def recovery_of(self, session: Session, token: str) -> str:
        """Return the id of the recovery whose mailed link this is; changes nothing.

        Raises:
            LinkNotValid: the mailbox was proven already, it has expired, or it never was.
        """
        row = store.by_token(session, secret_digest(token))
        now = self._runtime.clock()
        if row is None or row.ended or row.browser_digest or row.expires_at <= now:
            raise LinkNotValid("the link is not valid")
        return row.recovery_id

    def prove_by_link(self, actor: Actor, token: str, device_token: str | None) -> str:
        """Prove the mailbox by the mailed link's button, once, and go on in this browser alone.

        Returns:
            The secret by which this browser goes on.

        Raises:
            LinkNotValid: as `recovery_of`.
        """
        with self._runtime.snapshot() as session:
            recovery_id = self.recovery_of(session, token)
        return self._prove(actor, recovery_id, device_token)

    def prove_by_code(
        self, actor: Actor, recovery_id: str, code: str, device_token: str | None
    ) -> str:
        """Prove the mailbox by the mailed code, once, and go on in this browser alone.

        Returns:
            The secret by which this browser goes on.

        Raises:
            LinkNotValid: no try is left, or the code was used or has expired.
            WrongCode: a try is used up.
        """
        try_code(self._runtime, actor, recovery_id, code)
        return self._prove(actor, recovery_id, device_token)

    def _prove(self, actor: Actor, recovery_id: str, device_token: str | None) -> str:
        with self._runtime.unit_of_work(actor) as uow:
            account = held(uow, self._accounts, recovery_id)
            secret = new_token(uow.ids)
            until = uow.now + RECOVERY_LIFETIME
            if not store.prove_mailbox(
                uow.session, recovery_id, secret_digest(secret), uow.now, until
            ):
                raise LinkNotValid("the recovery is not valid any more")
            shown = {Proof.MAILBOX}
            since = self._known_since(uow.session, account.account_id, device_token, uow.now)
            if since is not None and is_known(since, uow.now):
                shown.add(Proof.KNOWN_DEVICE)
            self._waiting.advance(uow, account, recovery_id, shown)
            uow.commit()
        return secret

    # ---- the second proof ----

    def standing(self, session: Session, secret: str) -> Standing:
        """Return where the recovery stands that this browser goes on with; changes nothing.

        Raises:
            LinkNotValid: it has ended or expired, or never was.
        """
        row = of_browser(session, secret, self._runtime.clock())
        account = self._accounts.find(session, row.account_id or "")
        if account is None or account.status is not AccountStatus.ACTIVE:
            raise LinkNotValid("the recovery is not valid any more")
        account_id = account.account_id
        return Standing(
            has_password=self._passwords.encoded(session, account_id) is not None
            and not self._passwords.set_by_mail(session, account_id),
            by_staff=account.role in PRIVILEGED and Proof.STAFF not in row.proofs.split(),
            ready_at=row.ready_at,
        )

    def show_password(self, actor: Actor, secret: str, password: str) -> None:
        """Look at the password as a further proof. Opens transactions of its own, and hashes.

        Raises:
            LinkNotValid: no try is left, or the recovery has ended.
            TooManyAttempts: of this account's password.
            WrongCredentials: it is not the password; a try is used up.
        """
        recovery_id, account_id = self._count_proof(actor, secret)
        attempt = self._attempts.of_account(AttemptKind.PASSWORD, account_id)
        self._attempts.begin(attempt)
        with self._runtime.snapshot() as session:
            encoded = self._passwords.encoded(session, account_id)
        if not self._passwords.matches(encoded, password):
            raise WrongCredentials
        with self._runtime.unit_of_work(actor) as uow:
            account = held(uow, self._accounts, recovery_id)
            if self._passwords.encoded(uow.session, account_id) != encoded:
                raise WrongCredentials  # it was changed while we looked at it
            self._attempts.succeeded(uow, attempt)
            self._waiting.advance(uow, account, recovery_id, {Proof.MAILBOX, Proof.PASSWORD})
            uow.commit()

    def show_recovery_code(self, actor: Actor, secret: str, code: str) -> None:
        """Look at a recovery code as a further proof; a right one is used up.

        Raises:
            LinkNotValid: no try is left, or the recovery has ended.
            WrongCode: it is not one of the codes left; a try is used up.
        """
        recovery_id, account_id = self._count_proof(actor, secret)
        with self._runtime.unit_of_work(actor) as uow:
            account = held(uow, self._accounts, recovery_id)
            if not self._second_factors.claim_recovery_code(uow, account_id, code):
                raise WrongCode
            self._notices.tell(uow, account, Notice.RECOVERY_CODE_USED)
            self._waiting.advance(uow, account, recovery_id, {Proof.MAILBOX, Proof.RECOVERY_CODE})
            uow.commit()

    def _count_proof(self, actor: Actor, secret: str) -> tuple[str, str]:
        with self._runtime.unit_of_work(actor) as uow:
            row = of_browser(uow.session, secret, self._runtime.clock())
            found = row.recovery_id, row.account_id or ""
            if not store.count_proof_try(uow.session, found[0], MAX_PROOF_TRIES, uow.now):
                raise LinkNotValid("no try is left")
            uow.commit()
        return found
