import hashlib
import hmac
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.pseudonyms import store
from privacy.pseudonyms.model import domain_of, pseudonym
from tests.support.world import World

PEOPLE = ["ana@example.com", "bruno@example.com"]


def _domains(world: World, *names: str) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        for name in names:
            world.placet.pseudonyms.ensure_domain(uow, name)
        uow.commit()


def _pseudonymise(world: World, domain: str, people: list[str]) -> list[str]:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        return world.placet.pseudonyms.pseudonymise(uow, domain, people)


def test_two_applications_lists_share_no_pseudonym(world: World) -> None:
    _domains(world, "shop", "insurer")
    shop, insurer = (_pseudonymise(world, domain, PEOPLE) for domain in ("shop", "insurer"))
    assert len({*shop, *insurer}) == 4


def test_the_same_list_yields_the_same_pseudonyms_in_order(world: World) -> None:
    _domains(world, "shop")
    first = _pseudonymise(world, "shop", PEOPLE)
    assert _pseudonymise(world, "shop", PEOPLE[::-1]) == first[::-1]
    assert _pseudonymise(world, "shop", ["ANA@example.com", "ana@example.com"]) == [first[0]] * 2


def test_a_pseudonym_is_resolved_in_its_own_domain_alone(world: World) -> None:
    _domains(world, "shop", "insurer")
    [ana, _bruno] = _pseudonymise(world, "shop", PEOPLE)
    with world.placet.runtime.snapshot() as session:
        subject_id = world.placet.subjects.find_by_email(session, PEOPLE[0])
        resolve = world.placet.pseudonyms.resolve
        assert resolve(session, "shop", ana) == subject_id
        assert resolve(session, "insurer", ana) is None
        assert resolve(session, "nobody", ana) is None
        assert resolve(session, "shop", ana[:-1] + "\N{GREEK SMALL LETTER ALPHA}") is None
        assert resolve(session, "shop", "") is None


def test_one_bad_address_changes_nothing_and_is_named(world: World) -> None:
    _domains(world, "shop")
    world.app.extensions["placet.bearer"] = lambda: Actor(
        kind=ActorKind.APPLICATION,
        client_id="shop",
        domain="shop",
        scopes=frozenset({Scope.PSEUDONYMS_WRITE}),
    )
    answer = world.client.post(
        "/v1/pseudonyms", json={"identifiers": ["ana@example.com", "not an address"]}
    )
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["errors"][0]["field"] == "identifiers.1"
    with world.placet.runtime.snapshot() as session:
        assert world.placet.subjects.find_by_email(session, "ana@example.com") is None
    good = world.client.post("/v1/pseudonyms", json={"identifiers": ["ana@example.com"]})
    assert good.status_code == 200
    assert good.json is not None
    assert good.json["pseudonyms"][0].startswith("d1v1_")


def test_an_erased_person_comes_back_as_somebody_else(world: World) -> None:
    _domains(world, "shop")
    [before] = _pseudonymise(world, "shop", PEOPLE[:1])
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = world.placet.pseudonyms.resolve(uow.session, "shop", before)
        assert subject_id is not None
        world.placet.pseudonyms.forget(uow, subject_id)
        world.placet.subjects.erase(uow, subject_id)
        with pytest.raises(NotFound):
            world.placet.pseudonyms.issue(uow, "shop", subject_id)
        uow.commit()
    [after] = _pseudonymise(world, "shop", PEOPLE[:1])
    assert after != before
    with world.placet.runtime.snapshot() as session:
        assert world.placet.pseudonyms.resolve(session, "shop", before) is None


def test_the_form_is_fixed_for_good() -> None:
    key, sid = bytes(32), bytes(16)
    value = pseudonym(key, sid, domain_id=3, key_version=2)
    mac = hmac.new(key, sid, hashlib.sha256).digest()
    assert value == "d3v2_" + __import__("base64").urlsafe_b64encode(mac[:24]).decode()
    assert len(value) <= 64
    assert domain_of(value) == 3
    assert domain_of("d0v1_" + "A" * 32) is None
    assert domain_of(value + "\n") is None


def test_two_lists_of_the_same_new_people_in_opposite_order_do_not_block_each_other(
    world: World,
) -> None:
    _domains(world, "shop")
    people = [f"person{number}@example.com" for number in range(30)]
    together = threading.Barrier(4)

    def take(number: int) -> list[str]:
        together.wait()
        return _pseudonymise(world, "shop", people if number % 2 else people[::-1])

    with ThreadPoolExecutor(4) as threads:
        lists = list(threads.map(take, range(4)))
    assert lists[0] == lists[2] == lists[1][::-1] == lists[3][::-1]


def test_a_pseudonym_is_never_issued_beside_an_erasure(world: World) -> None:
    """Whoever was about to issue one while the person was erased finds nobody."""
    _domains(world, "shop")
    runtime, placet = world.placet.runtime, world.placet
    if runtime.database.is_sqlite:
        pytest.skip("SQLite has one writer")
    with runtime.unit_of_work(SYSTEM) as uow:
        subject_id = placet.subjects.by_email(uow, PEOPLE[0], keep=True)
        uow.commit()

    def issue() -> str:
        with runtime.unit_of_work(SYSTEM) as uow:
            value = placet.pseudonyms.issue(uow, "shop", subject_id)
            uow.commit()
            return value

    with ThreadPoolExecutor(1) as threads:
        with runtime.unit_of_work(SYSTEM) as uow:
            placet.eraser.erase(uow, subject_id)
            late = threads.submit(issue)
            with pytest.raises(TimeoutError):
                late.result(0.5)  # it waits for the erasure
            uow.commit()
        with pytest.raises(NotFound):
            late.result(10)
    with runtime.snapshot() as session:
        assert store.of_subject(session, subject_id) == []
    world.settle()
    assert world.verify().ok
