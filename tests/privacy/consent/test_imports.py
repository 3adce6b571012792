"""Importing existing consents: each row is recorded once or refused, whatever happens meanwhile."""

import csv
import fcntl
import json
import os
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from app import create_app
from policies.errors import Conflict, InvalidInput
from policies.vocabulary import ConsentAction, SaidBy
from privacy.actor import SYSTEM
from privacy.consent.attachment_model import Upload
from privacy.consent.exports import MEMBERS, ConsentExports
from privacy.consent.guardian_model import GuardianshipEnd, Relation
from privacy.consent.import_commands import Bulk, group
from privacy.consent.imports import Progress
from privacy.consent.imports_reader import MAX_LINE, Format
from privacy.consent.store import EventRow
from privacy.faults import KillAt
from privacy.settings import settings_from
from tests.privacy.consent.test_minors import born
from tests.support.cast import application, ask, calls_as, give, introduce, withdraw
from tests.support.world import CHEAP, NOON, World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

HEADER = "email,phone,pseudonym,purpose,action,at,notice_version,language,channel,explicit,evidence"
BEFORE = "2025-11-01T10:00:00Z"
ROW = "{email},,,newsletter,given," + BEFORE + ",1,es,store,,box 12"


def run(world: World, path: Path, **changes: Any) -> Progress:
    told: dict[str, Any] = {
        "source": "the old shop",
        "domain": "shop",
        "resume": False,
        "dry_run": False,
        "tell": lambda _progress: None,
    }
    written = Format(path.suffix[1:])
    return world.placet.imports.run(path, written, refused_of(path), **told | changes)


def refused_of(path: Path) -> Path:
    return path.with_name(path.name + ".refused.csv")


def refusals(path: Path) -> list[list[str]]:
    with refused_of(path).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def events(world: World) -> list[EventRow]:
    with world.placet.runtime.snapshot() as session:
        return list(session.scalars(sa.select(EventRow).order_by(EventRow.ordinal)))


def test_every_row_of_a_hostile_file_is_recorded_or_refused_with_its_reason(
    world: World, tmp_path: Path
) -> None:
    ana = introduce(world)
    lines: list[bytes] = [
        b"\xef\xbb\xbf" + HEADER.encode(),
        ROW.format(email="Ana@Example.com").encode(),
        f",,{ana.pseudonym},recommendations,refused,2025-12-01 10:00:00,1,es,,,".encode(),
        b'bea@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es,phone,,"she said ""yes"",',
        b'and again"',
        b"",
        b",+34 600 111 222,,newsletter,withdrawn,2025-11-02T10:00:00+01:00,1,en,post,,",
        b"caf\xe9@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,",
        b'"eva@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,',
        b"dan@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es,,," + b"x" * MAX_LINE,
        b"fay@example.com,,,nothing,given,2025-11-01T10:00:00Z,1,es,,,",
        b"fay@example.com,,,newsletter,given,2026-03-03T11:00:01Z,1,es,,,",
        b"fay@example.com,,,newsletter,given,yesterday,1,es,,,",
        b"fay@example.com,,,newsletter,given,2025-11-01T10:00:00Z,9,es,,,",
        b"fay@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,tlh,,,",
        b"fay@example.com,,,newsletter,taken,2025-11-01T10:00:00Z,1,es,,,",
        b"fay@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es,telepathy,,",
        b"fay@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es,,perhaps,",
        b"nobody,,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,",
        b",,d1v1_0123456789abcdefghijklmnopqrstuv,newsletter,given,2025-11-01T10:00:00Z,1,es,,,",
        b",,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,",
        b"fay@example.com,+34600111222,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,",
        b"fay@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es",
        b"fay@example.com,,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,\0",
        b"fay@example.com,,,newsletter,given,0001-01-01T00:00:00+23:00,1,es,,,",
        ROW.format(email="ana@example.com").encode(),
        b"ana@example.com,,,newsletter,given,2025-11-01T12:00:00Z,1,es,store,1,",
    ]
    path = tmp_path / "old.csv"
    path.write_bytes(b"\r\n".join(lines))
    done = run(world, path, size=4)
    told = refusals(path)
    assert (done.recorded, done.repeated, done.refused) == (5, 1, len(told))
    assert [(int(line), field) for line, field, _reason, _original in told] == [
        (8, ""),
        (9, ""),
        (10, ""),
        (11, "purpose"),
        (12, "at"),
        (13, "at"),
        (14, "notice_version"),
        (15, "language"),
        (16, "action"),
        (17, "channel"),
        (18, "explicit"),
        (19, "email"),
        (20, "pseudonym"),
        (21, "email"),
        (22, "phone"),
        (23, ""),
        (24, "evidence"),
        (25, "at"),
    ]
    assert all(reason for _line, _field, reason, _original in told)
    assert told[0][3].startswith("caf\\xe9@example.com,")
    assert told[3][3] == lines[10].decode()
    assert refused_of(path).stat().st_mode & 0o077 == 0
    found = events(world)
    assert {row.said_by for row in found} == {SaidBy.IMPORT.value}
    assert [row.purpose for row in found].count("recommendations") == 1
    assert found[1].at == datetime(2025, 12, 1, 9, tzinfo=UTC)  # meant in Madrid
    assert all(row.recorded_at == NOON for row in found)
    assert found[4].explicit
    world.settle()
    assert world.verify().ok


