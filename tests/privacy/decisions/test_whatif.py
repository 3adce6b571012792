"""What publishing another register would change, counted: it agrees with each person's decision."""

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from policies.decision import decide
from policies.register.difference import ChangeKind, as_published, differences
from policies.register.model import Purpose, Register
from policies.vocabulary import ConsentAction, ConsentChannel, DecisionReason, LegalBasis, SaidBy
from privacy.audit.store import Entry
from privacy.consent.guardian_store import GuardianshipRow
from privacy.consent.model import purpose_rule
from privacy.consent.store import ObjectionRow, StateRow
from privacy.consent.suppression_store import ExclusionListRow, ExclusionRow, SuppressionRow
from privacy.decisions.whatif import UnitChange, what_if
from privacy.decisions.whatif_commands import diff_command
from privacy.settings import EXAMPLE_REGISTER
from privacy.subjects.store import IdentifierRow, SubjectRow
from tests.privacy.decisions.test_moment import sits_at_the_desk
from tests.support.cast import Person
from tests.support.world import NOON, World

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
PEOPLE = 300
DAY = timedelta(days=1)
#: Units about which the people have said something.
UNITS = ("newsletter", "offers.email", "recommendations", "partner-advertising", "loyalty")


def with_purposes(register: Register, **changes: Any) -> Register:
    """The register with some purposes changed: id (with _ for -) -> Purpose, or None removes it."""
    purposes = dict(register.purposes)
    for name, purpose in changes.items():
        unit = name.replace("_", "-")
        if purpose is None:
            del purposes[unit]
        else:
            purposes[unit] = purpose
    return replace(register, purposes=MappingProxyType(purposes))


def changed(register: Register) -> Register:
    """A register in which every kind of rule is another."""
    old = register.purposes

    def of(unit: str, **fields: Any) -> Purpose:
        return replace(old[unit], **fields)

    draft = replace(register.notices["newsletter"].revisions[-1], version=3, published=None)
    newsletter = replace(
        register.notices["newsletter"],
        revisions=(*register.notices["newsletter"].revisions, replace(draft, material=True)),
    )
    notices = MappingProxyType({**register.notices, "newsletter": newsletter})
    return replace(
        with_purposes(
            register,
            recommendations=of("recommendations", legal_basis=LegalBasis.LEGITIMATE_INTERESTS),
            partner_advertising=of("partner-advertising", explicit=True),
            loyalty=of("loyalty", legal_basis=LegalBasis.CONSENT),
            tastings=of("tastings", direct_marketing=True),
            analytics=None,
            surveys=of("analytics", id="surveys"),
        ),
        notices=notices,
    )


def populate(world: World) -> list[str]:
    """Put people of every kind into the database; return their ids."""
    chance = random.Random(7)
    rows: dict[type[Any], list[dict[str, Any]]] = {}
    people = [f"{number:032x}" for number in range(1, PEOPLE + 1)]

    def maybe(share: float, value: Any) -> Any:
        return value if chance.random() < share else None

    def near(days: int = 3) -> datetime:
        return NOON + chance.randint(-days, days) * DAY

    with world.placet.runtime.snapshot() as session:
        entry_id = session.scalars(sa.select(Entry.entry_id)).first()
    rows[ExclusionListRow] = [
        {"name": "robinson", "in_force": "i" * 32, "imported_at": NOON, "addresses": 1}
    ]
    empty: tuple[type[Any], ...] = (
        SubjectRow,
        IdentifierRow,
        StateRow,
        ObjectionRow,
        SuppressionRow,
        ExclusionRow,
        GuardianshipRow,
    )
    rows |= {kind: [] for kind in empty}
    for number, person in enumerate(people):
        minor = chance.random() < 0.25
        rows[SubjectRow].append(
            {
                "subject_id": person,
                "created_at": NOON - 900 * DAY,
                "restricted_at": maybe(0.05, NOON),
                "leaving_at": maybe(0.05, NOON),
                "blocked_at": maybe(0.05, NOON),
                "deceased_at": maybe(0.05, NOON),
                "erased_at": maybe(0.03, NOON),
                "merged_into": people[0] if number and chance.random() < 0.03 else None,
                "minor_until": near() if minor else None,
            }
        )
        if minor and chance.random() < 0.5:
            rows[GuardianshipRow].append(_guardianship(chance, person))
        address = {"kind": "email", "index_version": 1, "blind_index": number.to_bytes(16)}
        rows[IdentifierRow].append(
            {
                **address,
                "identifier_id": person,
                "subject_id": person,
                "verified_at": maybe(0.7, NOON),
                "created_at": NOON,
            }
        )
        if chance.random() < 0.2:
            purpose = chance.choice(("*", *UNITS))
            listed = {"purpose": purpose, "since": near(), "entry_id": entry_id}
            rows[SuppressionRow].append(address | listed)
        if chance.random() < 0.1:
            rows[ExclusionRow].append(address | {"import_id": "i" * 32})
        rows[ObjectionRow] += [
            {"subject_id": person, "purpose": unit, "since": NOON, "entry_id": entry_id}
            for unit in UNITS
            if chance.random() < 0.1
        ]
        rows[StateRow] += [
            _state(chance, person, unit, near()) for unit in UNITS if chance.random() < 0.8
        ]
    with world.placet.runtime.database.engine.begin() as connection:
        for kind, each in rows.items():
            connection.execute(sa.insert(kind), each)
    return people


