"""One load run by wrk: requests a second and latencies."""

from __future__ import annotations

import re
import signal
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


def lua_addresses(path: Path) -> str:
    """Return a wrk script that gets the paths of a file, one a line, in turn."""
    return (
        "local ready, count, turn = {}, 0, 0\n"
        "function init()\n"
        f'  for path in io.lines("{path}") do\n'
        "    count = count + 1\n"
        '    ready[count] = wrk.format("GET", path)\n'
        "  end\n"
        "end\n"
        "function request()\n"
        "  turn = turn % count + 1\n"
        "  return ready[turn]\n"
        "end\n"
    )


def lua_file(path: Path, token: str, *, start: int = 0) -> str:
    """Return a wrk script that posts the JSON bodies of a file, one a line, in turn.

    It begins with the line after the first `start`.

    Each request is made ready once: what the load costs is taken from what is measured.
    """
    return (
        f"local ready, count, turn = {{}}, 0, {start}\n"
        "local headers = {\n"
        '  ["Content-Type"] = "application/json",\n'
        f'  ["Authorization"] = "Bearer {token}"\n'
        "}\n"
        "function init()\n"
        f'  for body in io.lines("{path}") do\n'
        "    count = count + 1\n"
        '    ready[count] = wrk.format("POST", nil, headers, body)\n'
        "  end\n"
        "end\n"
        "function request()\n"
        "  turn = turn % count + 1\n"
        "  return ready[turn]\n"
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


def lua_forms(bodies: list[str], authorization: str, expected: str, repeat: int = 1) -> str:
    """Return a wrk script that posts each form `repeat` times, once round after round, and stops.

    It counts an answer as right that is 200 and holds `expected`, and says at the end how long all
    of them took; wrk's own rate is over the whole of its run and means nothing here.
    """
    quoted = ",\n".join(f"[==[{body}]==]" for body in bodies)
    return (
        'local ffi = require("ffi")\n'
        'ffi.cdef("typedef struct { long sec; long nsec; } bench_time;'
        ' int clock_gettime(int, bench_time *);")\n'
        'local at = ffi.new("bench_time")\n'
        "local function now()\n"
        "  ffi.C.clock_gettime(1, at)\n"
        "  return tonumber(at.sec) + tonumber(at.nsec) / 1e9\n"
        "end\n"
        f"local bodies = {{{quoted}}}\n"
        f"local wanted = #bodies * {repeat}\n"
        "local tried, sent, answered, wrong, began = false, 0, 0, 0, nil\n"
        'local headers = {["Content-Type"] = "application/x-www-form-urlencoded",'
        f' ["Authorization"] = "{authorization}"}}\n'
        "function request()\n"
        "  if not tried then\n"  # wrk looks at one request and throws it away
        "    tried = true\n"
        '    return wrk.format("GET")\n'
        "  end\n"
        '  if sent == wanted then return "" end\n'
        "  began = began or now()\n"
        "  sent = sent + 1\n"
        '  return wrk.format("POST", nil, headers, bodies[(sent - 1) % #bodies + 1])\n'
        "end\n"
        "function response(status, _, body)\n"
        "  answered = answered + 1\n"
        f"  if status ~= 200 or not body:find([==[{expected}]==], 1, true) then\n"
        "    wrong = wrong + 1\n"
        "    io.stderr:write(status, ' ', body, '\\n')\n"
        "  end\n"
        "  if answered == wanted then\n"
        '    print(string.format("ALL ANSWERED in %.6f s, wrong %d", now() - began, wrong))\n'
        "    io.stdout:flush()\n"
        "    wrk.thread:stop()\n"
        "  end\n"
        "end\n"
    )


def run_counted(url: str, *, count: int, connections: int, script: str) -> Load:
    """Send as many requests as the script holds, over so many connections.

    Raises:
        RuntimeError: not all were answered within a minute.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.lua"
        path.write_text(script)
        command = ["wrk", "-s", str(path), "-t1", f"-c{connections}", "-d60s", "--latency", url]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            if process.stdout is None:
                raise RuntimeError("wrk has no output")
            output = ""
            for line in process.stdout:
                output += line
                if line.startswith("ALL ANSWERED"):
                    process.send_signal(signal.SIGINT)  # else it sleeps to the end of its time
            errors = process.stderr.read() if process.stderr else ""
    said = re.search(r"ALL ANSWERED in ([\d.]+) s, wrong (\d+)", output)
    if said is None:
        raise RuntimeError(f"wrk was not answered:\n{output}\n{errors}")
    seconds, wrong = float(said.group(1)), int(said.group(2))
    if wrong:
        raise RuntimeError(f"{wrong} wrong answers, such as: {errors[:500]}")
    return Load(count / seconds, _latency(output, "50%"), _latency(output, "99%"), wrong)
