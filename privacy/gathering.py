"""Equal requests of one process in one transaction: each statement serves all that wait.

Who comes while another writes waits for the next turn together with whoever else waits: one of them,
the leader, does the work of all within one unit of work and commits once. Nobody returns before that
commit is durable. On SQLite the leader of those who come meanwhile waits for the door already, and
takes along whoever has come by the time it opens. Where `group_commit.py` runs each use case by itself and shares only the flush, the
work here is by the set: on either database it costs little more for many than for one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from privacy.actor import Actor
from privacy.unit_of_work import Runtime, UnitOfWork

#: Nobody waits for more than so many others in one turn.
MOST_AT_ONCE: Final = 64

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(Generic[Item, Result]):
    """One item on its way.

    Attributes:
        ready: held until it was done or leads; released once.
        leads: its own thread does the work of the next turn.
        result: what became of it; None: nothing, it takes the ordinary way.
        error: why the common commit failed.
    """

    __slots__ = ("actor", "error", "item", "leads", "ready", "result")

    def __init__(self, actor: Actor, item: Item) -> None:
        self.actor = actor
        self.item = item
        self.ready = threading.Lock()  # an event would cost several times more
        self.ready.acquire()
        self.leads = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Gathering(Generic[Item, Result]):
    """The requests of one kind that wait in this process.

    Args:
        runtime: the writing door.
        work: does the items in one unit of work, of one actor, without committing; it returns for
            each what became of it, or None where it wrote nothing for it. What it raises undoes
            the whole turn.
    """

    def __init__(
        self,
        runtime: Runtime,
        work: Callable[[UnitOfWork, Sequence[Item]], Sequence[Result | None]],
    ) -> None:
        self._runtime = runtime
        self._work = work
        self._lock = threading.Lock()
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._is_led = False

    def submit(self, actor: Actor, item: Item) -> Result | None:
        """Have an item done; return when what was written for it is durable.

        Returns:
            What became of it. None: nothing was written, since it needs more than the usual, or the
            turn could not be done; it can be tried by itself.

        Raises:
            Exception: the common commit failed; nobody knows whether anything was kept.
        """
        mine = _Waiting[Item, Result](actor, item)
        with self._lock:
            self._queue.append(mine)
            mine.leads, self._is_led = not self._is_led, True
        if not mine.leads:
            mine.ready.acquire()
        if mine.leads:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        return mine.result

    def _lead(self, mine: _Waiting[Item, Result]) -> None:
        """Do what waits, and let the first of those who came too late lead the next turn."""
        group: Sequence[_Waiting[Item, Result]] = ()
        is_committing = is_handed_over = False
        try:
            with self._runtime.plain_unit_of_work(mine.actor) as uow:
                group = self._take(mine.actor)
                results = self._work(uow, [each.item for each in group])
                is_committing = True
                if self._runtime.database.is_sqlite:  # PostgreSQL's door is open: it would go alone
                    is_handed_over = True
                    self._hand_over()
                uow.commit()
            for each, result in zip(group, results, strict=True):
                each.result = result
        except BaseException as error:  # noqa: BLE001 - raised where it belongs
            group = group or self._take(mine.actor)
            # Before the commit nothing was kept: each tries by itself, and is told there.
            for each in group:
                each.error = error if is_committing or not isinstance(error, Exception) else None
        finally:
            if not is_handed_over:
                self._hand_over()
            for each in group:
                if each is not mine:
                    each.ready.release()

    def _hand_over(self) -> None:
        """Let the first who waits lead; where nobody does, the next who comes."""
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._is_led = following is not None
        if following is not None:
            following.leads = True
            following.ready.release()

    def _take(self, actor: Actor) -> Sequence[_Waiting[Item, Result]]:
        """Take those who wait from the front on, as long as the same actor asks."""
        group: list[_Waiting[Item, Result]] = []
        with self._lock:
            while (
                self._queue
                and len(group) < MOST_AT_ONCE
                and self._queue[0].actor.name == actor.name
            ):
                group.append(self._queue.popleft())
        return group
