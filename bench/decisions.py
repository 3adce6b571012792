"""Decisions over many people: `make bench ONLY=decisions`, and batches, search, memory, freshness.

Every part runs `placet serve` with its web processes, worker and decision workers on this machine,
with the load on the same cores and, but for memory, a hundred consents and refusals a second
committed meanwhile. *shared-version* asks the decision workers, which answer from memory where the
version shared with all writers says that they may; *read-each* asks the web processes, which read
the person's facts from the database for each request.
"""

from __future__ import annotations

import itertools
import json
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import requests

from bench import parts
from bench.load import Load, lua_file, run
from bench.register import UNITS
from bench.stage import STILL, Stage, Stages, children
from tests.support.processes import Program, wait_until

SIZES = (10_000, 100_000, 1_000_000)
DATABASES = ("sqlite", "postgresql")
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
WITHDRAWALS = 10_000
PAGE = 1000

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
    with stage.deployment.serving() as serving, ExitStack() as stack:
        address = f"{stage.decisions}{EVALUATION}"
        wait_until(lambda: _answers(stage, address), "the decision workers answer", seconds=60)
        _check(stage)
        if loaded:
            _until_loaded(serving.pid)
        if changing:
            stack.enter_context(stage.changing())
        _until_steady(stage, address)
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


def _until_loaded(pid: int) -> None:
    """Wait until the decision workers grow no more: they remember everybody that they will.

    Raises:
        SystemExit: they still grew at the deadline, and what would be measured is their loading.
    """
    ends = time.monotonic() + LOAD_SECONDS
    before, still = 0, 0
    while still < STILL_LOOKS:
        if time.monotonic() > ends:
            raise SystemExit(f"the decision workers grew for {LOAD_SECONDS:g} s")
        time.sleep(1)
        now = sum(one["Rss"] for one in _held(pid).get("decision", ()))
        still = still + 1 if now - before < STILL_KIB else 0
        before = now


def _until_steady(stage: Stage, address: str) -> None:
    """Ask until answers come no faster than the second before."""
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
    rows: Rows = []
    smallest: dict[tuple[str, str], float] = {}
    for kind, size in itertools.product(DATABASES, sizes(people)):
        with ExitStack() as stack:
            stage = stages.get(kind, size, **ON_ONE_HOST)
            one = stack.enter_context(parts.bare(stages.folder, workers=1))
            two = stack.enter_context(parts.bare(stages.folder, workers=WEB_WORKERS))
            stack.enter_context(running(stage))
            script = lua_file(stage.bodies("asked", questions(stage, ASKED)), stage.token)
            loads = parts.in_turns(
                {
                    "bare-1": partial(_load, one),
                    "shared-version": partial(_load, f"{stage.decisions}{EVALUATION}", script),
                    "bare-2": partial(_load, two),
                    "read-each": partial(_load, f"{stage.web}{EVALUATION}", script),
                }
            )
        for way, floor in (("shared-version", "bare-1"), ("read-each", "bare-2")):
            result = parts.row(
                f"decision-{kind}-{size}-{way}",
                loads[way],
                part="decisions",
                floor=floor,
                floor_loads=loads[floor],
            )
            ratio = result["ratio"]
            if isinstance(ratio, float):
                first = smallest.setdefault((kind, way), ratio)
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


def search(stages: Stages, people: int) -> Rows:
    """Which people a purpose is permitted for: the first page, and all of them."""
    rows: Rows = []
    for kind in DATABASES:
        with ExitStack() as stack:
            stage = stages.get(kind, people, **ON_ONE_HOST)
            stack.enter_context(running(stage))
            rows += _searched(stage)
    return rows


