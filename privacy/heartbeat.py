"""The worker's sign of life, so that web processes can tell whether entries get signed."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.actor import SYSTEM
from privacy.tables import OPERATIONAL, Base, UtcDateTime
from privacy.unit_of_work import Runtime

INTERVAL = timedelta(seconds=5)
#: Without a sign of life for this long the worker counts as dead.
ALIVE = timedelta(seconds=30)
WORKER = "worker"


class HeartbeatRow(Base):
    """When a kind of process last said that it is alive."""

    __tablename__ = "heartbeat"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


def last_beat(session: Session, name: str = WORKER) -> datetime | None:
    """Return when the worker was last alive, aware UTC, or None if it never was."""
    return session.scalar(sa.select(HeartbeatRow.at).where(HeartbeatRow.name == name))


class Heartbeat:
    """Beats at most every `INTERVAL`; one of the worker's tasks."""

    def __init__(self, runtime: Runtime, name: str = WORKER) -> None:
        self._runtime = runtime
        self._name = name
        self._next: datetime | None = None

    def beat(self) -> int:
        """Note that this process is alive, where it is due; it is never work that hurries others."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        with self._runtime.unit_of_work(SYSTEM) as uow:
            mine = sa.update(HeartbeatRow).where(HeartbeatRow.name == self._name)
            moved = uow.session.execute(mine.values(at=now))
            if moved.rowcount == 0:  # type: ignore[attr-defined]  # an UPDATE's result has it
                uow.session.add(HeartbeatRow(name=self._name, at=now))
            uow.commit()
        self._next = now + INTERVAL
        return 0
