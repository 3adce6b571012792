"""An import that dies at any moment goes on without loss or doubles: counted against the file."""

import csv
import multiprocessing
import random
import signal
import subprocess
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from policies.vocabulary import RetentionClass
from privacy.audit.sequencer import read_verifier
from privacy.audit.store import Payload
from privacy.audit.verification import verify_log
from privacy.consent.store import EventRow, StateRow
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.identifiers import Identifier
from privacy.subjects.store import IdentifierRow, SubjectRow
from tests.support.deployment import PLACET, Deployment
from tests.support.processes import ROOT
from tests.support.sample import SOAK
from tests.support.world import World, make_world

#: Rows of the file, and between which seconds after its start a process dies.
ROWS = 1_000_000
DEATHS = (3.0, 30.0)
KILLS = 10
HEADER = "email,purpose,action,at,notice_version,language,channel\n"
PURPOSES = ("newsletter", "recommendations")
WRONG = 1_009  # one row in so many names nobody


def write_rows(path: Path) -> None:
    """Write the rows, about half as many people."""
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        for number in range(ROWS):
            email = f"person{number // 2}@example.com" if number % WRONG else "nobody"
            purpose = PURPOSES[number % 2]
            file.write(f"{email},{purpose},given,2025-11-01T10:00:00Z,1,es,store\n")


def import_to_the_end(path: Path, deployment: Deployment) -> int:
    """Import a file by processes that die at random moments, and return how many died."""
    command = [str(PLACET), "consents", "import", str(path), "--resume"]
    environment = {"PATH": str(PLACET.parent)} | deployment.environment
    chosen = random.Random(ROWS)
    deaths = 0
    while True:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(chosen.uniform(*DEATHS) if deaths < KILLS else None)
        if process.poll() is not None:
            assert process.returncode == 0
            return deaths
        process.send_signal(signal.SIGKILL)
        process.wait()
        deaths += 1


def log_of(database_url: str, instance: Path) -> tuple[int, int, list[str]]:
    """Verify each entry of the log, and return how many are placed and pending, and what is wrong."""
    placet = make_world(database_url, instance).placet
    with placet.runtime.snapshot() as session:
        found = verify_log(session, placet.log, read_verifier(placet.keys_folder))
    return found.size, found.pending, [each.message for each in found.findings]


def tables_of(database_url: str, instance: Path) -> list[str]:
    """Compare each event and each state with the log, and return what is wrong."""
    placet = make_world(database_url, instance).placet
    with placet.runtime.snapshot() as session:
        return [
            message for check in placet.cross_checks for _id, message in check(session, placet.log)
        ]


def counted(world: World) -> dict[str, int]:
    """Return how many rows there are of what is written for each row of the file."""
    queries = {
        "events": sa.select(sa.func.count()).select_from(EventRow),
        "states": sa.select(sa.func.count()).select_from(StateRow),
        "people": sa.select(sa.func.count()).select_from(SubjectRow),
        "identifiers": sa.select(sa.func.count()).select_from(IdentifierRow),
        "evidence": sa.select(sa.func.count()).where(
            Payload.retention == RetentionClass.CONSENT_EVIDENCE.value,
            Payload.holder != "deployment",
        ),
        "profiles": sa.select(sa.func.count()).where(
            Payload.retention == RetentionClass.PROFILE.value
        ),
    }
    with world.placet.runtime.snapshot() as session:
        return {name: session.scalar(query) or 0 for name, query in queries.items()}


def said(world: World) -> set[tuple[bytes, str]]:
    """Return who, by blind index, said something about which purpose."""
    query = sa.select(IdentifierRow.blind_index, EventRow.purpose).join(
        EventRow, EventRow.subject_id == IdentifierRow.subject_id
    )
    with world.placet.runtime.snapshot() as session:
        rows = session.execute(query.execution_options(yield_per=10_000))
        return {(row.blind_index, row.purpose) for row in rows}


@SOAK
def test_an_import_that_dies_at_random_is_whole_in_the_end(
    database_url: str, instance: Path, tmp_path: Path
) -> None:
    path = tmp_path / "old.csv"
    write_rows(path)
    assert import_to_the_end(path, Deployment(database_url, instance)) > 0
    wrong = [number for number in range(ROWS) if number % WRONG == 0]
    with path.with_name("old.csv.refused.csv").open(newline="", encoding="utf-8") as file:
        assert [int(row[0]) for row in csv.reader(file)] == [number + 2 for number in wrong]
    world = make_world(database_url, instance)
    index = world.placet.subjects.identifiers.index
    names = [
        index(Identifier(IdentifierKind.EMAIL, f"person{number}@example.com"))
        for number in range(ROWS // 2)
    ]
    assert said(world) == {
        (names[number // 2], PURPOSES[number % 2]) for number in range(ROWS) if number % WRONG
    }
    recorded = ROWS - len(wrong)
    assert counted(world) == {
        "events": recorded,
        "states": recorded,
        "people": ROWS // 2,
        "identifiers": ROWS // 2,
        "evidence": recorded,
        "profiles": ROWS // 2,
    }
    world.settle()
    world.placet.runtime.database.engine.dispose()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        log = processes.submit(log_of, database_url, instance)
        tables = processes.submit(tables_of, database_url, instance)
        size, pending, wrong_entries = log.result()
        assert tables.result() == []
    assert wrong_entries == []
    assert pending == 0
    assert size >= recorded + ROWS // 2 + 2  # and that the import began and ended
