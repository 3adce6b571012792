"""Remembering people before they are asked about, a few at a time, while answers go on.

It reads as a question does and keeps what it read by the same rules, so it can make nothing stale. It
ends where the table is full: whoever is asked about then takes the place of everybody, as ever. Where
everyone was changed at once, such as by an exclusion list, it begins anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from privacy.actor import Actor
from privacy.decisions.facts import FactTable, Pair
from privacy.prepared import DRIVER_ERRORS, Connections, Prepared
from privacy.pseudonyms.store import next_values
from privacy.versions import EVERYONE

#: Two thirds of the time of one thread; who answers takes its turns in between all the same.
PEOPLE_AT_ONCE: Final = 16
PAUSE_SECONDS: Final = 0.001
#: How often it looks whether everyone was changed; what changes everyone often does so meanwhile.
LOOK_SECONDS: Final = 2.0

log = logging.getLogger("placet.preload")


class Preload:
    """Goes through the people of every application that may ask."""

    def __init__(
        self,
        connections: Connections,
        table: FactTable,
        audience: Callable[[], Iterable[Actor]],
        remember: Callable[[Actor, Sequence[Pair]], None],
    ) -> None:
        """Wire it.

        Args:
            connections: to read by.
            table: what this process remembers.
            audience: the applications that may ask.
            remember: reads and keeps what it can of (pseudonym, purpose).
        """
        self._values = Prepared(connections, next_values)
        self._table = table
        self._audience = audience
        self._remember = remember
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin in a thread of its own, which ends with the process."""
        threading.Thread(target=self._go_on, name="preload", daemon=True).start()

    def _go_on(self) -> None:
        while not self._stopped.is_set():
            before = self._changes()
            self.run()
            self._stopped.wait(LOOK_SECONDS)
            while self._changes() in (before, None) and not self._stopped.is_set():
                self._stopped.wait(LOOK_SECONDS)

    def stop(self) -> None:
        """End the thread soon."""
        self._stopped.set()

    def run(self) -> None:
        """Go through everybody, unless everyone is changed meanwhile."""
        before = self._changes()
        try:
            for actor in self._audience():
                self._of_application(actor, before)
        except (*DRIVER_ERRORS, sa.exc.SQLAlchemyError) as error:
            # Nothing depends on it: whoever is asked about is read then.
            log.warning("people are remembered once they are asked about: %s", type(error).__name__)

    def _changes(self) -> int | None:
        """Return how often everyone was changed; None: a change is under way."""
        versions = self._table.versions
        begun = versions.begun[EVERYONE]
        return begun if versions.ended[EVERYONE] == begun else None

    def _of_application(self, actor: Actor, before: int | None) -> None:
        after, units = "", self._table.purposes & actor.purposes
        while units and self._table.room() >= PEOPLE_AT_ONCE:
            if self._changes() != before or self._stopped.is_set():
                return
            rows = self._values.rows(
                of_domain=actor.domain, of_after=after, of_limit=PEOPLE_AT_ONCE
            )
            if not rows:
                return
            self._remember(actor, [(row.value, unit) for row in rows for unit in sorted(units)])
            after = rows[-1].value
            self._stopped.wait(PAUSE_SECONDS)
