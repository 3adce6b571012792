"""Use counters: what the person sees of who asked about them, without slowing a check.

Counts live in memory and are written by a thread of their own, at most half a second later and at
exit. A crash loses the counts since the last write: half a second of them, or, while the database
cannot be written, all since it could. No decision depends on them.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from multiprocessing.util import Finalize
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.deadlines import add_months
from privacy.actor import SYSTEM
from privacy.decisions import store
from privacy.decisions.model import Outcome, Use
from privacy.events import Json
from privacy.unit_of_work import Runtime, UnitOfWork

FLUSH_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
#: How long a day's count is kept: as long as the security trail. Source: GDPR Art. 5(1)(e).
KEPT_MONTHS: Final = 12

log = logging.getLogger("placet.uses")


def _flush(counter: weakref.ref[UseCounter]) -> None:
    alive = counter()
    if alive is not None:
        alive.flush()


class UseCounter:
    """Counts who asked about whom, for what, and what was answered."""

    #: What this source of personal data is called in an access file.
    name = "uses"

    def __init__(self, runtime: Runtime, time_zone: str) -> None:
        self._runtime = runtime
        self._zone = ZoneInfo(time_zone)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._waiting: Counter[store.Key] = Counter()
        self._timer: threading.Timer | None = None
        self._pause = FLUSH_SECONDS
        self._cleared_on: date | None = None
        # Not `atexit`: the web server's processes are forks, which end without its handlers.
        Finalize(None, _flush, (weakref.ref(self),), exitpriority=0)

    def count(
        self, subject_id: str, domain: str, purpose: str, at: datetime, *, permit: bool
    ) -> None:
        """Count one answer; returns at once."""
        outcome = Outcome.PERMIT if permit else Outcome.DENY
        key = (subject_id, domain, purpose, at.astimezone(self._zone).date(), outcome)
        with self._lock:
            self._waiting[key] += 1
            self._schedule()

    def flush(self) -> None:
        """Write what was counted so far. Counts that cannot be written are kept and tried again."""
        with self._flushing:
            with self._lock:
                counts, self._waiting = self._waiting, Counter()
                self._timer = None
            if not counts:
                return
            try:
                self._write(counts)
            except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
                log.warning("use counts wait for the database: %s", type(error).__name__)
                with self._lock:
                    self._waiting.update(counts)
                    self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
                    self._schedule()
            else:
                self._pause = FLUSH_SECONDS

    @staticmethod
    def of_subject(session: Session, subject_id: str) -> list[Use]:
        """Return the person's uses as written so far, newest day first."""
        return store.of_subject(session, subject_id)

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return what this capability holds of the person. Source: GDPR Art. 15(1)(c)."""
        return {
            "uses": [
                {
                    "application": use.domain,
                    "purpose": use.purpose,
                    "day": use.day.isoformat(),
                    "outcome": use.outcome.value,
                    "count": use.count,
                }
                for use in self.of_subject(session, subject_id)
            ]
        }

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Delete the person's counts. Joins the caller's transaction. Source: GDPR Art. 17(1)."""
        with self._lock:
            for key in [key for key in self._waiting if key[0] == subject_id]:
                del self._waiting[key]
        store.delete_of(uow.session, subject_id)

    def _schedule(self) -> None:
        """Have the counts written soon; the caller holds the lock."""
        if self._timer is None:
            self._timer = threading.Timer(self._pause, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def _write(self, counts: Mapping[store.Key, int]) -> None:
        with self._runtime.unit_of_work(SYSTEM) as uow:
            held, busy = store.hold_living(uow.session, {key[0] for key in counts})
            written = {key: count for key, count in counts.items() if key[0] in held}
            if written:
                store.add_counts(uow.session, written)
            today = uow.now.astimezone(self._zone).date()
            if self._cleared_on != today:
                store.delete_before(uow.session, add_months(today, -KEPT_MONTHS))
            uow.commit()
        self._cleared_on = today
        later = {key: count for key, count in counts.items() if key[0] in busy}
        if later:
            with self._lock:
                self._waiting.update(later)
                self._schedule()
