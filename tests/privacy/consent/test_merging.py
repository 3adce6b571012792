"""Two subjects turn out to be one person: what holds, what is shown, what stays provable."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from policies.errors import NotFound
from policies.vocabulary import ConsentAction, ConsentChannel, Right, RightsState
from privacy.actor import SYSTEM
from privacy.consent.model import ConsentEvent, NothingToWithdraw, Status, purpose_rule, status_of
from privacy.consent.store import EventRow, ObjectionRow, StateRow
from privacy.keys.store import DataKey
from privacy.rights.model import Asked
from privacy.rights.store import hold_person_of
from privacy.subjects.model import UnknownSubject
from privacy.subjects.store import SubjectRow
from tests.support.cast import (
    ANA,
    Person,
    application,
    ask,
    calls_as,
    give,
    introduce,
    refuse,
    signed_in_as,
    withdraw,
)
from tests.support.world import World

OLD = "ana.vieja@example.com"
EVERY = frozenset({"newsletter", "recommendations", "analytics", "partner-advertising"})
sqlite_alone = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def ana(world: World) -> Person:
    """The account's subject, with a proved address."""
    calls_as(world, application(purposes=EVERY))
    return introduce(world, ANA)


@pytest.fixture
def other(world: World) -> Person:
    """Whom the shop knows by another address, which nobody has proved yet."""
    return introduce(world, OLD, verified=False)


def merge(world: World, survivor: Person, other: Person) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.merge(uow, survivor.subject_id, other.subject_id)
        uow.commit()


def object_to(world: World, person: Person, purpose: str) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, person.subject_id, purpose)
        uow.commit()


def statuses(world: World, person: Person) -> dict[str, str]:
    register = world.placet.register
    with world.placet.runtime.snapshot() as session:
        states = world.placet.consents.current(session, person.subject_id)
    return {
        purpose: status_of(states[purpose].consent, purpose_rule(register, purpose), world.clock())
        for purpose in sorted(EVERY)
    }


def reasons(world: World, person: Person, purpose: str) -> list[str]:
    answer = ask(world, person, purpose).json
    assert answer is not None
    return list(answer["context"]["reasons"])


def history(world: World, person: Person) -> list[ConsentEvent]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.consents.history(session, person.subject_id)


def is_sound(world: World) -> bool:
    world.settle()
    return not world.verify().findings


def test_any_no_of_either_prevails_and_else_the_later_word(
    world: World, ana: Person, other: Person
) -> None:
    refuse(world, other, "newsletter")
    give(world, other, "recommendations", version=1)
    first = give(world, other, "analytics", version=1)
    world.clock.advance(days=1)
    give(world, ana, "newsletter")  # the account's own later yes does not undo the earlier no
    give(world, ana, "analytics", version=1)
    withdraw(world, ana, "analytics")
    world.clock.advance(days=1)
    second = give(world, other, "analytics", version=1)  # nor does a later yes under the other id
    give(world, ana, "partner-advertising", version=1)
    world.clock.advance(days=1)
    merge(world, ana, other)

    assert statuses(world, ana) == {
        "analytics": Status.WITHDRAWN,
        "newsletter": Status.REFUSED,
        "partner-advertising": Status.GIVEN,
        "recommendations": Status.GIVEN,
    }
    for person in (ana, other):  # both pseudonyms answer for one person
        assert reasons(world, person, "newsletter") == ["consent-refused"]
        assert reasons(world, person, "analytics") == ["consent-withdrawn"]
        assert reasons(world, person, "recommendations") == ["consent-given"]
    events = history(world, ana)
    assert len(events) == 10
    assert history(world, other) == events  # whichever id somebody at the desk looks by
    carried = {event.purpose: event for event in events if event.carries}
    assert {p: e.action for p, e in carried.items()} == {
        "analytics": ConsentAction.WITHDRAWN,
        "newsletter": ConsentAction.REFUSED,
    }
    said_by_other = {event.event_id for event in events if event.subject_id == other.subject_id}
    assert {first.event_id, second.event_id, carried["newsletter"].carries} <= said_by_other
    assert is_sound(world)
    world.clock.advance(days=1)
    give(world, ana, "newsletter")  # until the person chooses again
    assert reasons(world, other, "newsletter") == ["consent-given"]
    assert is_sound(world)


