"""`make bench`: what Placet costs beside the floor of the same server, in one run.

Each figure is the median of several rounds; rounds of all subjects alternate, so that a noisy
minute of the machine falls on all of them alike. Ratios are the result, rates are the machine's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from bench import decisions, provider, records, timing
from bench.load import Load, lua, run
from bench.stage import Stages
from tests.support.deployment import Deployment
from tests.support.processes import ROOT, free_port, program

RESULTS = ROOT / "bench" / "results.json"
FLOOR = "bare-wsgi"
ENUMERATION = "enumeration"
PEOPLE = 500
CONNECTIONS = 32

Measure = Callable[[int], Load]

#: Parts that fill a database with people: name -> what measures it.
PARTS: dict[str, Callable[[Stages, int], list[dict[str, object]]]] = {
    "decisions": decisions.decisions,
    "batches": decisions.batches,
    "search": decisions.search,
    "records": records.records,
    "checks": records.checks,
    "memory": decisions.memory,
    "freshness": decisions.freshness,  # last: it withdraws what the others ask about
}


@contextmanager
def served(target: str, log: Path) -> Iterator[str]:
    """Run a WSGI callable on granian with the options Placet uses."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", target]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    command += ["--blocking-threads", "4", "--runtime-mode", "st", "--http", "1", "--no-ws"]
    url = f"http://127.0.0.1:{port}/"
    with program(command, log=log, ready_url=url):
        yield url


@contextmanager
def subjects(folder: Path) -> Iterator[dict[str, Measure]]:
    """Start everything that is measured and yield name -> one round of so many seconds."""
    with ExitStack() as stack:
        bare = stack.enter_context(served("bench.apps:bare", folder / "bare.log"))
        hello = stack.enter_context(served("bench.apps:flask_hello", folder / "hello.log"))
        instance = folder / "instance"
        instance.mkdir()
        placet = Deployment(f"sqlite:///{instance / 'placet.sqlite3'}", instance)
        stack.enter_context(placet.serving())
        evaluation, grant = scripts(placet)
        yield {
            FLOOR: lambda s: run(bare, seconds=s, connections=CONNECTIONS),
            "flask-hello": lambda s: run(hello, seconds=s, connections=CONNECTIONS),
            "evaluation": lambda s: run(
                f"{placet.url}/access/v1/evaluation",
                seconds=s,
                connections=CONNECTIONS,
                script=evaluation,
            ),
            "grant": lambda s: run(
                f"{placet.url}/v1/consents", seconds=s, connections=CONNECTIONS, script=grant
            ),
        }


def scripts(placet: Deployment) -> tuple[str, str]:
    """Give the deployment an application and people; return the scripts that ask and grant."""
    options = ["--purpose", "recommendations"]
    scopes = ["consents:write", "pseudonyms:write", "decisions:evaluate"]
    for scope in scopes:
        options += ["--scope", scope]
    client = placet.add_client("shop", *options)
    token = placet.token(client, " ".join(scopes))
    answer = requests.post(
        f"{placet.url}/v1/pseudonyms",
        json={"identifiers": [f"person{number}@example.com" for number in range(PEOPLE)]},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    answer.raise_for_status()
    people = answer.json()["pseudonyms"]
    asked = [
        {
            "subject": {"type": "application", "id": client["client_id"]},
            "action": {"name": "recommendations"},
            "resource": {"type": "person", "id": person},
        }
        for person in people
    ]
    given = [
        {
            "subject": person,
            "purpose": "recommendations",
            "notice_version": 1,
            "language": "es",
            "channel": "api",
        }
        for person in people
    ]
    return (
        lua([json.dumps(body) for body in asked], token),
        lua([json.dumps(body) for body in given], token),
    )


def measure(rounds: int, seconds: int, only: str | None) -> list[dict[str, object]]:
    """Return the result rows, the floor first."""
    runs: dict[str, list[Load]] = {}
    with tempfile.TemporaryDirectory() as name, subjects(Path(name)) as measured:
        wanted = [n for n in measured if only in (None, n) or n == FLOOR]
        if only is not None and only not in measured:
            raise SystemExit(f"there is no benchmark {only}; there are: {', '.join(measured)}")
        for one_round in range(rounds):
            for subject in wanted:
                load = measured[subject](seconds)
                if load.errors:
                    raise SystemExit(f"{subject}: {load.errors} answers were no success")
                runs.setdefault(subject, []).append(load)
                print(f"round {one_round + 1}: {subject:12} {load.per_second:10,.0f}/s", flush=True)
    floor = statistics.median(load.per_second for load in runs[FLOOR])
    return [row(subject, loads, floor) for subject, loads in runs.items()]


def row(subject: str, loads: list[Load], floor: float) -> dict[str, object]:
    """Return one result in the form that `bench/results.json` holds."""
    rate = statistics.median(load.per_second for load in loads)
    return {
        "name": subject,
        "value": round(rate, 1),
        "unit": "requests/s",
        "p50_ms": round(statistics.median(load.p50_ms for load in loads), 3),
        "p99_ms": round(statistics.median(load.p99_ms for load in loads), 3),
        "floor": FLOOR,
        "ratio": round(rate / floor, 4),
        "peer": None,
        "command": f"make bench ONLY={subject}",
    }


def main() -> None:
    """Measure, print and write `bench/results.json`."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", help="measure this one (and the floor)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--people", type=int, default=100_000, help="stored, at most")
    arguments = parser.parse_args()
    if arguments.only in PARTS:
        keep(measure_parts([arguments.only], arguments.people), others=True)
        return
    compared = timing.measure() if arguments.only in {None, ENUMERATION} else []
    if arguments.only == ENUMERATION:
        keep(compared, others=True)
        return
    if arguments.only in {None, provider.NAME}:
        compared += provider.measure()
    if arguments.only == provider.NAME:
        keep(compared, others=True)
        return
    rows = measure(arguments.rounds, arguments.seconds, arguments.only)
    print(f"\n{'':14}{'requests/s':>12}{'ratio':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for result in rows:
        print(
            f"{result['name']!s:14}{result['value']:>12,.0f}{result['ratio']:>9.4f}"
            f"{result['p50_ms']:>9.2f}{result['p99_ms']:>9.2f}"
        )
    if arguments.only is None:
        compared += measure_parts(list(PARTS), arguments.people)
    keep([*rows, *compared], others=arguments.only is not None)


def measure_parts(names: list[str], people: int) -> list[dict[str, object]]:
    """Return the result rows of parts, one after the other."""
    rows = list[dict[str, object]]()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        stages = Stages(Path(folder), stack)
        for name in names:
            print(f"\n{name}", flush=True)
            rows += PARTS[name](stages, people)
    return rows


def keep(rows: list[dict[str, object]], *, others: bool) -> None:
    """Write the rows, and leave the others that are there or not."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() and others else []
    fresh = {result["name"] for result in rows}
    RESULTS.write_text(
        json.dumps([r for r in kept if r["name"] not in fresh] + rows, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
