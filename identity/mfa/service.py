"""Enrolling, checking and removing a TOTP second factor with its recovery codes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from identity.accounts.model import Account, AccountClosed, WrongCode
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.mfa import store
from identity.mfa.factors import HasIdentity, PasswordFacts, demand_enough, factors_of
from identity.mfa.model import (
    ENROLMENT_LIFETIME,
    TotpEnrolled,
    TotpRemoved,
    new_secret,
    plain_code,
    step_of,
)
from identity.mfa.recovery_codes import RecoveryCodes
from policies.errors import Conflict
from policies.vocabulary import RetentionClass
from privacy.keys.sealing import Sealer, place
from privacy.unit_of_work import UnitOfWork

TRAIL = RetentionClass.SECURITY_TRAIL


class Proof(StrEnum):
    """By which of the account's codes a second factor was shown."""

    TOTP = "totp"
    RECOVERY_CODE = "recovery-code"


class SecondFactor:
    """The TOTP second factors of this deployment's accounts. Source: RFC 6238."""

    def __init__(
        self,
        sealer: Sealer,
        accounts: Accounts,
        notices: SecurityNotices,
        passwords: PasswordFacts,
        recovery_codes: RecoveryCodes,
        has_identity: HasIdentity,
    ) -> None:
        self._sealer = sealer
        self._accounts = accounts
        self._notices = notices
        self._passwords = passwords
        self._recovery_codes = recovery_codes
        self._has_identity = has_identity

    @staticmethod
    def is_enrolled(session: Session, account_id: str) -> bool:
        """Tell whether the account has an authenticator application."""
        return session.get(store.TotpRow, account_id) is not None

    @staticmethod
    def enrolled_at(session: Session, account_id: str) -> datetime | None:
        """Return since when the account has an authenticator application."""
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
        """Enrol the secret that was shown; commits.

        Returns:
            Recovery codes to be shown this once where the account had none.

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
        uow.session.delete(uow.session.get_one(store.EnrolmentRow, account_id))
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
        uow.record(TotpEnrolled(subject_id=account.subject_id, account_id=account_id))
        codes = self._recovery_codes.ensure(uow, account)
        self._notices.tell(uow, account, Notice.SECOND_FACTOR_ADDED)
        uow.commit()
        return codes

    def accept(self, uow: UnitOfWork, account: Account, code: str) -> Proof:
        """Accept a code of the moment or a recovery code, each once; joins the transaction.

        Raises:
            WrongCode: it is neither, or was used.
        """
        plain = plain_code(code)
        row = uow.session.get(store.TotpRow, account.account_id)
        if row is not None:
            where = place("totp", "secret_sealed", account.account_id)
            secret = self._sealer.open(
                uow.session, account.subject_id, TRAIL, where, row.secret_sealed
            ).decode()
            step = step_of(secret, plain, uow.now)
            if step is not None:
                if not store.claim_step(uow.session, account.account_id, step):
                    raise WrongCode
                return Proof.TOTP
        if self._recovery_codes.claim(uow, account.account_id, plain):
            return Proof.RECOVERY_CODE
        raise WrongCode

    def remove(self, uow: UnitOfWork, account: Account) -> None:
        """Remove the authenticator application; the other sessions end; tells the person; commits.

        Raises:
            Conflict: there is none.
            FactorStillNeeded: the account would have too weak a way in.
        """
        self._accounts.lock(uow, account.account_id)
        if not self.is_enrolled(uow.session, account.account_id):
            raise Conflict("the account has no authenticator application")
        self._take(uow, account)
        left = factors_of(uow.session, account.account_id)
        demand_enough(
            uow.session,
            account.account_id,
            left=left,
            passwords=self._passwords,
            has_identity=self._has_identity,
        )
        if not left:
            store.delete_recovery_codes(uow.session, account.account_id)
        self._notices.tell(uow, account, Notice.SECOND_FACTOR_REMOVED)
        uow.commit()

    def remove_lost(self, uow: UnitOfWork, account: Account) -> None:
        """Remove the application after a recovery of lost factors; joins, and tells nobody."""
        if self.is_enrolled(uow.session, account.account_id):
            self._take(uow, account)

    @staticmethod
    def _take(uow: UnitOfWork, account: Account) -> None:
        uow.session.delete(uow.session.get_one(store.TotpRow, account.account_id))
        uow.session.flush()
        uow.record(TotpRemoved(subject_id=account.subject_id, account_id=account.account_id))

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget every second factor of a closed account, passkeys included."""
        store.delete_of(uow.session, event.account_id)

    def _refuse_second(self, uow: UnitOfWork, account: Account) -> None:
        self._accounts.lock(uow, account.account_id)
        if self.is_enrolled(uow.session, account.account_id):
            raise Conflict("the account has a second factor already")
