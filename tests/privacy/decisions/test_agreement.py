"""One question, many at once and searches agree about everybody, on both databases."""

from collections import Counter
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.actor import SYSTEM
from privacy.database import UtcDateTime
from privacy.decisions.model import APPLICATION, PERSON, Question, Semantic
from privacy.decisions.service import Decisions
from tests.support.cast import Person, application, introduce
from tests.support.tampering import behind_our_back
from tests.support.world import NOON, World

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
PEOPLE = st.fixed_dictionaries(
    {
        "subject": st.fixed_dictionaries(
            {
                "restricted_at": st.sampled_from([None, None, None, EARLIER]),
                "blocked_at": st.sampled_from([None, None, None, EARLIER]),
                "deceased_at": st.sampled_from([None, None, None, EARLIER]),
                "erased_at": st.sampled_from([None, None, None, EARLIER]),
                "minor_until": INSTANTS,
            }
        ),
        "verified": st.booleans(),
        "states": st.dictionaries(st.sampled_from(UNITS), STATES),
        "objected": st.sets(st.sampled_from(UNITS), max_size=1),
        "merged": st.sampled_from([False, False, False, True]),
    }
)
WORLDS = st.lists(PEOPLE, min_size=6, max_size=6)


def test_single_batch_and_search_answers_agree(
    world: World, database_url: str, database_kind: str
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
    answered = Counter[bool]()

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
            _search_agrees(
                world.placet.decisions,
                session,
                permits,
                values,
                {known[number].pseudonym for number in aliases},
            )

    agree()
    assert min(answered[True], answered[False]) > 20, answered


def _without_chains(people: list[dict[str, Any]]) -> list[int]:
    """Who is an alias of the one before: never the first, and of no alias."""
    aliases: list[int] = []
    for number, each in enumerate(people):
        each["merged"] = each["merged"] and number > 0 and number - 1 not in aliases
        if each["merged"]:
            aliases.append(number)
    return aliases


def _permitted(decisions: Decisions, session: Session, values: list[str]) -> set[tuple[str, str]]:
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
        (question.resource_id, question.action)
        for question, answer in zip(questions, singly, strict=True)
        if answer.decision.permit
    }


def _search_agrees(
    decisions: Decisions,
    session: Session,
    permits: set[tuple[str, str]],
    values: list[str],
    aliases: set[str],
) -> None:
    for value in values:
        found = decisions.actions(session, SHOP, value, NOON)
        assert [each.name for each in found] == [u for u in UNITS if (value, u) in permits]
    for unit in UNITS:
        listed, after = list[str](), ""
        while True:
            page = decisions.people(session, SHOP, unit, NOON, after=after, limit=2)
            assert len(page.people) <= 2
            listed += [each.name for each in page.people]
            if page.last is None:
                break
            after = page.last
        # An alias still answers, but a search names each person once.
        assert listed == sorted(v for v, of in permits if of == unit and v not in aliases)


def _write(
    connection: sa.Connection,
    known: list[Person],
    people: list[dict[str, Any]],
    entry_id: str | None,
) -> None:
    for table in ("objection", "consent_state"):
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
