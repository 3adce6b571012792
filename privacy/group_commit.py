"""Several units of work in one flush: what many commits at once cost on SQLite.

SQLite lets in one writer at a time and flushes the disk at each commit. Who comes while another writes
waits for the next turn together with whoever else waits: one of them, the leader, lets each do its work
within a savepoint of its own and commits once for all. Nobody returns before that commit is durable;
who fails is undone alone. PostgreSQL does this by itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy.orm import Session

from privacy.database import Database

#: Nobody waits for more than so many others in one turn.
MOST_AT_ONCE: Final = 16

Work = Callable[[Session], None]


class _Waiting:
    """One unit of work on its way.

    Attributes:
        ready: it was done, or it leads.
        leads: its own thread does the work of the next turn.
        error: what its caller is told.
    """

    __slots__ = ("error", "leads", "ready", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.ready = threading.Event()
        self.leads = False
        self.error: BaseException | None = None


class GroupCommit:
    """The writers of this process who wait for SQLite's lock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._is_led = False

    def run(self, work: Work) -> None:
        """Do `work` in a session, and return when what it committed is durable.

        It may run in another thread, beside others in one transaction: it must be quick and must
        not wait for anybody. What it does not commit is undone.

        Raises:
            Exception: what `work` raises; or why the common commit failed, and nothing is kept.
        """
        mine = _Waiting(work)
        with self._lock:
            self._queue.append(mine)
            mine.leads, self._is_led = not self._is_led, True
        if not mine.leads:
            mine.ready.wait()
        if mine.leads:
            self._lead()
        if mine.error is not None:
            raise mine.error

    def _lead(self) -> None:
        """Do what waits, and let the first of those who came too late lead the next turn."""
        group: Sequence[_Waiting] = ()
        try:
            with self._database.writing_together() as together:
                group = self._take()
                for each, session in zip(group, together(len(group)), strict=True):
                    try:
                        each.work(session)
                    except BaseException as error:  # noqa: BLE001 - raised where it belongs
                        each.error = error
        except BaseException as error:  # noqa: BLE001 - as above; nothing of anybody was kept
            group = group or self._take()
            for each in group:
                each.error = error
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._is_led = following is not None
        if following is not None:
            following.leads = True
            following.ready.set()
        for each in group:
            each.ready.set()

    def _take(self) -> Sequence[_Waiting]:
        with self._lock:
            return [self._queue.popleft() for _ in range(min(len(self._queue), MOST_AT_ONCE))]
