"""The evidence that leaves the house: it convinces without us, and betrays every change."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from policies.vocabulary import ConsentChannel, RetentionClass
from privacy.actor import SYSTEM
from privacy.audit import bundle, store
from privacy.audit.export import BundleError, load
from privacy.audit.leaf import parse_leaf
from privacy.audit.sequencer import read_verifier
from privacy.reports.model import csv_line
from privacy.reports.service import COLUMNS
from privacy.spreadsheets import guard_cell
from tests.privacy.reports.conftest import DELIA
from tests.support.cast import Person, give, introduce, refuse, withdraw
from tests.support.forms import submit
from tests.support.loaded import loaded
from tests.support.world import World

PATH = "/dpo/consents"


def key_of(world: World) -> str:
    return read_verifier(world.placet.keys_folder).vkey


def history(world: World) -> tuple[Person, Person]:
    """Ana accepts, refuses and withdraws; Luis accepts."""
    ana, luis = introduce(world), introduce(world, "luis@example.com")
    give(world, ana)
    world.clock.advance(days=1)
    refuse(world, ana, "recommendations", version=1)
    world.clock.advance(days=1)
    withdraw(world, ana)
    give(world, luis, "recommendations", version=1)
    return ana, luis


def exported(client: FlaskClient, form: str = "json", **filters: str) -> bytes:
    answer = submit(client, PATH, {"form": form, **filters}, to=f"{PATH}/export")
    assert answer.status_code == 200, answer.text
    return bytes(answer.data)


def document(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data)
    return found


def verify_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the check in an empty folder, with no deployment and no settings."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return loaded().run(["audit", "verify", *arguments], env, folder)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_export_verifies_offline_in_an_empty_folder(
    world: World, delia: FlaskClient, tmp_path: Path
) -> None:
    history(world)
    world.settle()
    folder, file = tmp_path / "empty", tmp_path / "export.json"
    folder.mkdir()
    file.write_bytes(exported(delia))
    (tmp_path / "key").write_text(key_of(world) + "\n")
    done = verify_alone(folder, "--export", str(file), "--key-file", str(tmp_path / "key"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok: 4 entries" in done.stdout
    done = verify_alone(folder, "--export", str(file), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["disclosed"], told["key_trusted"]) == (0, True, 4, 0)
    assert list(folder.iterdir()) == []
    told = document(file.read_bytes())
    told["entries"][2]["payload"]["evidence"]["channel"] = "store"
    file.write_text(json.dumps(told))
    done = verify_alone(folder, "--export", str(file), "--key", key_of(world))
    assert done.returncode == 1
    assert f"first bad entry {told['entries'][2]['index']}\n" in done.stdout
    assert "payload-mismatch" in done.stdout
    file.write_text("{")
    assert verify_alone(folder, "--export", str(file)).returncode == 1


def test_altering_any_byte_of_the_evidence_is_found(world: World, delia: FlaskClient) -> None:
    history(world)
    world.settle()
    data, key = exported(delia, person="", action="given"), key_of(world)
    assert bundle.verify(load(data), key).ok
    spans = [found.span(1) for found in re.finditer(rb'"(leaf":.*?),"opening":', data)]
    spans += [found.span(1) for found in re.finditer(rb'"checkpoint":"(.*?)",?\n', data)]
    assert len(spans) == 3
    missed = []
    for start, end in spans:
        for at in range(start, end):
            altered = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            try:
                holds = bundle.verify(load(altered), key).ok
            except BundleError:
                continue
            if holds:
                missed.append(altered[at - 20 : at + 20])
    assert missed == []


def test_the_export_holds_the_exact_words_and_says_who_took_it(
    world: World, delia: FlaskClient
) -> None:
    ana, _luis = history(world)
    world.settle()
    told = document(exported(delia, person=ana.subject_id, purpose="newsletter"))
    notice = world.placet.register.notice_of("newsletter")
    assert notice is not None
    withdrawn, accepted = told["entries"]
    assert accepted["payload"]["evidence"]["text"] == notice.texts["es"]
    assert accepted["payload"]["event"]["subject_id"] == ana.subject_id
    assert parse_leaf(withdrawn["leaf"].encode()).type == "consent:consent:withdrawn"
    assert told["register"] == {
        "revisions": [world.placet.register.revision],
        "notices": [
            {
                "notice": "newsletter",
                "version": 2,
                "digest": notice.digest,
                "texts": dict(notice.texts),
            }
        ],
    }
    assert told["meta"] == {
        "report": "consents",
        "controller": world.placet.register.controller.name,
        "exported_at": "2026-03-05T11:00:00.000Z",
        "exported_by": f"dpo:{DELIA}",
        "filters": {"purpose": "newsletter", "person": ana.subject_id},
        "events": 2,
        "pending": [],
        "next": None,
    }


def test_an_export_is_recorded_with_its_filters_count_and_hash(
    world: World, delia: FlaskClient
) -> None:
    history(world)
    world.settle()
    files = {form: exported(delia, form, action="given") for form in ("json", "csv")}
    with world.placet.runtime.snapshot() as session:
        issued = {}
        for payload in session.scalars(sa.select(store.Payload)):
            told = world.placet.log.disclose(session, payload).payload
            match told["event"]:
                case {"sha256": sha256, "form": str() as form, "count": count}:
                    issued[form] = (count, sha256, told["evidence"])
                    assert told["actor"] == f"dpo:{DELIA}"
                case _:
                    pass
    filters = {"filters": {"action": "given"}}
    assert issued == {
        form: (2, hashlib.sha256(file).hexdigest(), filters) for form, file in files.items()
    }
    world.settle()
    assert world.verify().ok


def test_what_is_not_placed_yet_is_listed_as_pending_and_not_given_as_proof(
    world: World, delia: FlaskClient
) -> None:
    ana, _luis = history(world)
    world.settle()
    late = give(world, ana)
    told = document(exported(delia))
    assert told["meta"]["pending"] == [late.entry_id]
    assert told["meta"]["events"] == 5
    assert len(told["entries"]) == 4
    assert late.entry_id not in {entry["entry_id"] for entry in told["entries"]}
    rows = list(csv.DictReader(io.StringIO(exported(delia, "csv").decode("utf-8-sig"))))
    assert [row["log_index"] == "" for row in rows] == [True, False, False, False, False]


def test_before_the_first_checkpoint_nothing_is_exported_and_that_is_said(
    world: World, delia: FlaskClient
) -> None:
    give(world, introduce(world))
    answer = submit(delia, PATH, {"form": "json"}, to=f"{PATH}/export")
    assert answer.status_code == 303
    assert "No se ha exportado nada" in delia.get(PATH).text


def test_an_erased_persons_events_are_shown_by_their_openings_and_verify(
    world: World, delia: FlaskClient
) -> None:
    ana, _luis = history(world)
    world.settle()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.log.erase(uow, ana.subject_id, [RetentionClass.CONSENT_EVIDENCE])
        uow.commit()
    waiting = document(exported(delia))
    assert len(waiting["meta"]["pending"]) == 3  # the erasure itself has no place yet
    world.settle()
    told = document(exported(delia))
    report = bundle.verify(told, key_of(world))
    assert report.ok, report.problems
    assert (report.checked, report.disclosed, report.erased, report.withheld) == (5, 2, 3, 0)
    [erasure] = [e for e in told["entries"] if parse_leaf(e["leaf"].encode()).erased]
    assert [e["opening"] is not None for e in told["entries"]] == [False, True, True, True, False]
    told["entries"].remove(erasure)
    assert bundle.verify(told, key_of(world)).withheld == 3


def test_a_payload_removed_behind_our_back_shows_as_withheld(
    world: World, delia: FlaskClient
) -> None:
    from tests.support.tampering import behind_our_back  # noqa: PLC0415 - for this test alone

    ana, _luis = history(world)
    world.settle()
    with behind_our_back(world.placet.settings.database_url) as connection:
        connection.execute(sa.delete(store.Payload).where(store.Payload.holder == ana.subject_id))
    report = bundle.verify(document(exported(delia)), key_of(world))
    assert (report.ok, report.withheld) == (False, 3)


def test_a_csv_has_one_row_an_event_and_reads_back(world: World, delia: FlaskClient) -> None:
    ana, _luis = history(world)
    world.settle()
    answer = submit(delia, PATH, {"form": "csv"}, to=f"{PATH}/export")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="consentimientos-2026-03-05.csv"'
    )
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert answer.data.count(b"\r\n") == answer.data.count(b"\n") == 5
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert tuple(rows[0]) == COLUMNS
    with world.placet.runtime.snapshot() as session:
        events = world.placet.consents.history(session, ana.subject_id)
        mine = {row["event_id"]: row for row in rows if row["person"] == ana.subject_id}
        assert len(mine) == len(events) == 3
        for event in events:
            row = mine[event.event_id]
            assert row["entry_id"] == event.entry_id
            assert int(row["log_index"]) == store.index_of(session, event.entry_id)
            assert row["notice_digest"] == event.notice_digest
            assert row["action"] == event.action.value
            assert row["at"].startswith(event.at.strftime("%Y-%m-%dT%H:%M"))


def test_a_cell_that_would_be_a_formula_is_only_text() -> None:
    for text in ("=cmd()", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=x", "'=x"):
        assert guard_cell(text) == f"'{text}"
    assert guard_cell("Ana") == "Ana"
    assert csv_line(["=cmd()", 'a "b", c']) == '\'=cmd(),"a ""b"", c"\r\n'


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"))))
def test_any_texts_come_back_from_a_csv_line(texts: list[str]) -> None:
    cells = ["first", *texts]
    [read] = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert [cell.removeprefix("'") for cell in read] == cells


def test_thousands_of_events_leave_in_blocks_and_all_verify(
    world: World, auditor: FlaskClient, delia: FlaskClient
) -> None:
    ana = introduce(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        for _ in range(600):
            world.placet.consents.record_given(
                uow,
                ana.subject_id,
                "newsletter",
                notice_version=2,
                language="es",
                channel=ConsentChannel.STORE,
            )
        uow.commit()
    world.settle()
    answer = submit(delia, PATH, {"form": "json"}, to=f"{PATH}/export")
    report = bundle.verify(load(answer.data), key_of(world))
    assert report.ok
    assert report.disclosed == 600
    assert len(exported(delia, "csv").splitlines()) == 601
    page = auditor.get("/v1/reports/consents?limit=550").json
    assert page is not None
    assert (len(page["entries"]), page["meta"]["events"]) == (550, 550)


def test_a_program_pages_through_the_same_evidence(world: World, auditor: FlaskClient) -> None:
    history(world)
    world.settle()
    seen, after = [], ""
    for size in (3, 1):
        answer = auditor.get(f"/v1/reports/consents?limit=3{after}")
        assert answer.mimetype == "application/json"
        report = bundle.verify(load(answer.data), key_of(world))
        assert (report.ok, report.checked) == (True, size)
        told = document(answer.data)
        seen += [entry["entry_id"] for entry in told["entries"]]
        after = f"&after={told['meta']['next']}"
    assert told["meta"]["next"] is None
    assert len(set(seen)) == 4
    one = auditor.get("/v1/reports/consents?action=refused&channel=web&from=2026-03-04").json
    assert one is not None
    assert [e["payload"]["event"]["purpose"] for e in one["entries"]] == ["recommendations"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("after=-1", "after"),
        ("after=99999999999999999999", "after"),
        ("action=eaten", "action"),
        ("channel=pigeon", "channel"),
        ("from=yesterday", "from"),
        ("from=0001-01-01", "from"),
        ("to=9999-12-31", "to"),
        ("from=2026-03-02&to=2026-03-01", "to"),
        ("person=ana@example.com", "person"),
        ("purpose=" + "x" * 65, "purpose"),
        ("unknown=1", "unknown"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_a_wrong_query_is_a_problem_that_names_the_parameter(
    world: World, auditor: FlaskClient, query: str, field: str
) -> None:
    world.settle()
    answer = auditor.get(f"/v1/reports/consents?{query}")
    assert answer.status_code == 422
    assert answer.json is not None
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_program_without_the_scope_gets_nothing(world: World, auditor: FlaskClient) -> None:
    from tests.support.cast import application, calls_as  # noqa: PLC0415 - for this test alone

    calls_as(world, application())
    assert auditor.get("/v1/reports/consents").status_code == 403
    world.app.extensions["placet.bearer"] = lambda: None
    assert auditor.get("/v1/reports/consents").status_code == 401


def test_a_program_asking_before_the_first_checkpoint_is_told_to_come_back(
    auditor: FlaskClient,
) -> None:
    answer = auditor.get("/v1/reports/consents")
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["type"] == "/problems/conflict"
