"""Giving, refusing, withdrawing, objecting: what is recorded, and what is not."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from policies.decision import decide
from policies.errors import DomainError, NotFound
from policies.register import publication
from policies.register.loader import load
from policies.register.problems import RegisterError
from policies.vocabulary import ConsentAction, ConsentChannel, RetentionClass, SaidBy
from privacy.actor import SYSTEM
from privacy.audit import store as audit
from privacy.changes import UnauditedChange
from privacy.consent import store
from privacy.consent.model import (
    ConsentEvent,
    NotByConsent,
    NothingToWithdraw,
    NotOpenToObjection,
    StaleNotice,
    StateUnreadable,
    Status,
    UnknownLanguage,
    UnknownPurpose,
    Voice,
    purpose_rule,
    status_of,
)
from privacy.unit_of_work import UnitOfWork
from tests.support.cast import Person, give, introduce, refuse, withdraw
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world


def counts(world: World) -> dict[str, int]:
    """How many rows of consent and of the log there are."""
    tables = (store.EventRow, store.StateRow, store.ObjectionRow, audit.Entry)
    with world.placet.runtime.snapshot() as session:
        return {
            table.__tablename__: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in tables
        }


def text_of(world: World, notice: str, version: int, language: str = "es") -> str:
    revision = world.placet.register.revision_of(notice, version)
    assert revision
    return revision.texts[language]


def test_a_consent_is_pinned_to_the_exact_text_channel_and_language(
    world: World, ana: Person
) -> None:
    event = give(world, ana)
    with world.placet.runtime.snapshot() as session:
        [payload] = [
            row
            for row in audit.payloads_of(session, ana.subject_id)
            if row.entry_id == event.entry_id
        ]
        disclosed = world.placet.log.disclose(session, payload).payload
        assert world.placet.consents.words_of(session, event).text == text_of(
            world, "newsletter", 2
        )
    assert payload.retention == "consent-evidence"
    assert disclosed["evidence"] == {
        "event_id": event.event_id,
        "notice": "newsletter",
        "notice_version": 2,
        "notice_digest": "3913810d0bf0eb78a871f9e0ab49b89429018c5253c70c17ddb7d07bbea3235a",
        "language": "es",
        "text": text_of(world, "newsletter", 2),
        "channel": "web",
        "explicit": False,
        "expires_at": "2028-03-03T11:00:00.000Z",
        "recorded_by": "system",
    }
    assert event.expires_at == datetime(2028, 3, 3, 11, tzinfo=UTC)
    world.settle()
    assert world.verify().ok


def test_refused_given_and_withdrawn_are_all_kept_with_their_texts_after_a_new_notice(
    world: World, ana: Person, register_folder: Path, database_url: str, instance: Path
) -> None:
    refuse(world, ana)
    world.clock.advance(minutes=1)
    give(world, ana)
    world.clock.advance(minutes=1)
    withdraw(world, ana)
    for language in ("es", "en"):
        before = register_folder / "notices" / "newsletter" / f"2.{language}.md"
        after = before.with_name(f"3.{language}.md")
        after.write_text(before.read_text() + "\nY algo más.\n")
    publication.publish(register_folder, world.clock().date())
    later = make_world(database_url, instance, seed="later", PLACET_REGISTER=str(register_folder))
    with later.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert later.placet.consents.publish(uow)
    with later.placet.runtime.snapshot() as session:
        exported = later.placet.consents.export(session, ana.subject_id)
        assert store.shown_in(session, "newsletter", 3, "es").text.endswith("Y algo más.\n")
    assert [event["action"] for event in exported] == ["refused", "given", "withdrawn"]
    assert {event["text"] for event in exported} == {text_of(world, "newsletter", 2)}
    assert [event["at"] for event in exported] == [
        "2026-03-03T11:00:00.000Z",
        "2026-03-03T11:01:00.000Z",
        "2026-03-03T11:02:00.000Z",
    ]
    give(later, ana, version=3)
    later.settle()
    assert later.verify().ok
    later.placet.runtime.database.engine.dispose()


@pytest.mark.parametrize(
    ("purpose", "version", "language", "error", "field"),
    [
        ("newsletter", 1, "es", StaleNotice, "notice_version"),
        ("newsletter", 3, "es", StaleNotice, "notice_version"),
        ("newsletter", 2, "xx", UnknownLanguage, "language"),
        ("horoscope", 1, "es", UnknownPurpose, "purpose"),
        ("loyalty", 1, "es", NotByConsent, "purpose"),
        ("invoices", 1, "es", NotByConsent, "purpose"),
    ],
)
def test_what_cannot_be_consented_to_is_refused_and_nothing_recorded(
    world: World,
    ana: Person,
    purpose: str,
    version: int,
    language: str,
    error: type[DomainError],
    field: str,
) -> None:
    before = counts(world)
    with (
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
        pytest.raises(error) as caught,
    ):
        world.placet.consents.give(
            uow,
            ana.subject_id,
            purpose,
            notice_version=version,
            language=language,
            channel=ConsentChannel.WEB,
        )
    assert caught.value.field == field
    assert counts(world) == before


def test_nobody_consents_for_a_person_who_is_not_there(world: World, ana: Person) -> None:
    with pytest.raises(NotFound):
        give(world, Person("f" * 32, "d1v1_x"))
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.erase(uow, ana.subject_id)
        uow.commit()
    with pytest.raises(NotFound):
        give(world, ana)


def test_a_refusal_of_an_older_notice_still_counts(world: World, ana: Person) -> None:
    event = refuse(world, ana, version=1)
    assert (event.action, event.notice_version) == (ConsentAction.REFUSED, 1)
    with pytest.raises(StaleNotice):
        refuse(world, ana, version=3)


def test_a_withdrawal_needs_no_notice_and_is_pinned_to_what_it_ends(
    world: World, ana: Person
) -> None:
    given = give(world, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        event = world.placet.consents.withdraw(
            uow,
            ana.subject_id,
            "newsletter",
            channel=ConsentChannel.PHONE,
            notice_version=77,
            language="eo",
        )
    assert event.notice_digest == given.notice_digest
    assert (event.language, event.channel) == ("es", ConsentChannel.PHONE)
    assert event.expires_at is None


@pytest.mark.parametrize("before", [(), ("refuse",), ("give", "withdraw")])
def test_what_was_never_given_cannot_be_withdrawn_and_nothing_is_recorded(
    world: World, ana: Person, before: tuple[str, ...]
) -> None:
    acts = {"refuse": refuse, "give": give, "withdraw": withdraw}
    for act in before:
        acts[act](world, ana)
    rows = counts(world)
    with pytest.raises(NothingToWithdraw):
        withdraw(world, ana)
    assert counts(world) == rows


def test_a_full_refusal_never_reads_as_consent(world: World, ana: Person) -> None:
    register = world.placet.register
    for purpose, version in (
        ("newsletter", 2),
        ("recommendations", 1),
        ("partner-advertising", 1),
        ("analytics", 1),
    ):
        refuse(world, ana, purpose, version=version)
    with world.placet.runtime.snapshot() as session:
        states = world.placet.consents.current(session, ana.subject_id)
        facts = world.placet.consents.facts(session, ana.subject_id, "newsletter", at=world.clock())
    said = {p: s for p, s in states.items() if s.consent}
    assert len(said) == 4
    now = world.clock()
    statuses = {status_of(s.consent, purpose_rule(register, p), now) for p, s in said.items()}
    assert statuses == {Status.REFUSED}
    assert facts.consent
    assert facts.consent.action is ConsentAction.REFUSED


def test_a_consent_is_expired_at_the_very_instant(world: World, ana: Person) -> None:
    event = give(world, ana)
    assert event.expires_at
    rule = purpose_rule(world.placet.register, "newsletter")
    with world.placet.runtime.snapshot() as session:
        state = world.placet.consents.current(session, ana.subject_id)["newsletter"]
    just_before = event.expires_at.replace(year=2028, month=3, day=3, hour=10, minute=59)
    assert status_of(state.consent, rule, just_before) is Status.GIVEN
    assert status_of(state.consent, rule, event.expires_at) is Status.EXPIRED


def test_facts_come_in_one_read(world: World, ana: Person) -> None:
    give(world, ana)
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    consents = world.placet.consents
    with world.placet.runtime.snapshot() as session:
        session.connection()
        sa.event.listen(world.placet.runtime.database.engine, "before_cursor_execute", note)
        facts = consents.facts(
            session, ana.pseudonym, "newsletter", at=world.clock(), domain="shop"
        )
        assert consents.facts(session, ana.subject_id, "newsletter", at=world.clock()) == facts
        sa.event.remove(world.placet.runtime.database.engine, "before_cursor_execute", note)
    assert len([statement for statement in seen if "SELECT" in statement]) == 2
    assert facts.known
    assert facts.verified
    assert (facts.objected, facts.restricted, facts.blocked) == (False, False, False)
    assert facts.consent
    assert facts.consent.action is ConsentAction.GIVEN


def test_facts_say_what_restricts_a_person(world: World, ana: Person, database_url: str) -> None:
    bruno = introduce(world, "bruno@example.com", verified=False)
    give(world, bruno)
    with behind_our_back(database_url) as connection:
        for column in ("restricted_at", "blocked_at"):
            connection.execute(
                sa.text(f"UPDATE subject SET {column} = created_at WHERE subject_id = :s"),
                {"s": ana.subject_id},
            )
    consents = world.placet.consents
    with world.placet.runtime.snapshot() as session:
        of_ana = consents.facts(session, ana.subject_id, "newsletter", at=world.clock())
        of_bruno = consents.facts(session, bruno.subject_id, "newsletter", at=world.clock())
        of_nobody = consents.facts(session, "f" * 32, "newsletter", at=world.clock())
    assert (of_ana.restricted, of_ana.blocked, of_ana.verified) == (True, True, True)
    assert (of_bruno.restricted, of_bruno.blocked, of_bruno.verified) == (False, False, False)
    assert not of_nobody.known


def test_a_state_that_cannot_be_read_is_told_apart(
    world: World, ana: Person, database_url: str
) -> None:
    give(world, ana)
    with behind_our_back(database_url) as connection:
        connection.execute(sa.text("UPDATE consent_state SET action = 'perhaps'"))
    with world.placet.runtime.snapshot() as session, pytest.raises(StateUnreadable):
        world.placet.consents.facts(session, ana.subject_id, "newsletter", at=world.clock())


def test_an_objection_ends_a_consent_and_lifting_it_brings_none_back(
    world: World, ana: Person
) -> None:
    give(world, ana)
    consents, runtime = world.placet.consents, world.placet.runtime
    with runtime.unit_of_work(SYSTEM) as uow:
        first = consents.object_to(uow, ana.subject_id, "newsletter")
        again = consents.object_to(uow, ana.subject_id, "newsletter")
        uow.commit()
    assert first == again
    with runtime.snapshot() as session:
        facts = consents.facts(session, ana.subject_id, "newsletter", at=world.clock())
        assert consents.current(session, ana.subject_id)["newsletter"].objected_since
    assert facts.objected
    with runtime.unit_of_work(SYSTEM) as uow:
        assert consents.lift_objection(uow, ana.subject_id, "newsletter")
        assert not consents.lift_objection(uow, ana.subject_id, "newsletter")
        uow.commit()
    with runtime.snapshot() as session:
        facts = consents.facts(session, ana.subject_id, "newsletter", at=world.clock())
        history = consents.history(session, ana.subject_id)
    assert not facts.objected
    assert [event.action for event in history] == [ConsentAction.GIVEN, ConsentAction.WITHDRAWN]
    world.settle()
    assert world.verify().ok


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_lifting_an_objection_revives_no_consent_that_was_said_before_whenever_it_arrives(
    world: World, ana: Person
) -> None:
    consents, runtime = world.placet.consents, world.placet.runtime
    first = world.clock.now

    def reasons() -> tuple[str, ...]:
        with runtime.snapshot() as session:
            facts = consents.facts(session, ana.subject_id, "newsletter", at=world.clock())
        return decide(
            purpose_rule(world.placet.register, "newsletter"), facts, world.clock()
        ).reasons

    def by_letter(uow: UnitOfWork, said_at: datetime) -> ConsentEvent:
        return consents.record_given(
            uow,
            ana.subject_id,
            "newsletter",
            notice_version=2,
            language="es",
            channel=ConsentChannel.POST,
            voice=Voice(SaidBy.STAFF, said_at),
        )

    world.clock.advance(days=2)
    give(world, ana)
    world.clock.advance(days=1)
    with runtime.unit_of_work(SYSTEM) as uow:  # a letter from before the consent
        voice = Voice(SaidBy.STAFF, first + timedelta(days=1))
        consents.object_to(uow, ana.subject_id, "newsletter", voice=voice)
        uow.commit()
    assert reasons() == ("objected", "suppressed", "consent-withdrawn")
    world.clock.advance(days=2)
    with runtime.unit_of_work(SYSTEM) as uow:
        by_letter(uow, first + timedelta(hours=1))
        uow.commit()
    world.clock.advance(days=1)
    with runtime.unit_of_work(SYSTEM) as uow:
        assert consents.lift_objection(uow, ana.subject_id, "newsletter")
        uow.commit()
    assert reasons() == ("consent-withdrawn",)
    with runtime.unit_of_work(SYSTEM) as uow:  # said within the objection, and it arrives after it
        last = by_letter(uow, first + timedelta(days=4))
        uow.commit()
    assert reasons() == ("consent-withdrawn",)
    with runtime.snapshot() as session:
        end = consents.history(session, ana.subject_id)[-1]
    assert (end.action, end.at, end.follows) == (ConsentAction.WITHDRAWN, last.at, last.event_id)
    give(world, ana)
    assert reasons() == ("consent-given",)
    world.settle()
    assert world.verify().ok


def test_an_express_consent_lifts_an_objection(world: World, ana: Person) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, ana.subject_id, "newsletter")
        uow.commit()
    give(world, ana)
    with world.placet.runtime.snapshot() as session:
        assert not world.placet.consents.facts(
            session, ana.subject_id, "newsletter", at=world.clock()
        ).objected
    world.settle()
    assert world.verify().ok


@pytest.mark.parametrize("purpose", ["loyalty", "orders", "invoices"])
def test_nobody_objects_to_a_contract_or_a_legal_duty(
    world: World, ana: Person, purpose: str
) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(NotOpenToObjection):
        world.placet.consents.object_to(uow, ana.subject_id, purpose)


def test_a_change_that_records_nothing_is_not_committed(world: World, ana: Person) -> None:
    event = give(world, ana)
    before = counts(world)
    with (
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
        pytest.raises(UnauditedChange, match="consent_state"),
    ):
        uow.session.execute(
            sa.update(store.StateRow)
            .where(store.StateRow.event_id == event.event_id)
            .values(action="given")
        )
        uow.commit()
    assert counts(world) == before


def test_publishing_a_register_twice_changes_nothing(world: World) -> None:
    before = counts(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert not world.placet.consents.publish(uow)
    assert counts(world) == before


def test_a_published_notice_in_other_words_is_refused(world: World, register_folder: Path) -> None:
    for language in ("es", "en"):
        text = register_folder / "notices" / "analytics" / f"1.{language}.md"
        text.write_text(text.read_text() + "\nOtra cosa.\n")
    lock = register_folder / "notices.lock.toml"
    blocks = lock.read_text().split("\n[[revision]]")
    lock.write_text("\n[[revision]]".join(b for b in blocks if '"analytics"' not in b))
    publication.publish(register_folder, world.clock().date())
    with (
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
        pytest.raises(RegisterError, match="notices/analytics/1: was published in other words"),
    ):
        world.placet.consents.publish(uow, load(register_folder))


def test_a_consent_under_a_register_that_nobody_published_publishes_it(
    world: World, ana: Person, register_folder: Path, database_url: str, instance: Path
) -> None:
    for language in ("es", "en"):
        before = register_folder / "notices" / "analytics" / f"1.{language}.md"
        before.with_name(f"2.{language}.md").write_text(before.read_text() + "\nMás.\n")
    publication.publish(register_folder, world.clock().date())
    other = make_world(database_url, instance, seed="other", PLACET_REGISTER=str(register_folder))
    event = give(other, ana, "analytics", version=2)
    with other.placet.runtime.snapshot() as session:
        assert other.placet.consents.words_of(session, event).text.endswith("Más.\n")
    other.settle()
    assert other.verify().ok
    other.placet.runtime.database.engine.dispose()


def test_the_desk_pages_through_events_by_their_ordinal(world: World, ana: Person) -> None:
    bruno = introduce(world, "bruno@example.com")
    for _ in range(3):
        give(world, ana)
        world.clock.advance(hours=1)
        withdraw(world, ana)
    refuse(world, bruno, "analytics", version=1)
    with world.placet.runtime.snapshot() as session:
        everything = store.EventFilter()
        assert store.count_events(session, everything) == 7
        first = store.select_events(session, everything, limit=4, newest_first=True)
        rest = store.select_events(
            session, everything, after_ordinal=first[-1].ordinal, limit=4, newest_first=True
        )
        ordinals = [event.ordinal for event in first + rest]
        assert ordinals == sorted(ordinals, reverse=True)
        assert len(set(ordinals)) == 7
        forwards = store.select_events(session, everything, after_ordinal=0, limit=10)
        assert [event.ordinal for event in forwards] == ordinals[::-1]
        narrow = store.EventFilter(
            purpose="newsletter",
            action=ConsentAction.GIVEN,
            channel=ConsentChannel.WEB,
            since=forwards[2].at,
            until=world.clock(),
            subject_id=ana.subject_id,
        )
        found = store.select_events(session, narrow)
        assert [event.at for event in found] == [forwards[2].at, forwards[4].at]
        assert store.count_events(session, narrow) == 2
        assert store.count_events(session, store.EventFilter(subject_id=bruno.subject_id)) == 1


def test_erasing_a_person_keeps_the_proof_of_what_was_agreed(world: World, ana: Person) -> None:
    give(world, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.erase(uow, ana.subject_id)
        world.placet.subjects.erase(uow, ana.subject_id)
        world.placet.log.erase(uow, ana.subject_id, [RetentionClass.PROFILE])
        uow.commit()
    with world.placet.runtime.snapshot() as session:
        [event] = world.placet.consents.history(session, ana.subject_id)
        assert not world.placet.consents.facts(
            session, ana.subject_id, "newsletter", at=world.clock()
        ).known
        assert world.placet.consents.words_of(session, event).text
    world.settle()
    assert world.verify().ok


def test_what_people_say_at_the_same_moment_is_put_in_one_order(world: World, ana: Person) -> None:
    acts = [give, withdraw] * 10
    barrier = threading.Barrier(len(acts))

    def act(number: int) -> int:
        barrier.wait(30)
        try:
            acts[number](world, ana)
        except NothingToWithdraw:
            return 0
        return 1

    with ThreadPoolExecutor(len(acts)) as pool:
        recorded_ones = sum(pool.map(act, range(len(acts))))
    with world.placet.runtime.snapshot() as session:
        history = world.placet.consents.history(session, ana.subject_id)
        facts = world.placet.consents.facts(session, ana.subject_id, "newsletter", at=world.clock())
    assert len(history) == recorded_ones
    assert facts.consent
    assert facts.consent.action is history[-1].action
    said = [event.action for event in history]
    twice = [pair for pair in pairwise(said) if pair == (ConsentAction.WITHDRAWN,) * 2]
    assert twice == []
    world.settle()
    assert world.verify().ok


def test_two_processes_that_publish_at_once_publish_once(
    world: World, register_folder: Path
) -> None:
    for language in ("es", "en"):
        before = register_folder / "notices" / "analytics" / f"1.{language}.md"
        before.with_name(f"2.{language}.md").write_text(before.read_text() + "\nMás.\n")
    publication.publish(register_folder, world.clock().date())
    register = load(register_folder)
    barrier = threading.Barrier(4)

    def publish(_number: int) -> bool:
        barrier.wait(30)
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            return world.placet.consents.publish(uow, register)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(publish, range(4))) == 1
    world.settle()
    assert world.verify().ok
