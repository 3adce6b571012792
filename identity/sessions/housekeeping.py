"""Deleting what has run out: nothing that waited for a proof is kept once it cannot be proven."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, cast

import sqlalchemy as sa

from identity.accounts.store import AttemptRow, PendingRegistration
from identity.credentials.store import RecoveryRow
from identity.mfa.store import EnrolmentRow
from identity.sessions.store import SecondStepRow, SessionRow
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=5)

ATTEMPTS_KEPT: Final = timedelta(days=365)
"""A counter that nobody has touched for so long says nothing about an attack any more.

Far longer than a closed authenticator's hundred failures take (a day, at the longest waits), so
that waiting does not buy another hundred guesses cheaply.
"""


class Housekeeping:
    """A task of the worker's.

    Args:
        runtime: the doors to the database.
        session_lifetime: the absolute limit of a session; after it the row is of no use.
    """

    def __init__(self, runtime: Runtime, *, session_lifetime: timedelta) -> None:
        self._runtime = runtime
        self._session_lifetime = session_lifetime
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Delete what has run out, at most every `EVERY`; return how many rows went."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.unit_of_work(SYSTEM) as uow:
            spent = [
                sa.delete(PendingRegistration).where(PendingRegistration.expires_at <= uow.now),
                sa.delete(RecoveryRow).where(RecoveryRow.expires_at <= uow.now),
                sa.delete(EnrolmentRow).where(EnrolmentRow.expires_at <= uow.now),
                sa.delete(SecondStepRow).where(SecondStepRow.expires_at <= uow.now),
                sa.delete(SessionRow).where(
                    SessionRow.created_at <= uow.now - self._session_lifetime
                ),
                sa.delete(AttemptRow).where(AttemptRow.last_failure_at <= uow.now - ATTEMPTS_KEPT),
            ]
            count = 0
            for deletion in spent:
                quiet = deletion.execution_options(synchronize_session=False)
                count += cast("sa.CursorResult[Any]", uow.session.execute(quiet)).rowcount
            uow.commit()
        return count