@sqlite_alone
def test_two_consents_are_both_kept_and_the_later_counts(
    world: World, ana: Person, other: Person
) -> None:
    give(world, ana)
    world.clock.advance(days=30)
    later = give(world, other)
    merge(world, ana, other)
    with world.placet.runtime.snapshot() as session:
        state = world.placet.consents.current(session, ana.subject_id)["newsletter"]
        assert state.event_id == later.event_id
        assert state.consent is not None
        assert state.consent.expires_at == later.expires_at
        mine = world.placet.consents.event_of(session, ana.subject_id, later.event_id)
        assert mine.subject_id == other.subject_id  # as it was recorded
        with pytest.raises(NotFound):
            world.placet.consents.event_of(session, other.subject_id, later.event_id)
    assert [event.carries for event in history(world, ana)] == [None, None]
    assert is_sound(world)


@sqlite_alone
def test_an_objection_of_either_holds_and_ends_the_consent(
    world: World, ana: Person, other: Person
) -> None:
    object_to(world, other, "newsletter")
    object_to(world, other, "recommendations")
    object_to(world, ana, "recommendations")
    object_to(world, ana, "analytics")
    world.clock.advance(days=1)
    give(world, ana, "newsletter")
    give(world, other, "analytics", version=1)
    merge(world, ana, other)
    assert reasons(world, ana, "newsletter") == ["objected", "suppressed", "consent-withdrawn"]
    assert reasons(world, ana, "analytics") == ["objected", "consent-withdrawn"]
    signed_in_as(world, ana)
    page = world.client.get("/privacy/history").text
    assert page.count("sigue valiendo lo que ya dijiste") == 2
    assert page.count("/privacy/receipts/") == 4  # the receipts of what both said
    assert "objected" in reasons(world, other, "recommendations")
    assert is_sound(world)
    for purpose in ("newsletter", "analytics"):
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            assert world.placet.consents.lift_objection(uow, other.subject_id, purpose)
            uow.commit()
        assert reasons(world, ana, purpose) == ["consent-withdrawn"]  # nothing comes back
    assert is_sound(world)


@sqlite_alone
def test_a_typed_consent_counts_from_the_proof_of_its_address_on(
    world: World, ana: Person, other: Person
) -> None:
    give(world, other)
    assert reasons(world, other, "newsletter") == ["unverified-person"]
    merge(world, ana, other)
    assert reasons(world, other, "newsletter") == ["consent-given"]


def test_a_withdrawal_beside_a_merge_holds(world: World, ana: Person, other: Person) -> None:
    """It waits for the merge and is then recorded for the person who survived."""
    give(world, other)
    with ThreadPoolExecutor(1) as threads:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            world.placet.subjects.merge(uow, ana.subject_id, other.subject_id)
            late = threads.submit(withdraw, world, other)
            with pytest.raises(TimeoutError):
                late.result(0.3)
            uow.commit()
        assert late.result(10).subject_id == ana.subject_id
    assert reasons(world, other, "newsletter") == ["consent-withdrawn"]
    assert is_sound(world)


def test_a_rights_request_beside_a_merge_is_the_survivors(
    world: World, ana: Person, other: Person
) -> None:
    rights, runtime = world.placet.rights, world.placet.runtime

    def ask_for_other() -> str:
        with runtime.unit_of_work(SYSTEM) as uow:
            asked = Asked(Right.NO_AUTOMATED_DECISION, "es", "me lo pregunto")
            return rights.ask_by_application(uow, other.subject_id, asked, "shop").reference

    with ThreadPoolExecutor(1) as threads:
        with runtime.unit_of_work(SYSTEM) as uow:
            world.placet.subjects.merge(uow, ana.subject_id, other.subject_id)
            late = threads.submit(ask_for_other)
            with pytest.raises(TimeoutError):
                late.result(0.3)
            uow.commit()
        reference = late.result(10)
    with runtime.snapshot() as session:
        assert [each.reference for each in rights.of_subject(session, ana.subject_id)] == [
            reference
        ]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_an_answer_beside_a_merge_stays_readable(world: World, ana: Person, other: Person) -> None:
    rights, runtime = world.placet.rights, world.placet.runtime
    with runtime.unit_of_work(SYSTEM) as uow:
        asked = Asked(Right.NO_AUTOMATED_DECISION, "es", "me lo pregunto")
        request_id = rights.ask_by_application(uow, other.subject_id, asked, "shop").request_id
    with ThreadPoolExecutor(1) as threads:
        with runtime.unit_of_work(SYSTEM) as uow:
            hold_person_of(uow.session, request_id)  # staff are about to answer
            late = threads.submit(merge, world, ana, other)
            with pytest.raises(TimeoutError):
                late.result(0.3)
            rights.answer(uow, request_id, RightsState.FULFILLED, "Lo hace una persona.")
        late.result(10)
    with runtime.snapshot() as session:
        assert rights.opened(session, request_id)[1].outcome == "Lo hace una persona."


