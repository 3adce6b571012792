"""Whichever way a question takes, the answer is the same, to the byte."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from policies.asking import rests_until
from privacy.actor import SYSTEM
from privacy.consent.store import state_of
from privacy.decisions.model import Outcome
from privacy.subjects.store import SubjectRow
from tests.privacy.decisions.ways import EVALUATION, EVALUATIONS, Way, ways
from tests.privacy.test_unit_of_work import SomethingHappened
from tests.support.cast import Person, give, introduce, refuse, withdraw
from tests.support.tampering import behind_our_back
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

STATES = ("silent", "given", "refused", "withdrawn", "objected", "restricted", "unproved", "erased")
#: Who is read a second time, whole.
NOT_PLAIN = ("objected", "restricted", "erased")
UNKNOWN = "d1v1_" + "A" * 32


def _asked(pseudonym: str, purpose: str = "newsletter", **more: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": purpose},
        "resource": {"type": "person", "id": pseudonym},
    } | more


def _people(world: World) -> dict[str, Person]:
    """Somebody in each state."""
    people = {
        state: introduce(world, f"{state}@example.com", verified=state != "unproved")
        for state in STATES
    }
    for state in STATES:
        if state not in {"silent", "refused"}:
            give(world, people[state])
    refuse(world, people["refused"])
    withdraw(world, people["withdrawn"])
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, people["objected"].subject_id, "newsletter")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        restricted = uow.session.get_one(SubjectRow, people["restricted"].subject_id)
        restricted.restricted_at = uow.now
        world.placet.eraser.erase(uow, people["erased"].subject_id)
        uow.record(SomethingHappened())
        uow.commit()
    return people


def _requests(people: dict[str, Person]) -> dict[str, object]:
    """Bodies of one question: usual, unusual and wrong."""
    given = people["given"].pseudonym
    states = {state: _asked(person.pseudonym) for state, person in people.items()}
    return states | {
        "contract": _asked(given, "loyalty"),
        "nobody": _asked(UNKNOWN),
        "no pseudonym": _asked("ana@example.com"),
        "no purpose of theirs": _asked(given, "analytics"),
        "no purpose at all": _asked(given, "world-peace"),
        "another application": _asked(given, subject={"type": "application", "id": "insurer"}),
        "another type": _asked(given, subject={"type": "user", "id": "shop"}),
        "no person": _asked(given, resource={"type": "household", "id": given}),
        "categories": _asked(
            given,
            resource={"type": "person", "id": given, "properties": {"categories": ["contact"]}},
        ),
        "context": _asked(given, context={"supported_obligations": []}),
        "unknown member": _asked(given, flavour="vanilla"),
        "twice": json.dumps(_asked(given))[:-1].encode() + b', "action": {"name": "loyalty"}}',
        "no string": _asked(given, action={"name": 7}),
        "missing": {"subject": {"type": "application", "id": "shop"}},
        "a list": [],
        "no json": b"{",
        "no utf-8": b'{"subject": "\xff"}',
        "a lone surrogate": json.dumps(_asked("\ud800")).encode(),
        "a null character": _asked("d1v1_\0"),
        "empty": b"",
    }


def _alike(one: Way, other: Way, path: str, body: object) -> None:
    for _ in range(2):  # the second time perhaps from memory
        expected = one.post(path, body, **{"X-Request-ID": "r-1"})
        told = other.post(path, body, **{"X-Request-ID": "r-1"})
        assert (told.status_code, told.data) == (expected.status_code, expected.data)
        assert told.headers["X-Request-ID"] == "r-1"
        kept = {**expected.headers}
        kept.pop("Vary", None)
        assert {**told.headers, "Vary": ""} == kept | {"Vary": ""}


def test_all_ways_answer_alike(world: World) -> None:
    people = _people(world)
    asked = ways(world)
    flask, reading, remembering = asked["flask"], asked["reading"], asked["remembering"]
    for name, body in _requests(people).items():
        for way in (reading, remembering):
            _alike(flask, way, EVALUATION, body)
        if isinstance(body, dict) and flask.post(EVALUATION, body).status_code == 200:
            [single] = flask.post(EVALUATIONS, {"evaluations": [body]}).get_json()["evaluations"]
            assert single == flask.post(EVALUATION, body).get_json(), name


def test_the_usual_takes_the_shortcut_and_is_read_once(world: World) -> None:
    people = _people(world)
    asked = ways(world)
    for name in ("reading", "remembering"):
        way = asked[name]
        assert way.reader is not None
        for _ in range(3):
            for state in STATES:
                way.post(EVALUATION, _asked(people[state].pseudonym))
        assert not way.left
        # Of whom nobody is known nothing is remembered.
        times = 3 if name == "reading" else 1
        assert way.reader.reads == times * len(STATES) + (2 if name == "remembering" else 0)
        assert way.reader.whole == times * len(NOT_PLAIN) + (2 if name == "remembering" else 0)


def test_batches_answer_alike(world: World) -> None:
    people = _people(world)
    asked = ways(world)
    usual = [_asked(person.pseudonym) for person in people.values()]
    batches: list[dict[str, object]] = [
        {"evaluations": usual},
        {"evaluations": [*usual, *usual, _asked(UNKNOWN), _asked("nobody")]},
        _asked("x") | {"evaluations": [{"resource": each["resource"]} for each in usual]},
        {"evaluations": [*usual, _asked(UNKNOWN, "world-peace")]},
        {"evaluations": [*usual, {"resource": {"id": "x"}}]},
        {"evaluations": usual, "options": {"evaluations_semantic": "deny_on_first_deny"}},
        {"evaluations": []},
        {"evaluations": 7},
    ]
    for batch in batches:
        for name in ("reading", "remembering"):
            _alike(asked["flask"], asked[name], EVALUATIONS, batch)


def test_the_clock_ends_what_is_remembered(world: World) -> None:
    """At the very instant at which a consent ends, and at which a no has rested."""
    people = _people(world)
    asked = ways(world)
    with world.placet.runtime.snapshot() as session:
        ends = state_of(session, people["given"].subject_id, "newsletter").consent
    assert ends is not None
    assert ends.expires_at is not None
    for instant in (
        world.clock.now - timedelta(microseconds=1),  # the clock was put back
        rests_until(ends) - timedelta(microseconds=1),
        rests_until(ends),
        ends.expires_at - timedelta(microseconds=1),
        ends.expires_at,
    ):
        for state in STATES:
            asked["remembering"].post(EVALUATION, _asked(people[state].pseudonym))
        world.clock.now = instant
        for state in STATES:
            body = _asked(people[state].pseudonym)
            _alike(asked["flask"], asked["remembering"], EVALUATION, body)


def test_what_the_shortcut_answers_is_counted(world: World) -> None:
    people = _people(world)
    asked = ways(world)
    for name in ("reading", "remembering", "remembering"):
        asked[name].post(EVALUATION, _asked(people["given"].pseudonym))
        asked[name].post(EVALUATION, _asked(people["withdrawn"].pseudonym))
    world.count_uses()
    with world.placet.runtime.snapshot() as session:
        [permitted] = world.placet.uses.of_subject(session, people["given"].subject_id)
        [denied] = world.placet.uses.of_subject(session, people["withdrawn"].subject_id)
    assert (permitted.outcome, permitted.count) == (Outcome.PERMIT, 3)
    assert (denied.outcome, denied.count) == (Outcome.DENY, 3)


def test_what_was_never_written_is_alike(world: World, database_url: str) -> None:
    """A state that cannot be read denies on every way, beside those that can be."""
    given = introduce(world)
    give(world, given)
    asked = ways(world)
    batch = {"evaluations": [_asked(given.pseudonym), _asked(given.pseudonym, "loyalty")]}
    for column, wrong in (
        ("at", "yesterday"),
        ("at", "2026-03-03T11:00:00+01:00"),
        ("expires_at", "never"),
        ("action", "pondered"),
        ("notice_version", "two"),
        ("said_by", "nobody"),
        ("channel", "smoke"),
        ("event_id", ""),
    ):
        with behind_our_back(database_url) as connection:
            kept = connection.scalar(sa.text(f"SELECT {column} FROM consent_state"))
            connection.execute(sa.text(f"UPDATE consent_state SET {column} = :to"), {"to": wrong})
        _alike(asked["flask"], asked["reading"], EVALUATION, _asked(given.pseudonym))
        _alike(asked["flask"], asked["reading"], EVALUATIONS, batch)
        with behind_our_back(database_url) as connection:
            connection.execute(sa.text(f"UPDATE consent_state SET {column} = :to"), {"to": kept})
    told = asked["reading"].post(EVALUATION, _asked(given.pseudonym)).get_json()
    assert told["decision"] is True
