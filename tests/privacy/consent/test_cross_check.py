"""Whoever changes the rows of consent behind our back is found by `placet audit verify`."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from policies.vocabulary import RetentionClass
from privacy.actor import SYSTEM
from privacy.consent.model import ConsentEvent
from tests.support.cast import Person, give, refuse
from tests.support.tampering import behind_our_back
from tests.support.world import World


def tamper(database_url: str, *statements: str, **values: object) -> None:
    with behind_our_back(database_url) as connection:
        for statement in statements:
            connection.execute(sa.text(statement), values)


def messages(world: World) -> list[str]:
    return [finding.message for finding in world.verify().findings]


@pytest.fixture
def event(world: World, ana: Person) -> ConsentEvent:
    """A consent that the log holds; before it and after it stand others."""
    refuse(world, ana, "analytics", version=1)
    made = give(world, ana)
    refuse(world, ana, "recommendations", version=1)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(uow, ana.subject_id, "partner-advertising")
        uow.commit()
    world.settle()
    assert world.verify().ok
    return made


ALTERED = [
    ("purpose", "'analytics'"),
    ("action", "'refused'"),
    ("action", "'expired'"),
    ("action", "'perhaps'"),
    ("at", "'2026-03-04 11:00:00.000000'"),
    ("notice_version", "1"),
    ("notice_digest", "'00'"),
    ("language", "'en'"),
    ("channel", "'store'"),
    ("register_revision", "'00'"),
    ("expires_at", "NULL"),
    ("explicit", "true"),
    ("recorded_by", "'staff:carla'"),
    ("said_by", "'guardian'"),
    ("recorded_at", "'2027-03-04 11:00:00.000000'"),
    ("attachment", "'00'"),
    ("follows", "'00'"),
    ("event_id", f"'{'0' * 32}'"),
]


def test_an_altered_row_is_found_and_its_entry_named(
    world: World, event: ConsentEvent, database_url: str
) -> None:
    with world.placet.runtime.snapshot() as session:
        index = session.scalar(
            sa.text("SELECT leaf_index FROM audit_leaf WHERE entry_id = :e"), {"e": event.entry_id}
        )
    row = {"entry": event.entry_id}
    for column, value in ALTERED:
        select = f"SELECT {column} FROM consent_event WHERE entry_id = :entry"
        update = "UPDATE consent_event SET {} = {} WHERE entry_id = :entry"
        with behind_our_back(database_url) as connection:
            original = connection.scalar(sa.text(select), row)
            connection.execute(sa.text(update.format(column, value)), row)
        verification = world.verify()
        assert verification.first_bad == index, column
        assert any(
            event.event_id in f.message or column == "event_id" for f in verification.findings
        )
        tamper(database_url, update.format(column, ":original"), original=original, **row)
        assert world.verify().ok


def test_a_row_of_another_person_is_found(
    world: World, event: ConsentEvent, database_url: str
) -> None:
    tamper(
        database_url,
        "UPDATE consent_event SET subject_id = :other WHERE event_id = :event",
        event=event.event_id,
        other="f" * 32,
    )
    assert any("differs from its entry in subject_id" in message for message in messages(world))


def test_a_removed_row_is_found(world: World, event: ConsentEvent, database_url: str) -> None:
    tamper(database_url, "DELETE FROM consent_event WHERE event_id = :event", event=event.event_id)
    assert "the consent event that this entry recorded was removed" in messages(world)


def test_an_added_row_is_found(world: World, event: ConsentEvent, database_url: str) -> None:
    tamper(
        database_url,
        "INSERT INTO consent_event SELECT 9999, :added, subject_id, purpose, action, at, notice,"
        " notice_version, notice_digest, language, channel, register_revision, expires_at,"
        " explicit, recorded_by, :entry, NULL, said_by, NULL, NULL, NULL"
        " FROM consent_event WHERE event_id = :event",
        event=event.event_id,
        added="a" * 32,
        entry="b" * 32,
    )
    assert f"consent event {'a' * 32} has no entry in the log" in messages(world)


def test_a_permit_written_into_the_current_state_is_found(
    world: World, event: ConsentEvent, database_url: str
) -> None:
    tamper(
        database_url,
        "UPDATE consent_state SET action = 'given' WHERE purpose = 'analytics'",
    )
    assert any("the current state is not that of the last event" in m for m in messages(world))


def test_a_current_state_without_an_event_is_found(
    world: World, event: ConsentEvent, database_url: str
) -> None:
    tamper(
        database_url,
        "INSERT INTO consent_state (subject_id, purpose, event_id, action, at, notice_version,"
        " expires_at, explicit, channel) SELECT subject_id, 'partner-advertising', :added, action, at,"
        " notice_version, expires_at, explicit, channel FROM consent_state WHERE purpose = 'newsletter'",
        added="a" * 32,
    )
    assert any(f"names the consent event {'a' * 32}" in message for message in messages(world))


def test_a_removed_objection_is_found(world: World, event: ConsentEvent, database_url: str) -> None:
    tamper(database_url, "DELETE FROM objection")
    assert messages(world) == ["the objection that this entry recorded was removed"]


def test_an_added_objection_is_found(world: World, event: ConsentEvent, database_url: str) -> None:
    tamper(database_url, "UPDATE objection SET purpose = 'newsletter'")
    assert len(messages(world)) == 2


def test_a_published_text_that_was_altered_is_found(
    world: World, event: ConsentEvent, database_url: str
) -> None:
    tamper(
        database_url,
        "UPDATE notice_text SET text = 'Lo aceptas todo.'"
        " WHERE notice = 'newsletter' AND version = 2 AND language = 'es'",
    )
    assert messages(world) == [f"consent event {event.event_id} differs from its entry in text"]


def test_the_proven_erasure_of_the_evidence_is_no_finding(
    world: World, ana: Person, event: ConsentEvent
) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.log.erase(uow, ana.subject_id, [RetentionClass.CONSENT_EVIDENCE])
        uow.commit()
    world.settle()
    verification = world.verify()
    assert verification.findings == []
    assert verification.erased == 5  # three words, an objection and its suppression


def test_the_database_itself_refuses_to_alter_an_event(
    world: World, event: ConsentEvent, database_url: str
) -> None:
    engine = sa.create_engine(database_url)
    for statement in (
        "UPDATE consent_event SET action = 'refused'",
        "UPDATE notice_text SET text = ''",
        "DELETE FROM notice_text",
    ):
        with engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(sa.text(statement))
    engine.dispose()
