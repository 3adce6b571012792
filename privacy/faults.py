"""Named places where a crash would hurt most; the kill tests die there, nobody else notices."""

from __future__ import annotations

from typing import Protocol

FAULT_POINTS = (
    "commit:before",
    "commit:inside",
    "commit:after",
    "sequencer:indexed",
    "signer:signed",
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
