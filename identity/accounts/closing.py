"""Closing one's account: everything ends at once, the person is erased after a grace, or returns.

For `CLOSING_GRACE` the account is closing: nobody signs in to more than the way back, no
application may use the person's data, and the identifiers stay taken, so that nobody else gets
them meanwhile. At the grace's end the worker erases the person as a fulfilled erasure request,
and the identifiers are free. Whoever wants no grace asks for erasure (GDPR Art. 17) instead.
Source: GDPR Art. 7(3), 17(1), 25; OWASP ASVS 5.0 7.4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from sqlalchemy.orm import Session

from identity.accounts import store
from identity.accounts.model import (
    CLOSING_GRACE,
    Account,
    AccountStatus,
    ClosingBegun,
    ClosingUndone,
    LastAdministrator,
    LinkNotValid,
)
from identity.accounts.service import Accounts
from policies.vocabulary import Role
from privacy.batches import Batches
from privacy.clock import rfc3339
from privacy.ids import new_token, secret_digest
from privacy.languages import locale_of
from privacy.mail import Postbox
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime, UnitOfWork

LETTER: Final = "account-closing"
STOP: Final = "/account/closing"
EVERY: Final = timedelta(minutes=1)
BATCH: Final = 100

#: Erases a person in the caller's transaction, as a fulfilled request, and commits; takes the
#: subject id and the language of the letter. `privacy.rights` has it.
Erase = Callable[[UnitOfWork, str, str], object]


class Closing:
    """Closings from the person's word to the erasure, or back."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        subjects: Subjects,
        postbox: Postbox,
        base_url: str,
        time_zone: str,
    ) -> None:
        self._zone = ZoneInfo(time_zone)
        self._accounts = accounts
        self._subjects = subjects
        self._postbox = postbox
        self._base_url = base_url

    def begin(self, uow: UnitOfWork, account: Account) -> datetime:
        """Close an active account and return the instant of the erasure; commits.

        What listens to `ClosingBegun` ends sessions, devices and tokens. Every address gets a
        letter with a link that takes it back.

        Raises:
            NotFound: it is not active any more.
            LastAdministrator: nobody would be left to administer.
        """
        if account.role is Role.ADMINISTRATOR:
            demand_another_administrator(uow.session, account.account_id)
        self._subjects.hold(uow.session, account.subject_id)  # as an erasure does: person first
        account = self._accounts.lock(uow, account.account_id)
        until, token = uow.now + CLOSING_GRACE, new_token(uow.ids)
        if not store.begin_closing(
            uow.session, account.account_id, until=until, undo_digest=secret_digest(token)
        ):
            raise LinkNotValid("the account is closing already")
        self._subjects.set_leaving(uow, account.subject_id, leaving=True)
        uow.record(
            ClosingBegun(
                subject_id=account.subject_id, account_id=account.account_id, until=rfc3339(until)
            )
        )
        locale = locale_of(account.language)
        words = format_datetime(until, "long", tzinfo=self._zone, locale=locale)
        for address in self._accounts.addresses_of(uow.session, account):
            self._postbox.send(
                uow,
                to=address,
                letter=LETTER,
                locale=account.language,
                values={
                    "until": words,
                    "action_url": f"{self._base_url}{STOP}/{token}",
                },
            )
        uow.commit()
        return until

    @staticmethod
    def behind_link(session: Session, token: str, *, now: datetime) -> datetime:
        """Return when the grace of a mailed link ends; changes nothing.

        Raises:
            LinkNotValid: it was used, the grace has ended, or it never was.
        """
        row = store.account_closing_by(session, secret_digest(token))
        if row is None or row.closing_until is None or row.closing_until <= now:
            raise LinkNotValid("the link is not valid")
        return row.closing_until

    def undo_by_link(self, uow: UnitOfWork, token: str) -> None:
        """Take the closing back by the mailed link's button, once; commits. It signs nobody in.

        Raises:
            LinkNotValid: it was used, the grace has ended, or it never was.
        """
        row = store.account_closing_by(uow.session, secret_digest(token))
        if row is None:
            raise LinkNotValid("the link is not valid")
        self._undo(uow, row.account_id, row.subject_id, by="link")

    def undo(self, uow: UnitOfWork, account: Account) -> None:
        """Take the closing back, as whom the person has just proved to be; commits.

        Raises:
            LinkNotValid: the account is not closing, or the grace has ended.
        """
        self._undo(uow, account.account_id, account.subject_id, by="sign-in")

    def end_graces(self, uow: UnitOfWork, erase: Erase) -> int:
        """Erase the next person whose grace has ended; commits, and returns how many (0 or 1).

        Taking it back at the same moment and this claim are one conditional UPDATE each on the
        same row: one of them finds it done by the other.
        """
        for row in store.grace_ended(uow.session, uow.now, BATCH):
            self._subjects.hold(uow.session, row.subject_id)
            if store.end_grace(uow.session, row.account_id, uow.now):
                uow.session.refresh(row)
                erase(uow, row.subject_id, row.language)
                return 1
        return 0

    @staticmethod
    def first_stop(account: Account) -> str | None:
        """Return the one page that a closing account's person may see, or None."""
        return STOP if account.status is AccountStatus.CLOSING else None

    def _undo(self, uow: UnitOfWork, account_id: str, subject_id: str, *, by: str) -> None:
        held = self._subjects.hold(uow.session, subject_id)
        if not held or not store.undo_closing(uow.session, account_id, uow.now):
            raise LinkNotValid("the account is not closing any more")
        self._subjects.set_leaving(uow, subject_id, leaving=False)
        uow.record(ClosingUndone(subject_id=subject_id, account_id=account_id, by=by))
        uow.commit()


class ClosingTask(Batches):
    """A task of the worker's: erases whose grace has ended, one person at a time."""

    def __init__(self, runtime: Runtime, closing: Closing, erase: Erase) -> None:
        super().__init__(runtime, EVERY, lambda uow: closing.end_graces(uow, erase))


def demand_another_administrator(session: Session, account_id: str) -> None:
    """Let an administrator go only while another one is active; locks them all.

    Raises:
        LastAdministrator: nobody would be left to administer.
    """
    if all(found == account_id for found in store.lock_administrators(session)):
        raise LastAdministrator("the last administrator stays one")
