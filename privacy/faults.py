"""Named places where a crash would hurt most; the kill tests die there, nobody else notices."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import Protocol

from privacy.settings import SettingsError

FAULT_POINTS = (
    "commit:before",
    "commit:inside",
    "commit:after",
    "sequencer:indexed",
    "signer:signed",
    "commit:begun",
    "commit:unmarked",
)


class Faults(Protocol):
    """What a fault point calls."""

    def reach(self, point: str) -> None:
        """Note that the process has come to `point`; may not return."""
        ...


class NoFaults:
    """The ordinary case: nothing happens."""

    def reach(self, point: str) -> None:
        """Do nothing."""


class KillAt:
    """Ends this process by SIGKILL at the n-th time a fault point is reached; tests alone set it.

    `commit:inside` dies while the database's own commit runs: a timer pulls the trigger.
    """

    def __init__(self, point: str, after: int) -> None:
        self._point = point
        self._left = after
        self._lock = threading.Lock()

    def reach(self, point: str) -> None:
        """Count, and die when it is time."""
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left != 0:
                return
        if point == "commit:inside":
            threading.Timer(0.0001, os.kill, (os.getpid(), signal.SIGKILL)).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def faults_from(environ: Mapping[str, str], *, worker: bool = False) -> Faults:
    """Return what `PLACET_FAULT=<point>@<count>` asks for; nothing in ordinary life.

    At a commit the web process dies, at the other points the worker.
    """
    wanted = environ.get("PLACET_FAULT")
    if not wanted:
        return NoFaults()
    point, _, count = wanted.partition("@")
    if point not in FAULT_POINTS:
        raise SettingsError(f"PLACET_FAULT names no fault point: {point}")
    if worker == point.startswith("commit:"):
        return NoFaults()
    return KillAt(point, int(count or "1"))
