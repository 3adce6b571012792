"""Finding, opening, inviting and closing accounts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.accounts import store
from identity.accounts.model import (
    INVITATION_LIFETIME,
    Account,
    AccountClosed,
    AccountRegistered,
    AccountStatus,
    InvitationCreated,
    InvitationUsed,
    LinkNotValid,
    RoleGranted,
)
from policies.errors import NotFound
from policies.vocabulary import Attribute, Role
from privacy.ids import new_id, new_token, secret_digest
from privacy.keys.blind_index import normalise_email
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork


class Accounts:
    """The accounts of this deployment."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    @staticmethod
    def find(session: Session, account_id: str) -> Account | None:
        """Return an account by its id, closed or not."""
        row = session.get(store.AccountRow, account_id)
        return _account(row) if row else None

    @staticmethod
    def of_subject(session: Session, subject_id: str) -> Account | None:
        """Return the person's account, closed or not."""
        row = store.account_of_subject(session, subject_id)
        return _account(row) if row else None

    @staticmethod
    def lock(
        uow: UnitOfWork,
        account_id: str,
        *statuses: AccountStatus,
    ) -> Account:
        """Return an account and let nobody else change its ways in until the commit.

        Args:
            uow: the caller's unit of work.
            account_id: which.
            statuses: what it may be; nothing means active alone.

        Raises:
            NotFound: there is none, or it is in another status.
        """
        row = uow.session.get(
            store.AccountRow, account_id, with_for_update=True, populate_existing=True
        )
        if row is None or AccountStatus(row.status) not in (statuses or (AccountStatus.ACTIVE,)):
            raise NotFound("there is no such account")
        return _account(row)

    @staticmethod
    def lock_of_subject(uow: UnitOfWork, subject_id: str) -> None:
        """Hold the person's account as by `lock`, where there is one.

        Raises:
            NotFound: there is one, and it is not active.
        """
        uow.session.flush()
        if store.hold_status(uow.session, subject_id) not in {None, AccountStatus.ACTIVE.value}:
            raise NotFound("there is no such account")

    def by_email(self, session: Session, address: str) -> Account | None:
        """Return the active account of this address.

        Raises:
            InvalidInput: it is not an address.
        """
        subject_id = self._subjects.find_by_email(session, address)
        account = self.of_subject(session, subject_id) if subject_id else None
        return account if account and account.status is AccountStatus.ACTIVE else None

    def at_address(self, session: Session, address: str) -> Account | None:
        """Return the account that holds this address, disabled or closing ones too.

        Raises:
            InvalidInput: it is not an address.
        """
        # Where nobody has the address nobody is looked up: the work is the same.
        subject_id = self._subjects.find_by_email(session, address)
        account = self.of_subject(session, subject_id or "")
        return account if account and account.status is not AccountStatus.CLOSED else None

    def signing_in(self, session: Session, address: str) -> Account | None:
        """As `at_address`, but only by the address that the person chose to sign in with.

        So failures are counted in one place, however many addresses an account has.
        """
        account = self.at_address(session, address)
        if account is None or self.email_of(session, account) != normalise_email(address):
            return None
        return account

    def email_of(self, session: Session, account: Account) -> str:
        """Return the address that the person signs in with and gets letters at.

        Raises:
            NotFound: none is kept, since the person was erased.
        """
        addresses = self._subjects.emails(session, account.subject_id)
        if not addresses:
            raise NotFound("this account has no address any more")
        return addresses[0]

    def addresses_of(self, session: Session, account: Account) -> list[str]:
        """Return every address that the person proved; letters about security go to all."""
        return self._subjects.emails(session, account.subject_id)

    @staticmethod
    def open(uow: UnitOfWork, subject_id: str, *, role: Role, language: str) -> Account:
        """Open the person's account, or open a closed one again; joins the transaction.

        Raises:
            LinkNotValid: the person has an account already, or got one at this moment.
        """
        row = store.account_of_subject(uow.session, subject_id)
        if row is None:
            row = store.AccountRow(
                account_id=new_id(uow.ids),
                subject_id=subject_id,
                role=role.value,
                status=AccountStatus.ACTIVE.value,
                language=language,
                created_at=uow.now,
            )
            try:
                with uow.session.begin_nested():
                    uow.session.add(row)
            except IntegrityError:
                raise LinkNotValid("there is an account already") from None
        elif row.status != AccountStatus.CLOSED.value:
            raise LinkNotValid("there is an account already")
        else:
            row.status, row.closed_at = AccountStatus.ACTIVE.value, None
            row.role, row.language, row.created_at = role.value, language, uow.now
        uow.record(AccountRegistered(subject_id=subject_id, account_id=row.account_id))
        return _account(row)

    @staticmethod
    def close(uow: UnitOfWork, account_id: str) -> None:
        """Close an account; what listens to `AccountClosed` ends sessions and credentials.

        Joins the transaction. A closed account stays closed: nothing happens twice.

        Raises:
            NotFound: there is no such account.
        """
        row = uow.session.get(store.AccountRow, account_id)
        if row is None:
            raise NotFound("there is no such account")
        if row.status == AccountStatus.CLOSED.value:
            return
        row.status, row.closed_at = AccountStatus.CLOSED.value, uow.now
        row.closing_until, row.undo_digest = None, None
        uow.record(AccountClosed(subject_id=row.subject_id, account_id=account_id))

    def choose_language(self, uow: UnitOfWork, account: Account, language: str) -> None:
        """Keep the language that the person reads; a use case that commits."""
        self._subjects.hold(uow.session, account.subject_id)  # as everywhere: the person first
        row = uow.session.get_one(store.AccountRow, account.account_id)
        if row.language != language:
            row.language = language
            self._subjects.rectify(uow, account.subject_id, Attribute.LOCALE, language)
        uow.commit()

    @staticmethod
    def invite(uow: UnitOfWork, role: Role) -> str:
        """Return the token of a new invitation to register with `role`; commits.

        It is shown this once, works once, and for `INVITATION_LIFETIME`.
        """
        token, invitation_id = new_token(uow.ids), new_id(uow.ids)
        uow.session.add(
            store.InvitationRow(
                token_digest=secret_digest(token),
                invitation_id=invitation_id,
                role=role.value,
                created_at=uow.now,
                expires_at=uow.now + INVITATION_LIFETIME,
            )
        )
        uow.record(InvitationCreated(invitation_id=invitation_id, role=role))
        uow.commit()
        return token

    @staticmethod
    def invited_role(session: Session, token: str, *, now: datetime) -> Role:
        """Return the role that an invitation offers.

        Raises:
            LinkNotValid: it was used, has expired or never was.
        """
        row = session.get(store.InvitationRow, secret_digest(token))
        spent = row is None or row.used_at is not None or row.revoked_at is not None
        if row is None or spent or row.expires_at <= now:
            raise LinkNotValid("the invitation is not valid")
        return Role(row.role)

    @staticmethod
    def claim_invitation(uow: UnitOfWork, token_digest: str) -> tuple[Role, str]:
        """Use an invitation up and return its role and id; joins the transaction.

        Raises:
            LinkNotValid: somebody used it first, or it has expired.
        """
        if not store.claim_invitation(uow.session, token_digest, uow.now):
            raise LinkNotValid("the invitation is not valid")
        row = uow.session.get_one(store.InvitationRow, token_digest)
        return Role(row.role), row.invitation_id

    @staticmethod
    def grant_role(uow: UnitOfWork, account: Account, invitation_id: str) -> None:
        """Record that an invited person holds the role; joins the transaction."""
        subject_id, account_id = account.subject_id, account.account_id
        uow.record(
            InvitationUsed(
                subject_id=subject_id, invitation_id=invitation_id, account_id=account_id
            )
        )
        uow.record(RoleGranted(subject_id=subject_id, account_id=account_id, role=account.role))


def _account(row: store.AccountRow) -> Account:
    return Account(
        account_id=row.account_id,
        subject_id=row.subject_id,
        role=Role(row.role),
        status=AccountStatus(row.status),
        language=row.language,
        created_at=row.created_at,
        closing_until=row.closing_until,
    )
