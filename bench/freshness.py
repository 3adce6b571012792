"""Permits after a withdrawal, counted under load: `make bench ONLY=freshness`.

Four clients withdraw one consent after the other, with the decision workers under load and still loading
people; after the answer to each, six connections ask about that person and purpose.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import ExitStack

import requests

from bench import parts
from bench.decisions import EVALUATION, ON_ONE_HOST, SIZES, Rows, questions, running
from bench.load import lua_file, run
from bench.register import UNITS
from bench.stage import DATABASES, STILL, Stage, Stages

WITHDRAWALS = 10_000


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