def test_an_imported_word_never_overrules_a_later_one(world: World, tmp_path: Path) -> None:
    ana, bea = introduce(world), introduce(world, "bea@example.com")
    give(world, ana)
    withdraw(world, ana)
    world.clock.advance(days=1)
    path = tmp_path / "old.csv"
    rows = (ROW.format(email=f"{name}@example.com") for name in ("ana", "bea"))
    path.write_text("\n".join((HEADER, *rows)))
    assert run(world, path).recorded == 2
    calls_as(world, application())
    assert ask(world, ana).get_json()["context"]["reasons"] == ["consent-withdrawn"]
    assert ask(world, bea).get_json()["decision"] is True
    with world.placet.runtime.snapshot() as session:
        states = world.placet.consents.current(session, bea.subject_id)
    consent = states["newsletter"].consent
    assert consent
    assert (consent.said_by, consent.at) == (SaidBy.IMPORT, datetime(2025, 11, 1, 10, tzinfo=UTC))


def test_the_same_file_again_says_so_and_the_same_rows_are_known(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "old.csv"
    path.write_text("\n".join((HEADER, *(ROW.format(email=f"p{n}@example.com") for n in range(5)))))
    first = run(world, path)
    world.clock.advance(hours=1)
    assert run(world, path) == first
    other = tmp_path / "longer.csv"
    other.write_text(path.read_text() + "\n" + ROW.format(email="p5@example.com"))
    done = run(world, other)
    assert (done.recorded, done.repeated) == (1, 5)
    assert len(events(world)) == 6
    command = group(
        lambda: Bulk(
            world.placet.imports, ConsentExports(world.placet.runtime), lambda: world.clock.now
        )
    )
    told = CliRunner().invoke(command, ["import", str(path)])
    assert told.exit_code == 0, told.output
    assert "was imported on 2026-03-03T11:00:00.000Z; nothing was changed" in told.output


def test_a_dry_run_keeps_nothing_and_finds_the_same(world: World, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    told = {
        "subject": {"email": "ana@example.com"},
        "purpose": "newsletter",
        "action": "given",
        "at": BEFORE,
        "notice_version": 1,
        "language": "es",
        "explicit": True,
    }
    rows = [told, told | {"subject": "nobody"}, told | {"subject": 7}, told | {"more": 1}, [1]]
    path.write_text("\n".join(["", *map(json.dumps, rows), "{", '{"purpose": ' + "[" * 10_000]))
    dry = run(world, path, dry_run=True)
    assert refusals(path)
    assert events(world) == []
    refused_of(path).unlink()
    done = run(world, path)
    assert (dry.recorded, dry.refused) == (done.recorded, done.refused) == (1, 6)
    assert [row[:2] for row in refusals(path)] == [
        ["3", "pseudonym"],
        ["4", "subject"],
        ["5", "more"],
        ["6", ""],
        ["7", ""],
        ["8", ""],
    ]


def test_a_file_without_its_columns_is_not_begun(world: World, tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    for header in ("", "email;at", f"{HEADER},email", f"{HEADER},name", '"email', "email,at\xff"):
        path.write_text(header, encoding="latin-1")
        with pytest.raises(InvalidInput):
            run(world, path)
    assert not refused_of(path).exists()
    path.write_text(f"{HEADER}\n{ROW.format(email='ana@example.com')}".replace(",", ";"))
    assert run(world, path).recorded == 1  # as a spreadsheet in Spain writes it


def test_a_guardian_s_word_is_imported_on_the_demands_of_a_live_one(
    world: World, tmp_path: Path
) -> None:
    placet = world.placet
    people = {name: introduce(world, f"{name}@example.com") for name in ("ana", "bea", "eva")}
    for name, birthday in (("ana", "2015-01-01"), ("bea", "2015-01-01")):
        born(world, people[name], birthday)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        noted = placet.people.guardians.accept_at_desk(
            uow,
            people["ana"].subject_id,
            Relation.PARENT,
            who="Luis Gil",
            upload=Upload("deed.pdf", b"%PDF-1.7 deed"),
            language="es",
        )
        uow.commit()
    row = "{},newsletter,{}," + BEFORE + ",1,es,guardian,{},{}"
    lines = (
        "email,purpose,action,at,notice_version,language,said_by,guardian,evidence",
        row.format("ana@example.com", "given", "Luis Gil", "box 12"),
        row.format("ana@example.com", "given", "Luis Gil", ""),  # no proof
        row.format("ana@example.com", "given", "", "box 12"),  # nobody
        row.format("bea@example.com", "given", "Luis Gil", "box 12"),  # no guardian noted here
        row.format("eva@example.com", "given", "Luis Gil", "box 12"),  # no age known
        row.format("new@example.com", "given", "Luis Gil", "box 12"),  # nobody known
        row.format("bea@example.com", "refused", "Luis Gil", ""),  # a no needs none of it
    )
    path = tmp_path / "old.csv"
    path.write_text("\n".join(lines))
    done = run(world, path)
    told = [(int(line), field) for line, field, _reason, _original in refusals(path)]
    assert told == [
        (3, "evidence"),
        (4, "guardian"),
        (5, "said_by"),
        (6, "said_by"),
        (7, "email"),
    ]
    assert (done.recorded, done.refused) == (2, 5)
    calls_as(world, application())
    assert ask(world, people["ana"]).get_json()["context"]["reasons"] == ["consent-given"]
    with placet.runtime.snapshot() as session:
        until = placet.subjects.minor_until(session, people["ana"].subject_id)
        assert placet.subjects.find_by_email(session, "new@example.com") is None
    [given, refused] = events(world)
    assert {given.said_by, refused.said_by} == {SaidBy.GUARDIAN.value}
    assert until is not None
    assert given.expires_at is not None
    assert given.expires_at <= until
    again = tmp_path / "again.csv"
    again.write_text("\n".join((*lines[:2], "")))
    assert run(world, again).repeated == 1
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        guardians = placet.people.guardians
        guardians.end(uow, noted.guardianship_id, GuardianshipEnd.DESK, "No es su padre")
        uow.commit()
    assert events(world)[-1].action == ConsentAction.INVALIDATED.value
    world.settle()
    assert world.verify().ok


def test_a_consent_from_before_an_objection_s_end_is_recorded_and_stays_ended(
    world: World, tmp_path: Path
) -> None:
    ana, consents = introduce(world), world.placet.consents
    for act in (consents.object_to, consents.lift_objection):
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            act(uow, ana.subject_id, "newsletter")
            uow.commit()
        world.clock.advance(days=1)
    path = tmp_path / "old.csv"
    path.write_text(f"{HEADER}\n{ROW.format(email='ana@example.com')}")
    done = run(world, path)
    assert (done.recorded, done.refused) == (1, 0)
    calls_as(world, application())
    assert ask(world, ana).get_json()["context"]["reasons"] == ["consent-withdrawn"]
    assert [row.action for row in events(world)] == ["given", "withdrawn"]
    world.settle()
    assert world.verify().ok


def test_what_could_stop_an_import_for_ever_is_one_refused_row(
    world: World, tmp_path: Path
) -> None:
    told = {
        "email": "ana@example.com",
        "purpose": "newsletter",
        "action": "given",
        "at": BEFORE,
        "notice_version": 1,
        "language": "es",
    }
    rows = [
        told | {"evidence": "\ud800"},
        told | {"email": "\ud800@example.com"},
        told | {"at": "0001-01-01T00:10:00Z"},
        told | {"=cmd": 1},
        told,
    ]
    path = tmp_path / "old.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    done = run(world, path)
    assert (done.recorded, done.refused) == (1, 4)
    assert [row[:2] for row in refusals(path)] == [
        ["1", "evidence"],
        ["2", "email"],
        ["3", "at"],
        ["4", "'=cmd"],  # nothing that a spreadsheet would run
    ]


def test_the_file_of_refused_rows_is_nobody_else_s(world: World, tmp_path: Path) -> None:
    path, victim = tmp_path / "old.csv", tmp_path / "victim"
    path.write_text(f"{HEADER}\n{ROW.format(email='ana@example.com')}\n=1+1")
    victim.write_text("precious")
    refused = refused_of(path)
    refused.symlink_to(victim)
    with pytest.raises(InvalidInput):
        run(world, path)
    refused.unlink()
    refused.hardlink_to(path)
    with pytest.raises(InvalidInput):
        run(world, path)
    refused.unlink()
    assert victim.read_text() == "precious"
    assert path.read_text().startswith(HEADER)
    refused.touch(mode=0o666)
    with refused.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Conflict):  # another import of it
            run(world, path)
    assert events(world) == []
    assert run(world, path).refused == 1
    assert refused.stat().st_mode & 0o077 == 0
    assert refusals(path)[0][3] == "'=1+1"
    kept = refused.read_bytes()
    command = group(
        lambda: Bulk(world.placet.imports, ConsentExports(world.placet.runtime), world.clock)
    )
    for _ in range(2):  # its own file it writes anew
        told = CliRunner().invoke(command, ["import", str(path), "--dry-run"])
        assert told.exit_code == 0, told.output
    told = CliRunner().invoke(
        command, ["import", str(path), "--dry-run", "--refused", str(refused)]
    )
    assert told.exit_code == 1
    assert "a dry run writes over none" in told.output
    assert refused.read_bytes() == kept


def test_a_file_that_changes_while_it_is_read_is_imported_no_further(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "old.csv"
    path.write_text("\n".join((HEADER, *(ROW.format(email=f"p{n}@example.com") for n in range(6)))))

    def append(progress: Progress) -> None:
        if progress.recorded == 2:
            with path.open("a") as file:
                file.write("\n" + ROW.format(email="late@example.com"))

    with pytest.raises(Conflict):
        run(world, path, size=2, tell=append)
    assert len(events(world)) == 2
    done = run(world, path, resume=True)
    assert (done.recorded, done.repeated) == (5, 2)


def killed(world: World, path: Path, point: str, after: int) -> None:
    """Import in a process of its own that dies by SIGKILL at a fault point."""
    settings = world.placet.settings
    child = os.fork()
    if child == 0:  # it never comes back into the test
        signal.alarm(60)  # a fork may inherit a lock that nobody holds: it must not wait for ever
        try:
            values = CHEAP | {"PLACET_DATABASE_URL": settings.database_url}
            app = create_app(
                settings_from(values, settings.instance), world.clock, faults=KillAt(point, after)
            )
            app.extensions["placet"].imports.run(
                path,
                Format.CSV,
                refused_of(path),
                source="the old shop",
                domain="",
                resume=True,
                dry_run=False,
                tell=lambda _progress: None,
                size=200,
            )
        finally:
            os._exit(1)
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_an_import_that_is_killed_goes_on_without_loss_or_doubles(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "old.csv"
    rows = [ROW.format(email=f"p{n}@example.com" if n % 7 else f"wrong {n}") for n in range(2_000)]
    path.write_text("\n".join((HEADER, *rows)))
    world.placet.runtime.database.engine.dispose()
    killed(world, path, "commit:before", 4)
    with pytest.raises(Conflict):
        run(world, path)
    killed(world, path, "commit:after", 3)
    killed(world, path, "commit:inside", 2)
    done = run(world, path, resume=True)
    wrong = sum(n % 7 == 0 for n in range(2_000))
    assert (done.recorded, done.repeated, done.refused) == (2_000 - wrong, 0, wrong)
    assert [int(row[0]) for row in refusals(path)] == [n + 2 for n in range(2_000) if n % 7 == 0]
    found = events(world)
    assert len(found) == len({row.subject_id for row in found}) == 2_000 - wrong


def test_the_export_tells_every_event_and_is_recorded(world: World, tmp_path: Path) -> None:
    ana = introduce(world)
    given = give(world, ana)
    world.clock.advance(days=1)
    withdraw(world, ana)
    exports = ConsentExports(world.placet.runtime)
    command = group(lambda: Bulk(world.placet.imports, exports, world.clock))
    out = tmp_path / "all.csv"
    for arguments in (["export"], ["export", "--format", "csv", "--output", str(out)]):
        done = CliRunner().invoke(command, arguments)
        assert done.exit_code == 0, done.output
        if not out.exists():
            told = [json.loads(line) for line in done.stdout.splitlines()]
            assert [each["action"] for each in told] == ["given", "withdrawn"]
            assert told[0]["event_id"] == given.event_id
            assert told[0].keys() == set(MEMBERS)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["action"] for row in rows] == ["given", "withdrawn"]
    assert rows[0]["explicit"] == "false"
    assert out.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob(".all*"))
    late = list(exports.lines(Format.JSONL, NOON + timedelta(hours=1)))
    assert [json.loads(line)["action"] for line in late] == [ConsentAction.WITHDRAWN.value]
    world.settle()
    with world.placet.runtime.snapshot() as session:
        tags = Counter(
            json.loads(leaf)["type"]
            for leaf in session.scalars(sa.text("SELECT leaf FROM audit_entry"))
        )
    assert tags["consent:export:issued"] == 3
