"""Enrolling, checking and removing a TOTP second factor with its recovery codes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from identity.accounts.model import Account, AccountClosed, WrongCode
from identity.accounts.service import Accounts
from identity.mfa import store
from identity.mfa.model import (
    ENROLMENT_LIFETIME,
    RECOVERY_CODES,
    TotpEnrolled,
    TotpRemoved,
    new_recovery_code,
    new_secret,
    plain_code,
    step_of,
)
from policies.errors import Conflict
from policies.vocabulary import RetentionClass
from privacy.ids import secret_digest
from privacy.keys.sealing import Sealer, place
from privacy.mail import Postbox
from privacy.unit_of_work import UnitOfWork

TRAIL = RetentionClass.SECURITY_TRAIL


class Proof(StrEnum):
    """By which of the account's codes a second factor was shown."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery-code"


class SecondFactor:
    """The TOTP second factors of this deployment's accounts. Source: RFC 6238."""

    def __init__(self, sealer: Sealer, accounts: Accounts, postbox: Postbox) -> None:
        self._sealer = sealer
        self._accounts = accounts
        self._postbox = postbox

    @staticmethod
    def is_enrolled(session: Session, account_id: str) -> bool:
        """Tell whether the account asks for a second factor."""
        return session.get(store.TotpRow, account_id) is not None

    @staticmethod
    def enrolled_at(session: Session, account_id: str) -> datetime | None:
        """Return since when the account asks for a second factor."""
        row = session.get(store.TotpRow, account_id)
        return row.enrolled_at if row else None

    @staticmethod
    def recovery_codes_left(session: Session, account_id: str) -> int:
        """Return how many recovery codes were not used yet."""
        return store.unused_recovery_codes(session, account_id)

    def begin(self, uow: UnitOfWork, account: Account) -> None:
        """Make a secret to be shown and confirmed, in place of an earlier unconfirmed one; commits.

        Raises:
            Conflict: the account has a second factor.
        """
        self._refuse_second(uow, account)
        sealed = self._sealer.seal(
            uow.session,
            account.subject_id,
            TRAIL,
            place("totp_enrolment", "secret_sealed", account.account_id),
            new_secret(uow.ids).encode(),
            at=uow.now,
        )
        row = store.EnrolmentRow(
            account_id=account.account_id,
            secret_sealed=sealed,
            expires_at=uow.now + ENROLMENT_LIFETIME,
        )
        uow.session.merge(row)
        uow.commit()

    def secret_to_confirm(self, session: Session, account: Account, *, now: datetime) -> str | None:
        """Return the secret that waits for its first code, base32, or None where none does."""
        row = session.get(store.EnrolmentRow, account.account_id)
        if row is None or row.expires_at <= now:
            return None
        where = place("totp_enrolment", "secret_sealed", account.account_id)
        return self._sealer.open(
            session, account.subject_id, TRAIL, where, row.secret_sealed
        ).decode()

    def confirm(self, uow: UnitOfWork, account: Account, code: str) -> list[str]:
        """Enrol the secret that was shown, and return the recovery codes, shown once; commits.

        Raises:
            Conflict: nothing waits to be confirmed, or the account has a second factor.
            WrongCode: the code is not the secret's of this moment.
        """
        self._refuse_second(uow, account)
        secret = self.secret_to_confirm(uow.session, account, now=uow.now)
        if secret is None:
            raise Conflict("no secret waits to be confirmed")
        step = step_of(secret, plain_code(code), uow.now)
        if step is None:
            raise WrongCode
        account_id = account.account_id
        store.delete_of(uow.session, account_id)
        uow.session.expunge_all()
        sealed = self._sealer.seal(
            uow.session,
            account.subject_id,
            TRAIL,
            place("totp", "secret_sealed", account_id),
            secret.encode(),
            at=uow.now,
        )
        uow.session.add(
            store.TotpRow(
                account_id=account_id, secret_sealed=sealed, last_step=step, enrolled_at=uow.now
            )
        )
        codes = [new_recovery_code(uow.ids) for _ in range(RECOVERY_CODES)]
        store.add_recovery_codes(
            uow.session, account_id, [_digest(account_id, plain_code(shown)) for shown in codes]
        )
        uow.record(TotpEnrolled(subject_id=account.subject_id, account_id=account_id))
        self._tell(uow, account, enrolled=True)
        uow.commit()
        return codes

    def accept(self, uow: UnitOfWork, account: Account, code: str) -> Proof:
        """Accept a code of the moment or a recovery code, each once; joins the transaction.

        Raises:
            WrongCode: it is neither, or was used.
        """
        plain = plain_code(code)
        row = uow.session.get(store.TotpRow, account.account_id)
        if row is None:
            raise WrongCode
        where = place("totp", "secret_sealed", account.account_id)
        secret = self._sealer.open(
            uow.session, account.subject_id, TRAIL, where, row.secret_sealed
        ).decode()
        step = step_of(secret, plain, uow.now)
        if step is not None:
            if not store.claim_step(uow.session, account.account_id, step):
                raise WrongCode
            return Proof.TOTP
        digest = _digest(account.account_id, plain)
        if store.claim_recovery_code(uow.session, account.account_id, digest, uow.now):
            return Proof.RECOVERY_CODE
        raise WrongCode

    def remove(self, uow: UnitOfWork, account: Account, code: str) -> None:
        """Remove the second factor on showing it once more; tell the person; commits.

        Raises:
            WrongCode: the code is neither of the moment nor a recovery code, or was used.
        """
        self._accounts.lock(uow, account.account_id)
        self.accept(uow, account, code)
        store.delete_of(uow.session, account.account_id)
        uow.record(TotpRemoved(subject_id=account.subject_id, account_id=account.account_id))
        self._tell(uow, account, enrolled=False)
        uow.commit()

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget the second factor of a closed account."""
        store.delete_of(uow.session, event.account_id)

    def _refuse_second(self, uow: UnitOfWork, account: Account) -> None:
        self._accounts.lock(uow, account.account_id)
        if self.is_enrolled(uow.session, account.account_id):
            raise Conflict("the account has a second factor already")

    def _tell(self, uow: UnitOfWork, account: Account, *, enrolled: bool) -> None:
        self._postbox.send(
            uow,
            to=self._accounts.email_of(uow.session, account),
            letter="second-factor",
            locale=account.language,
            values={"enrolled": enrolled},
        )


def _digest(account_id: str, plain: str) -> str:
    return secret_digest(f"{account_id}:{plain}")