def _searched(stage: Stage) -> Rows:
    question = {
        "subject": {"type": "application", "id": stage.client["client_id"]},
        "action": {"name": UNITS[0]},
        "resource": {"type": "person"},
        "page": {"limit": PAGE},
    }
    url = f"{stage.web}/access/v1/search/resource"
    with requests.Session() as session:
        session.headers.update(stage.headers)
        firsts = []
        for _ in range(20):
            began = time.perf_counter()
            answer = session.post(url, json=question)
            firsts.append(time.perf_counter() - began)
            answer.raise_for_status()
        began, found, pages = time.perf_counter(), 0, 0
        while True:
            body = session.post(url, json=question).json()
            found, pages = found + len(body["results"]), pages + 1
            token = body.get("page", {}).get("next_token")
            if not token:
                break
            question["page"] = {"limit": PAGE, "token": token}
        took = time.perf_counter() - began
    name = f"search-{stage.kind}-{stage.people}"
    first = statistics.median(firsts) * 1000
    return [
        parts.figure(f"{name}-first-page", first, "ms", part="search", people_a_page=PAGE),
        parts.figure(
            f"{name}-all-pages", found / took, "people/s", part="search", found=found, pages=pages
        ),
    ]


def memory(stages: Stages, people: int) -> Rows:
    """What the processes hold once the decision worker has loaded everybody."""
    rows: Rows = []
    for kind in DATABASES:
        with ExitStack() as stack:
            stage = stages.get(kind, people, **ON_ONE_HOST)
            serving = stack.enter_context(running(stage, changing=False))
            for name, held in _held(serving.pid).items():
                rows.append(
                    parts.figure(
                        f"memory-{kind}-{people}-{name}",
                        max(one["Rss"] for one in held) / 1024,
                        "MiB",
                        part="memory",
                        proportional_mib=round(max(one["Pss"] for one in held) / 1024, 1),
                        processes=len(held),
                    )
                )
    return rows


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


def freshness(stages: Stages, people: int) -> Rows:
    """Permits after the answer to a withdrawal was sent, under load; four processes answer."""
    rows: Rows = []
    for kind in DATABASES:
        settings = ON_ONE_HOST | {"PLACET_DECISION_WORKERS": "2"}
        with ExitStack() as stack:
            stage = stages.get(kind, min(people, SIZES[0]), **settings)
            stack.enter_context(running(stage, loaded=False))  # which is part of it
            given = [
                (number, unit)
                for number in range(len(UNITS), stage.people)
                for unit in STILL
                if stage.permitted(number, unit)
            ]
            chosen = stage.chosen.sample(given, min(WITHDRAWALS, len(given)))
            script = lua_file(stage.bodies("asked", questions(stage, 20_000)), stage.token)
            stop = threading.Event()
            load = threading.Thread(target=_press, args=(stage, script, stop))
            load.start()
            try:
                asked, stale = _withdraw_all(stage, chosen)
            finally:
                stop.set()
                load.join()
        rows.append(
            parts.figure(
                f"freshness-{kind}-{stage.people}-permits-after-withdrawal",
                stale,
                "answers",
                part="freshness",
                withdrawals=len(chosen),
                asked=asked,
                processes=4,
            )
        )
    return rows


def _press(stage: Stage, script: str, stop: threading.Event) -> None:
    while not stop.is_set():
        run(f"{stage.decisions}{EVALUATION}", seconds=2, connections=8, script=script)


def _withdraw_all(stage: Stage, chosen: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Withdraw each and ask at once over several connections to each kind of process."""
    results: list[tuple[int, int]] = []
    threads = [
        threading.Thread(target=lambda part=chosen[at::4]: results.append(_withdraw(stage, part)))
        for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) != len(threads):
        raise SystemExit("a client of the withdrawals failed")
    return sum(asked for asked, _ in results), sum(stale for _, stale in results)


def _withdraw(stage: Stage, chosen: Sequence[tuple[int, int]]) -> tuple[int, int]:
    asked = stale = 0
    with ExitStack() as stack:
        writer = stack.enter_context(requests.Session())
        writer.headers.update(stage.headers)
        # A connection stays with one process, so several reach them all.
        readers = [
            (base, stack.enter_context(requests.Session()))
            for base in (stage.decisions, stage.web)
            for _ in range(3)
        ]
        for _base, session in readers:
            session.headers.update(stage.headers | {"Content-Type": "application/json"})
        for number, unit in chosen:
            body = json.dumps(stage.question(number, unit))
            said = stage.word(number, unit, "withdrawn")
            answer = writer.post(f"{stage.web}/v1/consents", json=said)
            answer.raise_for_status()
            for base, session in readers:
                found = session.post(f"{base}{EVALUATION}", data=body)
                asked += 1
                stale += found.json()["decision"] is not False
    return asked, stale
