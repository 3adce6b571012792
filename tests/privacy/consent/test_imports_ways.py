"""The quick way of an import writes what the ordinary way writes, word for word."""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from policies.vocabulary import ConsentAction
from privacy.actor import SYSTEM
from privacy.audit import store as audit
from privacy.audit.leaf import parse_leaf
from privacy.consent.attachment_model import Upload
from privacy.consent.guardian_model import Relation
from privacy.consent.imports import ConsentImports, Progress
from privacy.consent.imports_reader import Format
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.store import EventRow, StateRow
from privacy.keys.store import DataKey
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.standing import mark_deceased
from privacy.subjects.store import IdentifierRow
from tests.privacy.consent.test_minors import born
from tests.support.cast import give, introduce, refuse, withdraw
from tests.support.world import World

HEADER = "email,phone,purpose,action,at,notice_version,language,channel,explicit,evidence,said_by,guardian"
PEOPLE = ("ana", "bea", "dan", "eva", "fay", "gil", "hal", "ida", "new", "old", "two")
#: By its beginning the person; the rest of a row is the same for both ways.
ROWS = (
    "new,,newsletter,given,2025-11-01T10:00:00Z,1,es,store,,box 1,,",
    "new,,recommendations,refused,2025-11-01 10:00:00,1,en,,,,,",
    "new,,newsletter,withdrawn,2025-11-02T10:00:00+05:00,1,es,phone,,,,",
    "new,,newsletter,given,2025-11-01T10:00:00Z,1,es,store,,box 1,,",  # again
    "old,,newsletter,withdrawn,2025-12-01T10:00:00Z,1,es,,,,,",
    "old,,newsletter,given,2025-11-01T10:00:00Z,1,es,,1,,,",
    'two,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,"""50 %"" \\ caf\u00e9 {x} %(at)s\t\u20ac",,',
    "two,,newsletter,refused,2025-11-01T10:00:00Z,1,es,,,,,",  # at the same instant
    "two,,newsletter,given,2024-02-29T23:30:00Z,1,en,,true,,,",
    "ana,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,,,",  # before what she said live
    "ana,,recommendations,given,2025-11-01T10:00:00Z,1,es,,,,,",
    "gil,,newsletter,withdrawn,2027-01-01T10:00:00Z,2,es,,,,,",  # after it
    "ida,,newsletter,given,2027-01-01T10:00:00Z,2,es,,,,,",
    "eva,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,,,",  # an objection covers it
    "eva,,recommendations,given,2025-11-01T10:00:00Z,1,es,,,,,",
    "fay,,newsletter,given,2027-01-01T10:00:00Z,2,es,,,,,",  # outlives the end that the clock brought
    "fay,,recommendations,given,2027-01-01T10:00:00Z,1,es,,,,,",
    "bea,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,box 2,guardian,Luis Gil",
    "bea,,recommendations,given,2025-11-01T10:00:00Z,1,es,,,,,",  # by herself
    "hal,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,box 2,guardian,Luis Gil",
    "hal,,newsletter,refused,2025-11-02T10:00:00Z,1,es,,,,,",
    "dan,,newsletter,given,2025-11-01T10:00:00Z,1,es,,,,,",
    "dan,,newsletter,withdrawn,2025-11-01T10:00:00Z,1,es,,,,,",
    "new,,newsletter,refused,2025-11-05T10:00:00Z,1,es,,,,guardian,Luis Gil",
    "new,,newsletter,given,2025-11-05T10:00:00Z,9,es,,,,,",
    "new,,loyalty,given,soon,1,es,,,,,",
)


def known(world: World, way: str) -> None:
    """Make everybody known who is before the import, in whatever stands in a word's way."""
    placet = world.placet
    people = {
        each: introduce(world, f"{each}.{way}@example.com")
        for each in PEOPLE
        if each not in {"new", "old", "two"}
    }
    give(world, people["ana"])
    withdraw(world, people["ana"])
    give(world, people["gil"])
    refuse(world, people["ida"])
    give(world, people["fay"])
    born(world, people["bea"], "2015-01-01")
    born(world, people["hal"], "2015-01-01")
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.people.guardians.accept_at_desk(
            uow,
            people["bea"].subject_id,
            Relation.PARENT,
            who="Luis Gil",
            upload=Upload("deed.pdf", b"%PDF-1.7 deed"),
            language="es",
        )
        mark_deceased(uow, people["dan"].subject_id, reason="Lo dice su hija")
        uow.commit()
    for act in (placet.consents.object_to, placet.consents.lift_objection):
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            act(uow, people["eva"].subject_id, "newsletter")
            uow.commit()


