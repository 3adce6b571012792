"""What administrators do with accounts: see their standing, help their people in, shut them.

Nobody here sees or sets a password or a factor: a reset and a recovery are started, and the
person alone ends them by what they receive. Each act is an event in the log, a letter to every
address of the person, and a line of their own activity page. Source: OWASP ASVS 5.0 6.4.2, 6.4.6,
7.4.5; GDPR Art. 5(1)(c), 32(1).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts.closing import demand_another_administrator
from identity.accounts.model import (
    PRIVILEGED,
    Account,
    AccountDisabled,
    AccountEnabled,
    AccountStatus,
    InvitationRevoked,
    OwnAccount,
    RoleGranted,
    RoleRemoved,
)
from identity.accounts.notices import Notice, SecurityNotices
from identity.accounts.service import Accounts
from identity.accounts.trail import last_sign_in
from identity.administration import store
from identity.administration.model import (
    AccountLookedUp,
    Invitation,
    StaffMember,
    checked_reason,
)
from identity.sessions.service import Sessions
from policies.assurance import Factor
from policies.errors import Conflict, InvalidInput, NotFound
from policies.vocabulary import Role
from privacy.keys.sealing import KeyDestroyed
from privacy.subjects.model import SubjectDeceased
from privacy.unit_of_work import UnitOfWork

#: Mails the person what begins a reset, or a recovery of lost factors; joins the transaction.
Start = Callable[[UnitOfWork, Account], object]
#: Which factors an account has, by kind.
Factors = Callable[[Session, str], Collection[Factor]]

BY_STAFF: Final = "by-staff"


class Administration:
    """The use cases of `Scope.ADMINISTRATION`, and of the operator's command line."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        sessions: Sessions,
        notices: SecurityNotices,
        factors: Factors,
        start_reset: Start,
        start_factor_recovery: Start,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._notices = notices
        self._factors = factors
        self._start_reset = start_reset
        self._start_factor_recovery = start_factor_recovery

    # ---- looking

    def find(self, uow: UnitOfWork, email: str) -> Account | None:
        """Return the account of exactly this address; commits the record that it was looked up.

        There is no list of everybody, and no search by part of an address.

        Raises:
            InvalidInput: it is not an address.
        """
        account = self._accounts.at_address(uow.session, email)
        if account is not None:
            self.note_look(uow, account)
        return account

    @staticmethod
    def note_look(uow: UnitOfWork, account: Account) -> None:
        """Record that somebody else's account is looked at; commits."""
        if uow.actor.account_id != account.account_id:
            uow.record(
                AccountLookedUp(subject_id=account.subject_id, account_id=account.account_id)
            )
        uow.commit()

    def staff(self, session: Session) -> list[StaffMember]:
        """Return the accounts that see other people's data, oldest first."""
        rows = store.with_roles(session, [role.value for role in PRIVILEGED])
        found = [self._accounts.find(session, row.account_id) for row in rows]
        return [
            StaffMember(
                account=account,
                email=next(iter(self.addresses(session, account)), None),
                factors=self._factors(session, account.account_id),
                last_sign_in_at=last_sign_in(session, account.subject_id),
            )
            for account in found
            if account is not None
        ]

    def addresses(self, session: Session, account: Account) -> list[str]:
        """Return the account's addresses; none of an erased person's."""
        try:
            return self._accounts.addresses_of(session, account)
        except (KeyDestroyed, NotFound):
            return []

    def factors(self, session: Session, account: Account) -> Collection[Factor]:
        """Return which factors the account has, by kind."""
        return self._factors(session, account.account_id)

    # ---- people who work here

    def invite(self, uow: UnitOfWork, role: Role) -> str:
        """Return the token of a new invitation; commits.

        Raises:
            InvalidInput: the role needs no invitation.
        """
        if role not in PRIVILEGED:
            raise InvalidInput("an invitation is for a role", field="role")
        return self._accounts.invite(uow, role)

    @staticmethod
    def invitations(session: Session, *, now: datetime) -> list[Invitation]:
        """Return the invitations that still work, the newest first."""
        return [
            Invitation(row.invitation_id, Role(row.role), row.created_at, row.expires_at)
            for row in store.open_invitations(session, now)
        ]

    @staticmethod
    def revoke_invitation(uow: UnitOfWork, invitation_id: str) -> None:
        """Take back an invitation that nobody used; commits.

        Raises:
            NotFound: it was used, taken back, has expired or never was.
        """
        if not store.revoke_invitation(uow.session, invitation_id, uow.now):
            raise NotFound("there is no such open invitation")
        uow.record(InvitationRevoked(invitation_id=invitation_id))
        uow.commit()

    def change_role(self, uow: UnitOfWork, account_id: str, role: Role) -> Account:
        """Give an account another role, `PERSON` for none, and end its sessions; commits.

        Raises:
            NotFound: there is no such active account.
            OwnAccount: it is the administrator's own.
            LastAdministrator: nobody would be left to administer.
            Conflict: it has this role already, or got another one at this moment.
        """
        account = self._other(uow, account_id)
        old = account.role
        if old is Role.ADMINISTRATOR:
            demand_another_administrator(uow.session, account_id)
        account = self._accounts.lock(uow, account_id)
        if role is old or not store.change_role(
            uow.session, account_id, old=old.value, new=role.value
        ):
            raise Conflict("the account has this role already, or got another one meanwhile")
        named = {"subject_id": account.subject_id, "account_id": account_id}
        if old in PRIVILEGED:
            uow.record(RoleRemoved(role=old, **named))
        if role in PRIVILEGED:
            uow.record(RoleGranted(role=role, **named))
        self._sessions.end_all(uow, account, "role-changed")
        self._notices.tell(uow, account, Notice.ROLE_CHANGED, {"role": role.value})
        uow.commit()
        return account

    # ---- helping in

    def start_reset(self, uow: UnitOfWork, account_id: str) -> Account:
        """Let the person choose another password by what they receive; commits.

        Raises:
            NotFound: there is no such active account.
            OwnAccount: it is the administrator's own.
        """
        account = self._accounts.lock(uow, self._other(uow, account_id).account_id)
        self._notices.tell(uow, account, Notice.RESET_STARTED_BY_STAFF)
        self._start_reset(uow, account)
        uow.commit()
        return account

    def start_factor_recovery(self, uow: UnitOfWork, account_id: str) -> Account:
        """Begin what lets the person sign in without the factors they lost; commits.

        It counts as one of the two proofs that this needs; the other and the waiting stay.

        Raises:
            NotFound: there is no such active account.
            OwnAccount: it is the administrator's own.
        """
        account = self._accounts.lock(uow, self._other(uow, account_id).account_id)
        self._notices.tell(uow, account, Notice.FACTOR_RECOVERY_STARTED_BY_STAFF)
        self._start_factor_recovery(uow, account)
        uow.commit()
        return account

    # ---- shutting

    def end_sessions(self, uow: UnitOfWork, account_id: str) -> int:
        """End every session of an account; commits and returns how many ended.

        Raises:
            NotFound: there is no such account.
            OwnAccount: it is the administrator's own.
        """
        account = self._other(uow, account_id)
        count = self._sessions.end_all(uow, account, BY_STAFF)
        if count:
            self._notices.tell(uow, account, Notice.SESSIONS_ENDED_BY_STAFF)
        uow.commit()
        return count

    def end_everybodys_sessions(self, uow: UnitOfWork) -> int:
        """End every session of every account, each with its event; commits and returns how many.

        For the day on which sessions may have been stolen wholesale. Nobody is mailed: everybody
        signs in anew. Source: OWASP ASVS 5.0 7.4.5.
        """
        count = 0
        for account_id in self._sessions.accounts_with_sessions(uow.session):
            account = self._accounts.find(uow.session, account_id)
            if account is not None:
                count += self._sessions.end_all(uow, account, BY_STAFF)
        uow.commit()
        return count

    def end_session(self, uow: UnitOfWork, account_id: str, digest: str) -> None:
        """End one session of an account; commits.

        Raises:
            NotFound: there is no such account, or the session has ended.
            OwnAccount: it is the administrator's own.
        """
        account = self._other(uow, account_id)
        self._notices.tell(uow, account, Notice.SESSIONS_ENDED_BY_STAFF)
        self._sessions.end(uow, account, digest, cause=BY_STAFF)

    def disable(self, uow: UnitOfWork, account_id: str, reason: str) -> None:
        """Let nobody into an account until it is enabled again; commits.

        What listens to `AccountDisabled` ends sessions, devices and tokens. Consents go on
        counting: shutting somebody out is no withdrawal of theirs.

        Raises:
            NotFound: there is no such account.
            OwnAccount: it is the administrator's own.
            LastAdministrator: nobody would be left to administer.
            InvalidInput: the reason is empty or too long.
            Conflict: the account is not active.
        """
        reason = checked_reason(reason)
        account = self._other(uow, account_id)
        if account.role is Role.ADMINISTRATOR and account.status is AccountStatus.ACTIVE:
            demand_another_administrator(uow.session, account_id)
        self._change_status(uow, account_id, AccountStatus.ACTIVE, AccountStatus.DISABLED)
        uow.record(
            AccountDisabled(subject_id=account.subject_id, account_id=account_id),
            {"reason": reason},
        )
        self._notices.tell(uow, account, Notice.ACCOUNT_DISABLED)
        uow.commit()

    def enable(self, uow: UnitOfWork, account_id: str, reason: str) -> None:
        """Let the person of a disabled account in again; commits.

        Raises:
            NotFound: there is no such account.
            OwnAccount: it is the administrator's own.
            InvalidInput: the reason is empty or too long.
            Conflict: the account is not disabled.
        """
        reason = checked_reason(reason)
        account = self._other(uow, account_id)
        self._change_status(uow, account_id, AccountStatus.DISABLED, AccountStatus.ACTIVE)
        uow.record(
            AccountEnabled(subject_id=account.subject_id, account_id=account_id),
            {"reason": reason},
        )
        self._notices.tell(uow, account, Notice.ACCOUNT_ENABLED)
        uow.commit()

    def on_subject_deceased(self, uow: UnitOfWork, event: SubjectDeceased) -> None:
        """Let nobody into the account of somebody who has died; joins the caller's transaction.

        Their addresses are told: whoever lives and was taken for dead learns of it. An administrator
        lets them in again. Accounts of staff are the administrators' alone to shut.
        """
        account = self._accounts.of_subject(uow.session, event.subject_id or "")
        if account is None or account.role in PRIVILEGED:
            return
        active, disabled = AccountStatus.ACTIVE.value, AccountStatus.DISABLED.value
        if not store.change_status(uow.session, account.account_id, old=active, new=disabled):
            return
        uow.record(
            AccountDisabled(subject_id=account.subject_id, account_id=account.account_id),
            {"reason": "the person's death was noted"},
        )
        self._notices.tell(uow, account, Notice.ACCOUNT_DISABLED)

    @staticmethod
    def _change_status(
        uow: UnitOfWork, account_id: str, old: AccountStatus, new: AccountStatus
    ) -> None:
        if not store.change_status(uow.session, account_id, old=old.value, new=new.value):
            raise Conflict(f"the account is not {old.value}")

    def _other(self, uow: UnitOfWork, account_id: str) -> Account:
        """Return an account that is not closed and not of who asks."""
        account = self._accounts.find(uow.session, account_id)
        if account is None or account.status is AccountStatus.CLOSED:
            raise NotFound("there is no such account")
        if account.account_id == uow.actor.account_id:
            raise OwnAccount("another administrator has to do this")
        return account
