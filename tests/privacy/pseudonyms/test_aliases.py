"""Two pseudonyms of one domain name one person: which stays, and who is told."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from policies.vocabulary import Scope
from privacy.actor import SYSTEM
from privacy.pseudonyms import store
from tests.support.cast import ANA, Person, application, calls_as, introduce
from tests.support.world import World

FEED = "/v1/pseudonyms/aliases"
SCOPES = frozenset({Scope.PSEUDONYMS_READ, Scope.PSEUDONYMS_WRITE})


def merge(world: World, survivor: Person, other: Person) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.merge(uow, survivor.subject_id, other.subject_id)
        uow.commit()


def told(world: World, domain: str, after: int | None = None) -> dict[str, Any]:
    calls_as(world, application(domain, scopes=SCOPES))
    answer = world.client.get(FEED, query_string={} if after is None else {"after": after})
    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json, dict)
    return answer.json


def pseudonym(world: World, domain: str, identifier: object) -> str:
    calls_as(world, application(domain, scopes=SCOPES))
    answer = world.client.post("/v1/pseudonyms", json={"identifiers": [identifier]})
    assert answer.json is not None
    return str(answer.json["pseudonyms"][0])


def test_the_accounts_pseudonym_stays_and_the_application_is_told(world: World) -> None:
    ana = introduce(world, ANA)
    others = [introduce(world, f"ana{n}@example.com", verified=False) for n in range(3)]
    introduce(world, "eva@example.com", domain="insurer")
    for number, other in enumerate(others):
        merge(world, ana, other)
        assert pseudonym(world, "shop", f"ana{number}@example.com") == ana.pseudonym
    resolve, find = world.placet.pseudonyms.resolve, world.placet.pseudonyms.find
    with world.placet.runtime.snapshot() as session:
        for other in (ana, *others):
            assert resolve(session, "shop", other.pseudonym) == ana.subject_id
            assert find(session, "shop", other.subject_id) == ana.pseudonym
            assert resolve(session, "insurer", other.pseudonym) is None
    first = told(world, "shop")
    assert first == {
        "aliases": [
            {"old": other.pseudonym, "new": ana.pseudonym, "at": "2026-03-03T11:00:00.000Z"}
            for other in others
        ],
        "next": 3,
    }
    assert told(world, "shop", after=2)["aliases"] == first["aliases"][2:]
    assert told(world, "shop", after=3) == {"aliases": [], "next": 3}
    assert told(world, "insurer") == {"aliases": [], "next": 0}
    world.settle()
    assert world.verify().ok


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_where_only_the_alias_was_known_its_pseudonym_becomes_the_persons(world: World) -> None:
    ana = introduce(world, ANA)
    other = introduce(world, "otra@example.com", domain="insurer", verified=False)
    third = introduce(world, "tercera@example.com", domain="insurer", verified=False)
    merge(world, ana, other)
    assert pseudonym(world, "insurer", ANA) == other.pseudonym  # a sub never changes
    assert told(world, "insurer")["aliases"] == []
    merge(world, ana, third)
    assert pseudonym(world, "insurer", ANA) == other.pseudonym
    assert told(world, "insurer")["next"] == 1
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    assert told(world, "insurer") == {"aliases": [], "next": 0}
    with world.placet.runtime.snapshot() as session:
        for person in (ana, other, third):
            assert store.of_subject(session, person.subject_id) == []
    world.settle()
    assert world.verify().ok


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_cursor_that_is_none_is_named(world: World) -> None:
    calls_as(world, application(scopes=SCOPES))
    for query in ("after=-1", "after=x", "after=9999999999", "before=1"):
        answer = world.client.get(f"{FEED}?{query}")
        assert answer.status_code == 422, query
        assert answer.json is not None
        assert answer.json["errors"][0]["field"] == query.partition("=")[0]


def test_a_pseudonym_issued_beside_a_merge_is_the_one_that_the_merge_left(world: World) -> None:
    """It waits for the merge, and then names the person by what the domain knew before."""
    ana = introduce(world, ANA, domain="insurer")
    other = introduce(world, "ana.vieja@example.com", verified=False)

    def issue() -> str:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            value = world.placet.pseudonyms.issue(uow, "shop", ana.subject_id)
            uow.commit()
            return value

    with ThreadPoolExecutor(1) as threads:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.subjects.merge(uow, ana.subject_id, other.subject_id)
            late = threads.submit(issue)
            with pytest.raises(TimeoutError):
                late.result(0.3)
            uow.commit()
        assert late.result(10) == other.pseudonym
    with world.placet.runtime.snapshot() as session:
        assert world.placet.pseudonyms.find(session, "shop", ana.subject_id) == other.pseudonym