@pytest.mark.parametrize(
    ("database_kind", "of_survivor"),
    [("sqlite", True), ("postgresql", True), ("postgresql", False)],
    indirect=["database_kind"],
)
def test_a_merge_beside_a_withdrawal_sees_it(
    world: World, ana: Person, other: Person, of_survivor: bool
) -> None:
    withdrawing, giving = (ana, other) if of_survivor else (other, ana)
    give(world, withdrawing)
    give(world, giving)
    consents = world.placet.consents
    with ThreadPoolExecutor(1) as threads:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            consents.record_withdrawn(
                uow, withdrawing.subject_id, "newsletter", channel=ConsentChannel.WEB
            )
            late = threads.submit(merge, world, ana, other)
            with pytest.raises(TimeoutError):
                late.result(0.3)
            uow.commit()
        late.result(10)
    assert statuses(world, ana)["newsletter"] == Status.WITHDRAWN
    with pytest.raises(NothingToWithdraw):
        withdraw(world, other)
    assert is_sound(world)


def test_everything_of_both_is_the_persons_and_ends_with_the_person(
    world: World, ana: Person, other: Person
) -> None:
    placet = world.placet
    give(world, other, "recommendations", version=1)
    assert reasons(world, other, "recommendations") == ["unverified-person"]
    assert reasons(world, ana, "recommendations") == ["no-consent"]
    world.count_uses()
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        asked = Asked(Right.NO_AUTOMATED_DECISION, "es", "me lo pregunto")
        request = placet.rights.ask_by_application(uow, other.subject_id, asked, "shop")
    merge(world, ana, other)
    with placet.runtime.snapshot() as session:
        [mine] = placet.rights.of_subject(session, ana.subject_id)
        assert mine.reference == request.reference
        assert placet.rights.opened(session, mine.request_id)[1].message == "me lo pregunto"
        [uses] = placet.uses.of_subject(session, ana.subject_id)
        assert uses.count == 2
        assert placet.subjects.emails(session, ana.subject_id) == [ANA, OLD]
        assert placet.subjects.ids(session, other.subject_id) == [ana.subject_id, other.subject_id]

    with placet.runtime.unit_of_work(SYSTEM) as uow:  # asked for under the old name
        assert placet.eraser.erase(uow, other.subject_id)
        uow.commit()
    assert reasons(world, other, "recommendations") == ["unknown-person"]
    assert is_sound(world)
    both = {ana.subject_id, other.subject_id}
    with placet.runtime.snapshot() as session:
        kept = set(session.scalars(sa.select(DataKey.retention).where(DataKey.holder.in_(both))))
        assert "profile" not in kept
        erased = sa.select(SubjectRow.subject_id).where(SubjectRow.erased_at.is_not(None))
        assert set(session.scalars(erased)) == both
    world.clock.advance(days=3 * 366)  # the term of the evidence
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        assert placet.eraser.end_terms(uow)
    with placet.runtime.snapshot() as session:
        for table in (EventRow, StateRow, ObjectionRow):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        assert set(session.scalars(sa.select(DataKey.holder))) & both == set()
    assert is_sound(world)


@sqlite_alone
def test_what_limits_either_limits_the_person(world: World, ana: Person, other: Person) -> None:
    until = world.clock().replace(year=2030)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        row = uow.session.get_one(SubjectRow, other.subject_id)
        row.restricted_at, row.minor_until = uow.now, until
        world.placet.subjects.merge(uow, ana.subject_id, other.subject_id)
        uow.commit()
    assert reasons(world, ana, "loyalty")[:1] == ["purpose-not-of-application"]
    assert {"restricted", "minor-without-guardian"} <= set(reasons(world, ana, "newsletter"))


@sqlite_alone
def test_an_alias_is_merged_no_further_and_an_erased_person_not_at_all(
    world: World, ana: Person, other: Person
) -> None:
    third = introduce(world, "tercera@example.com", verified=False)
    merge(world, ana, other)
    with pytest.raises(UnknownSubject):
        merge(world, third, other)
    with pytest.raises(ValueError, match="themselves"):
        merge(world, ana, ana)
    merge(world, third, ana)  # the first alias follows
    give(world, third)
    assert reasons(world, other, "newsletter") == ["consent-given"]
    with world.placet.runtime.snapshot() as session:
        find = world.placet.subjects.find_by_email
        assert {find(session, each) for each in (ANA, OLD)} == {third.subject_id}
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, third.subject_id)
        uow.commit()
    fourth = introduce(world, "cuarta@example.com")
    with pytest.raises(UnknownSubject):
        merge(world, fourth, third)
    assert is_sound(world)
