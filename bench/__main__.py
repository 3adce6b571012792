"""Measures what Placet costs beside the floor of the same server, and beside its peers, in one run.

Each figure is the median of several rounds; rounds of all subjects take turns, so that a noisy minute
of the machine falls on all of them alike. Ratios are the result, rates are the machine's. Results are
written to bench/results.json after each part, with their date; a part that is not measured, or fails,
leaves there what it had.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import FrameType

import requests

from bench import checks, decisions, freshness, parts, provider, records, timing
from bench.load import Load, lua, run
from bench.stage import Stages
from tests.support.deployment import Deployment
from tests.support.processes import ROOT, free_port, program

RESULTS = ROOT / "bench" / "results.json"
FLOOR = "bare-wsgi"
ACCOUNTS = ("flask-hello", "evaluation", "grant")
PEOPLE = 500
CONNECTIONS = 32

Rows = list[dict[str, object]]
Measure = Callable[[int], Load]

#: What can be chosen with --only.
PARTS = {
    "enumeration": "whether the time of an answer tells who has an account",
    provider.NAME: "codes exchanged and tokens introspected, beside npm oidc-provider",
    "flask-hello": "Flask's own hello, beside a bare reply",
    "evaluation": "one evaluation of 500 people, beside a bare reply",
    "grant": "one grant of 500 people, beside a bare reply",
    "decisions": "single evaluations over 10,000, 100,000 and --people people",
    "search": "resource search over --people people",
    "memory": "what each process holds with --people people",
    "batches": "evaluations by the thousand",
    "records": "consents a second, beside c15t and Fides",
    "checks": "checks of 1,000 and 100,000 people, beside c15t and Fides",
    "freshness": "permits after a withdrawal, of 10,000",
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


def accounts(wanted: Sequence[str]) -> Rows:
    """Return the result rows, the floor first."""
    runs: dict[str, list[Load]] = {}
    with tempfile.TemporaryDirectory() as name, subjects(Path(name)) as measured:
        for one_round in range(parts.ROUNDS):
            for subject in (FLOOR, *wanted):
                load = measured[subject](parts.SECONDS)
                if load.errors:
                    raise SystemExit(f"{subject}: {load.errors} answers were no success")
                runs.setdefault(subject, []).append(load)
                print(f"round {one_round + 1}: {subject:12} {load.per_second:10,.0f}/s", flush=True)
    floor = statistics.median(load.per_second for load in runs[FLOOR])
    rows = [row(subject, loads, floor) for subject, loads in runs.items()]
    print(f"\n{'':14}{'requests/s':>12}{'ratio':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for result in rows:
        print(
            f"{result['name']!s:14}{result['value']:>12,.0f}{result['ratio']:>9.4f}"
            f"{result['p50_ms']:>9.2f}{result['p99_ms']:>9.2f}"
        )
    return rows


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
        "command": f"make bench ONLY={'evaluation' if subject == FLOOR else subject}",
    }


def plan(
    stages: Stages, people: int, only: str | None
) -> dict[tuple[str, ...], Callable[[], Rows]]:
    """What is measured, in this order: names of parts, and what measures these."""
    of_people = partial(_of_people, stages, people)
    if only in ACCOUNTS:
        return {(only,): partial(accounts, [only])}
    alone = {"decisions": decisions.decisions, "search": decisions.search}
    alone |= {"memory": decisions.memory}
    if only in alone:
        return {(only,): of_people(alone[only])}
    every: dict[tuple[str, ...], Callable[[], Rows]] = {
        ("enumeration",): timing.measure,
        (provider.NAME,): provider.measure,
        ACCOUNTS: partial(accounts, ACCOUNTS),
        tuple(alone): of_people(decisions.together),
        ("batches",): of_people(decisions.batches),
        ("records",): partial(records.records, stages),
        ("checks",): of_people(checks.checks),
        ("freshness",): of_people(freshness.freshness),  # last: it withdraws what others ask about
    }
    return {names: measure for names, measure in every.items() if only in (None, *names)}


def _of_people(
    stages: Stages, people: int, measure: Callable[[Stages, int], Rows]
) -> Callable[[], Rows]:
    return partial(measure, stages, people)


def main() -> None:
    """Measure, print and write `bench/results.json`; end with 1 where a part failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog="parts:\n" + "\n".join(f"  {name:12} {what}" for name, what in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, metavar="PART", help="measure this part alone")
    parser.add_argument("--people", type=int, default=100_000, help="stored, at most (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=parts.ROUNDS, help="of each subject (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=int, default=parts.SECONDS, help="that a round lasts (%(default)s)"
    )
    parser.add_argument(
        "--output", type=Path, default=RESULTS, help="another file than bench/results.json"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupted)  # so that what was started ends too
    parts.ROUNDS, parts.SECONDS = arguments.rounds, arguments.seconds
    took, failed = dict[str, float](), dict[str, str]()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        stages = Stages(Path(folder), stack)
        for names, measure in plan(stages, arguments.people, arguments.only).items():
            shown, began = ", ".join(names), time.monotonic()
            print(f"\n{shown}", flush=True)
            try:
                keep(arguments.output, names, measure())
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the other parts go on
                failed[shown] = f"{type(error).__name__}: {error}"
                traceback.print_exc()
            took[shown] = time.monotonic() - began
            print(f"{shown}: {took[shown]:.0f} s", flush=True)
    print("\n" + "\n".join(f"{took[name]:6.0f} s  {name}" for name in took))
    print(f"{sum(took.values()):6.0f} s  in all; {arguments.output} is written")
    for name, why in failed.items():
        print(f"FAILED  {name}: {why}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def keep(path: Path, names: Sequence[str], rows: Rows) -> None:
    """Write the rows of these parts behind those of the others."""
    today = datetime.now(UTC).date().isoformat()
    kept = json.loads(path.read_text()) if path.exists() else []
    commands = {f"make bench ONLY={name}" for name in names}
    fresh = {result["name"] for result in rows}
    kept = [one for one in kept if one["command"] not in commands and one["name"] not in fresh]
    written = [{"name": one["name"], "date": today} | one for one in rows]
    path.write_text(json.dumps(kept + written, indent=2) + "\n")


if __name__ == "__main__":
    main()
