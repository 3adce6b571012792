"""What the worker does for the provider: forget what ended long ago.

A used code is kept until everything that it could have yielded is over and forgotten, so that a
second use of it is recognised until then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, cast

import sqlalchemy as sa

from identity.provider import refresh_store
from identity.provider.model import REFRESH_IDLE, TokensForgotten
from identity.provider.pushed_store import AssertionRow, PushedRow
from identity.provider.refresh_store import FamilyRow
from identity.provider.store import CodeRow, TokenRow
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime, UnitOfWork

EVERY: Final = timedelta(hours=1)
#: So long after its end nobody asks of a token any more.
KEPT: Final = timedelta(days=30)


class Housekeeping:
    """A task of the worker's."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Delete what ended long ago, at most every `EVERY`; return how many rows went."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.unit_of_work(SYSTEM) as uow:
            count = sum(
                _delete(uow, row, row.expires_at <= uow.now) for row in (AssertionRow, PushedRow)
            )
            uow.commit()
        return count + self._forget_tokens()

    def _forget_tokens(self) -> int:
        with self._runtime.unit_of_work(SYSTEM) as uow:
            before = uow.now - KEPT
            gone = {
                "access_tokens": _delete(uow, TokenRow, TokenRow.expires_at <= before),
                "families": refresh_store.forget(uow.session, _ended(before)),
                "codes": _delete(uow, CodeRow, CodeRow.expires_at <= before, *_yields_nothing()),
            }
            count = sum(gone.values())
            if count:
                uow.record(TokensForgotten(), {**gone})
                uow.commit()
        return count


def _ended(before: datetime) -> sa.ColumnElement[bool]:
    """Name the families that ended before an instant, in whichever way."""
    return sa.or_(
        FamilyRow.revoked_at <= before,
        FamilyRow.expires_at <= before,
        FamilyRow.last_used_at <= before - REFRESH_IDLE,
    )


def _yields_nothing() -> list[sa.ColumnElement[bool]]:
    """Name the codes of which nothing is left."""
    return [
        ~sa.exists().where(row.code_digest == CodeRow.code_digest) for row in (TokenRow, FamilyRow)
    ]


def _delete(uow: UnitOfWork, table: type[Any], *which: sa.ColumnElement[bool]) -> int:
    deletion = sa.delete(table).where(*which).execution_options(synchronize_session=False)
    return cast("sa.CursorResult[Any]", uow.session.execute(deletion)).rowcount
