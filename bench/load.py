"""One load run by wrk: requests a second and latencies."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """What a run measured.

    Attributes:
        per_second: successful requests a second.
        p50_ms: median latency in milliseconds.
        p99_ms: latency that 99 of 100 requests stay below, in milliseconds.
        errors: answers outside 2xx, and broken connections.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def lua(bodies: list[str], token: str) -> str:
    """Return a wrk script that posts these JSON bodies in turn."""
    quoted = ",\n".join(f"[==[{body}]==]" for body in bodies)
    return (
        f"local bodies = {{{quoted}}}\n"
        'wrk.method = "POST"\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "Bearer {token}"\n'
        "local turn = 0\n"
        "function request()\n"
        "  turn = turn % #bodies + 1\n"
        "  return wrk.format(nil, nil, nil, bodies[turn])\n"
        "end\n"
    )


def run(url: str, *, seconds: int, connections: int, script: str | None = None) -> Load:
    """Send requests for so long over so many connections and return what was measured.

    Raises:
        RuntimeError: wrk failed, or an answer was no success.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
        if script is not None:
            path = Path(folder) / "load.lua"
            path.write_text(script)
            command[1:1] = ["-s", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return parse(done.stdout)


def parse(output: str) -> Load:
    """Return what wrk printed."""
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", output)
    errors = (int(bad.group(1)) if bad else 0) + sum(
        int(count) for count in (sockets.groups() if sockets else ())
    )
    total = float(_found(r"Requests/sec:\s+([\d.]+)", output).group(1))
    return Load(total, _latency(output, "50%"), _latency(output, "99%"), errors)


def _latency(output: str, percentile: str) -> float:
    found = _found(rf"{percentile}\s+([\d.]+)(us|ms|s|m)\b", output)
    return float(found.group(1)) * _UNITS[found.group(2)]


def _found(pattern: str, output: str) -> re.Match[str]:
    found = re.search(pattern, output)
    if found is None:
        raise RuntimeError(f"wrk printed no {pattern}:\n{output}")
    return found
