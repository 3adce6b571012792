"""How consents end by the clock and by the controller, are renewed, asked for and remembered."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.errors import InvalidInput
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.audit import store as audit
from privacy.consent import store
from privacy.consent.guardian_store import GuardianshipRow
from privacy.consent.lifecycle import Collection, Housekeeping, Lifecycle
from privacy.consent.lifecycle_store import ReminderRow, endings, in_force_after
from privacy.consent.model import ConsentEvent, NothingToWithdraw, Voice
from privacy.consent.reminders import Reminders
from privacy.subjects.store import SubjectRow
from tests.privacy.consent.test_minors import born
from tests.support.cast import Person, application, ask, calls_as, give, introduce, withdraw
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world

sqlite_alone = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
DPO = Actor(kind=ActorKind.SYSTEM)


def life(world: World) -> Lifecycle:
    return Lifecycle(world.placet.consents)


def run_worker(world: World) -> int:
    task = Housekeeping(world.placet.runtime, life(world))
    return sum(iter(task.run_due, 0))


def history(world: World, person: Person) -> list[ConsentEvent]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.consents.history(session, person.subject_id)


def reasons(world: World, person: Person) -> list[str]:
    answer = ask(world, person).json
    assert answer is not None
    return list(answer["context"]["reasons"])


def is_sound(world: World) -> bool:
    world.settle()
    return world.verify().findings == []


def renew(world: World, person: Person) -> ConsentEvent:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        event = world.placet.consents.record_given(
            uow,
            person.subject_id,
            "newsletter",
            notice_version=2,
            language="es",
            channel=ConsentChannel.WEB,
            renews=True,
        )
        uow.commit()
    return event


@sqlite_alone
def test_the_end_of_the_term_is_noted_once_afterwards_and_dated_at_the_end(
    world: World, ana: Person
) -> None:
    given = give(world, ana)
    assert given.expires_at is not None
    world.clock.now = given.expires_at
    assert reasons(world, ana) == ["consent-expired"]  # before any job has run
    world.clock.advance(days=3)
    assert run_worker(world) == 1
    assert run_worker(world) == 0
    noted = history(world, ana)[-1]
    assert (noted.action, noted.at) == (ConsentAction.EXPIRED, given.expires_at)
    assert (noted.recorded_at, noted.said_by) == (world.clock(), SaidBy.CLOCK)
    assert noted.follows == given.event_id
    assert reasons(world, ana) == ["consent-expired"]
    assert is_sound(world)
    give(world, ana)
    assert reasons(world, ana) == ["consent-given"]
    assert run_worker(world) == 0


def test_two_workers_at_once_note_the_end_once(world: World, ana: Person) -> None:
    given = give(world, ana)
    assert given.expires_at is not None
    world.clock.now = given.expires_at
    start, done = threading.Barrier(2), []

    def work() -> None:
        start.wait(timeout=30)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            done.append(life(world).note_expired(uow))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, 1]
    assert [e.action for e in history(world, ana)] == [ConsentAction.GIVEN, ConsentAction.EXPIRED]


@sqlite_alone
def test_an_erased_person_s_consent_keeps_nobody_else_s_end_from_being_noted(
    world: World, ana: Person
) -> None:
    given, bruno = give(world, ana), introduce(world, "bruno@example.com")
    give(world, bruno)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    assert given.expires_at is not None
    world.clock.now = given.expires_at
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert life(world).note_expired(uow, limit=1) == 1


@sqlite_alone
def test_states_whose_event_is_gone_keep_nobody_else_s_end_from_being_noted(
    world: World, ana: Person, database_url: str
) -> None:
    given, bruno = give(world, ana), introduce(world, "bruno@example.com")
    world.clock.advance(seconds=1)
    last = give(world, bruno)
    world.placet.runtime.database.engine.dispose()
    with behind_our_back(database_url) as connection:
        connection.execute(
            sa.text("DELETE FROM consent_event WHERE event_id = :gone"), {"gone": given.event_id}
        )
    assert last.expires_at is not None
    world.clock.now = last.expires_at
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert life(world).note_expired(uow, limit=1) == 1
    assert [each.action for each in history(world, bruno)][-1] is ConsentAction.EXPIRED


@sqlite_alone
def test_a_consent_given_again_before_its_end_is_a_renewal_that_names_it(
    world: World, ana: Person
) -> None:
    first = give(world, ana)
    world.clock.advance(days=100)
    again = renew(world, ana)
    assert (again.action, again.follows) == (ConsentAction.RENEWED, first.event_id)
    assert again.expires_at is not None
    assert first.expires_at is not None
    assert again.expires_at > first.expires_at
    world.clock.now = first.expires_at
    assert reasons(world, ana) == ["consent-given"]
    withdraw(world, ana)
    assert renew(world, ana).action is ConsentAction.GIVEN  # there was nothing to renew
    assert is_sound(world)


@sqlite_alone
def test_the_controller_ends_a_consent_and_the_reason_is_proved(world: World, ana: Person) -> None:
    given = give(world, ana)
    world.clock.advance(days=1)
    with world.placet.runtime.unit_of_work(DPO) as uow, pytest.raises(InvalidInput):
        life(world).end(uow, ana.subject_id, "newsletter", ConsentAction.REVOKED, " ")
    with world.placet.runtime.unit_of_work(DPO) as uow:
        ended = life(world).end(
            uow, ana.subject_id, "newsletter", ConsentAction.INVALIDATED, "Casilla premarcada"
        )
    assert (ended.follows, ended.said_by) == (given.event_id, SaidBy.CONTROLLER)
    assert reasons(world, ana) == ["consent-invalidated"]
    with world.placet.runtime.snapshot() as session:
        payload = audit.by_entry(session, audit.Payload, [ended.entry_id])[ended.entry_id]
        evidence = world.placet.log.disclose(session, payload).payload["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["reason"] == "Casilla premarcada"
    with world.placet.runtime.unit_of_work(DPO) as uow, pytest.raises(NothingToWithdraw):
        life(world).end(uow, ana.subject_id, "newsletter", ConsentAction.REVOKED, "Otra vez")
    assert is_sound(world)


def test_an_order_ends_a_collection_in_batches_and_nothing_given_after_it(
    world: World, ana: Person
) -> None:
    others = [introduce(world, f"p{number}@example.com") for number in range(3)]
    for person in others:
        give(world, person, actor=application())
    give(world, ana)  # by somebody else
    world.clock.advance(days=1)
    of = Collection("newsletter", 2, application().name)
    with world.placet.runtime.unit_of_work(DPO) as uow:
        assert life(world).count(uow.session, of, uow.now) == (3, 3)
        life(world).order(uow, of, ConsentAction.REVOKED, "Se cierra la tienda")
    world.clock.advance(days=1)
    late = introduce(world, "late@example.com")
    give(world, late, actor=application())
    looked_at, progress = [], []
    for _ in range(3):
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            looked_at.append(life(world).carry_out(uow, limit=2))
        with world.placet.runtime.snapshot() as session:
            [order] = endings(session)
            progress.append((order.done, order.consents, order.finished_at is not None))
    assert looked_at == [2, 2, 1]
    assert sorted(done for done, _, _ in progress) == [done for done, _, _ in progress]
    assert [progress[-1][0], *(is_over for _, _, is_over in progress)] == [3, False, False, True]
    assert {of_all for _, of_all, _ in progress} == {3}
    assert run_worker(world) == 0
    assert {reasons(world, each)[0] for each in others} == {"consent-revoked"}
    assert {reasons(world, each)[0] for each in (ana, late)} == {"consent-given"}
    assert is_sound(world)


@sqlite_alone
def test_a_batch_of_a_large_ending_looks_at_its_own_page_and_not_at_what_is_done(
    world: World,
) -> None:
    people, batch = 30, 5
    for number in range(people):
        give(world, introduce(world, f"p{number}@example.com"))
    of = Collection("newsletter", 2)
    with world.placet.runtime.unit_of_work(DPO) as uow:
        life(world).order(uow, of, ConsentAction.REVOKED, "Se cierra la tienda")
    looked_at, steps = [], []
    while True:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            [order] = endings(uow.session)
            if order.finished_at is not None:
                break
            after = (
                (order.after_subject, order.after_purpose or "") if order.after_subject else None
            )
            steps.append(steps_of(uow.session, partial(in_force_after, uow.session, after, batch)))
            looked_at.append(life(world).carry_out(uow, limit=batch))
    assert looked_at == [*[batch] * (people // batch), 0]  # each consent once
    assert max(steps[1:-1]) <= min(steps[1:-1]) * 1.2


def steps_of(session: Session, work: Callable[[], object]) -> int:
    """How many instructions SQLite's machine takes for some work, however fast it is."""
    taken = [0]

    def step() -> None:
        taken[0] += 1

    driver = session.connection().connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(step, 1)
    work()
    driver.set_progress_handler(None, 0)
    return taken[0]


