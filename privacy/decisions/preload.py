"""Remembering people before they are asked about, a few at a time, while answers go on.

It reads as a question does and keeps what it read by the same rules, so it can make nothing stale. It
ends where the table is full: whoever is asked about then takes the place of everybody, as ever.
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

#: So few that an answer waits for a millisecond or two, not for a page of people.
PEOPLE_AT_ONCE: Final = 8
PAUSE_SECONDS: Final = 0.005

log = logging.getLogger("placet.preload")


class Preload:
    """Goes once through the people of every application that may ask."""

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
        self._values = Prepared(connections, next_values())
        self._table = table
        self._audience = audience
        self._remember = remember
        self._paused = threading.Event()

    def start(self) -> None:
        """Begin in a thread of its own, which ends with the process."""
        threading.Thread(target=self.run, name="preload", daemon=True).start()

    def run(self) -> None:
        """Go through everybody."""
        try:
            for actor in self._audience():
                self._of_application(actor)
        except (*DRIVER_ERRORS, sa.exc.SQLAlchemyError) as error:
            # Nothing depends on it: whoever is asked about is read then.
            log.warning("people are remembered once they are asked about: %s", type(error).__name__)

    def _of_application(self, actor: Actor) -> None:
        after, units = "", self._table.purposes & actor.purposes
        while units and len(self._table) + PEOPLE_AT_ONCE <= self._table.capacity:
            rows = self._values.rows(
                of_domain=actor.domain, of_after=after, of_limit=PEOPLE_AT_ONCE
            )
            if not rows:
                return
            self._remember(actor, [(row.value, unit) for row in rows for unit in sorted(units)])
            after = rows[-1].value
            self._paused.wait(PAUSE_SECONDS)
