"""Checks beside c15t and Fides, with few and with many people: `make bench ONLY=checks`.

Ours are evaluations from memory and each from the database, by token, with reasons and the counting of
each; c15t tells whether a person ever consented, Fides lists what they said (`bench/peer_c15t.py`,
`bench/peer_fides.py`). Both ratios are printed: in requests a second, and in the processor time of each
server with its database, which the load's own share of the cores does not touch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise

from bench import parts, peer_c15t, peer_fides
from bench.decisions import EVALUATION, ON_ONE_HOST, Rows, questions, started, until_loaded
from bench.load import Load, lua_file, run
from bench.stage import DATABASES, Stages

SIZES = (1000, 100_000)
QUESTIONS = 50_000

Meters = dict[str, parts.Metered]


def checks(stages: Stages, people: int) -> Rows:
    """Checks at each size on each database, everything in turns."""
    rows: Rows = []
    few, many = SIZES
    sizes = sorted({few, max(few, min(many, people))})
    with ExitStack() as stack:
        c15t = peer_c15t.start(stack, stages.folder, DATABASES)
        fides = peer_fides.start(stack, stages.folder)
        for already, size in pairwise((0, *sizes)):
            peers: Meters = {}
            for kind, server in c15t.items():
                server.fill(already, size)
                measure = peer_c15t.checking(server, stages.folder, size)
                peers[f"c15t-check-{kind}-{size}"] = parts.Metered(measure, server.pids)
            if fides is not None:
                fides.fill(already, size)
                measure = peer_fides.reading(fides, stages.folder, size)
                peers[f"fides-read-{size}"] = parts.Metered(measure, fides.pids)
            rows += _beside(stages, size, peers)
    return rows


def _beside(stages: Stages, size: int, peers: Meters) -> Rows:
    """Measure ours in turn with the peers."""
    ours: Meters = {}
    with ExitStack() as stack:
        loading = []
        for stage in stages.on_each(size, **ON_ONE_HOST):
            pid = stack.enter_context(started(stage)).pid
            loading.append(pid)
            pids = [pid, *([stage.server] if stage.server else [])]
            script = lua_file(stage.bodies("asked", questions(stage, QUESTIONS)), stage.token)
            for way, base in (("shared-version", stage.decisions), ("read-each", stage.web)):
                measure = partial(_load, f"{base}{EVALUATION}", script)
                measure()  # first questions, connections and statements are not what is asked
                ours[f"check-{stage.kind}-{size}-{way}"] = parts.Metered(measure, pids)
        until_loaded(loading)
        meters = ours | peers
        loads = parts.in_turns(meters)
    rows = [
        _row(name, loads, meters, f"c15t-check-{kind}-{size}", f"fides-read-{size}")
        for kind in DATABASES
        for name in ours
        if kind in name
    ]
    return rows + [_row(name, loads, meters) for name in peers]


def _row(
    name: str, loads: Mapping[str, Sequence[Load]], meters: Meters, *compared: str
) -> dict[str, object]:
    """One result, with how far ahead it is of each that it is compared with, where that is there."""
    peers = [peer for peer in compared if peer in loads]
    result = parts.row(
        name,
        loads[name],
        part="checks",
        floor=peers[0] if peers else None,
        floor_loads=loads[peers[0]] if peers else (),
        peer=_NAMES[peers[0].split("-")[0]] if peers else None,
    )
    own = meters[name].each_us
    result["cpu_us"] = round(own, 1)
    ahead: dict[str, object] = {}
    for peer in peers:
        rate = parts.middle(loads[name])[0] / parts.middle(loads[peer])[0]
        cpu = meters[peer].each_us / own
        ahead[peer] = {"requests": round(rate, 1), "cpu": round(cpu, 1)}
        print(f"  {rate:,.0f} times {peer} in requests, {cpu:,.0f} times in processor time")
    if ahead:
        result["times_ahead"] = ahead
    return result


_NAMES = {"c15t": peer_c15t.NAME, "fides": peer_fides.NAME}


def _load(url: str, script: str) -> Load:
    return run(url, seconds=parts.SECONDS, connections=parts.CONNECTIONS, script=script)
