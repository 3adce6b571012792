"""Beginning, finding, renewing and ending browser sessions.

The browser holds a random 256-bit id; we hold its SHA-256. Source: OWASP ASVS 5.0 7.2, 7.3, 7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session as DatabaseSession

from identity.accounts.client import Client, short_address, short_user_agent
from identity.accounts.model import Account, AccountClosed, AccountStatus
from identity.accounts.origin import Origin
from identity.accounts.service import Accounts
from identity.credentials.model import PasswordSet
from identity.sessions import store
from identity.sessions.model import (
    MAX_TRIES,
    TOUCH_EVERY,
    Session,
    SessionEnded,
    SignInSucceeded,
)
from policies.assurance import AssuranceLevel, level_of, satisfies
from policies.errors import NotFound, Unauthenticated
from policies.vocabulary import Role
from privacy.ids import new_id, new_token, secret_digest
from privacy.unit_of_work import UnitOfWork

#: Returns the one page that an account's person may see, where there is something to do first.
LimitOf = Callable[[DatabaseSession, Account], str | None]


class OfAccount(Protocol):
    """An event about an account."""

    @property
    def subject_id(self) -> str | None:
        """The person."""
        ...

    @property
    def account_id(self) -> str:
        """The account."""
        ...


class OfDevice(OfAccount, Protocol):
    """An event about one of an account's browsers."""

    @property
    def device_id(self) -> str:
        """The browser."""
        ...