def imported(world: World, imports: ConsentImports, path: Path, way: str) -> Progress:
    rows = (f"{row[:3]}.{way}@example.com{row[3:]}" for row in ROWS)
    path.write_text("\n".join((HEADER, *rows)), encoding="utf-8")
    done = imports.run(
        path,
        Format.CSV,
        path.with_suffix(".refused"),
        source="the old shop",
        domain="",
        resume=False,
        dry_run=False,
        tell=lambda _progress: None,
        size=9,
    )
    return replace(done, import_id="", finished_at=None, refused_bytes=0, position=0)


def kept(world: World, way: str) -> Iterator[Any]:
    """Yield all that is kept of each person, with ids of one form."""
    placet = world.placet
    with placet.runtime.snapshot() as session:
        imports = session.scalars(sa.text("SELECT import_id FROM consent_import")).all()
        for name in PEOPLE:
            subject_id = placet.subjects.find_by_email(session, f"{name}.{way}@example.com")
            assert subject_id is not None
            of_person = EventRow.subject_id == subject_id
            events = session.scalars(
                sa.select(EventRow).where(of_person).order_by(EventRow.ordinal)
            )
            ids = {subject_id: "person"} | dict.fromkeys(imports, "import")

            def said(value: Any, ids: dict[str, str] = ids) -> Any:
                text = str(value)
                for each, named in ids.items():
                    text = text.replace(each, named)
                return re.sub(r"\b[0-9a-f]{32}\b", "another", text)

            for number, row in enumerate(events):
                ids[row.event_id] = f"event {number}"
                ids[row.entry_id] = f"entry {number}"
                yield (
                    name,
                    *(
                        said(getattr(row, column.name))
                        for column in EventRow.__table__.columns
                        if column.name != "ordinal"
                    ),
                )
            states = sa.select(StateRow).where(StateRow.subject_id == subject_id)
            for state in session.scalars(states.order_by(StateRow.purpose)):
                yield (
                    name,
                    *(said(getattr(state, each.name)) for each in StateRow.__table__.columns),
                )
            payloads = session.scalars(
                sa.select(audit.Payload).where(audit.Payload.holder == subject_id)
            )
            yield (
                name,
                sorted(
                    (
                        said(placet.log.disclose(session, each).payload),
                        each.retention,
                        repr(replace(parse_leaf(entry.leaf), c=bytes(32))),
                    )
                    for each in payloads
                    for entry in audit.entries(session, [each.entry_id])
                ),
            )
            keys = sa.select(DataKey.retention, DataKey.created_at).where(
                DataKey.holder == subject_id
            )
            yield name, sorted(tuple(row) for row in session.execute(keys))
            found = sa.select(
                IdentifierRow.kind, IdentifierRow.sealed.is_(None), IdentifierRow.created_at
            ).where(IdentifierRow.subject_id == subject_id)
            yield name, [tuple(row) for row in session.execute(found)]
            yield name, len(placet.subjects.sid(session, subject_id) or b"")


def test_both_ways_of_an_import_keep_and_refuse_the_same(world: World, tmp_path: Path) -> None:
    placet = world.placet
    for way in ("quick", "usual"):
        known(world, way)
    world.clock.advance(days=731)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        Lifecycle(placet.consents).note_expired(uow)
        uow.commit()
    identifiers = placet.subjects.identifiers
    ordinary = ConsentImports(
        placet.runtime,
        placet.register,
        placet.consents.recording,
        identifiers,
        Arrivals(placet.sealer, identifiers, placet.log),
        placet.pseudonyms,
        plain=None,
    )
    quick = imported(world, placet.imports, tmp_path / "quick.csv", "quick")
    assert quick == imported(world, ordinary, tmp_path / "usual.csv", "usual")
    assert (quick.recorded, quick.repeated, quick.refused) == (20, 1, 5)
    told = [
        list(csv.reader((tmp_path / f"{way}.refused").read_text().replace(way, "-").splitlines()))
        for way in ("quick", "usual")
    ]
    assert told[0] == told[1]
    both = [list(kept(world, way)) for way in ("quick", "usual")]
    assert both[0] == both[1]
    stands = {row[0]: row[4] for row in both[0] if len(row) == 11 and row[2] == "newsletter"}
    assert stands["fay"] == stands["bea"] == ConsentAction.GIVEN.value
    assert stands["two"] == ConsentAction.REFUSED.value
    world.settle()
    assert world.verify().ok
