"""A decision at a past moment equals what was answered then, whatever was learned since."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from policies.decision import decide
from policies.vocabulary import Attribute, ConsentAction, ConsentChannel, DecisionReason, SaidBy
from privacy.actor import SYSTEM
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.model import (
    Act,
    NothingToWithdraw,
    RegisterPublished,
    Voice,
    giving,
    purpose_rule,
    shown_once,
)
from privacy.ids import new_id
from privacy.keys.blind_index import IdentifierKind
from privacy.unit_of_work import UnitOfWork
from tests.support.cast import Person, give, in_force_since, introduce, withdraw
from tests.support.world import NOON, World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
UNIT = "newsletter"


@pytest.fixture
def since_march(world: World) -> World:
    """The register is in force since before the test's clock; it was set up by the real one."""
    in_force_since(world, NOON - timedelta(days=1))
    return world


def answer_now(world: World, subject_id: str) -> tuple[bool, tuple[DecisionReason, ...]]:
    rule = purpose_rule(world.placet.register, UNIT)
    with world.placet.runtime.snapshot() as session:
        now = world.clock()
        facts = world.placet.consents.facts(session, subject_id, UNIT, at=now)
    decision = decide(rule, facts, now)
    return decision.permit, decision.reasons


def answer_then(
    world: World, subject_id: str, at: datetime
) -> tuple[bool, tuple[DecisionReason, ...]]:
    with world.placet.runtime.snapshot() as session:
        moment = world.placet.decisions.decide_at(session, subject_id, UNIT, at)
    return moment.decision.permit, moment.decision.reasons


class Acts:
    """What can happen to a person; each in a transaction of its own."""

    def __init__(self, world: World, person: Person) -> None:
        self.world, self.person = world, person
        self.consents, self.subjects = world.placet.consents, world.placet.subjects
        self.life = Lifecycle(self.consents)

    def _in(self, work: Callable[[UnitOfWork], object]) -> None:
        with self.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            work(uow)
            uow.touch(self.person.subject_id)
            uow.record(RegisterPublished(register_revision="0" * 64))
            uow.commit()

    def grant(self) -> None:
        give(self.world, self.person)

    def withdraw(self) -> None:
        try:
            withdraw(self.world, self.person)
        except NothingToWithdraw:
            return

    def refuse_by_staff_of_last_week(self) -> None:
        said = self.world.clock() - timedelta(days=7)
        self._in(
            lambda uow: self.consents.record_refused(
                uow,
                self.person.subject_id,
                UNIT,
                notice_version=2,
                language="es",
                channel=ConsentChannel.PHONE,
                voice=Voice(SaidBy.STAFF, said),
            )
        )

    def import_an_old_consent(self) -> None:
        def work(uow: UnitOfWork) -> None:
            register = self.consents.register
            words = shown_once(register, register.purposes[UNIT], 2, "es")
            said = uow.now - timedelta(days=40)
            act = Act(
                event_id=new_id(uow.ids),
                subject_id=self.person.subject_id,
                purpose=UNIT,
                at=said,
                channel=ConsentChannel.IMPORT,
                recorded_by="system",
                register_revision=register.revision,
                said_by=SaidBy.IMPORT,
                recorded_at=uow.now,
            )
            event = giving(act, words, validity_months=2, zone=UTC, explicit=False)
            self.consents.recording.append_many(uow, [(event, words)])

        self._in(work)

    def object(self) -> None:
        self._in(lambda uow: self.consents.object_to(uow, self.person.subject_id, UNIT))

    def lift(self) -> None:
        self._in(lambda uow: self.consents.lift_objection(uow, self.person.subject_id, UNIT))

    def leave(self) -> None:
        self._in(lambda uow: self.subjects.set_leaving(uow, self.person.subject_id, leaving=True))

    def stay(self) -> None:
        self._in(lambda uow: self.subjects.set_leaving(uow, self.person.subject_id, leaving=False))

    def revoke(self) -> None:
        with self.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            try:
                action = ConsentAction.REVOKED
                self.life.end(uow, self.person.subject_id, UNIT, action, "Motivo")
            except NothingToWithdraw:
                return

    def note_the_expired(self) -> None:
        with self.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            self.life.note_expired(uow)

    def prove_another_address(self) -> None:
        address = f"other-{self.person.subject_id[:12]}@example.com"

        def work(uow: UnitOfWork) -> None:
            found = self.subjects.identifiers.read(IdentifierKind.EMAIL, address)
            if self.subjects.identifiers.find(uow.session, found) is None:
                self.subjects.identifiers.add(uow, self.person.subject_id, found, keep=True)
            self.subjects.verify_email(uow, self.person.subject_id, address)

        self._in(work)

    def be_born_late(self) -> None:
        born = (self.world.clock() - timedelta(days=365 * 12)).date().isoformat()
        self._in(
            lambda uow: self.subjects.rectify(
                uow, self.person.subject_id, Attribute.BIRTHDATE, born
            )
        )

    def be_grown_up(self) -> None:
        self._in(
            lambda uow: self.subjects.rectify(
                uow, self.person.subject_id, Attribute.BIRTHDATE, "1980-01-01"
            )
        )