def _guardianship(chance: random.Random, person: str) -> dict[str, Any]:
    return {
        "guardianship_id": person,
        "child_id": person,
        "language": "es",
        "invited_at": NOON,
        "invited_by": "x",
        "invitation_ends_at": NOON,
        "accepted_at": NOON if chance.random() < 0.8 else None,
        "ended_at": NOON if chance.random() < 0.2 else None,
    }


def _state(chance: random.Random, person: str, unit: str, at: datetime) -> dict[str, Any]:
    actions = [ConsentAction.GIVEN] * 8 + [ConsentAction.RENEWED] * 4 + list(ConsentAction)
    voices = [SaidBy.PERSON] * 3 + [SaidBy.GUARDIAN, SaidBy.STAFF]
    return {
        "subject_id": person,
        "purpose": unit,
        "event_id": "e" * 32,
        "action": chance.choice(actions).value,
        "at": at,
        "notice_version": chance.choice((0, 1, 2, 2, 2, 3)),
        "expires_at": chance.choice((None, *(at + days * DAY for days in (0, 1, 5, *[700] * 8)))),
        "explicit": chance.random() < 0.5,
        "channel": chance.choice(list(ConsentChannel)).value,
        "said_by": chance.choice(voices).value,
    }


def one_by_one(
    world: World, people: list[str], unit: str, old: Register, new: Register
) -> UnitChange:
    """The same counts from each person's own decision."""
    before = after = 0
    lost: Counter[DecisionReason] = Counter()
    gained: Counter[DecisionReason] = Counter()
    now = world.clock.now
    with world.placet.runtime.snapshot() as session:
        for person in people:
            row = session.get_one(SubjectRow, person)
            if row.erased_at or row.merged_into:
                continue
            facts = world.placet.consents.sighting(session, person, unit, at=now).facts
            was = decide(purpose_rule(old, unit), facts, now)
            would = decide(purpose_rule(new, unit), facts, now)
            before += was.permit
            after += would.permit
            if was.permit > would.permit:
                lost[would.reasons[-1]] += 1
            if was.permit < would.permit:
                gained[would.reasons[0]] += 1
    return UnitChange(unit, before, after, lost, gained)


def test_the_counts_agree_with_each_persons_decision(world: World) -> None:
    people = populate(world)
    old = world.placet.register
    new = changed(old)
    with world.placet.runtime.snapshot() as session:
        found = what_if(session, old, new, world.clock.now)
    published = as_published(new, NOON.date())
    units = {each.unit: each for each in found.units}
    assert set(units) == {
        "newsletter",
        "recommendations",
        "partner-advertising",
        "loyalty",
        "tastings",
        "analytics",
        "surveys",
    }
    for unit, change in units.items():
        assert change == one_by_one(world, people, unit, old, published), unit
        assert change.after - change.before == sum(change.gained.values()) - sum(
            change.lost.values()
        )
    assert units["newsletter"].lost.keys() == {DecisionReason.NOTICE_CHANGED}
    assert sum(units["newsletter"].lost.values()) > 10
    assert sum(units["recommendations"].gained.values()) > 50
    assert set(units["partner-advertising"].lost) == {DecisionReason.NO_CONSENT}
    assert DecisionReason.SUPPRESSED in units["tastings"].lost
    untouched = one_by_one(world, people, "offers.email", old, published)
    assert untouched.before == untouched.after > 0


