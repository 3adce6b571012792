"""Deleting what has run out: nothing that waited for a proof is kept once it cannot be proven."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, cast

import sqlalchemy as sa

from identity.accounts.address_store import AddressProofRow, AddressUndoRow
from identity.accounts.attempts import ALLOWANCES
from identity.accounts.store import AttemptRow, PendingRegistration
from identity.credentials.store import RecoveryRow
from identity.mfa.store import CeremonyRow, EnrolmentRow
from identity.sessions.store import SessionRow, WaitingSignIn
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
                sa.delete(AddressProofRow).where(AddressProofRow.expires_at <= uow.now),
                sa.delete(AddressUndoRow).where(AddressUndoRow.expires_at <= uow.now),
                sa.delete(RecoveryRow).where(RecoveryRow.expires_at <= uow.now),
                sa.delete(EnrolmentRow).where(EnrolmentRow.expires_at <= uow.now),
                sa.delete(CeremonyRow).where(CeremonyRow.expires_at <= uow.now),
                sa.delete(WaitingSignIn).where(WaitingSignIn.expires_at <= uow.now),
                sa.delete(SessionRow).where(
                    SessionRow.created_at <= uow.now - self._session_lifetime
                ),
                _forgotten_attempts(uow.now),
            ]
            count = 0
            for deletion in spent:
                quiet = deletion.execution_options(synchronize_session=False)
                count += cast("sa.CursorResult[Any]", uow.session.execute(quiet)).rowcount
            uow.commit()
        return count


def _forgotten_attempts(now: datetime) -> sa.Delete:
    """Delete the counters that say nothing any more; one that somebody holds waits for next time.

    Those of networks and letters name nobody, and are personal data all the same: they go as soon as
    counting would begin anew. Source: GDPR Art. 5(1)(c), 5(1)(e).
    """
    over = [AttemptRow.last_failure_at <= now - ATTEMPTS_KEPT] + [
        sa.and_(
            AttemptRow.kind == kind.value,
            AttemptRow.last_failure_at <= now - allowance.forgotten_after,
        )
        for kind, allowance in ALLOWANCES.items()
        if allowance.forgotten_after is not None
    ]
    key = sa.tuple_(AttemptRow.kind, AttemptRow.key_digest)
    free = (
        sa.select(AttemptRow.kind, AttemptRow.key_digest)
        .where(sa.or_(*over))
        .with_for_update(skip_locked=True)
    )
    return sa.delete(AttemptRow).where(key.in_(free))
