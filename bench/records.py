"""Records beside c15t and Fides: `make bench ONLY=records`.

The usual `POST /v1/consents` of an application, with 1 and with 16 connections, on SQLite
(`synchronous=FULL`) and on PostgreSQL that flushes each commit; the worker places the entries in the
log meanwhile. Beside them c15t and Fides, where they can be installed (`bench/peer_c15t.py`,
`bench/peer_fides.py`).
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench import parts, peer_c15t, peer_fides
from bench.load import Load, lua_file, run
from bench.stage import CHANGING, DATABASES, Stages

CLIENTS = (1, 16)
#: Each word is about another person and purpose than the one before.
WORDS = 50_000
#: What is stored before, as beside the peers. Stores of more have served other parts, and their worker
#: still writes what it counted there.
PEOPLE_BEFORE = 1000

Rows = list[dict[str, object]]


def records(stages: Stages) -> Rows:
    """Consents a second on each database."""
    rows: Rows = []
    with ExitStack() as stack:
        measured: dict[str, parts.Measure] = {}
        bare = stack.enter_context(parts.bare(stages.folder, workers=2))
        measured["bare-2"] = partial(_load, bare, None, CLIENTS[-1])
        for kind in DATABASES:
            stage = stages.get(kind, PEOPLE_BEFORE)
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
        measured |= peer_fides.recording(stack, stages.folder, CLIENTS)
        loads = parts.in_turns(measured)
    for name, of in loads.items():
        peer = f"c15t-{name}" if f"c15t-{name}" in loads else None
        result = parts.row(
            name,
            of,
            part="records",
            unit="requests/s" if name == "bare-2" else "consents/s",
            floor=peer or "bare-2",
            floor_loads=loads[peer or "bare-2"],
            peer=peer_c15t.NAME if peer else None,
        )
        other = f"fides-record-{name.rsplit('-')[-1]}"
        if name.startswith("record-") and other in loads:
            result["times_fides"] = round(parts.middle(of)[0] / parts.middle(loads[other])[0], 1)
            print(f"  {result['times_fides']} times {peer_fides.NAME}", flush=True)
        rows.append(result)
    return rows


def _load(url: str, script: str | None, clients: int) -> Load:
    return run(url, seconds=parts.SECONDS, connections=clients, script=script)
