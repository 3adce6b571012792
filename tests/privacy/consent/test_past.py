"""A decision at a past moment equals what was answered then, whatever was learned since."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from policies.decision import decide
from policies.vocabulary import Attribute, ConsentAction, ConsentChannel, DecisionReason, SaidBy
from privacy.actor import SYSTEM
from privacy.consent.attachment_model import Upload
from privacy.consent.guardian_model import GuardianshipEnd, Relation
from privacy.consent.guardian_words import speak
from privacy.consent.imports_reader import Format
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.model import (
    GuardianNeeded,
    NothingToWithdraw,
    RegisterPublished,
    Voice,
    purpose_rule,
)
from privacy.ids import new_id
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.standing import correct_death, mark_deceased
from privacy.unit_of_work import UnitOfWork
from tests.privacy.consent.test_minors import born
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
    """What can happen to a person; each in a transaction of its own.

    Attributes:
        noes: when the person last said a no, or took an objection back.
    """

    def __init__(self, world: World, person: Person, email: str, folder: Path) -> None:
        self.world, self.person, self.email, self.folder = world, person, email, folder
        self.consents, self.subjects = world.placet.consents, world.placet.subjects
        self.guardians = world.placet.people.guardians
        self.life = Lifecycle(self.consents)
        self.noes: list[datetime] = []

    @property
    def now_known_as(self) -> str:
        with self.world.placet.runtime.snapshot() as session:
            return self.subjects.current(session, self.person.subject_id)

    @property
    def is_minor(self) -> bool:
        with self.world.placet.runtime.snapshot() as session:
            return self.consents.is_minor(session, self.now_known_as, self.world.clock())

    @property
    def is_dead(self) -> bool:
        with self.world.placet.runtime.snapshot() as session:
            found = self.subjects.standing(session, self.now_known_as)
        return found is not None and found.deceased

    def _in(self, work: Callable[[UnitOfWork], object]) -> None:
        with self.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            work(uow)
            uow.touch(self.now_known_as)
            uow.record(RegisterPublished(register_revision="0" * 64))
            uow.commit()

    def grant(self) -> None:
        if not self.is_minor and not self.is_dead:
            give(self.world, self.person)

    def withdraw(self) -> None:
        try:
            withdraw(self.world, self.person)
        except NothingToWithdraw:
            return
        self.noes.append(self.world.clock())

    def _by_staff(self, record: Callable[..., object], days: int) -> None:
        said = self.world.clock() - timedelta(days=days)
        self._in(
            lambda uow: record(
                uow,
                self.person.subject_id,
                UNIT,
                notice_version=2,
                language="es",
                channel=ConsentChannel.PHONE,
                voice=Voice(SaidBy.STAFF, said),
            )
        )

    def refuse_by_staff_of_last_week(self) -> None:
        self._by_staff(self.consents.record_refused, 7)
        self.noes.append(self.world.clock() - timedelta(days=7))

    def consent_by_a_letter_of_last_month(self) -> None:
        if not self.is_minor and not self.is_dead:
            try:
                self._by_staff(self.consents.record_given, 30)
            except GuardianNeeded:  # last month
                return

    def import_an_old_consent(self) -> None:
        said = (self.world.clock() - timedelta(days=40)).isoformat()
        path = self.folder / "old.csv"
        path.write_text(
            "email,purpose,action,at,notice_version,language\n"
            f"{self.email},{UNIT},given,{said},2,es\n"
        )
        self.world.placet.imports.run(
            path,
            Format.CSV,
            self.folder / f"{new_id(self.world.ids)}.csv",
            source="the old shop",
            domain="",
            resume=True,
            dry_run=False,
            tell=lambda _progress: None,
        )

    def object(self) -> None:
        self._in(lambda uow: self.consents.object_to(uow, self.person.subject_id, UNIT))
        self.noes.append(self.world.clock())

    def lift(self) -> None:
        def work(uow: UnitOfWork) -> None:
            if self.consents.lift_objection(uow, self.person.subject_id, UNIT):
                self.noes.append(uow.now)

        self._in(work)

    def leave(self) -> None:
        self._in(lambda uow: self.subjects.set_leaving(uow, self.now_known_as, leaving=True))

    def stay(self) -> None:
        self._in(lambda uow: self.subjects.set_leaving(uow, self.now_known_as, leaving=False))

    def revoke(self) -> None:
        with self.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            try:
                action = ConsentAction.REVOKED
                self.life.end(uow, self.person.subject_id, UNIT, action, "Motivo")
            except NothingToWithdraw:
                return
        self.noes.append(self.world.clock())

    def note_the_expired(self) -> None:
        with self.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            self.life.note_expired(uow)

    def prove_another_address(self) -> None:
        address = f"other-{self.person.subject_id[:12]}@example.com"

        def work(uow: UnitOfWork) -> None:
            found = self.subjects.identifiers.read(IdentifierKind.EMAIL, address)
            if self.subjects.identifiers.find(uow.session, found) is None:
                self.subjects.identifiers.add(uow, self.now_known_as, found, keep=True)
            self.subjects.verify_email(uow, self.now_known_as, address)

        self._in(work)

    def _born(self, birthday: str) -> None:
        kind = Attribute.BIRTHDATE
        self._in(lambda uow: self.subjects.rectify(uow, self.now_known_as, kind, birthday))

    def be_born_late(self) -> None:
        self._born((self.world.clock() - timedelta(days=365 * 12)).date().isoformat())

    def be_grown_up(self) -> None:
        self._born((self.world.clock() - timedelta(days=365 * 40)).date().isoformat())

    def have_a_guardian_who_consents(self) -> None:
        if not self.is_minor or self.is_dead:
            return

        def work(uow: UnitOfWork) -> None:
            found = self.guardians.accept_at_desk(
                uow,
                self.person.subject_id,
                Relation.PARENT,
                who="Luis Gil",
                upload=Upload("deed.pdf", b"%PDF-1.7 deed"),
                language="es",
            )
            speak(
                self.consents,
                uow,
                found,
                ConsentAction.GIVEN,
                UNIT,
                notice_version=2,
                language="es",
            )

        self._in(work)

    def die(self) -> None:
        self._in(lambda uow: mark_deceased(uow, self.now_known_as, reason="Lo dice su hija"))

    def live_after_all(self) -> None:
        if self.is_dead:
            self._in(lambda uow: correct_death(uow, self.now_known_as, reason="Era otra"))

    def lose_the_guardians(self) -> None:
        def work(uow: UnitOfWork) -> None:
            for each in self.guardians.of_child(uow.session, self.now_known_as):
                if each.in_force:
                    self.guardians.end(uow, each.guardianship_id, GuardianshipEnd.DESK, "Motivo")
                    self.noes.append(uow.now)

        self._in(work)


ACTS = sorted(name for name in vars(Acts) if not name.startswith(("_", "is_", "now_")))
MERGE = "merge"
YES = {ConsentAction.GIVEN, ConsentAction.RENEWED}


@example(steps=[("stay", 20, 0), ("import_an_old_consent", 1, 0)], verified=True)
@example(steps=[("grant", 1, 0), ("refuse_by_staff_of_last_week", 2, 0)], verified=True)
@example(
    steps=[
        *(("be_born_late", 1, 0), ("be_born_late", 1, 1), ("have_a_guardian_who_consents", 1, 1)),
        *((MERGE, 1, 0), ("lose_the_guardians", 1, 0)),
    ],
    verified=True,
)
@example(
    steps=[
        *(("object", 1, 1), ("lift", 20, 1), ("consent_by_a_letter_of_last_month", 1, 0)),
        *((MERGE, 1, 0), ("import_an_old_consent", 1, 1)),
    ],
    verified=True,
)
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([*ACTS, "grant", "grant", MERGE]),
            st.sampled_from([1, 20, 200]),
            st.sampled_from([0, 0, 1]),
        ),
        min_size=1,
        max_size=8,
    ),
    verified=st.booleans(),
)
def test_a_past_decision_is_the_one_that_was_given_then_and_no_permit_outlives_a_no(
    since_march: World, tmp_path: Path, steps: list[tuple[str, int, int]], verified: bool
) -> None:
    world = since_march
    number = new_id(world.ids)[:8]
    world.clock.advance(seconds=1)
    both: list[Acts] = []
    for each in range(2):
        email = f"{number}-{each}@example.com"
        both.append(Acts(world, introduce(world, email, verified=verified), email, tmp_path))
    told: list[tuple[str, datetime, tuple[bool, tuple[DecisionReason, ...]]]] = []
    for name, days, which in steps:
        world.clock.advance(days=days)
        if name == MERGE and both[0].now_known_as != both[1].now_known_as:
            one, other = both[0].person.subject_id, both[1].person.subject_id
            with world.placet.runtime.unit_of_work(SYSTEM) as uow:
                world.placet.subjects.merge(uow, one, other)
                uow.commit()
            both[0].noes = both[1].noes = sorted(both[0].noes + both[1].noes)
        elif name != MERGE:
            getattr(both[which], name)()
        world.clock.advance(minutes=1)
        for acts in both:
            now, person = world.clock(), acts.now_known_as
            answer = answer_now(world, person)
            told.append((acts.person.subject_id, now, answer))
            if answer[0]:
                with world.placet.runtime.snapshot() as session:
                    said = world.placet.consents.history(session, person)
                after = [e for e in said if e.action in YES and e.expires_at and now < e.expires_at]
                assert any(e.at >= max(acts.noes, default=e.at) for e in after), steps
    for subject_id, at, answer in told:
        assert answer_then(world, subject_id, at) == answer, (steps, at)


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


def test_before_a_merge_a_guardianship_was_of_the_one_it_was_noted_for(
    since_march: World, ana: Person
) -> None:
    world, unit = since_march, "loyalty"
    other = introduce(world, "ana.old@example.com")
    for person in (ana, other):
        born(world, person, "2015-01-01")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.people.guardians.accept_at_desk(
            uow,
            other.subject_id,
            Relation.PARENT,
            who="Luis Gil",
            upload=Upload("deed.pdf", b"%PDF-1.7 deed"),
            language="es",
        )
        uow.commit()
    world.clock.advance(days=1)
    before = world.clock()
    world.clock.advance(days=1)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.merge(uow, ana.subject_id, other.subject_id)
        uow.commit()
    world.clock.advance(days=1)

    def reasons(subject_id: str, at: datetime) -> tuple[DecisionReason, ...]:
        with world.placet.runtime.snapshot() as session:
            moment = world.placet.decisions.decide_at(session, subject_id, unit, at)
        return moment.decision.reasons

    assert reasons(other.subject_id, before) == (DecisionReason.CONTRACT,)
    assert reasons(ana.subject_id, before) == (DecisionReason.MINOR_WITHOUT_GUARDIAN,)
    for each in (ana, other):
        assert reasons(each.subject_id, world.clock()) == (DecisionReason.CONTRACT,)


def test_before_a_merge_an_excluded_address_was_of_the_one_whose_it_was(
    since_march: World, tmp_path: Path, ana: Person
) -> None:
    world = since_march
    old, last = introduce(world, "ana.old@example.com"), introduce(world, "ana.last@example.com")
    robinson = tmp_path / "robinson.txt"
    robinson.write_text("ana.old@example.com\n")
    world.placet.people.exclusions.import_file("robinson", robinson, lambda _each: None)
    moments = []
    for survivor, other in ((ana, old), (last, ana)):
        world.clock.advance(days=1)
        moments.append(world.clock())
        world.clock.advance(days=1)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.subjects.merge(uow, survivor.subject_id, other.subject_id)
            uow.commit()
    moments.append(world.clock())

    def excluded(person: Person, at: datetime) -> bool:
        with world.placet.runtime.snapshot() as session:
            moment = world.placet.decisions.decide_at(session, person.subject_id, UNIT, at)
        return DecisionReason.SUPPRESSED in moment.decision.reasons

    assert [[excluded(each, at) for each in (ana, old, last)] for at in moments] == [
        [False, True, False],
        [True, True, False],
        [True, True, True],
    ]


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


def test_what_is_said_after_an_objection_counts_although_a_clock_went_back(
    since_march: World, ana: Person
) -> None:
    world, consents = since_march, since_march.placet.consents
    give(world, ana)
    world.clock.advance(days=1)

    def object_and(then: Callable[[], object]) -> None:
        """Object, and do what comes next by a clock that is an hour behind."""
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            consents.object_to(uow, ana.subject_id, UNIT)
            uow.commit()
        world.clock.now -= timedelta(hours=1)
        then()
        world.clock.now += timedelta(hours=1, minutes=1)

    def lift() -> None:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            assert consents.lift_objection(uow, ana.subject_id, UNIT)
            uow.commit()

    object_and(lift)
    assert answer_now(world, ana.subject_id) == (False, (DecisionReason.CONSENT_WITHDRAWN,))
    object_and(lambda: give(world, ana))
    now, answer = world.clock(), answer_now(world, ana.subject_id)
    assert answer == (True, (DecisionReason.CONSENT_GIVEN,))
    world.clock.advance(days=1)
    assert answer_then(world, ana.subject_id, now) == answer
    world.settle()
    assert world.verify().findings == []
