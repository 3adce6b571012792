"""Erasing a person: what goes, what stays, and that every proof holds."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from policies.errors import NotFound
from policies.vocabulary import RetentionClass, Right, Scope
from privacy.actor import ANONYMOUS, SYSTEM
from privacy.audit import store as audit_store
from privacy.consent import store as consent_store
from privacy.keys.store import DataKey
from privacy.pseudonyms import store as pseudonyms_store
from privacy.rights.model import Asked
from privacy.rights.store import RequestRow
from tests.privacy.rights.steps import browse_as, mailed, of_person, signed_out, words
from tests.support.cast import (
    ANA,
    Person,
    application,
    ask,
    calls_as,
    give,
    introduce,
    withdraw,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

CANARY = "Anastasia Quesada"
CANARY_EMAIL = "canary.quesada@example.com"


def canary(world: World) -> Person:
    """Make a person whose name and address stand nowhere else, with a life here."""
    person = introduce(world, CANARY_EMAIL)
    browse_as(world, of_person(person))
    typed = {"attribute": "given_name", "value": CANARY}
    assert submit(world.client, "/rights/rectification", typed).status_code == 303
    give(world, person)
    withdraw(world, person)
    return person


def erase(world: World) -> None:
    answer = submit(world.client, "/rights/erasure", {})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/rights/erased")


def keys_of(world: World, subject_id: str) -> set[str]:
    with world.placet.runtime.snapshot() as session:
        query = sa.select(DataKey.retention).where(DataKey.holder == subject_id)
        return set(session.scalars(query))


def test_the_page_names_the_consequences_and_what_is_kept_until_when(world: World) -> None:
    browse_as(world, of_person(introduce(world)))
    page = world.client.get("/rights/erasure").text
    assert "No se puede deshacer" in page
    assert "3 de marzo de 2029" in page  # consent evidence and rights file, three years
    assert "3 de marzo de 2027" in page  # security trail, one year
    assert "LOPDGDD, art. 72.1" in page


def test_an_erased_person_is_gone_and_every_proof_still_holds(
    world: World, mail_server: MailServer
) -> None:
    person = canary(world)
    world.settle()
    calls_as(world, application(scopes=frozenset({Scope.DECISIONS_EVALUATE})))
    erase(world)
    assert RetentionClass.PROFILE.value not in keys_of(world, person.subject_id)
    answer = ask(world, person).json
    assert answer is not None
    assert answer["decision"] is False
    assert answer["context"]["reasons"] == ["unknown-person"]
    with world.placet.runtime.snapshot() as session:
        assert world.placet.subjects.find_by_email(session, CANARY_EMAIL) is None
        assert world.placet.subjects.profile(session, person.subject_id) == {}
        assert pseudonyms_store.of_subject(session, person.subject_id) == []
        held = audit_store.payloads_of(session, person.subject_id, ["profile"])
        assert held == []
    world.settle()
    assert world.verify().ok


def test_the_last_letter_confirms_and_says_what_is_kept(
    world: World, mail_server: MailServer
) -> None:
    canary(world)
    world.settle()
    mail_server.clear()
    erase(world)
    letter = mailed(world, mail_server, CANARY_EMAIL)
    text = words(letter)
    assert "Hemos borrado tus datos" in str(letter["Subject"])
    assert "3 de marzo de 2029" in text
    assert "3 de marzo de 2027" in text
    assert len(mail_server.messages) == 1


def test_the_session_ends_and_the_page_says_what_is_kept(world: World) -> None:
    canary(world)
    client = world.client
    answer = submit(client, "/rights/erasure", {})
    signed_out(world)
    page = client.get(answer.headers["Location"])
    assert "Tus datos se han borrado" in page.text
    assert "3 de marzo de 2029" in page.text


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_no_byte_of_the_person_is_left_in_the_file(
    world: World, mail_server: MailServer, instance: Path
) -> None:
    canary(world)
    world.settle()
    erase(world)
    world.settle()
    with world.placet.runtime.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [path for path in instance.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite3" for path in files)
    needles = [CANARY.encode(), CANARY_EMAIL.encode(), b"Quesada", b"canary.quesada"]
    found = [
        (path.name, needle) for path in files for needle in needles if needle in path.read_bytes()
    ]
    assert found == []


def test_who_comes_back_is_somebody_new(world: World) -> None:
    person = canary(world)
    erase(world)
    again = introduce(world, CANARY_EMAIL)
    assert again.subject_id != person.subject_id
    assert again.pseudonym != person.pseudonym


def test_erasing_twice_at_once_erases_once(world: World) -> None:
    person = canary(world)
    rights, runtime = world.placet.rights, world.placet.runtime
    together = threading.Barrier(8)

    def attempt(_number: int) -> bool:
        together.wait()
        try:
            with runtime.unit_of_work(ANONYMOUS) as uow:
                rights.ask_in_portal(uow, person.subject_id, Asked(Right.ERASURE, "es"))
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1
    world.settle()
    assert world.verify().ok


def test_what_was_kept_ends_with_its_term_and_not_before(
    world: World, mail_server: MailServer
) -> None:
    person = canary(world)
    erase(world)
    world.settle()
    ages = [(363, {"consent-evidence", "rights-file", "security-trail"}), (366 * 3, set())]
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:  # something of each class
        for kind in RetentionClass:
            if kind.value in ages[0][1]:
                world.placet.sealer.seal(
                    uow.session, person.subject_id, kind, b"test", b"x", at=uow.now
                )
        uow.commit()
    start = world.clock.now
    for days, left in ages:
        world.clock.now = start
        world.clock.advance(days=days)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.eraser.end_terms(uow)
        assert keys_of(world, person.subject_id) == left
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(RequestRow)).first()
        assert row is not None
        assert world.placet.rights.opened(session, row.request_id)[1].contact is None
    world.settle()
    assert world.verify().ok


def test_the_rows_of_consent_end_with_the_evidence_of_it(world: World) -> None:
    person, other = canary(world), introduce(world, ANA)
    objected = introduce(world, CANARY_EMAIL)
    assert objected == person
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, person.subject_id, "newsletter")
        uow.commit()
    give(world, other)
    erase(world)
    tables = (consent_store.EventRow, consent_store.StateRow, consent_store.ObjectionRow)

    def rows(who: Person) -> list[int]:
        with world.placet.runtime.snapshot() as session:
            return [
                session.scalar(
                    sa.select(sa.func.count())
                    .select_from(table)
                    .where(table.subject_id == who.subject_id)
                )
                or 0
                for table in tables
            ]

    for days, left in ((1095, [2, 1, 1]), (1, [0, 0, 0])):
        world.clock.advance(days=days)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.eraser.end_terms(uow)
        assert rows(person) == left
        assert rows(other) == [1, 1, 0]
    world.settle()
    assert world.verify().ok


def test_the_security_trail_ends_first_and_alone(world: World) -> None:
    person = canary(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.sealer.seal(
            uow.session, person.subject_id, RetentionClass.SECURITY_TRAIL, b"t", b"x", at=uow.now
        )
        uow.commit()
    erase(world)
    world.clock.advance(days=365)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert world.placet.eraser.end_terms(uow) == 1
    assert keys_of(world, person.subject_id) == {"consent-evidence", "rights-file"}


def test_an_address_that_is_not_erased_stays(world: World) -> None:
    other = introduce(world, ANA)
    canary(world)
    erase(world)
    with world.placet.runtime.snapshot() as session:
        assert world.placet.subjects.emails(session, other.subject_id) == [ANA]
