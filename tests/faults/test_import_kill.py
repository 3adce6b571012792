"""An import that dies at any moment goes on without loss or doubles: counted against the file."""

import csv
import random
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from privacy.consent.store import EventRow
from tests.support.deployment import PLACET, Deployment
from tests.support.processes import ROOT
from tests.support.sample import SOAK
from tests.support.world import make_world

#: Rows of the file, and between which seconds after its start a process dies.
ROWS = {"sqlite": 1_000_000, "postgresql": 100_000}
DEATHS = {"sqlite": (20.0, 90.0), "postgresql": (5.0, 20.0)}
KILLS = 10
HEADER = "email,purpose,action,at,notice_version,language,channel\n"


def write_rows(path: Path, count: int) -> set[int]:
    """Write so many rows about half as many people; return the lines that must be refused."""
    refused: set[int] = set()
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        for number in range(count):
            email = f"person{number // 2}@example.com"
            purpose = ("newsletter", "recommendations")[number % 2]
            if number % 1_009 == 0:
                email = "nobody"
                refused.add(number + 2)
            file.write(f"{email},{purpose},given,2025-11-01T10:00:00Z,1,es,store\n")
    return refused


@SOAK
def test_an_import_that_dies_at_random_is_whole_in_the_end(
    database_kind: str, database_url: str, instance: Path, tmp_path: Path
) -> None:
    count = ROWS[database_kind]
    path = tmp_path / "old.csv"
    wrong = write_rows(path, count)
    deployment = Deployment(database_url, instance)
    command = [str(PLACET), "consents", "import", str(path), "--resume"]
    environment = {"PATH": str(PLACET.parent)} | deployment.environment
    chosen = random.Random(count)
    deaths = 0
    while True:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(chosen.uniform(*DEATHS[database_kind]) if deaths < KILLS else None)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        deaths += 1
    assert process.returncode == 0
    assert deaths > 0
    with path.with_name("old.csv.refused.csv").open(newline="", encoding="utf-8") as file:
        assert [int(row[0]) for row in csv.reader(file)] == sorted(wrong)
    world = make_world(database_url, instance)
    with world.placet.runtime.snapshot() as session:
        pairs = sa.select(EventRow.subject_id, EventRow.purpose).distinct().subquery()
        events = session.scalar(sa.select(sa.func.count()).select_from(EventRow))
        distinct = session.scalar(sa.select(sa.func.count()).select_from(pairs))
    assert events == distinct == count - len(wrong)
