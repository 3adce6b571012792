"""Running Placet: web processes and the worker under one parent that stops them cleanly."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from flask import Flask

from policies.register.problems import RegisterError
from privacy.settings import Settings, SettingsError
from privacy.slow_bodies import THREADS_BESIDE

STOP_SECONDS = 8
POLL_SECONDS = 0.2
MOST_PAUSE_SECONDS = 10
#: So long a process that cannot start waits before it ends, and another is tried.
RETRY_SECONDS = 15
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
    """Return the command of the web server: granian, WSGI (docs/decisions/0002).

    With `PLACET_SLOW_BODIES` it has many more threads than work at once: `privacy.slow_bodies`.
    """
    threads = settings.threads + (THREADS_BESIDE if settings.slow_bodies else 0)
    return _granian("app:create_web_app", host, port, workers=settings.workers, threads=threads)


def decisions_command(settings: Settings, host: str, port: int) -> list[str]:
    """Return the command of the processes that answer access evaluations alone.

    One thread each where they remember: another would only wait for Python's global lock, and no page
    stalls it. Where each answer is read, others go on while one waits for the database.
    """
    return _granian(
        "decision_worker:create_worker_app",
        host,
        port,
        workers=settings.decision_workers,
        threads=1 if settings.versions else settings.threads,
    )


def _granian(factory: str, host: str, port: int, *, workers: int, threads: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--factory",
        factory,
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


def started(create: Callable[[], Flask], wait: Callable[[float], object] = time.sleep) -> Flask:
    """Return the application of a process of the web server, which begins with it.

    The server starts a process that ended anew, again and again. One that cannot start, since
    somebody has broken the settings or the register meanwhile, says why and waits first: the others
    go on answering, and need the processor.

    Raises:
        SystemExit: it could not be made.
    """
    try:
        return create()
    except (SettingsError, RegisterError) as error:
        log.critical("a process cannot start: %s", error)
    except Exception:  # whatever it is, it must be seen, and must not come again at once
        log.exception("a process cannot start")
    log.critical("the next try is in %s s", RETRY_SECONDS)
    wait(RETRY_SECONDS)
    raise SystemExit(1)


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
    tried again after the pause: one fault must not stop the others. It is logged when it begins to
    fail, when it fails in another way, and when it works again. While everything fails, as without a
    database, the pause doubles up to `MOST_PAUSE_SECONDS`.
    """
    failing: dict[str, str] = {}
    pause = pause_seconds
    while True:
        done = 0
        for name, task in tasks.items():
            try:
                done += task()
            except Exception as error:
                how = f"{type(error).__name__}: {error}"
                if failing.get(name) != how:
                    log.exception("the task %s failed", name)
                failing[name] = how
            else:
                if failing.pop(name, None) is not None:
                    log.warning("the task %s works again", name)
        everything = len(failing) == len(tasks)
        pause = min(2 * pause, MOST_PAUSE_SECONDS) if everything else pause_seconds
        if stop.wait(0 if done else pause):
            return
