"""Beginning, finding, renewing and ending browser sessions.

The browser holds a random 256-bit id; we hold its SHA-256. Source: OWASP ASVS 5.0 7.2, 7.3, 7.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session as DatabaseSession

from identity.accounts.model import Account, AccountClosed
from identity.accounts.service import Accounts
from identity.credentials.model import PasswordSet
from identity.mfa.model import TotpRemoved
from identity.sessions import store
from identity.sessions.model import (
    TOUCH_EVERY,
    Client,
    Session,
    SessionEnded,
    SignInSucceeded,
    short_address,
    short_user_agent,
)
from policies.errors import NotFound
from policies.vocabulary import Role
from privacy.ids import new_token, secret_digest
from privacy.unit_of_work import UnitOfWork


class Sessions:
    """The browser sessions of this deployment.

    Args:
        idle: a session ends so long after its last use,
        absolute: and so long after the sign-in in any case; both half-open.
    """

    def __init__(self, *, idle: timedelta, absolute: timedelta) -> None:
        self._idle = idle
        self._absolute = absolute

    def find(self, session: DatabaseSession, secret: str, *, now: datetime) -> Session | None:
        """Return the session whose secret id the browser holds, if it is alive."""
        row = store.living(
            session,
            secret_digest(secret),
            seen_after=now - self._idle,
            made_after=now - self._absolute,
        )
        return _session(row) if row else None

    def of_account(
        self, session: DatabaseSession, account_id: str, *, now: datetime
    ) -> list[Session]:
        """Return an account's living sessions, the last used first."""
        rows = store.living_of(
            session, account_id, seen_after=now - self._idle, made_after=now - self._absolute
        )
        return [_session(row) for row in rows]

    @staticmethod
    def wants_touch(found: Session, *, now: datetime) -> bool:
        """Tell whether the last use that is written down is too old."""
        return now - found.last_seen_at >= TOUCH_EVERY

    @staticmethod
    def touch(uow: UnitOfWork, digest: str) -> None:
        """Write down that a session is used; commits."""
        store.touch(uow.session, digest, uow.now)
        uow.commit()

    @staticmethod
    def begin(
        uow: UnitOfWork,
        account: Account,
        methods: Sequence[str],
        client: Client,
        *,
        replaces: str | None = None,
    ) -> str:
        """Begin a session and return its secret id; joins the transaction of the sign-in.

        Args:
            uow: the unit of work.
            account: whose.
            methods: how the person proved who they are, RFC 8176 values.
            client: the browser.
            replaces: digest of the session that this browser had, which ends.
        """
        if replaces is not None:
            store.end(uow.session, account.account_id, replaces, uow.now)
        secret = new_token(uow.ids)
        uow.session.add(
            store.SessionRow(
                session_digest=secret_digest(secret),
                account_id=account.account_id,
                subject_id=account.subject_id,
                role=account.role.value,
                methods=" ".join(methods),
                created_at=uow.now,
                last_seen_at=uow.now,
                authenticated_at=uow.now,
                user_agent=short_user_agent(client.user_agent),
                address=short_address(client.address),
            )
        )
        uow.record(
            SignInSucceeded(subject_id=account.subject_id, account_id=account.account_id),
            {
                "methods": list(methods),
                "address": client.address,
                "user_agent": short_user_agent(client.user_agent),
            },
        )
        return secret

    def renew(self, uow: UnitOfWork, digest: str, methods: Sequence[str]) -> str | None:
        """Give a living session a new secret id and other methods; commits.

        The limits go on counting: changing one's password does not prolong a session.

        Returns:
            The new secret id, or None where the session is not alive any more.

        Raises:
            NotFound: the account was closed meanwhile.
        """
        row = store.living(
            uow.session,
            digest,
            seen_after=uow.now - self._idle,
            made_after=uow.now - self._absolute,
        )
        if row is None:
            return None
        # Whoever ends all sessions holds the account, and could not see one made meanwhile.
        Accounts.lock(uow, row.account_id)
        if not store.end(uow.session, row.account_id, digest, uow.now):
            return None
        secret = new_token(uow.ids)
        uow.session.add(
            store.SessionRow(
                session_digest=secret_digest(secret),
                account_id=row.account_id,
                subject_id=row.subject_id,
                role=row.role,
                methods=" ".join(methods),
                created_at=row.created_at,
                last_seen_at=uow.now,
                authenticated_at=row.authenticated_at,
                user_agent=row.user_agent,
                address=row.address,
            )
        )
        uow.commit()
        return secret

    @staticmethod
    def sign_out(uow: UnitOfWork) -> None:
        """End the session in which this is asked; commits. One that has ended stays so."""
        actor = uow.actor
        if actor.account_id is None or actor.session_id is None:
            return
        if store.end(uow.session, actor.account_id, actor.session_id, uow.now):
            _record_end(uow, actor.subject_id, actor.account_id, "sign-out", 1)
        uow.commit()

    @staticmethod
    def end(uow: UnitOfWork, account: Account, digest: str) -> None:
        """End one of a person's sessions; commits.

        Raises:
            NotFound: it has ended or is somebody else's.
        """
        if not store.end(uow.session, account.account_id, digest, uow.now):
            raise NotFound("there is no such session")
        _record_end(uow, account.subject_id, account.account_id, "by-person", 1)
        uow.commit()

    @staticmethod
    def end_others(uow: UnitOfWork, account: Account, digest: str | None) -> int:
        """End all of a person's sessions but one; commits and returns how many ended."""
        count = store.end_all(uow.session, account.account_id, uow.now, but=digest)
        if count:
            _record_end(uow, account.subject_id, account.account_id, "by-person", count)
        uow.commit()
        return count

    @staticmethod
    def on_password_set(uow: UnitOfWork, event: PasswordSet) -> None:
        """End the sessions of the old password, but the one in which it was changed."""
        _end_but_own(uow, event.subject_id, event.account_id, "password-set")

    @staticmethod
    def on_second_factor_removed(uow: UnitOfWork, event: TotpRemoved) -> None:
        """End the sessions that a second factor began, but the one in which it was removed."""
        _end_but_own(uow, event.subject_id, event.account_id, "second-factor-removed")

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget the sessions of a closed account."""
        store.delete_of(uow.session, event.account_id)


def _end_but_own(uow: UnitOfWork, subject_id: str | None, account_id: str, cause: str) -> None:
    own = uow.actor.session_id if uow.actor.account_id == account_id else None
    store.end_second_steps_of(uow.session, account_id, uow.now)
    count = store.end_all(uow.session, account_id, uow.now, but=own)
    if count:
        _record_end(uow, subject_id, account_id, cause, count)


def _record_end(
    uow: UnitOfWork, subject_id: str | None, account_id: str, cause: str, count: int
) -> None:
    uow.record(SessionEnded(subject_id=subject_id, account_id=account_id, cause=cause, count=count))


def _session(row: store.SessionRow) -> Session:
    return Session(
        digest=row.session_digest,
        account_id=row.account_id,
        subject_id=row.subject_id,
        role=Role(row.role),
        methods=tuple(row.methods.split()),
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        authenticated_at=row.authenticated_at,
        user_agent=row.user_agent,
        address=row.address,
    )
