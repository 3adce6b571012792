"""Decisions over many people: `make bench ONLY=decisions`, and batches, search, memory.

Every part runs `placet serve` with its web processes, worker and decision workers on this machine,
with the load on the same cores and, but for memory, a hundred consents and refusals a second
committed meanwhile. *shared-version* asks the decision workers, which answer from memory where the
version shared with all writers says that they may; *read-each* asks the web processes, which read
the person's facts from the database for each request.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import requests

from bench import parts
from bench.load import Load, lua_file, run
from bench.search import searched
from bench.stage import DATABASES, STILL, Stage, Stages, children
from tests.support.processes import Program, wait_until

SIZES = (10_000, 100_000, 1_000_000)
WEB_WORKERS = 2
#: Requests that wrk repeats; more than any processor cache or small table of ours holds.
ASKED = 100_000
BATCH = 1000
BATCHES = 100
#: One host: every process that writes is on this one, so a version in shared memory may be trusted.
ON_ONE_HOST = {"PLACET_ONE_HOST": "1", "PLACET_WORKERS": str(WEB_WORKERS)}
EVALUATION = "/access/v1/evaluation"
CHECKED = 200
WARM_SECONDS = 20.0
#: A million people with ten purposes are loaded in six minutes of a processor, and there are others.
LOAD_SECONDS = 1_200.0
#: Loaded: in so many looks, one a second, nobody grew by so much. Ten people fill a page of memory.
STILL_LOOKS = 4
STILL_KIB = 64

Rows = list[dict[str, object]]


def sizes(people: int) -> list[int]:
    """The numbers of people up to the greatest."""
    return [size for size in SIZES if size < people] + [people]


@contextmanager
def running(stage: Stage, *, changing: bool = True, loaded: bool = True) -> Iterator[Program]:
    """Serve the stage, ask a few things about it, and let it change meanwhile.

    Args:
        stage: what to serve.
        changing: consents are given and refused meanwhile.
        loaded: the decision workers have loaded everybody before.
    """
    with started(stage) as serving, ExitStack() as stack:
        if loaded:
            until_loaded([serving.pid])
        if changing:
            stack.enter_context(stage.changing())
        until_steady(stage)
        yield serving


@contextmanager
def started(stage: Stage) -> Iterator[Program]:
    """Serve the stage; every way of asking answers rightly."""
    with stage.deployment.serving() as serving:
        address = f"{stage.decisions}{EVALUATION}"
        wait_until(lambda: _answers(stage, address), "the decision workers answer", seconds=60)
        _check(stage)
        yield serving


def _answers(stage: Stage, address: str) -> bool:
    try:
        answer = requests.post(
            address, json=stage.question(0, 0), headers=stage.headers, timeout=10
        )
    except requests.ConnectionError:
        return False
    return answer.status_code == 200


def _check(stage: Stage) -> None:
    """Both ways answer what the people said of the purposes that stand still."""
    for base in (stage.web, stage.decisions):
        with requests.Session() as session:
            session.headers.update(stage.headers)
            for number, unit in zip(stage.some(CHECKED), itertools.cycle(STILL)):
                answer = session.post(f"{base}{EVALUATION}", json=stage.question(number, unit))
                if answer.json()["decision"] is not stage.permitted(number, unit):
                    raise SystemExit(f"wrong answer about person {number}: {answer.text}")


def until_loaded(pids: Sequence[int]) -> None:
    """Wait until the decision workers grow no more: they remember everybody that they will.

    Args:
        pids: of `placet serve`, each of which loads its own at the same time.

    Raises:
        SystemExit: they still grew at the deadline, and what would be measured is their loading.
    """
    began = time.monotonic()
    ends = began + LOAD_SECONDS
    before, still = 0, 0
    while still < STILL_LOOKS:
        if time.monotonic() > ends:
            raise SystemExit(f"the decision workers grew for {LOAD_SECONDS:g} s")
        time.sleep(1)
        now = sum(one["Rss"] for pid in pids for one in _held(pid).get("decision", ()))
        still = still + 1 if now - before < STILL_KIB else 0
        before = now
    print(f"  loaded in {time.monotonic() - began:.0f} s", flush=True)


def until_steady(stage: Stage) -> None:
    """Ask until answers come no faster than the second before."""
    address = f"{stage.decisions}{EVALUATION}"
    asked = stage.bodies("warm", questions(stage, 20_000))
    script, before = lua_file(asked, stage.token), 0.0
    ends = time.monotonic() + WARM_SECONDS
    while time.monotonic() < ends:
        now = run(address, seconds=1, connections=parts.CONNECTIONS, script=script).per_second
        if now < before * 1.1:
            return
        before = now


def questions(stage: Stage, count: int) -> list[dict[str, object]]:
    """Single evaluations about people and purposes at random."""
    return [stage.question(number, stage.chosen.randrange(10)) for number in stage.some(count)]


def decisions(stages: Stages, people: int) -> Rows:
    """Single evaluations at each size, on each database, in both ways."""
    return _asked(stages, people, {"decisions"})


def search(stages: Stages, people: int) -> Rows:
    """Which people a purpose is permitted for: the first page, and all of them."""
    return _asked(stages, people, {"search"})


def memory(stages: Stages, people: int) -> Rows:
    """What the processes hold once the decision worker has loaded everybody."""
    return _asked(stages, people, {"memory"})


def together(stages: Stages, people: int) -> Rows:
    """All three: what is loaded for one serves the others."""
    return _asked(stages, people, {"decisions", "search", "memory"})


def _asked(stages: Stages, people: int, wanted: AbstractSet[str]) -> Rows:
    """Serve each size on both databases, which load at the same time, and measure one by one."""
    rows: Rows = []
    smallest: dict[tuple[str, str], float] = {}
    with ExitStack() as floors:
        bare = [floors.enter_context(parts.bare(stages.folder, workers=n)) for n in (1, 2)]
        for size in sizes(people) if "decisions" in wanted else [people]:
            with ExitStack() as stack:
                served = list[tuple[Stage, ExitStack, int]]()
                for stage in stages.on_each(size, **ON_ONE_HOST):
                    own = stack.enter_context(ExitStack())
                    served.append((stage, own, own.enter_context(started(stage)).pid))
                until_loaded([pid for _stage, _own, pid in served])
                for stage, own, pid in served:
                    if "memory" in wanted and size == people:
                        rows += _memory(stage, pid)
                    with stage.changing():
                        if "decisions" in wanted:
                            until_steady(stage)
                            rows += _decided(stage, bare, smallest)
                        if "search" in wanted and size == people:
                            rows += searched(stage)
                    own.close()  # what it still counts does not weigh on the other
    return rows


def _decided(stage: Stage, bare: Sequence[str], smallest: dict[tuple[str, str], float]) -> Rows:
    script = lua_file(stage.bodies("asked", questions(stage, ASKED)), stage.token)
    loads = parts.in_turns(
        {
            "bare-1": partial(_load, bare[0]),
            "shared-version": partial(_load, f"{stage.decisions}{EVALUATION}", script),
            "bare-2": partial(_load, bare[1]),
            "read-each": partial(_load, f"{stage.web}{EVALUATION}", script),
        }
    )
    rows: Rows = []
    for way, floor in (("shared-version", "bare-1"), ("read-each", "bare-2")):
        result = parts.row(
            f"decision-{stage.kind}-{stage.people}-{way}",
            loads[way],
            part="decisions",
            floor=floor,
            floor_loads=loads[floor],
        )
        ratio = result["ratio"]
        if isinstance(ratio, float):
            first = smallest.setdefault((stage.kind, way), ratio)
            result["times_the_smallest"] = round(first / ratio, 3) if ratio else None
        rows.append(result)
    return rows


def _load(url: str, script: str | None = None) -> Load:
    return run(url, seconds=parts.SECONDS, connections=parts.CONNECTIONS, script=script)


def batches(stages: Stages, people: int) -> Rows:
    """Evaluations by the thousand, in both ways; two processes each.

    With few people: what more of them cost, single evaluations tell.
    """
    people = min(people, SIZES[0])
    rows: Rows = []
    for kind in DATABASES:
        settings = ON_ONE_HOST | {"PLACET_DECISION_WORKERS": "2"}
        with ExitStack() as stack:
            stage = stages.get(kind, people, **settings)
            two = stack.enter_context(parts.bare(stages.folder, workers=2))
            stack.enter_context(running(stage))
            bodies = [_batch(stage) for _ in range(BATCHES)]
            script = lua_file(stage.bodies("batches", bodies), stage.token)
            loads = parts.in_turns(
                {
                    "bare-2": partial(_load, two),
                    "shared-version": partial(_batches, stage.decisions, script),
                    "read-each": partial(_batches, stage.web, script),
                }
            )
        rows += [
            parts.row(
                f"batch-{kind}-{people}-{way}",
                loads[way],
                part="batches",
                unit="decisions/s",
                each=BATCH,
                floor="bare-2",
                floor_loads=loads["bare-2"],
            )
            for way in ("shared-version", "read-each")
        ]
    return rows


def _batch(stage: Stage) -> dict[str, object]:
    subject = {"type": "application", "id": stage.client["client_id"]}
    asked = [
        {name: part for name, part in question.items() if name != "subject"}
        for question in questions(stage, BATCH)
    ]
    return {"subject": subject, "evaluations": asked}


def _batches(base: str, script: str) -> Load:
    return run(f"{base}/access/v1/evaluations", seconds=parts.SECONDS, connections=4, script=script)


def _memory(stage: Stage, pid: int) -> Rows:
    return [
        parts.figure(
            f"memory-{stage.kind}-{stage.people}-{name}",
            max(one["Rss"] for one in held) / 1024,
            "MiB",
            part="memory",
            proportional_mib=round(max(one["Pss"] for one in held) / 1024, 1),
            processes=len(held),
        )
        for name, held in _held(pid).items()
    ]


def _held(pid: int) -> dict[str, list[dict[str, int]]]:
    """KiB by kind of process, from the kernel."""
    found: dict[str, list[dict[str, int]]] = {}
    for child in children(pid):
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            lines = Path(f"/proc/{child}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        name = "worker"
        if "granian" in command or any("granian" in part for part in command):
            name = "decision" if any("decision" in part for part in command) else "web"
        found.setdefault(name, []).append(kilobytes)
    return found
