"""Side effects as rows: written in the transaction that causes them, sent by the worker.

At least once: a crash between sending and noting it sends again. What was sent leaves no row. What
failed is kept with its reason until it succeeds or is given up, and the operator sees it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from policies.vocabulary import RetentionClass
from privacy.actor import SYSTEM
from privacy.events import Json
from privacy.ids import new_id
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.tables import OPERATIONAL, Base, UtcDateTime
from privacy.unit_of_work import Runtime, UnitOfWork

#: Waits before the second and later tries; after the last one the row is given up.
RETRY_WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    timedelta(hours=24),
)
#: A worker that took a row and died leaves it to the others after this long.
LEASE = timedelta(minutes=2)

log = logging.getLogger("placet.outbox")


class OutboxRow(Base):
    """One side effect that is still to happen, or was given up."""

    __tablename__ = "outbox"
    __table_args__ = (
        sa.Index("ix_outbox_due", "state", "next_attempt_at"),
        {"info": OPERATIONAL},
    )

    row_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(32))
    sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    state: Mapped[str] = mapped_column(sa.String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(sa.String(200))


class Outbox:
    """Takes side effects in a transaction and delivers them afterwards."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._senders: dict[str, Callable[[Mapping[str, Json]], None]] = {}

    def deliver_with(self, kind: str, sender: Callable[[Mapping[str, Json]], None]) -> None:
        """Send rows of `kind` with `sender`, which raises `OSError` where it could not."""
        self._senders[kind] = sender

    def put(self, uow: UnitOfWork, kind: str, message: Mapping[str, Json]) -> str:
        """Add a side effect to the caller's transaction and return its id.

        The message is sealed: it may hold an address and a one-time code.
        """
        row_id = new_id(uow.ids)
        sealed = self._sealer.seal(
            uow.session,
            DEPLOYMENT,
            RetentionClass.SECURITY_TRAIL,
            place("outbox", "sealed", row_id),
            json.dumps(message).encode(),
            at=uow.now,
        )
        uow.session.add(
            OutboxRow(
                row_id=row_id,
                kind=kind,
                sealed=sealed,
                state="waiting",
                attempts=0,
                created_at=uow.now,
                next_attempt_at=uow.now,
            )
        )
        return row_id

    def deliver_due(self, runtime: Runtime, limit: int = 20) -> int:
        """Send up to `limit` rows that are due and return how many were tried."""
        tried = 0
        while tried < limit and (taken := self._take(runtime)) is not None:
            row_id, kind, message = taken
            tried += 1
            try:
                self._senders[kind](message)
            except OSError as error:
                self._postpone(runtime, row_id, f"{type(error).__name__}: {error}")
            except Exception as error:
                # Whatever a message provokes counts as a try, or it would be tried for ever.
                # Only its name is kept: its text may quote the message.
                log.exception("the sender of %s failed", kind)
                self._postpone(runtime, row_id, type(error).__name__)
            else:
                self._finish(runtime, row_id)
        return tried

    def _take(self, runtime: Runtime) -> tuple[str, str, Mapping[str, Json]] | None:
        with runtime.unit_of_work(SYSTEM) as uow:
            due = (
                sa.select(OutboxRow)
                .where(OutboxRow.state == "waiting", OutboxRow.next_attempt_at <= uow.now)
                .order_by(OutboxRow.next_attempt_at)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = uow.session.scalars(due).first()
            if row is None or row.sealed is None:
                return None
            row.next_attempt_at = uow.now + LEASE
            plain = self._sealer.open(
                uow.session,
                DEPLOYMENT,
                RetentionClass.SECURITY_TRAIL,
                place("outbox", "sealed", row.row_id),
                row.sealed,
            )
            taken = row.row_id, row.kind, json.loads(plain)
            uow.commit()
            return taken

    @staticmethod
    def _finish(runtime: Runtime, row_id: str) -> None:
        with runtime.unit_of_work(SYSTEM) as uow:
            uow.session.execute(sa.delete(OutboxRow).where(OutboxRow.row_id == row_id))
            uow.commit()

    @staticmethod
    def _postpone(runtime: Runtime, row_id: str, reason: str) -> None:
        with runtime.unit_of_work(SYSTEM) as uow:
            row = uow.session.get(OutboxRow, row_id, with_for_update=True)
            if row is None or row.state != "waiting":  # the lease ran out: another worker ended it
                return
            given_up = row.attempts >= len(RETRY_WAITS)
            row.state = "failed" if given_up else "waiting"
            if given_up:
                row.sealed = None
            else:
                row.next_attempt_at = uow.now + RETRY_WAITS[row.attempts]
            row.attempts += 1
            row.last_error = reason[:200]
            uow.commit()
