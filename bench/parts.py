"""What every part measures with: floors, rounds that take turns, and rows of results."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Load
from bench.stage import children
from tests.support.processes import free_port, program

ROUNDS = 3
SECONDS = 2
CONNECTIONS = 32

Measure = Callable[[], Load]


@dataclass
class Metered:
    """A measure that notes the processor time of those who answer, with all that they started.

    Attributes:
        measure: one round.
        pids: of who answers, and of their database.
        seconds: of processor time spent so far.
        answered: requests so far.
    """

    measure: Measure
    pids: Sequence[int]
    seconds: float = 0.0
    answered: float = 0.0

    def __call__(self) -> Load:
        """Measure one round."""
        before = processor_seconds(self.pids)
        load = self.measure()
        self.seconds += processor_seconds(self.pids) - before
        self.answered += load.per_second * SECONDS
        return load

    @property
    def each_us(self) -> float:
        """Microseconds of processor time for each request."""
        return self.seconds / self.answered * 1_000_000


def processor_seconds(pids: Sequence[int]) -> float:
    """What processes and all below them have taken of the processors, from the kernel."""
    ticks = 0
    for pid in {each for one in pids for each in (one, *children(one))}:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:  # it has ended, and its parent has counted it
            continue
        ticks += sum(int(part) for part in stat.rsplit(")", 1)[1].split()[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def bare(folder: Path, *, workers: int) -> Iterator[str]:
    """Run the floor: a constant reply on the same server, one thread a process, its best form."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "bench.apps:bare"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    command += ["--blocking-threads", "1", "--runtime-mode", "st", "--http", "1", "--no-ws"]
    url = f"http://127.0.0.1:{port}/"
    with program(command, log=folder / f"bare-{workers}.log", ready_url=url):
        yield url


def in_turns(measured: Mapping[str, Measure]) -> dict[str, list[Load]]:
    """Measure all of them round after round, so that a noisy minute falls on all alike."""
    loads: dict[str, list[Load]] = {name: [] for name in measured}
    for _ in range(ROUNDS):
        for name, measure in measured.items():
            load = measure()
            if load.errors:
                raise SystemExit(f"{name}: {load.errors} answers were no success")
            loads[name].append(load)
            print(f"  {name:44}{load.per_second:12,.0f}/s p99 {load.p99_ms:.2f} ms", flush=True)
    return loads


def row(
    name: str,
    loads: Sequence[Load],
    *,
    part: str,
    unit: str = "requests/s",
    each: int = 1,
    floor: str | None = None,
    floor_loads: Sequence[Load] = (),
    peer: str | None = None,
) -> dict[str, object]:
    """Return and print one result.

    Args:
        name: of the result.
        loads: its rounds.
        part: what `make bench ONLY=` is to measure it again.
        unit: of the value.
        each: how many of the unit one request holds.
        floor: what it is compared with; the ratio is in requests.
        floor_loads: the rounds of that.
        peer: whose product the floor is, where it is one.
    """
    rate, p50, p99 = middle(loads)
    result: dict[str, object] = {
        "name": name,
        "value": round(rate * each, 1),
        "unit": unit,
        "p50_ms": round(p50, 3),
        "p99_ms": round(p99, 3),
        "floor": floor,
        "ratio": None,
        "peer": peer,
        "command": f"make bench ONLY={part}",
    }
    shown = f"{name:46}{rate * each:12,.0f} {unit}, p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    if floor_loads:
        floor_rate, _p50, floor_p99 = middle(floor_loads)
        result |= {
            "floor_value": round(floor_rate, 1),
            "ratio": round(rate / floor_rate, 4),
            "floor_p99_ms": round(floor_p99, 3),
        }
        shown += f"; {rate / floor_rate:.3f} of {floor}, p99 {p99 / floor_p99:.2f} times"
    print(shown, flush=True)
    return result


def figure(name: str, value: float, unit: str, *, part: str, **more: object) -> dict[str, object]:
    """Return and print one result that is no rate of requests."""
    print(f"{name:46}{value:12,.2f} {unit} {more or ''}", flush=True)
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "floor": None,
        "ratio": None,
        "peer": None,
        "command": f"make bench ONLY={part}",
    } | more


def middle(loads: Sequence[Load]) -> tuple[float, float, float]:
    """The medians: requests a second, p50 and p99 in milliseconds."""
    return (
        statistics.median(load.per_second for load in loads),
        statistics.median(load.p50_ms for load in loads),
        statistics.median(load.p99_ms for load in loads),
    )
