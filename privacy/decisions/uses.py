"""Use counters: what the person sees of who asked about them, without slowing a check.

An answer is counted in memory. A thread of its own puts the counts into files (`use_spool.py`) at most
half a second later and at exit, and the worker writes them into the database. A crash loses the
counts since the last file: half a second of them, or, while the disk cannot be written, all since it
could. No decision depends on the counts.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from multiprocessing.util import Finalize
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from policies.deadlines import add_months
from privacy.actor import SYSTEM
from privacy.decisions import store
from privacy.decisions.instants import EPOCH, micros
from privacy.decisions.model import Outcome, Use
from privacy.decisions.use_spool import Group, Row, UseSpool
from privacy.events import Json
from privacy.unit_of_work import Runtime, UnitOfWork

FLUSH_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
#: Taken out of what was counted at once, so that no answer waits for long.
TAKEN_AT_ONCE: Final = 1_000
#: Rows in one transaction: some 5 ms on SQLite, for which other writers wait.
WRITTEN_AT_ONCE: Final = 1_000
#: In a turn the worker writes for so long, and at most so many transactions.
TURN: Final = timedelta(seconds=0.1)
MOST_TRANSACTIONS: Final = 20
#: Then it rests so many times as long as it wrote, once less for so many bytes that wait: under load it
#: lags behind, and so makes larger batches, rather than taking the processor from the answers.
MOST_RESTS: Final = 9
BYTES_A_REST: Final = 32 << 20
#: How long a day's count is kept: as long as the security trail. Source: GDPR Art. 5(1)(e).
KEPT_MONTHS: Final = 12

_EVER: Final = datetime.min.replace(tzinfo=UTC)
_PERMIT: Final[str] = Outcome.PERMIT.value
_DENY: Final[str] = Outcome.DENY.value

log = logging.getLogger("placet.uses")


def _flush(counter: weakref.ref[UseCounter]) -> None:
    alive = counter()
    if alive is not None:
        alive.flush()


class UseCounter:
    """Counts who asked about whom, for what, and what was answered."""

    #: What this source of personal data is called in an access file.
    name = "uses"

    def __init__(self, runtime: Runtime, time_zone: str, spool: UseSpool) -> None:
        """Wire it.

        Args:
            runtime: the doors to the database.
            time_zone: the controller's, for the days.
            spool: files of counts on their way.
        """
        self._runtime = runtime
        self._spool = spool
        self._zone = ZoneInfo(time_zone)
        #: The day as ISO 8601 writes it, when it begins and ends in microseconds since 1970.
        self._day = ("", 0, 0)
        #: Appended to without a lock, which a deque allows: group -> pseudonyms and subject ids.
        self._counted: dict[Group, deque[str]] = {}
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._kept: defaultdict[Group, Counter[str]] = defaultdict(Counter)
        self._timer: threading.Timer | None = None
        self._pause = FLUSH_SECONDS
        self._cleared_on: date | None = None
        #: When the worker wrote last, and until when it rests.
        self._rests = _EVER, _EVER
        # Not `atexit`: the web server's processes are forks, which end without its handlers.
        Finalize(None, _flush, (weakref.ref(self),), exitpriority=0)

    def count(
        self, subject_id: str, domain: str, purpose: str, at: datetime, *, permit: bool
    ) -> None:
        """Count one answer; returns at once."""
        self.count_one(domain, micros(at), subject_id, purpose, permit)

    def count_many(
        self, domain: str, at: datetime, answers: Iterable[tuple[str, str, bool]]
    ) -> None:
        """Count answers to one application; returns at once.

        Args:
            domain: the application's.
            at: aware; when they were given.
            answers: (subject id or pseudonym in the domain, purpose, whether it was permitted).
        """
        instant = micros(at)
        for whom, purpose, permit in answers:
            self.count_one(domain, instant, whom, purpose, permit)

    def count_alike(
        self, domain: str, instant: int, people: Iterable[str], purpose: str, permit: bool
    ) -> None:
        """As `count_one`, the same answer about each of these people."""
        self._of(domain, instant, purpose, permit).extend(people)
        if self._timer is None:
            self._schedule()

    def count_one(self, domain: str, instant: int, whom: str, purpose: str, permit: bool) -> None:
        """Count one answer; returns at once.

        Args:
            domain: the application's.
            instant: when it was given, in microseconds since 1970.
            whom: the person's pseudonym in the domain, or subject id.
            purpose: asked about.
            permit: whether it was permitted.
        """
        self._of(domain, instant, purpose, permit).append(whom)
        if self._timer is None:
            self._schedule()

    def _of(self, domain: str, instant: int, purpose: str, permit: bool) -> deque[str]:
        """Return whom such an answer has been counted about since the last file."""
        day, begins, ends = self._day
        if not begins <= instant < ends:
            day = self._turn_day(instant)
        group = domain, purpose, day, _PERMIT if permit else _DENY
        counted = self._counted.get(group)
        if counted is None:
            with self._lock:
                counted = self._counted.setdefault(group, deque())
        return counted

    def flush(self) -> None:
        """Put what was counted so far into a file. What cannot be put is kept and tried again."""
        with self._flushing:
            self._timer = None  # who counts from here on has the next one scheduled
            kept = self._kept
            for group, whom in self._taken():
                kept[group].update(whom)
            if not kept:
                return
            try:
                self._spool.put(kept)
            except OSError as error:
                log.warning("use counts wait for the disk: %s", type(error).__name__)
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
                self._schedule()
            else:
                kept.clear()
                self._pause = FLUSH_SECONDS

    def run_due(self) -> int:
        """Write some of the counts that wait in files; a use case of the worker's.

        Returns:
            0: the worker pauses before the next.
        """
        self._clear_old()
        began, until = self._rests
        if began <= self._runtime.clock() < until:  # unless the clock was put back
            return 0
        if self._spool.batches() or self._spool.waiting() or self._spool.unfinished():
            with self._spool.taken() as taken:
                if taken:
                    self._spool.sweep(self._runtime.clock())
                    self._write_some()
        return 0

    def _write_some(self) -> None:
        began = ended = self._runtime.clock()
        for _ in range(MOST_TRANSACTIONS):
            name = next(iter(self._spool.batches()), None) or self._make_batch()
            if name is None or not self._write_part(name):
                return
            ended = self._runtime.clock()
            if ended - began >= TURN:
                break
        rests = max(1, MOST_RESTS - self._spool.waiting_bytes() // BYTES_A_REST)
        self._rests = ended, ended + (ended - began) * rests

    def _make_batch(self) -> str | None:
        """Make a batch of files that wait; None: there are none."""
        names, counted = self._spool.read(self._spool.waiting())
        if not names:
            return None
        groups = list(counted)
        with self._runtime.snapshot() as session:
            rows = _rows(session, groups, counted)
        return self._spool.batch(names, groups, rows)

    def _write_part(self, name: str) -> bool:
        """Write the next part of a batch; False: not now."""
        with self._runtime.snapshot() as session:
            written = store.written_of(session, name)
        part = self._spool.part(name, written, WRITTEN_AT_ONCE)
        if part is not None:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                if not store.may_write(uow.session):
                    return False
                store.add_counts(uow.session, part.groups, part.rows)
                store.note_written(uow.session, name, part.end)
                uow.commit()
        if part is None or part.is_last:
            self._spool.drop(name)
            with self._runtime.unit_of_work(SYSTEM) as uow:
                store.forget_batch(uow.session, name)
                uow.commit()
        return True

    def _clear_old(self) -> None:
        today = self._runtime.clock().astimezone(self._zone).date()
        if self._cleared_on != today:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                store.delete_before(uow.session, add_months(today, -KEPT_MONTHS))
                uow.commit()
            self._cleared_on = today

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
        """Delete the person's counts. Joins the caller's transaction. Source: GDPR Art. 17(1).

        What is on its way is dropped when its turn comes: the person is erased by then.
        """
        store.wait_for_writers(uow.session)
        store.delete_of(uow.session, subject_id)

    def _taken(self) -> Iterator[tuple[Group, list[str]]]:
        """Yield what was counted, some at a time, so that who answers need not wait for all."""
        with self._lock:
            groups = list(self._counted.items())
        yesterday = self._day_before()
        for group, counted in groups:
            while some := [counted.popleft() for _ in range(min(len(counted), TAKEN_AT_ONCE))]:
                yield group, some
            if group[2] < yesterday:  # nobody adds to it any more
                with self._lock:
                    del self._counted[group]

    def _day_before(self) -> str:
        """Return the day before the present one, which nobody counts for any more."""
        day = self._day[0]
        return (date.fromisoformat(day) - timedelta(days=1)).isoformat() if day else ""

    def _turn_day(self, instant: int) -> str:
        """Return the day of an instant, and remember it."""
        day = (EPOCH + timedelta(microseconds=instant)).astimezone(self._zone).date()
        begins = datetime.combine(day, time.min, self._zone)
        ends = datetime.combine(day + timedelta(days=1), time.min, self._zone)
        self._day = day.isoformat(), micros(begins), micros(ends)
        return self._day[0]

    def _schedule(self) -> None:
        """Have the counts put into a file soon."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._pause, self.flush)
                self._timer.daemon = True
                self._timer.start()


def _rows(
    session: Session, groups: Sequence[Group], counted: Mapping[Group, Mapping[str, int]]
) -> list[Row]:
    """Return counts under the subjects whom they are about, in the order of the table.

    Of pseudonyms that name nobody there are none.
    """
    values: dict[str, set[str]] = {}
    for domain, *_rest in groups:
        values[domain] = set()
    for group in groups:
        values[group[0]].update(whom for whom in counted[group] if _is_pseudonym(whom))
    subjects = {domain: store.subjects_named(session, domain, of) for domain, of in values.items()}
    found: dict[tuple[str, int], int] = {}
    for place, group in enumerate(groups):
        named = subjects[group[0]]
        for whom, count in counted[group].items():
            subject_id = named.get(whom) if _is_pseudonym(whom) else whom
            if subject_id is not None:
                key = subject_id, place
                found[key] = found.get(key, 0) + count
    return [(*key, found[key]) for key in sorted(found)]


def _is_pseudonym(whom: str) -> bool:
    """Tell a pseudonym, whose parts an underscore divides, from a subject id, which is hexadecimal."""
    return "_" in whom
