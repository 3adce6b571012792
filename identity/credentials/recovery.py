"""A new password by mail. It proves the mailbox, and nothing more: a second factor stays asked.

Source: OWASP ASVS 5.0 6.4.3, 6.5.1 to 6.5.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts import one_time_proof
from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.mailbox_proof import CODE_LIFETIME, MailboxProof, new_proof
from identity.accounts.model import Account, AccountStatus, LinkNotValid
from identity.accounts.service import Accounts
from identity.credentials import store
from identity.credentials.model import RECOVERY_LIFETIME, PasswordResetRequested
from identity.credentials.service import Owner, Passwords
from policies.passwords import is_long_enough_alone
from privacy.actor import SYSTEM, Actor
from privacy.events import Json
from privacy.ids import new_id
from privacy.keys.blind_index import normalise_email
from privacy.mail import Postbox
from privacy.outbox import Outbox
from privacy.unit_of_work import Runtime, UnitOfWork

#: The outbox's rows that ask the worker to look for the account.
KIND: Final = "recovery"


class Recovery:
    """Recoveries from the form to the new password."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        attempts: Attempts,
        postbox: Postbox,
        outbox: Outbox,
        base_url: str,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._attempts = attempts
        self._postbox = postbox
        self._outbox = outbox
        self._base_url = base_url

    def begin(self, uow: UnitOfWork, email: str) -> str:
        """Keep a recovery whose code nobody has yet, and return its id; commits.

        Whether there is an account is looked at by the worker, in `answer`: so that neither the
        work nor the time of this answer tells. Source: OWASP ASVS 5.0 6.3.8.

        Raises:
            InvalidInput: it is not an address.
        """
        address = normalise_email(email)
        recovery_id = new_id(uow.ids)
        self._keep(uow, recovery_id, None, new_proof(uow.ids, recovery_id))
        self._outbox.put(uow, KIND, {"recovery_id": recovery_id, "email": address})
        uow.commit()
        return recovery_id

    def answer(self, message: Mapping[str, Json]) -> None:
        """Mail a link and a code where the address has an account; the outbox's deliverer.

        A second delivery finds the recovery answered and does nothing.
        """
        recovery_id, address = str(message["recovery_id"]), str(message["email"])
        with self._runtime.unit_of_work(SYSTEM) as uow:
            account = self._accounts.by_email(uow.session, address)
            proof = new_proof(uow.ids, recovery_id)
            if account is None or not one_time_proof.answer(
                uow.session, store.RecoveryRow, recovery_id, account.account_id, proof
            ):
                return
            uow.record(
                PasswordResetRequested(subject_id=account.subject_id, account_id=account.account_id)
            )
            self._postbox.send(
                uow,
                to=self._accounts.email_of(uow.session, account),
                letter="recovery",
                locale=account.language,
                values={
                    "code": proof.code,
                    "action_url": f"{self._base_url}/recover/link/{proof.token}",
                },
            )
            uow.commit()

    def start_by_staff(self, uow: UnitOfWork, account: Account) -> None:
        """Mail the person a link to choose another password; joins the transaction.

        Whoever starts it sees no link, and neither sets nor sees a password; the present one holds
        until the person acts. Source: OWASP ASVS 5.0 6.4.6.
        """
        recovery_id = new_id(uow.ids)
        proof = new_proof(uow.ids, recovery_id)
        self._keep(uow, recovery_id, account.account_id, proof)
        uow.record(
            PasswordResetRequested(subject_id=account.subject_id, account_id=account.account_id)
        )
        self._postbox.send(
            uow,
            to=self._accounts.email_of(uow.session, account),
            letter="recovery",
            locale=account.language,
            values={
                "by_staff": True,  # there is no browser that could take a code
                "action_url": f"{self._base_url}/recover/link/{proof.token}",
            },
        )

    @staticmethod
    def _keep(
        uow: UnitOfWork, recovery_id: str, account_id: str | None, proof: MailboxProof
    ) -> None:
        uow.session.add(
            store.RecoveryRow(
                recovery_id=recovery_id,
                account_id=account_id,
                token_digest=proof.token_digest,
                code_digest=proof.code_digest,
                created_at=uow.now,
                code_expires_at=uow.now + CODE_LIFETIME,
                expires_at=uow.now + RECOVERY_LIFETIME,
            )
        )

    def minimum_length(self, session: Session, token: str) -> int:
        """Return how long the password behind a mailed link must be.

        Raises:
            LinkNotValid: it was used, has expired or never was.
        """
        return self._whose(session, self.recovery_of(session, token))[1].minimum_length

    def recovery_of(self, session: Session, token: str) -> str:
        """Return the id of the recovery whose mailed link this is; changes nothing.

        Raises:
            LinkNotValid: it was used, has expired or never was.
        """
        now = self._runtime.clock()
        return one_time_proof.behind_link(session, store.RecoveryRow, token, now).recovery_id

    def reset_by_link(self, actor: Actor, token: str, password: str) -> None:
        """Set a new password by the mailed link, once, and end every session.

        Opens transactions of its own and hashes, so call it while none is open.

        Raises:
            LinkNotValid: the link was used, has expired or never was.
            WeakPassword: the password is not acceptable; the link stays valid.
            InvalidInput: it is not text.
        """
        with self._runtime.snapshot() as session:
            recovery_id = self.recovery_of(session, token)
        self._reset(actor, recovery_id, password)

    def reset_by_code(self, actor: Actor, recovery_id: str, code: str, password: str) -> None:
        """Set a new password by the mailed code, once, and end every session.

        What would tell whether there is an account is looked at only once the code is right.

        Raises:
            LinkNotValid: no try is left, or the code was used or has expired.
            WrongCode: a try is used up.
            WeakPassword: the password is not acceptable.
            InvalidInput: it is not text.
        """
        # What any account may have: which of them this is for, the right code tells.
        self._passwords.check(password, email=None, second_factor_enforced=True)
        one_time_proof.try_code(self._runtime, actor, store.RecoveryRow, recovery_id, code)
        self._reset(actor, recovery_id, password)

    def _reset(self, actor: Actor, recovery_id: str, password: str) -> None:
        with self._runtime.snapshot() as session:
            account, owner = self._whose(session, recovery_id)
        encoded = self._passwords.choose_for(owner, password)
        with self._runtime.unit_of_work(actor) as uow:
            self._accounts.lock(uow, account.account_id)
            if not one_time_proof.claim(uow.session, store.RecoveryRow, recovery_id, uow.now):
                raise LinkNotValid("the recovery is not valid any more")
            self._passwords.keep(
                uow,
                account,
                encoded,
                long_enough_alone=is_long_enough_alone(password),
                by_mail=True,
            )
            self._attempts.succeeded(
                uow,
                self._attempts.of_email(AttemptKind.PASSWORD, owner.email),
                self._attempts.of_account(AttemptKind.PASSWORD, account.account_id),
            )
            self._passwords.tell(uow, account)
            uow.commit()

    def _whose(self, session: Session, recovery_id: str) -> tuple[Account, Owner]:
        row = session.get(store.RecoveryRow, recovery_id)
        account_id = row.account_id if row else None
        account = self._accounts.find(session, account_id) if account_id else None
        if account is None or account.status is not AccountStatus.ACTIVE:
            raise LinkNotValid("the recovery is not valid any more")
        return account, self._passwords.owner(session, account)
