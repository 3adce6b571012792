"""Programs of ours, started as their users start them."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.02


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a loopback TCP port that refuses connections for as long as it is held.

    A port that was merely free a moment ago may be somebody's by the time it is called.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, so nobody else gets it; never listening
        port: int = held.getsockname()[1]
        yield port


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 10.0) -> None:
    """Return as soon as `condition` holds.

    Raises:
        AssertionError: it did not hold in time; the message says `what`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Program:
    """A running program and every process it started."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process id; the program's process group has the same number."""
        return self.process.pid

    def output(self) -> str:
        """Return what it has printed so far, on both streams."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def is_running(self) -> bool:
        """Tell whether the program itself has not ended yet."""
        # The ended process is left unreaped: as long as it is, nobody else gets its number.
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self.process.returncode is None and os.waitid(os.P_PID, self.pid, ended) is None

    def stop(self, *, seconds: float = 15.0) -> int:
        """Ask it to end (SIGTERM), end it (SIGKILL) if it does not, and return its exit code.

        Whatever processes it leaves behind are ended too.

        Raises:
            AssertionError: it was still running after `seconds`.
        """
        if self.process.returncode is not None:
            return self.process.returncode
        if self.is_running():
            self.process.terminate()
        try:
            wait_until(lambda: not self.is_running(), "ends on SIGTERM", seconds=seconds)
        finally:
            code = self.kill()
        return code

    def kill(self) -> int:
        """End it and every process of its session at once (SIGKILL), and return its exit code."""
        if self.process.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)
            while left := self._left():
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            self.process.wait()
        return self.process.returncode

    def _left(self) -> list[int]:
        """Return the living processes of its session, but itself."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _parent, _group, session = stat.read_text().rsplit(")", 1)[1].split()[:4]
                if int(session) == self.pid and state != "Z" and stat.parent.name != str(self.pid):
                    found.append(int(stat.parent.name))
        return found


@contextmanager
def program(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    ready_url: str | None = None,
    ready_seconds: float = 30.0,
) -> Iterator[Program]:
    """Start a program in a session of its own and stop it on leaving.

    Args:
        command: the program and its arguments.
        log: the file that receives both its streams.
        env: its environment beside PATH and HOME; nothing else of ours is passed on.
        ready_url: an address that answers below 500 once the program is ready.
        ready_seconds: how long it may take to be ready.

    Raises:
        AssertionError: it ended or was not ready in time. This error, and any other that leaves
            the block, carries the program's output as a note.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**inherited, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = Program(process, log)
    try:
        if ready_url is not None:
            _wait_until_ready(running, ready_url, ready_seconds)
        yield running
        running.stop()
    except BaseException as error:
        error.add_note(f"output of {command[0]}:\n{running.output()}")
        raise
    finally:
        running.kill()


def _wait_until_ready(running: Program, url: str, seconds: float) -> None:
    def ready_or_ended() -> bool:
        return not running.is_running() or _answers(url)

    wait_until(ready_or_ended, f"{url} answers", seconds=seconds)
    if not running.is_running():
        raise AssertionError(f"ended with {running.kill()} before it was ready")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code < 500
    except OSError:
        return False
