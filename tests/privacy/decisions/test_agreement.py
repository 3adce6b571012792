"""One question, many at once and searches agree about everybody, on both databases."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from policies.decision import Obligation
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.actor import SYSTEM
from privacy.decisions.encoding import Forms
from privacy.decisions.facts import MOST_FORMS, FactTable
from privacy.decisions.fresh import FreshAnswers
from privacy.decisions.instants import micros
from privacy.decisions.model import APPLICATION, PERSON, Question, Semantic
from privacy.decisions.plain import PlainAnswers
from privacy.decisions.reader import Reader
from privacy.decisions.search import LOOKED_AT, PeopleSearch
from privacy.decisions.search_memory import RememberedPeople
from privacy.decisions.service import Decisions
from privacy.decisions.shortcut import ways_of
from privacy.prepared import Connections
from privacy.tables import UtcDateTime
from privacy.versions import Versions
from tests.privacy.decisions.ways import Always
from tests.support.cast import Person, application, introduce
from tests.support.tampering import behind_our_back
from tests.support.world import NOON, CountedIds, World, make_world

UNITS = ("newsletter", "recommendations", "offers.email", "loyalty")
SHOP = application(purposes=frozenset(UNITS))
EARLIER = NOON - timedelta(days=30)

INSTANTS = st.sampled_from([None, None, NOON, NOON + timedelta(days=1), NOON - timedelta(days=1)])
STATES = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["given"] * 6 + [each.value for each in ConsentAction]),
        "at": st.sampled_from([EARLIER, EARLIER, NOON, NOON + timedelta(seconds=1)]),
        "notice_version": st.sampled_from([1, 2]),
        "expires_at": INSTANTS.filter(bool) | st.just(NOON + timedelta(days=90)),
        "explicit": st.booleans(),
        "channel": st.sampled_from([ConsentChannel.WEB.value, ConsentChannel.STORE.value]),
        "said_by": st.sampled_from([SaidBy.PERSON.value] * 3 + [SaidBy.GUARDIAN.value]),
    }
)
NOTHING_NOTABLE = dict.fromkeys(
    ("restricted_at", "blocked_at", "deceased_at", "erased_at", "minor_until")
)
PEOPLE = st.fixed_dictionaries(
    {
        "subject": st.just(NOTHING_NOTABLE)
        | st.fixed_dictionaries(
            {
                "restricted_at": st.sampled_from([None, None, None, EARLIER]),
                "blocked_at": st.sampled_from([None, None, None, EARLIER]),
                "deceased_at": st.sampled_from([None, None, None, EARLIER]),
                "erased_at": st.sampled_from([None, None, None, EARLIER]),
                "minor_until": INSTANTS,
            }
        ),
        "verified": st.sampled_from([True, True, True, False]),
        "states": st.dictionaries(st.sampled_from(UNITS), STATES),
        "objected": st.sets(st.sampled_from(UNITS), max_size=1),
        "suppressed": st.sampled_from([None, None, None, "newsletter", "offers.email", "*"]),
        "excluded": st.sampled_from([False, False, False, True]),
        "merged": st.sampled_from([False, False, False, True]),
    }
)
WORLDS = st.lists(PEOPLE, min_size=6, max_size=6)
Permits = dict[tuple[str, str], tuple[Obligation, ...]]
"""(pseudonym, unit) -> the duties that go with the permit."""


@pytest.fixture
def world(database_url: str, instance: Path, register_folder: Path) -> World:
    """A shop with a duty on one purpose, and a machine that decides alone for another."""
    file = register_folder / "purposes.toml"
    purposes = file.read_text()
    for notice, more in (
        ("recommendations", "explicit = true\nsolely_automated = true"),
        ("offers", 'obligations = [{ type = "keep-until" }]'),
    ):
        line = f'notice = "{notice}"\n'
        assert purposes.count(line) == 1
        purposes = purposes.replace(line, f"{line}{more}\n")
    file.write_text(purposes)
    return make_world(database_url, instance, PLACET_REGISTER=str(register_folder))


def test_single_batch_search_and_read_answers_agree(
    world: World, database_url: str, tmp_path: Path
) -> None:
    """People are written behind our back, in states that no use case of ours would leave."""
    known = [introduce(world, f"p{number}@example.com") for number in range(6)]
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(
            uow, known[0].subject_id, "newsletter", channel=ConsentChannel.WEB
        )
        uow.commit()
    with behind_our_back(database_url) as connection:
        entry_id = connection.scalar(sa.text("SELECT entry_id FROM objection"))
        connection.execute(sa.text("DELETE FROM suppression"))
        connection.execute(_LIST, {"entry_id": entry_id, "at": EARLIER})
    placet, connections = world.placet, Connections(world.placet.runtime.database.engine)
    searches = [
        PeopleSearch(connections, placet.decisions.rules, placet.uses, looked_at=looked_at)
        for looked_at in (LOOKED_AT, 2)
    ]
    answered, plainly, recalled = Counter[bool](), Counter[bool](), Counter[bool]()
    plain = _PlainWay(world)

    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(WORLDS)
    def agree(people: list[dict[str, Any]]) -> None:
        aliases = _without_chains(people)
        with behind_our_back(database_url) as connection:
            _write(connection, known, people, entry_id)
        values = [each.pseudonym for each in known] + ["d1v1_" + "A" * 32, "nobody"]
        with world.placet.runtime.snapshot() as session:
            permits = _permitted(world.placet.decisions, session, values)
            answered.update((value, unit) in permits for value in values for unit in UNITS)
            plainly.update(plain.agrees(session, values))
            _action_search_agrees(world.placet.decisions, session, permits, values)
        names_once = {known[number].pseudonym for number in aliases}
        remembering = [
            plain.remembering_search(tmp_path / "versions", values[first:], recalled)
            for first in (0, 1)  # everybody, and all but one
        ]
        for each in (*searches, *remembering):
            _search_agrees(each, permits, values, names_once)

    agree()
    assert min(recalled[True], recalled[False]) > 10, recalled
    assert min(answered[True], answered[False]) > 20, answered
    assert min(plainly[True], plainly[False]) > 10, plainly


_YEAR_AGO = NOON.replace(year=NOON.year - 1)  # what was refused then has rested
_LATER = timedelta(microseconds=1)
_GIVEN: dict[str, Any] = {
    "action": "given",
    "at": _YEAR_AGO,
    "notice_version": 1,
    "expires_at": NOON + _LATER,
    "explicit": True,
    "said_by": SaidBy.PERSON.value,
}
_OTHERWISE: tuple[dict[str, Any], ...] = (
    {"action": "renewed"},
    {"action": "revoked"},
    {"at": NOON},
    {"at": NOON + _LATER},
    {"at": _YEAR_AGO + _LATER},
    {"notice_version": 0},
    {"expires_at": NOON},
    {"expires_at": None},
    {"explicit": False},
    {"said_by": SaidBy.GUARDIAN.value},
    {"said_by": SaidBy.CLOCK.value},
)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_who_differs_in_one_mark_of_the_last_word_is_decided_about(
    world: World, database_url: str
) -> None:
    ana, plain = introduce(world), _PlainWay(world)
    row = {"subject_id": ana.subject_id, "event_id": "0" * 32, "channel": "web"}
    permitted = Counter[tuple[str, bool]]()
    for action, other in itertools.product(("given", "refused"), _OTHERWISE):
        for word in (_GIVEN | {"action": action}, _GIVEN | {"action": action} | other):
            with behind_our_back(database_url) as connection:
                connection.execute(sa.text("DELETE FROM consent_state"))
                for unit in UNITS:
                    _insert(connection, "consent_state", row | word | {"purpose": unit})
            with world.placet.runtime.snapshot() as session:
                for unit in UNITS:
                    told = plain.agrees(session, [ana.pseudonym], (unit,))
                    permitted.update((unit, each) for each in told)
    assert permitted["recommendations", True] == 16
    assert permitted["recommendations", False] == 26
    assert not permitted["offers.email", True]  # a duty may name a day that depends on the consent
    assert not permitted["offers.email", False]


@dataclass
class _PlainWay:
    """What is told of plain people from some marks of theirs, beside what is decided of each."""

    world: World

    def __post_init__(self) -> None:
        placet = self.world.placet
        reader = Reader(Connections(placet.runtime.database.engine))
        self.render = ways_of(
            self.world.app,
            runtime=placet.runtime,
            reader=reader,
            callers=Always(SHOP),
            decisions=placet.decisions,
            uses=placet.uses,
            base_url=placet.settings.base_url,
            table=None,
        ).render
        self.plain = PlainAnswers(reader, placet.decisions, Forms(self.render, MOST_FORMS))

    def remembering_search(
        self, versions: Path, values: list[str], recalled: Counter[bool]
    ) -> PeopleSearch:
        """Return a search in a process that has read of these people what it can remember."""
        placet, connections = (
            self.world.placet,
            Connections(self.world.placet.runtime.database.engine),
        )
        forms = Forms(self.render, MOST_FORMS)
        table = FactTable(Versions(versions, CountedIds()), list(placet.decisions.rules), 16)
        fresh = FreshAnswers(
            Reader(connections), placet.decisions, forms, placet.uses.count_one, table
        )
        fresh.load(SHOP, [(value, unit) for value in values for unit in UNITS], NOON)

        class Memory(RememberedPeople):
            def permitted(self, *asked: Any) -> Sequence[str] | None:
                told = super().permitted(*asked)
                if told is not None:
                    recalled.update(name in told for name in asked[1])
                return told

        search = PeopleSearch(connections, placet.decisions.rules, placet.uses)
        search.remember_by(Memory(table, forms, fresh))
        return search

    def agrees(
        self, session: Session, values: list[str], units: Sequence[str] = UNITS
    ) -> Iterator[bool]:
        """Yield what each told answer is; it is the decided one to the byte, alone or among many."""
        decisions, instant = self.world.placet.decisions, micros(NOON)
        write = self.plain.writer("shop", instant)
        pairs = [(value, unit) for value in values for unit in units]
        for pair, told in zip(pairs, self.plain.tell(SHOP, pairs, NOON), strict=True):
            assert self.plain.tell(SHOP, [pair], NOON) == [told]
            if told is None:
                continue
            question = Question(APPLICATION, "shop", pair[1], PERSON, pair[0])
            answer = decisions.evaluate(session, SHOP, question, NOON)
            assert write(told) == self.render(answer, NOON)
            assert told[1] == answer.subject_id
            yield answer.decision.permit


def _without_chains(people: list[dict[str, Any]]) -> list[int]:
    """Who is an alias of the one before: never the first, and of no alias."""
    aliases: list[int] = []
    for number, each in enumerate(people):
        each["merged"] = each["merged"] and number > 0 and number - 1 not in aliases
        if each["merged"]:
            aliases.append(number)
    return aliases


def _permitted(decisions: Decisions, session: Session, values: list[str]) -> Permits:
    """Who is permitted what, one by one; with that, batches of every semantic say the same."""
    questions = [
        Question(APPLICATION, "shop", unit, PERSON, value) for value in values for unit in UNITS
    ]
    singly = [decisions.evaluate(session, SHOP, each, NOON) for each in questions]
    for semantic in Semantic:
        some = decisions.evaluate_many(session, SHOP, questions, NOON, semantic)
        assert some == singly[: len(some)]
        assert semantic is not Semantic.EXECUTE_ALL or len(some) == len(questions)
    return {
        (question.resource_id, question.action): answer.decision.obligations
        for question, answer in zip(questions, singly, strict=True)
        if answer.decision.permit
    }


def _action_search_agrees(
    decisions: Decisions, session: Session, permits: Permits, values: list[str]
) -> None:
    for value in values:
        found = decisions.actions(session, SHOP, value, NOON)
        assert [each.name for each in found] == [u for u in UNITS if (value, u) in permits]


def _search_agrees(
    search: PeopleSearch, permits: Permits, values: list[str], aliases: set[str]
) -> None:
    for unit in UNITS:
        listed, after, pages = dict[str, tuple[Obligation, ...]](), "", 0
        while True:
            page = search.page(SHOP, unit, NOON, after=after, limit=2)
            assert len(page.people) <= 2
            assert not listed.keys() & page.people.keys()
            listed |= page.people
            pages += 1
            if page.last is None:
                break
            after = page.last
        assert pages <= len(values)
        # An alias still answers, but a search names each person once.
        expected = sorted(v for v, of in permits if of == unit and v not in aliases)
        assert list(listed.items()) == [(each, permits[each, unit]) for each in expected]


def _write(
    connection: sa.Connection,
    known: list[Person],
    people: list[dict[str, Any]],
    entry_id: str | None,
) -> None:
    for table in ("objection", "consent_state", "suppression", "exclusion"):
        connection.execute(sa.text(f"DELETE FROM {table}"))
    for number, (each, how) in enumerate(zip(known, people, strict=True)):
        survivor = known[number - 1].subject_id if how["merged"] else None
        _update(connection, "subject", how["subject"] | {"merged_into": survivor}, each.subject_id)
        proved = {"verified_at": EARLIER if how["verified"] else None}
        _update(connection, "subject_identifier", proved, each.subject_id)
        for unit, state in how["states"].items():
            event_id = f"{number:016}{UNITS.index(unit):016}"
            row = {"subject_id": each.subject_id, "purpose": unit, "event_id": event_id}
            _insert(connection, "consent_state", row | state)
        for unit in how["objected"]:
            row = {"subject_id": each.subject_id, "purpose": unit, "entry_id": str(entry_id)}
            _insert(connection, "objection", row | {"since": EARLIER})
        of_person = {"subject_id": each.subject_id, "entry_id": entry_id, "since": EARLIER}
        if how["suppressed"]:
            connection.execute(_SUPPRESS, of_person | {"purpose": how["suppressed"]})
        if how["excluded"]:
            connection.execute(_EXCLUDE, of_person)


_OF_ADDRESSES = (
    " SELECT kind, index_version, blind_index, {more} FROM subject_identifier"
    " WHERE subject_id = :subject_id"
)
_SUPPRESS = sa.text(
    "INSERT INTO suppression (kind, index_version, blind_index, purpose, since, entry_id)"
    + _OF_ADDRESSES.format(more=":purpose, :since, :entry_id")
).bindparams(sa.bindparam("since", type_=UtcDateTime), sa.bindparam("purpose", type_=sa.String))
_EXCLUDE = sa.text(
    "INSERT INTO exclusion (kind, index_version, blind_index, import_id)"
    + _OF_ADDRESSES.format(more="'import'")
)
_LIST = sa.text(
    "INSERT INTO exclusion_list (name, in_force, imported_at, addresses, entry_id)"
    " VALUES ('robinson', 'import', :at, 1, :entry_id)"
).bindparams(sa.bindparam("at", type_=UtcDateTime))


def _bound(statement: str, names: list[str]) -> sa.TextClause:
    instants = [n for n in names if n.endswith(("_at", "_until")) or n in {"at", "since"}]
    return sa.text(statement).bindparams(
        *(sa.bindparam(name, type_=UtcDateTime()) for name in instants)
    )


def _update(connection: sa.Connection, table: str, values: dict[str, Any], subject_id: str) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    statement = f"UPDATE {table} SET {assignments} WHERE subject_id = :subject_id"
    connection.execute(_bound(statement, list(values)), values | {"subject_id": subject_id})


def _insert(connection: sa.Connection, table: str, row: dict[str, Any]) -> None:
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
    connection.execute(_bound(statement, list(row)), row)
