"""SQLite's writers take turns: one at a time, in the order they came, over all processes.

SQLite itself makes a waiting writer sleep and try again: under load most of the time passes asleep,
and who comes last may win. The kernel's file lock wakes the next in line and is released by the
kernel where a process dies.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The files of the turnstiles that each thread has passed and not left.
_TURNS = threading.local()


class NestedWriter(Exception):
    """A unit of work was opened within another of the same thread: a defect of ours."""


class Turnstile:
    """What every writer of one database passes: a lock of the kernel's on a file beside it."""

    def __init__(self, path: Path) -> None:
        """Say which file: the same for all processes; whoever comes first makes it."""
        self.path = path

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and leave it at the end of the block.

        Raises:
            NestedWriter: this thread has its turn already, and would wait for itself for ever.
        """
        inside = _TURNS.__dict__.setdefault("inside", set())
        if self.path in inside:
            raise NestedWriter(self.path.name)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            inside.add(self.path)
            yield
        finally:
            inside.discard(self.path)
            # A process forked meanwhile has a copy of the descriptor: closing ours is not enough.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
