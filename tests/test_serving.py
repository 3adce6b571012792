"""Processes that cannot go on: said once and clearly, and tried again without haste."""

import logging
import sys
from pathlib import Path

import pytest
from flask import Flask

import serving
from privacy.settings import SettingsError
from tests.support.processes import ROOT, free_port, program, wait_until


def _refuse() -> Flask:
    raise SettingsError("PLACET_THREADS must lie between 1 and 64, not 0")


def test_a_process_that_cannot_start_says_why_and_waits(caplog: pytest.LogCaptureFixture) -> None:
    """The server would try again at once, for ever."""
    waited: list[float] = []
    with caplog.at_level(logging.ERROR), pytest.raises(SystemExit):
        serving.started(_refuse, waited.append)
    assert waited == [serving.RETRY_SECONDS]
    assert "PLACET_THREADS must lie between 1 and 64, not 0" in caplog.text
    assert "Traceback" not in caplog.text
    made = Flask("made")
    assert serving.started(lambda: made, waited.append) is made
    assert len(waited) == 1


def test_the_server_tries_a_process_that_cannot_start_without_haste(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--factory"),
        *("app:create_web_app", "--port", str(free_port()), "--respawn-failed-workers"),
        *("--workers-kill-timeout", "1", "--log-level", "error"),
    ]
    broken = {"PLACET_THREADS": "0", "PLACET_INSTANCE": str(tmp_path)}
    with program(command, log=tmp_path / "log", env=broken) as server:
        wait_until(lambda: "cannot start" in server.output(), "it says why", seconds=30)
        assert server.is_running()
        server.stop()
    assert server.output().count("cannot start") == 1
    assert str(ROOT) not in server.output()  # no traceback


def test_without_a_database_the_worker_waits_longer_and_says_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pauses: list[float] = []
    works: list[bool] = [False] * 6 + [True] * 2

    class Watched(serving.Stop):
        def wait(self, seconds: float) -> bool:
            pauses.append(seconds)
            return len(pauses) == len(works)

    def task() -> int:
        if not works[len(pauses)]:
            raise ConnectionError("the database is gone")
        return 0

    with caplog.at_level(logging.WARNING):
        serving.work({"one": task, "two": task}, Watched(), 0.5)
    assert pauses == [1, 2, 4, 8, 10, 10, 0.5, 0.5]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the task one failed",
        "the task two failed",
        "the task one works again",
        "the task two works again",
    ]


def test_one_task_that_fails_does_not_slow_the_others_down() -> None:
    pauses: list[float] = []

    class Watched(serving.Stop):
        def wait(self, seconds: float) -> bool:
            pauses.append(seconds)
            return len(pauses) == 3

    def fails() -> int:
        raise ValueError("broken")

    serving.work({"one": fails, "two": lambda: 0}, Watched(), 0.5)
    assert pauses == [0.5] * 3
