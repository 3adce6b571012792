"""Running Placet: web processes and the worker under one parent that stops them cleanly."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from privacy.settings import Settings

STOP_SECONDS = 8
POLL_SECONDS = 0.2
ROOT = Path(__file__).resolve().parent

log = logging.getLogger("placet.serving")


class Stop:
    """A request to stop, from SIGTERM, SIGINT or a caller."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def listen(self) -> None:
        """Stop at SIGTERM and SIGINT."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()

    def request(self) -> None:
        """Ask for the stop."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; tell whether to stop."""
        return self._event.wait(seconds)


def web_command(settings: Settings, host: str, port: int) -> list[str]:
    """Return the command of the web server: granian, WSGI (docs/decisions/0002)."""
    return _granian("create_app", host, port, workers=settings.workers, threads=settings.threads)


def decisions_command(settings: Settings, host: str, port: int) -> list[str]:
    """Return the command of the processes that answer access evaluations alone.

    One thread each: another would only wait for Python's global lock, and no page stalls it.
    """
    return _granian(
        "create_decisions_app", host, port, workers=settings.decision_workers, threads=1
    )


def _granian(factory: str, host: str, port: int, *, workers: int, threads: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--factory",
        f"app:{factory}",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        str(workers),
        "--blocking-threads",
        str(threads),
        "--runtime-mode",
        "st",
        "--http",
        "1",
        "--no-ws",
        "--workers-kill-timeout",
        "4",
        "--respawn-failed-workers",
        "--log-level",
        "warning",
    ]


def worker_command() -> list[str]:
    """Return the command of the worker process."""
    return [sys.executable, "-m", "app", "worker"]


def supervise(
    commands: Sequence[Sequence[str]],
    stop: Stop,
    *,
    environment: Mapping[str, str] | None = None,
    announce: Callable[[], bool] = lambda: True,
) -> int:
    """Run commands until one ends or a stop is asked for; end all by SIGTERM, then by force.

    Args:
        commands: the programs and their arguments.
        stop: the request to stop.
        environment: the programs' environment; None for our own.
        announce: called again and again until it returns True: everything is up.

    Returns:
        0 after an asked-for stop; else the exit code of the process that ended by itself, or 1.
    """
    children = [
        # A group of its own: Ctrl-C in a terminal reaches us alone, and we stop each child once.
        subprocess.Popen(command, cwd=ROOT, env=environment, process_group=0)  # noqa: S603 - our own
        for command in commands
    ]
    code, announced = 0, False
    try:
        while not stop.wait(POLL_SECONDS):
            announced = announced or announce()
            ended = [child for child in children if child.poll() is not None]
            if ended:
                code = ended[0].returncode or 1
                log.error("a process ended by itself with %s; stopping all", code)
                break
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()
        for child in children:
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    return code


def work(tasks: Mapping[str, Callable[[], int]], stop: Stop, pause_seconds: float) -> None:
    """Run each task again and again until a stop is asked for.

    A task returns how much it did; while any does something, nobody pauses. A task that fails is
    logged and tried again after the pause: one fault must not stop the others.
    """
    while True:
        done = 0
        for name, task in tasks.items():
            try:
                done += task()
            except Exception:
                log.exception("the task %s failed", name)
        if stop.wait(0 if done else pause_seconds):
            return
