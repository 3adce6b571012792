"""Use counters: what the person sees of who asked about them, without slowing a check.

Counts live in memory and are written by a thread of their own, at most half a second later and at
exit. A crash loses the counts since the last write: half a second of them, or, while the database
cannot be written, all since it could. A decision worker writes files (`use_spool.py`), which the worker
writes into the database. No decision depends on the counts.
"""

from __future__ import annotations

import heapq
import logging
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from multiprocessing.util import Finalize
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.deadlines import add_months
from privacy.actor import SYSTEM
from privacy.decisions import store
from privacy.decisions.instants import EPOCH, micros
from privacy.decisions.model import Outcome, Use
from privacy.decisions.use_spool import NamedKey, UseSpool
from privacy.events import Json
from privacy.pseudonyms.store import subjects_for
from privacy.unit_of_work import Runtime, UnitOfWork

FLUSH_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
#: In one transaction; others write in between.
WRITTEN_AT_ONCE: Final = 1_000
#: How long a day's count is kept: as long as the security trail. Source: GDPR Art. 5(1)(e).
KEPT_MONTHS: Final = 12
#: Files that the worker writes before it pauses: under load it lags behind rather than taking the
#: processor from the answers that it counts.
FILES_AT_ONCE: Final = 4

log = logging.getLogger("placet.uses")


def _flush(counter: weakref.ref[UseCounter]) -> None:
    alive = counter()
    if alive is not None:
        alive.flush()


class UseCounter:
    """Counts who asked about whom, for what, and what was answered."""

    #: What this source of personal data is called in an access file.
    name = "uses"

    def __init__(
        self, runtime: Runtime, time_zone: str, spool: UseSpool, *, to_spool: bool = False
    ) -> None:
        """Wire it.

        Args:
            runtime: the writing door.
            time_zone: the controller's, for the days.
            spool: files of counts on their way.
            to_spool: this process writes files.
        """
        self._runtime = runtime
        self._spool = spool
        self._to_spool = to_spool
        self._day, self._day_begins, self._day_ends = date.min, 0, 0
        self._named: Counter[NamedKey] = Counter()
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
        self.count_many(domain, at, ((subject_id, purpose, permit),))

    def count_many(
        self, domain: str, at: datetime, answers: Iterable[tuple[str, str, bool]]
    ) -> None:
        """Count answers to one application; returns at once.

        Args:
            domain: the application's.
            at: aware; when they were given.
            answers: (subject id, purpose, whether it was permitted).
        """
        day = at.astimezone(self._zone).date()
        keys = [
            (subject_id, domain, purpose, day, Outcome.PERMIT if permit else Outcome.DENY)
            for subject_id, purpose, permit in answers
        ]
        if keys:
            with self._lock:
                for key in keys:
                    self._waiting[key] += 1
                self._schedule()

    def count_named(
        self, domain: str, instant: int, answers: Iterable[tuple[str, str, bool]]
    ) -> None:
        """Count answers to one application about whom its pseudonyms name; returns at once.

        Args:
            domain: the application's.
            instant: when they were given, in microseconds since 1970.
            answers: (pseudonym, purpose, whether it was permitted).
        """
        with self._lock:
            if not self._day_begins <= instant < self._day_ends:
                self._turn_day(instant)
            day, named = self._day, self._named
            for pseudonym, purpose, permit in answers:
                outcome = Outcome.PERMIT if permit else Outcome.DENY
                named[domain, pseudonym, purpose, day, outcome] += 1
            if self._timer is None and named:
                self._schedule()

    def run_due(self) -> int:
        """Write the counts of some files that wait, each file's in one transaction.

        Returns:
            0: the worker pauses before the next.
        """
        waiting = self._spool.waiting()
        for name in waiting[:FILES_AT_ONCE]:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                if store.note_spooled(uow.session, name, waiting):
                    counts = self._resolved(uow.session, dict(self._spool.read(name)))
                    held, busy = store.hold_living(uow.session, {key[0] for key in counts})
                    if busy:  # all of it a little later
                        continue
                    written = {key: count for key, count in counts.items() if key[0] in held}
                    if written:
                        store.add_counts(uow.session, written)
                uow.commit()
            self._spool.drop(name)
        return 0

    def flush(self) -> None:
        """Write what was counted so far. Counts that cannot be written are kept and tried again."""
        with self._flushing:
            with self._lock:
                counts, self._waiting = self._waiting, Counter()
                named, self._named = self._named, Counter()
                self._timer = None
            if named and self._to_spool:
                self._spool.put(named)
                named.clear()
            if not (counts or named):
                return
            try:
                if named:
                    with self._runtime.snapshot() as session:
                        counts += self._resolved(session, named)
                    named.clear()
                while keys := heapq.nsmallest(WRITTEN_AT_ONCE, counts):
                    self._write({key: counts[key] for key in keys})
                    for key in keys:
                        del counts[key]
            except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
                log.warning("use counts wait for the database: %s", type(error).__name__)
                with self._lock:
                    self._waiting.update(counts)
                    self._named.update(named)
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

    def _turn_day(self, instant: int) -> None:
        at = EPOCH + timedelta(microseconds=instant)
        day = at.astimezone(self._zone).date()
        begins = datetime.combine(day, time.min, self._zone)
        ends = datetime.combine(day + timedelta(days=1), time.min, self._zone)
        self._day, self._day_begins, self._day_ends = day, micros(begins), micros(ends)

    @staticmethod
    def _resolved(session: Session, named: Mapping[NamedKey, int]) -> Counter[store.Key]:
        """Return counts under the subjects that the pseudonyms name; of nobody, none."""
        values: dict[str, set[str]] = {}
        for domain, pseudonym, *_rest in named:
            values.setdefault(domain, set()).add(pseudonym)
        subjects = {
            domain: subjects_for(session, domain, sorted(of_domain))
            for domain, of_domain in values.items()
        }
        counts: Counter[store.Key] = Counter()
        for (domain, pseudonym, purpose, day, outcome), count in named.items():
            subject_id = subjects[domain].get(pseudonym)
            if subject_id is not None:
                counts[subject_id, domain, purpose, day, outcome] += count
        return counts

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
