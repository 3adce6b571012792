"""`placet` commands in processes of their own that need not load it: one has, and forks them.

Loading takes a hundred times as long as most commands do.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock

from tests.support.processes import ROOT

TIMEOUT_SECONDS = 120
MOST_BYTES = 100_000


class Loaded:
    """A process that has loaded `placet`, for as long as this one lives."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(TIMEOUT_SECONDS)
        self._lock = Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, arguments: Sequence[str], env: Mapping[str, str], folder: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """Run `placet` with these arguments and exactly this environment, there, to its end.

        Raises:
            TimeoutError: it did not end.
        """
        command = {"arguments": list(arguments), "env": dict(env), "folder": str(folder)}
        asked = json.dumps(command).encode()
        with self._lock, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            socket.send_fds(self._ours, [asked], [output.fileno(), errors.fileno()])
            code = int(self._ours.recv(MOST_BYTES))
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(
                list(arguments), code, output.read().decode(), errors.read().decode()
            )

    def close(self) -> None:
        """End it."""
        self._ours.close()
        self._process.wait()


@cache
def loaded() -> Loaded:
    """Return this process's own, which ends with it."""
    process = Loaded()
    atexit.register(process.close)
    return process


def _wait_for_commands(requests: socket.socket) -> list[str] | None:
    """Fork a process for each command asked for; return in it, with the command's arguments.

    Returns in this process, with None, when nobody asks any more.
    """
    while True:
        asked, descriptors, _flags, _address = socket.recv_fds(requests, MOST_BYTES, 2)
        if not asked:
            return None
        child = os.fork()
        if child == 0:
            requests.close()
            for number, descriptor in enumerate(descriptors, start=1):  # 1 and 2: its two streams
                os.dup2(descriptor, number)
                os.close(descriptor)
            command = json.loads(asked)
            os.chdir(command["folder"])
            os.environ.clear()
            os.environ.update(command["env"])
            arguments: list[str] = command["arguments"]
            return arguments
        for descriptor in descriptors:
            os.close(descriptor)
        _child, status = os.waitpid(child, 0)
        requests.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    from app import main  # this process alone is to have loaded it

    with socket.socket(fileno=int(sys.argv[1])) as its_requests:
        given = _wait_for_commands(its_requests)
    if given is not None:
        main(given, prog_name="placet")