class Sessions:
    """The browser sessions of this deployment.

    Args:
        idle: a session ends so long after its last use,
        absolute: and so long after the sign-in in any case; both half-open.
        limit_of: what an account's sessions are limited to.
    """

    def __init__(self, *, idle: timedelta, absolute: timedelta, limit_of: LimitOf) -> None:
        self._idle = idle
        self._absolute = absolute
        self._limit_of = limit_of

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

    def begin(
        self,
        uow: UnitOfWork,
        account: Account,
        methods: Sequence[str],
        client: Client,
        *,
        device_id: str | None = None,
        replaces: str | None = None,
        origin: Origin | None = None,
    ) -> str:
        """Begin a session and return its secret id; joins the transaction of the sign-in.

        Args:
            uow: the unit of work.
            account: whose.
            methods: how the person proved who they are, RFC 8176 values.
            client: the browser.
            device_id: of the browser, where it is one we know.
            replaces: digest of the session that this browser had, whoever's; it ends. The same
                person's goes on in the new one, and with it what is signed in through it.
            origin: where the person came from, if from an outside provider.
        """
        authenticated_at = uow.now
        if origin is not None and origin.authenticated_at is not None:
            authenticated_at = origin.authenticated_at
        family = self._replace(uow, account, replaces) if replaces is not None else None
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
                authenticated_at=authenticated_at,
                user_agent=short_user_agent(client.user_agent),
                address=short_address(client.address),
                device_id=device_id,
                limited_to=self._limit_of(uow.session, account),
                family_id=family or new_id(uow.ids),
                identity_id=origin.identity_id if origin else None,
                upstream_session=origin.upstream_session if origin else None,
            )
        )
        uow.record(
            SignInSucceeded(
                subject_id=account.subject_id,
                account_id=account.account_id,
                two_factors=satisfies(level_of(methods), AssuranceLevel.AAL2),
            ),
            {
                "methods": list(methods),
                "network": short_address(client.address),
                "user_agent": short_user_agent(client.user_agent),
            },
        )
        return secret

    def renew(
        self, uow: UnitOfWork, digest: str, methods: Sequence[str], *, proved: bool = False
    ) -> str | None:
        """Give a living session a new secret id and other methods; commits.

        The limits go on counting: changing one's password does not prolong a session.

        Args:
            uow: the unit of work.
            digest: names the session.
            methods: all that it rests on from now on, RFC 8176 values.
            proved: whether the person has just shown a factor, so that `authenticated_at` is now.

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
        account = Accounts.lock(uow, row.account_id, AccountStatus.ACTIVE, AccountStatus.CLOSING)
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
                authenticated_at=uow.now if proved else row.authenticated_at,
                user_agent=row.user_agent,
                address=row.address,
                device_id=row.device_id,
                limited_to=self._limit_of(uow.session, account),
                family_id=row.family_id,
                identity_id=row.identity_id,
                upstream_session=row.upstream_session,
            )
        )
        uow.commit()
        return secret

    def living_families(self, now: datetime) -> sa.Select[str | None]:
        """Return the query for the families that have a session which is alive at this instant."""
        return store.living_families(seen_after=now - self._idle, made_after=now - self._absolute)

    def _replace(self, uow: UnitOfWork, account: Account, digest: str) -> str | None:
        """End the session that a browser had; return its family where it is the same person's."""
        had = store.living(
            uow.session,
            digest,
            seen_after=uow.now - self._idle,
            made_after=uow.now - self._absolute,
        )
        if not store.end_replaced(uow.session, digest, uow.now) or had is None:
            return None
        if had.account_id == account.account_id:
            return had.family_id
        _record_end(uow, had.subject_id, had.account_id, "replaced", 1)
        return None

    @staticmethod
    def count_step_up_try(uow: UnitOfWork) -> None:
        """Count one try at proving more in the session in which this is asked; commits.

        Raises:
            Unauthenticated: the tries are used up, and the session has ended.
        """
        actor = uow.actor
        if actor.account_id is None or actor.session_id is None:
            raise Unauthenticated("there is no session")
        if not store.count_step_up_try(uow.session, actor.session_id, MAX_TRIES):
            if store.end(uow.session, actor.account_id, actor.session_id, uow.now):
                _record_end(uow, actor.subject_id, actor.account_id, "step-up-failed", 1)
            uow.commit()
            raise Unauthenticated("no try is left: sign in anew")
        uow.commit()

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
    def end(uow: UnitOfWork, account: Account, digest: str, *, cause: str = "by-person") -> None:
        """End one of a person's sessions; commits.

        Raises:
            NotFound: it has ended or is somebody else's.
        """
        if not store.end(uow.session, account.account_id, digest, uow.now):
            raise NotFound("there is no such session")
        _record_end(uow, account.subject_id, account.account_id, cause, 1)
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
    def end_all(uow: UnitOfWork, account: Account, cause: str) -> int:
        """End every session and waiting sign-in of an account; joins the transaction.

        Args:
            uow: the unit of work.
            account: whose.
            cause: what the log says, such as `by-staff`, `closing` or `disabled`.

        Returns:
            How many sessions ended.
        """
        return _end(uow, account.subject_id, account.account_id, cause, but=None)

    @staticmethod
    def end_of_origin(
        uow: UnitOfWork,
        *,
        identity_id: str | None = None,
        upstream_session: str | None = None,
        cause: str,
    ) -> int:
        """End what began by an identity, or in an outside provider's session; joins.

        The session in which this is asked stays.

        Args:
            uow: the unit of work.
            identity_id: by this identity; None: by any.
            upstream_session: as `Origin` has it; None: in any.
            cause: what the log says.

        Returns:
            How many sessions ended.
        """
        ended = store.end_of_origin(
            uow.session,
            uow.now,
            identity_id=identity_id,
            upstream_session=upstream_session,
            but=uow.actor.session_id,
        )
        for (account_id, subject_id), count in ended.items():
            _record_end(uow, subject_id, account_id, cause, count)
        return sum(ended.values())

    @staticmethod
    def accounts_with_sessions(session: DatabaseSession) -> Sequence[str]:
        """Return the accounts that have a session which was not ended, in one order."""
        return store.accounts_with_sessions(session)

    @staticmethod
    def on_password_set(uow: UnitOfWork, event: PasswordSet) -> None:
        """End what the old password began, but the session in which it was changed.

        The person may keep the other sessions; sign-ins that wait end in any case.
        """
        store.end_waiting_of(uow.session, event.account_id, uow.now)
        if not event.sessions_kept:
            _end_but_own(uow, event.subject_id, event.account_id, "password-set")

    @staticmethod
    def on_factor_removed(uow: UnitOfWork, event: OfAccount) -> None:
        """End the sessions that a factor may have begun, but the one in which it was removed."""
        _end_but_own(uow, event.subject_id, event.account_id, "second-factor-removed")

    @staticmethod
    def on_account_disabled(uow: UnitOfWork, event: OfAccount) -> None:
        """End the sessions of an account that may let nobody in for now."""
        _end(uow, event.subject_id, event.account_id, "disabled", but=None)

    @staticmethod
    def on_closing_begun(uow: UnitOfWork, event: OfAccount) -> None:
        """End the sessions of an account that its person closes."""
        _end(uow, event.subject_id, event.account_id, "closing", but=None)

    @staticmethod
    def on_device_revoked(uow: UnitOfWork, event: OfDevice) -> None:
        """End the sessions of a browser that the person has forgotten."""
        count = store.end_all_of_device(uow.session, event.account_id, event.device_id, uow.now)
        if count:
            _record_end(uow, event.subject_id, event.account_id, "device-forgotten", count)

    @staticmethod
    def on_account_closed(uow: UnitOfWork, event: AccountClosed) -> None:
        """Forget the sessions of a closed account."""
        store.delete_of(uow.session, event.account_id)


def _end_but_own(uow: UnitOfWork, subject_id: str | None, account_id: str, cause: str) -> None:
    own = uow.actor.session_id if uow.actor.account_id == account_id else None
    _end(uow, subject_id, account_id, cause, but=own)


def _end(
    uow: UnitOfWork, subject_id: str | None, account_id: str, cause: str, *, but: str | None
) -> int:
    store.end_waiting_of(uow.session, account_id, uow.now)
    count = store.end_all(uow.session, account_id, uow.now, but=but)
    if count:
        _record_end(uow, subject_id, account_id, cause, count)
    return count


def _record_end(
    uow: UnitOfWork, subject_id: str | None, account_id: str, cause: str, count: int
) -> None:
    uow.record(SessionEnded(subject_id=subject_id, account_id=account_id, cause=cause, count=count))


def _session(row: store.SessionRow) -> Session:
    return Session(
        digest=row.session_digest,
        family_id=row.family_id,
        account_id=row.account_id,
        subject_id=row.subject_id,
        role=Role(row.role),
        methods=tuple(row.methods.split()),
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        authenticated_at=row.authenticated_at,
        user_agent=row.user_agent,
        address=row.address,
        device_id=row.device_id,
        limited_to=row.limited_to,
    )