@sqlite_alone
@pytest.mark.usefixtures("ana")  # the shop is calling
def test_what_a_merge_brings_behind_the_cursor_ends_too(world: World) -> None:
    first, *_, last = sorted(
        (introduce(world, f"p{number}@example.com") for number in range(3)),
        key=lambda each: each.subject_id,
    )
    give(world, last)
    world.clock.advance(seconds=1)
    with world.placet.runtime.unit_of_work(DPO) as uow:
        life(world).order(uow, Collection("newsletter", 2), ConsentAction.REVOKED, "Motivo")
    give(world, first, "recommendations", version=1)  # what the first page stops at
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert life(world).carry_out(uow, limit=1) == 1
        [order] = endings(uow.session)
        assert order.after_subject is not None
        assert order.after_subject == first.subject_id
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.merge(uow, first.subject_id, last.subject_id)
        uow.commit()
    run_worker(world)
    assert reasons(world, first) == ["consent-revoked"]


@sqlite_alone
def test_a_person_is_asked_once_for_each_material_notice_and_nothing_moves(
    world: World, ana: Person
) -> None:
    def asked() -> ConsentEvent | None:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            event = world.placet.consents.ask(uow, ana.subject_id, "newsletter", language="es")
            uow.commit() if event else uow.session.rollback()
            return event

    first = asked()
    assert first is not None
    assert first.action is ConsentAction.REQUESTED
    world.clock.advance(days=400)
    assert asked() is None
    assert reasons(world, ana) == ["no-consent"]
    with world.placet.runtime.snapshot() as session:
        assert store.state_of(session, ana.subject_id, "newsletter").consent is None
    give(world, ana)
    assert reasons(world, ana) == ["consent-given"]
    assert is_sound(world)


