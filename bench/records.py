"""Records and checks beside c15t: `make bench ONLY=records` and `ONLY=checks`.

The usual `POST /v1/consents` of an application, with 1 and with 16 connections, on SQLite
(`synchronous=FULL`) and on PostgreSQL that flushes each commit; the worker places the entries in the
log meanwhile. Beside them c15t, where it is installed (`bench/peer_c15t.py`).
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench import parts, peer_c15t
from bench.decisions import DATABASES, EVALUATION, ON_ONE_HOST, questions, running
from bench.load import Load, lua_file, run
from bench.stage import CHANGING, Stages

CLIENTS = (1, 16)
#: Each word is about another person and purpose than the one before.
WORDS = 50_000
#: What is stored before, beside the peer: its own figures fall with it.
PEOPLE_BEFORE = 1000

Rows = list[dict[str, object]]


def records(stages: Stages, people: int) -> Rows:
    """Consents a second on each database, with few people and with many."""
    rows: Rows = []
    with ExitStack() as stack:
        measured: dict[str, parts.Measure] = {}
        bare = stack.enter_context(parts.bare(stages.folder, workers=2))
        measured["bare-2"] = partial(_load, bare, None, CLIENTS[-1])
        for kind in DATABASES:
            stage = stages.get(kind, max(people, PEOPLE_BEFORE))
            stack.enter_context(stage.deployment.serving())
            words = [
                stage.word(number, stage.chosen.choice(CHANGING), "given")
                for number in stage.some(WORDS)
            ]
            script = lua_file(stage.bodies("words", words), stage.token)
            for clients in CLIENTS:
                address = f"{stage.web}/v1/consents"
                measured[f"record-{kind}-{clients}"] = partial(_load, address, script, clients)
        measured |= peer_c15t.recording(stack, stages.folder, CLIENTS, DATABASES)
        loads = parts.in_turns(measured)
    for name, of in loads.items():
        peer = f"c15t-{name}" if f"c15t-{name}" in loads else None
        rows.append(
            parts.row(
                name,
                of,
                part="records",
                unit="requests/s" if name == "bare-2" else "consents/s",
                floor=peer or "bare-2",
                floor_loads=loads[peer or "bare-2"],
                peer=peer_c15t.NAME if peer else None,
            )
        )
    return rows


def checks(stages: Stages, _people: int) -> Rows:
    """Checks of a thousand people beside c15t: evaluations from memory, and each from the database."""
    rows: Rows = []
    with ExitStack() as stack:
        measured: dict[str, parts.Measure] = {}
        for kind in DATABASES:
            stage = stages.get(kind, PEOPLE_BEFORE, **ON_ONE_HOST)
            stack.enter_context(running(stage, changing=False))
            script = lua_file(stage.bodies("asked", questions(stage, WORDS)), stage.token)
            for way, base in (("shared-version", stage.decisions), ("read-each", stage.web)):
                address = f"{base}{EVALUATION}"
                measured[f"check-{kind}-{way}"] = partial(_load, address, script, parts.CONNECTIONS)
        measured |= peer_c15t.checking(stack, stages.folder)
        loads = parts.in_turns(measured)
    for kind in DATABASES:
        peer = loads.get(f"c15t-check-{kind}", [])
        rows += [
            parts.row(
                name,
                of,
                part="checks",
                floor=f"c15t-check-{kind}" if peer else None,
                floor_loads=peer,
                peer=peer_c15t.NAME if peer else None,
            )
            for name, of in loads.items()
            if kind in name
        ]
    return rows


def _load(url: str, script: str | None, clients: int) -> Load:
    return run(url, seconds=parts.SECONDS, connections=clients, script=script)
