"""Searches for people: what they find, page by page, is what a question about each would permit."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import Client

from policies.decision import Obligation, ObligationRule, ObligationType, PurposeRule, decide
from policies.vocabulary import LegalBasis
from privacy.actor import SYSTEM
from privacy.consent.model import StateUnreadable
from privacy.consent.store import StateRow
from privacy.decisions.model import PERSON, Permitted
from privacy.decisions.reader import Reader
from privacy.decisions.rendering import found
from privacy.decisions.search import PeopleSearch
from privacy.decisions.search_page import PeoplePages, page_of
from privacy.decisions.search_shortcut import SearchShortcut
from privacy.decisions.search_tokens import PageTokens
from privacy.prepared import Connections
from privacy.tables import UtcDateTime
from tests.privacy.decisions.ways import Always
from tests.support.cast import Person, application, calls_as, give, introduce, withdraw
from tests.support.tampering import behind_our_back
from tests.support.world import NOON, World

SHOP = application()
SEARCH = "/access/v1/search/resource"
LATER, EARLIER = NOON + timedelta(days=1), NOON - timedelta(days=30)
#: How each of twelve people differs from one who consented in a shop: set in these tables.
PEOPLE: tuple[dict[str, dict[str, Any]], ...] = (
    {},
    {"consent_state": {"at": NOON - timedelta(days=2)}},
    {"consent_state": {"action": "renewed", "explicit": True}},
    {"consent_state": {"action": "withdrawn"}},
    {"consent_state": {"at": LATER}},
    {"consent_state": {"expires_at": NOON}},
    {"consent_state": {"expires_at": None, "explicit": True}},
    {"consent_state": {"notice_version": 1}},
    {"consent_state": {"said_by": "guardian"}},
    {"consent_state": {"channel": "web"}, "subject_identifier": {"verified_at": None}},
    {"consent_state": {"channel": "web"}},
    {"subject": {"restricted_at": EARLIER}},
    {"subject": {"minor_until": EARLIER - timedelta(days=1)}},
)
KEEP = ObligationRule(ObligationType.KEEP_UNTIL)


def _rules(newsletter: PurposeRule) -> Iterator[PurposeRule]:
    """Rules of every kind for the one unit about which everybody said something."""
    plain = replace(newsletter, obligations=(), direct_marketing=False)
    yield newsletter
    yield plain
    yield replace(plain, explicit=True, validity_months=None)
    yield replace(plain, solely_automated=True, last_material_version=1)
    yield replace(plain, obligations=(KEEP,), keep_months=6, keep_from="collection")
    yield replace(plain, legal_basis=LegalBasis.LEGITIMATE_INTERESTS, direct_marketing=True)
    yield replace(plain, legal_basis=LegalBasis.CONTRACT, obligations=(KEEP,))


def _pages(search: PeopleSearch, limit: int) -> Iterator[Mapping[str, tuple[Obligation, ...]]]:
    after: str | None = ""
    while after is not None:
        page = search.page(SHOP, "newsletter", NOON, after=after, limit=limit)
        after = page.last
        yield page.people


def _different_people(world: World, database_url: str) -> list[Person]:
    known = [introduce(world, f"p{number}@example.com") for number in range(len(PEOPLE))]
    for person in known:
        give(world, person)
    with behind_our_back(database_url) as connection:
        connection.execute(sa.update(StateRow).values(at=EARLIER, channel="store"))
        for person, tables in zip(known, PEOPLE, strict=True):
            for table, values in tables.items():
                for column, value in values.items():
                    kind = UtcDateTime() if isinstance(value, datetime) else None
                    connection.execute(
                        sa.text(
                            f"UPDATE {table} SET {column} = :value WHERE subject_id = :subject_id"
                        ).bindparams(sa.bindparam("value", value, type_=kind)),
                        {"subject_id": person.subject_id},
                    )
    return known


def test_who_is_alike_is_decided_as_each_would_be(world: World, database_url: str) -> None:
    known = _different_people(world, database_url)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, known[1].subject_id, "newsletter")
        uow.commit()
    connections = Connections(world.placet.runtime.database.engine)
    newsletter = world.placet.decisions.rules["newsletter"]
    assert newsletter is not None
    pairs = [(each.pseudonym, "newsletter") for each in known]
    seen = Reader(connections).see("shop", pairs, NOON)
    permits = set()
    for rule in _rules(newsletter):
        expected = {}
        for pair in sorted(pairs):
            decision = decide(rule, seen[pair].sighting.facts, NOON)
            if decision.permit:
                expected[pair[0]] = decision.obligations
        permits.add(frozenset(expected))
        search = PeopleSearch(connections, {"newsletter": rule}, world.placet.uses)
        for limit in (3, 100):
            pages = list(_pages(search, limit))
            assert all(len(each) <= limit for each in pages)
            told = [item for page in pages for item in page.items()]
            assert told == list(expected.items())
    assert len(permits) >= 4
    # However few are permitted, a page looks at no more people than it may.
    nobody = replace(newsletter, last_material_version=9)
    search = PeopleSearch(connections, {"newsletter": nobody}, world.placet.uses, looked_at=5)
    assert [len(each) for each in _pages(search, 100)] == [0, 0, 0]


def test_each_page_is_read_at_its_own_moment(world: World, database_kind: str) -> None:
    calls_as(world, SHOP)
    known = sorted(
        (introduce(world, f"p{number}@example.com") for number in range(4)),
        key=lambda person: person.pseudonym,
    )
    for person in known:
        give(world, person)
    asked: dict[str, Any] = {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": "newsletter"},
        "resource": {"type": "person"},
        "page": {"limit": 2},
    }
    first = world.client.post(SEARCH, json=asked).get_json()
    withdraw(world, known[0])
    withdraw(world, known[2])
    asked["page"]["token"] = first["page"]["next_token"]
    second = world.client.post(SEARCH, json=asked).get_json()
    assert [each["id"] for each in first["results"]] == [each.pseudonym for each in known[:2]]
    assert [each["id"] for each in second["results"]] == [known[3].pseudonym]
    assert second["page"] == {"next_token": "", "count": 1}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_of_whom_nothing_can_be_read_only_they_are_left_out(
    world: World, database_url: str
) -> None:
    damaged, whole = (introduce(world, f"{name}@example.com") for name in ("ana", "luis"))
    give(world, damaged)
    give(world, whole)
    connections = Connections(world.placet.runtime.database.engine)
    search = PeopleSearch(connections, world.placet.decisions.rules, world.placet.uses)
    reader = Reader(connections)
    for damage in ("at = 5", "expires_at = 'x'", "notice_version = 'x'", "said_by = 'nobody'"):
        with behind_our_back(database_url) as connection:
            connection.execute(
                sa.text(f"UPDATE consent_state SET {damage} WHERE subject_id = :subject_id"),
                {"subject_id": damaged.subject_id},
            )
        with pytest.raises(StateUnreadable):
            reader.see("shop", [(damaged.pseudonym, "newsletter")], NOON)
        assert [[*each] for each in _pages(search, 100)] == [[whole.pseudonym]], damage


def _dumps(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def test_a_page_is_written_as_its_results_one_by_one_would_be() -> None:
    duty = Obligation("a:mask", "mask", {"categories": 'contact "and" *person*'})
    some, none = (duty,), ()
    pages: list[dict[str, tuple[Obligation, ...]]] = [
        {},
        {"d1v1_a": none},
        {"d1v1_a": none, "d1v1_b": none, "d1v1_-_": none},
        {"d1v1_a": some, "d1v1_b": some},
        {"d1v1_a": some, "d1v1_b": none, "d1v1_c": (duty, duty), "d1v1_d": some},
    ]
    for people in pages:
        results = [
            found(Permitted(name, duties), {"type": PERSON, "id": name})
            for name, duties in people.items()
        ]
        page = {"next_token": "t", "count": len(results)}
        assert page_of(people, "t") == _dumps({"results": results, "page": page}) + "\n"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_search_is_answered_alike_before_flask(world: World) -> None:
    calls_as(world, SHOP)
    for name in ("ana", "luis", "eva"):
        give(world, introduce(world, f"{name}@example.com"))
    placet = world.placet
    people = PeopleSearch(
        Connections(placet.runtime.database.engine), placet.decisions.rules, placet.uses
    )
    pages = PeoplePages(placet.decisions, people, PageTokens(placet.keyring))
    left = list[str]()

    def inner(environ: Any, start_response: Any) -> Any:
        left.append(environ["PATH_INFO"])
        return world.app.wsgi_app(environ, start_response)

    before = Client(SearchShortcut(world.app, inner, world.clock, Always(SHOP), pages))
    usual: dict[str, Any] = {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": "newsletter"},
        "resource": {"type": "person"},
        "page": {"limit": 2},
    }
    first = world.client.post(SEARCH, json=usual).get_json()
    assert first["page"]["count"] == 2
    bodies: list[object] = [
        usual,
        usual | {"page": {"token": first["page"]["next_token"], "limit": 2}},
        usual | {"action": {"name": "world-peace"}},
        usual | {"subject": {"type": "application", "id": "insurer"}},
        usual | {"context": {"supported_obligations": []}},
        usual | {"resource": {"type": "person", "properties": {"categories": ["purchases"]}}},
    ]
    wrong: list[object] = [usual | {"page": {"token": "bm8="}}, {}, []]
    for body in [*bodies, *wrong]:
        expected, told = (
            client.post(SEARCH, json=body, headers={"X-Request-ID": "r-1"})
            for client in (Client(world.app.wsgi_app), before)
        )
        assert (told.status_code, told.data) == (expected.status_code, expected.data)
        assert {**told.headers, "Vary": ""} == {**expected.headers, "Vary": ""}
    assert left == [SEARCH] * len(wrong)