ACTS = sorted(name for name in vars(Acts) if not name.startswith("_"))
BLOCKED_FOR_MINORS = {"grant"}


@example(steps=[("stay", 20), ("import_an_old_consent", 1)], verified=True)
@example(steps=[("grant", 1), ("stay", 1), ("refuse_by_staff_of_last_week", 1)], verified=True)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from([*ACTS, "grant", "grant"]), st.sampled_from([1, 20, 200])),
        min_size=1,
        max_size=8,
    ),
    verified=st.booleans(),
)
def test_a_past_decision_is_the_one_that_was_given_then(
    since_march: World, steps: list[tuple[str, int]], verified: bool
) -> None:
    world = since_march
    number = new_id(world.ids)[:8]
    world.clock.advance(seconds=1)
    person = introduce(world, f"{number}@example.com", verified=verified)
    acts, told = Acts(world, person), []
    for name, days in steps:
        world.clock.advance(days=days)
        with world.placet.runtime.snapshot() as session:
            minor = world.placet.consents.is_minor(session, person.subject_id, world.clock())
        if not (minor and name in BLOCKED_FOR_MINORS):
            getattr(acts, name)()
        world.clock.advance(minutes=1)
        told.append((world.clock(), answer_now(world, person.subject_id)))
    for at, answer in told:
        assert answer_then(world, person.subject_id, at) == answer, (steps, at)


def test_before_a_merge_each_name_had_an_answer_of_its_own(since_march: World, ana: Person) -> None:
    world = since_march
    other = introduce(world, "ana.old@example.com")
    give(world, other)
    world.clock.advance(days=1)
    before = world.clock()
    assert answer_now(world, ana.subject_id)[0] is False
    world.clock.advance(days=1)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.merge(uow, ana.subject_id, other.subject_id)
        uow.commit()
    world.clock.advance(days=1)
    assert answer_then(world, other.subject_id, before)[0] is True
    assert answer_then(world, ana.subject_id, before)[0] is False
    after = world.clock()
    assert answer_then(world, other.subject_id, after) == answer_now(world, ana.subject_id)
    assert answer_then(world, ana.subject_id, after)[0] is True


def test_nothing_was_permitted_before_the_first_register_or_after_an_erasure(
    since_march: World, ana: Person
) -> None:
    world = since_march
    give(world, ana)
    world.clock.advance(days=1)
    given_at = world.clock()
    world.clock.advance(days=1)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.subject_id)
        uow.commit()
    world.clock.advance(days=1)
    assert answer_then(world, ana.subject_id, NOON - timedelta(days=9)) == (
        False,
        (DecisionReason.UNKNOWN_PURPOSE, DecisionReason.UNKNOWN_PERSON),
    )
    assert answer_then(world, ana.subject_id, given_at)[0] is True
    assert answer_then(world, ana.subject_id, world.clock()) == (
        False,
        (DecisionReason.UNKNOWN_PERSON,),
    )


def test_the_journal_of_facts_is_append_only(world: World, ana: Person, database_url: str) -> None:
    engine = sa.create_engine(database_url)
    with engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(sa.text("UPDATE person_fact SET holds = false"))
    engine.dispose()