@SQLITE
def test_the_differences_are_told_entry_by_entry_and_field_by_field(world: World) -> None:
    old = world.placet.register
    found = {(each.part, each.entry): each for each in differences(old, changed(old))}
    assert found["purposes", "analytics"].kind is ChangeKind.REMOVED
    assert found["purposes", "surveys"].kind is ChangeKind.ADDED
    [explicit] = found["purposes", "partner-advertising"].fields
    assert (explicit.field, explicit.before, explicit.after) == ("explicit", False, True)
    assert ("notices", "newsletter") not in found  # a draft is in force for nobody
    published = differences(old, as_published(changed(old), NOON.date()))
    [newsletter] = [each for each in published if each.part == "notices"]
    assert ("last_material_version", 1, 3) in [
        (each.field, each.before, each.after) for each in newsletter.fields
    ]
    assert differences(old, old) == ()


@SQLITE
def test_the_command_tells_the_same_to_people_and_programs(
    world: World, ana: Person, register_folder: Path
) -> None:
    file = register_folder / "purposes.toml"
    text = file.read_text().replace(
        'consent_per = "channel"', 'consent_per = "channel"\nexplicit = true'
    )
    file.write_text(text)
    command = diff_command(lambda: world.placet.runtime)
    folders = [str(EXAMPLE_REGISTER), str(register_folder)]
    told = CliRunner().invoke(command, folders)
    assert told.exit_code == 0, told.output
    assert "purposes [offers.email] changed\n    explicit: false -> true\n" in told.output
    assert "offers.email: 0 people now, 0 then; 0 lose the permit, 0 gain it" in told.output
    answer: Mapping[str, Any] = json.loads(CliRunner().invoke(command, [*folders, "--json"]).output)
    assert [each["unit"] for each in answer["units"]] == [
        "offers.email",
        "offers.phone",
        "offers.post",
    ]
    assert answer["old"] == world.placet.register.revision != answer["new"]
    file.write_text(text.replace("[offers]", "[Offers]"))
    refused = CliRunner().invoke(command, folders)
    assert refused.exit_code == 1
    assert "[Offers]: is not an id" in refused.output


@SQLITE
def test_the_desk_shows_what_a_prepared_register_would_change(
    world: World, ana: Person, register_folder: Path
) -> None:
    signed_in = world.client.get("/dpo/register")
    assert signed_in.status_code in {302, 303, 403}  # Ana has no place there
    sits_at_the_desk(world)
    folder = world.placet.settings.instance / "registers"
    assert "No hay ninguno preparado" in world.client.get("/dpo/register").text
    folder.mkdir()
    prepared = folder / "otoño"
    register_folder.rename(prepared)
    file = prepared / "purposes.toml"
    file.write_text(file.read_text().replace('notice = "loyalty"', 'notice = "orders"', 1))
    assert "no es" not in world.client.get("/dpo/register?candidate=otoño").text
    assert "purposes.toml: [loyalty] notice" in world.client.get(
        "/dpo/register?candidate=otoño"
    ).text.replace("&#34;", '"')
    text = file.read_text().replace('notice = "orders"', 'notice = "loyalty"', 1)
    file.write_text(text.replace("explicit", "explicit").replace("[analytics]", "[visits]"))
    points = prepared / "collection_points.toml"
    points.write_text(points.read_text().replace('"analytics"', '"visits"'))
    page = world.client.get("/dpo/register?candidate=otoño")
    assert page.status_code == 200
    for words in ("Medir las visitas", "Quitada", "Nueva", "A quién afectaría"):
        assert words in page.text
    assert world.client.get("/dpo/register?candidate=../keys").status_code == 404
