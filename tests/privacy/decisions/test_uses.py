"""Use counters: what the person sees of who asked, and that a check waits for none of it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.decisions.model import Outcome, Use
from privacy.decisions.store import UseRow
from tests.support.cast import Person, application, ask, calls_as, give, introduce, signed_in_as
from tests.support.deployment import Deployment
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world

TODAY = date(2026, 3, 3)


def uses_of(world: World, person: Person) -> list[Use]:
    world.count_uses()
    with world.placet.runtime.snapshot() as session:
        return world.placet.uses.of_subject(session, person.subject_id)


def test_uses_are_counted_by_application_purpose_day_and_outcome(world: World, ana: Person) -> None:
    ask(world, ana)
    give(world, ana)
    for _ in range(3):
        ask(world, ana)
    introduce(world, domain="insurer")
    world.clock.advance(hours=12)  # 00:00 of the next day in Madrid, still 23:00 UTC
    ask(world, ana)
    assert uses_of(world, ana) == [
        Use("shop", "newsletter", date(2026, 3, 4), Outcome.PERMIT, 1),
        Use("shop", "newsletter", TODAY, Outcome.PERMIT, 3),
        Use("shop", "newsletter", TODAY, Outcome.DENY, 1),
    ]
    ask(world, ana)
    assert uses_of(world, ana)[0].count == 2


def test_what_names_no_person_or_no_purpose_is_not_counted(world: World, ana: Person) -> None:
    ask(world, Person("", "d1v1_" + "A" * 32))
    ask(world, ana, "horoscope")
    ask(world, ana, "analytics")
    world.count_uses()
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(UseRow)) == 0


def test_counts_are_written_soon_without_anybody_asking(world: World, ana: Person) -> None:
    ask(world, ana)
    deadline = time.monotonic() + 20
    found: list[Use] = []
    while not found and time.monotonic() < deadline:
        world.placet.uses.run_due()  # as the worker does
        with world.placet.runtime.snapshot() as session:
            found = world.placet.uses.of_subject(session, ana.subject_id)
        time.sleep(0.02)
    assert [use.count for use in found] == [1]


def test_no_count_is_lost_between_threads(world: World, ana: Person) -> None:
    def count(_number: int) -> None:
        world.placet.uses.count(ana.subject_id, "shop", "newsletter", world.clock(), permit=True)
        if threading.get_ident() % 2:
            world.count_uses()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(200)))
    assert [use.count for use in uses_of(world, ana)] == [200]


def test_counts_wait_for_a_database_that_cannot_be_written(
    world: World, ana: Person, database_url: str
) -> None:
    with behind_our_back(database_url) as connection:
        connection.execute(sa.text("ALTER TABLE decision_use RENAME TO elsewhere"))
    world.placet.uses.count(ana.subject_id, "shop", "newsletter", world.clock(), permit=True)
    with pytest.raises(sa.exc.DBAPIError):
        world.count_uses()
    with behind_our_back(database_url) as connection:
        connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO decision_use"))
    assert [use.count for use in uses_of(world, ana)] == [1]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_counts_wait_for_a_disk_that_cannot_be_written(
    world: World, ana: Person, caplog: pytest.LogCaptureFixture
) -> None:
    folder = world.placet.settings.instance / "uses"
    folder.write_text("in the way")
    world.placet.uses.count(ana.subject_id, "shop", "newsletter", world.clock(), permit=True)
    world.placet.uses.flush()
    assert "use counts wait for the disk" in caplog.text
    folder.unlink()
    world.placet.uses.count(ana.subject_id, "shop", "newsletter", world.clock(), permit=True)
    assert [use.count for use in uses_of(world, ana)] == [2]


def test_old_counts_are_deleted_and_an_erased_person_has_none(world: World, ana: Person) -> None:
    ask(world, ana)
    assert len(uses_of(world, ana)) == 1
    world.clock.advance(days=365)
    ask(world, ana)
    assert [use.day for use in uses_of(world, ana)] == [TODAY + timedelta(days=365), TODAY]
    world.clock.advance(days=1)
    ask(world, ana)
    assert TODAY not in [use.day for use in uses_of(world, ana)]
    ask(world, ana)  # counted, and in no file yet
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    assert uses_of(world, ana) == []


def test_counts_that_another_process_holds_are_not_written_for_an_erased_person(
    world: World, ana: Person, database_url: str, instance: Path
) -> None:
    other = make_world(database_url, instance, seed="another process")
    bruno = introduce(world, "bruno@example.com")
    other.placet.uses.count(ana.subject_id, "shop", "newsletter", world.clock(), permit=True)
    other.placet.uses.count(bruno.subject_id, "shop", "newsletter", world.clock(), permit=True)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    other.placet.uses.flush()
    assert uses_of(world, ana) == []
    assert len(uses_of(world, bruno)) == 1
    other.placet.runtime.database.engine.dispose()


def test_the_person_sees_who_asked_for_what_and_what_was_answered(
    world: World, ana: Person
) -> None:
    assert "Nadie ha preguntado todavía" in world.client.get("/privacy/uses").text
    give(world, ana)
    calls_as(world, application())
    for _ in range(2):
        ask(world, ana)
    ask(world, ana, "recommendations")
    world.count_uses()
    page = world.client.get("/privacy/uses").text
    for words in ("3 de marzo de 2026", "shop", "La carta del mes", "Recomendaciones a tu gusto"):
        assert words in page
    bruno = introduce(world, "bruno@example.com")
    signed_in_as(world, bruno)
    assert "La carta del mes" not in world.client.get("/privacy/uses").text


def test_the_access_file_holds_the_uses(world: World, ana: Person) -> None:
    ask(world, ana)
    world.count_uses()
    with world.placet.runtime.snapshot() as session:
        collected = world.placet.uses.collect(session, ana.subject_id)
    assert collected == {
        "uses": [
            {
                "application": "shop",
                "purpose": "newsletter",
                "day": "2026-03-03",
                "outcome": "deny",
                "count": 1,
            }
        ]
    }


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_an_ordinary_stop_of_the_server_loses_no_count(database_url: str, instance: Path) -> None:
    placet = Deployment(database_url, instance)
    shop = placet.add_client(
        "shop",
        "--purpose",
        "newsletter",
        *("--scope", "decisions:evaluate", "--scope", "pseudonyms:write"),
    )
    with placet.serving():
        headers = {
            "Authorization": f"Bearer {placet.token(shop, 'decisions:evaluate pseudonyms:write')}"
        }
        [pseudonym] = requests.post(
            f"{placet.url}/v1/pseudonyms",
            json={"identifiers": ["ana@example.com"]},
            headers=headers,
            timeout=30,
        ).json()["pseudonyms"]
        question = {
            "subject": {"type": "application", "id": shop["client_id"]},
            "action": {"name": "newsletter"},
            "resource": {"type": "person", "id": pseudonym},
        }
        for _ in range(5):
            answer = requests.post(
                f"{placet.url}/access/v1/evaluation", json=question, headers=headers, timeout=30
            )
            assert answer.json()["context"]["reasons"] == ["no-consent"]
    # What was put into files last is written by the next worker.
    make_world(database_url, instance).placet.uses.run_due()
    with behind_our_back(database_url) as connection:
        assert connection.scalar(sa.text("SELECT sum(count) FROM decision_use")) == 5


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_counts_wait_while_a_person_is_being_erased_and_come_to_nothing(
    world: World, ana: Person
) -> None:
    bruno = introduce(world, "bruno@example.com")
    for person in (ana, bruno):
        world.placet.uses.count(person.subject_id, "shop", "newsletter", world.clock(), permit=True)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        assert uses_of(world, bruno) == []  # of nobody: it waits for no row
        uow.commit()
    assert uses_of(world, ana) == []
    assert [use.count for use in uses_of(world, bruno)] == [1]