@pytest.fixture
def reminding(register_folder: Path, database_url: str, instance: Path) -> World:
    """A deployment that reminds of the newsletter and of analytics 30 days before the end."""
    file = register_folder / "purposes.toml"
    text = file.read_text()
    file.write_text(text.replace("[analytics]\n", "[analytics]\nreminder_days = 30\n"))
    world = make_world(database_url, instance, PLACET_REGISTER=str(register_folder))
    calls_as(world, application())
    return world


def letters(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.text("SELECT count(*) FROM outbox")) or 0


def reminders(world: World) -> Reminders:
    placet = world.placet
    return Reminders(
        placet.runtime, placet.consents, placet.subjects, placet.postbox, "http://localhost:8000"
    )


def give_as_guardian(world: World, child: Person) -> None:
    """Have a guardian consent for a child of ten."""
    born(world, child, "2016-01-01")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        guardianship = GuardianshipRow(
            guardianship_id="9" * 32,
            child_id=child.subject_id,
            language="es",
            invited_at=uow.now,
            invited_by="desk",
            invitation_ends_at=uow.now,
            accepted_at=uow.now,
        )
        uow.session.add(guardianship)
        world.placet.consents.record_given(
            uow,
            child.subject_id,
            "newsletter",
            notice_version=2,
            language="es",
            channel=ConsentChannel.WEB,
            voice=Voice(said_by=SaidBy.GUARDIAN),
        )
        uow.commit()
    assert reasons(world, child) == ["consent-given"]


@sqlite_alone
def test_a_person_is_reminded_once_of_each_consent_and_nobody_else_is(reminding: World) -> None:
    world = reminding
    names = ("ana", "restricted", "objected", "withdrawn", "unproved")
    people = {
        name: introduce(world, f"{name}@example.com", verified=name != "unproved") for name in names
    }
    given, *_ = [give(world, person) for person in people.values()]
    give_as_guardian(world, introduce(world, "child@example.com"))
    assert given.expires_at is not None
    world.clock.now = given.expires_at - timedelta(days=31)
    assert reminders(world).run_due() == 0
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        row = uow.session.get_one(SubjectRow, people["restricted"].subject_id)
        row.restricted_at = uow.now
        world.placet.consents.object_to(uow, people["objected"].subject_id, "newsletter")
        uow.touch(row.subject_id)
        uow.commit()
    withdraw(world, people["withdrawn"])
    before = letters(world)
    world.clock.now = given.expires_at - timedelta(days=30)
    assert reminders(world).run_due() == 1
    assert reminders(world).run_due() == 0
    assert letters(world) == before + 1
    world.clock.advance(days=10)
    renewed = renew(world, people["ana"])
    assert renewed.expires_at is not None
    assert reminders(world).run_due() == 0
    world.clock.now = renewed.expires_at - timedelta(days=1)
    assert reminders(world).run_due() == 1  # the renewed one is another consent


@sqlite_alone
def test_one_letter_reminds_of_everything_that_was_accepted_at_once(reminding: World) -> None:
    world, ana = reminding, introduce(reminding)
    given, other = give(world, ana), give(world, ana, "analytics", version=1)
    assert given.expires_at is not None
    world.clock.now = given.expires_at - timedelta(days=30)
    before = letters(world)
    assert reminders(world).run_due() == 1
    assert letters(world) == before + 1
    assert reminders(world).run_due() == 0
    with world.placet.runtime.snapshot() as session:
        reminded = set(session.scalars(sa.select(ReminderRow.event_id)))
    assert reminded == {given.event_id, other.event_id}
