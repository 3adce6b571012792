from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import pytest
import sqlalchemy as sa

from policies.vocabulary import EventTag, RetentionClass
from privacy.actor import SYSTEM
from privacy.audit import store as audit_store
from privacy.changes import ReadOnlyDoor, UnauditedChange
from privacy.events import Event
from privacy.outbox import OutboxRow
from privacy.subjects import store
from privacy.unit_of_work import UnitOfWork
from tests.support.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class SomethingHappened(Event):
    tag: ClassVar[EventTag] = EventTag.AUDIT_EXPORT_ISSUED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL

    @property
    def people(self) -> tuple[str, ...]:
        return ("a" * 32,)  # as far as it matters here


def _subject(uow: UnitOfWork, subject_id: str) -> store.SubjectRow:
    return store.SubjectRow(subject_id=subject_id, created_at=uow.now)


def _subjects(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(store.SubjectRow)) or 0


def test_a_commit_that_changed_rows_and_recorded_nothing_is_refused(world: World) -> None:
    with (
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
        pytest.raises(UnauditedChange, match="subject"),
    ):
        uow.session.add(_subject(uow, "a" * 32))
        uow.commit()
    assert _subjects(world) == 0


def test_what_was_undone_in_a_shared_transaction_is_nobody_elses_to_account_for(
    world: World,
) -> None:
    runtime = world.placet.runtime
    with runtime.as_one():
        with pytest.raises(RuntimeError), runtime.unit_of_work(SYSTEM) as uow:
            uow.session.add(_subject(uow, "a" * 32))
            uow.session.flush()
            raise RuntimeError
        with runtime.unit_of_work(SYSTEM) as uow:
            uow.commit()  # it changed nothing
    with (  # nor does what is read meanwhile take it off whom it concerns
        runtime.as_one(),
        pytest.raises(UnauditedChange),
        runtime.unit_of_work(SYSTEM) as uow,
    ):
        uow.session.add(_subject(uow, "a" * 32))
        uow.session.flush()
        with runtime.snapshot() as session:
            session.execute(sa.select(1))
        uow.commit()
    assert _subjects(world) == 0


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(store.SubjectRow).values(blocked_at=None),
        sa.delete(store.SubjectRow),
        sa.text("DELETE FROM subject"),
        sa.text("  update subject set blocked_at = null"),
        sa.text("/* tidy */ DELETE FROM subject"),
        sa.text("-- tidy\nDELETE FROM subject"),
        sa.text(
            "WITH gone AS (SELECT 'x' AS name) "
            "DELETE FROM subject WHERE subject_id IN (SELECT name FROM gone)"
        ),
        sa.insert(OutboxRow)
        .from_select(
            ["row_id", "kind", "state", "attempts", "created_at", "next_attempt_at"],
            sa.select(
                store.SubjectRow.subject_id,
                sa.literal("x"),
                sa.literal("sent"),
                sa.literal(1),
                store.SubjectRow.created_at,
                store.SubjectRow.created_at,
            ),
        )
        .add_cte(sa.delete(store.SubjectRow).cte("gone")),
    ],
)
def test_core_and_raw_statements_do_not_slip_past_the_guard(
    world: World, statement: sa.Executable
) -> None:
    if getattr(statement, "_independent_ctes", ()) and world.placet.runtime.database.is_sqlite:
        pytest.skip("SQLite knows no change inside WITH")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow, pytest.raises(UnauditedChange):
        uow.session.execute(statement)
        uow.commit()


def test_the_guard_forgets_the_last_transaction_on_the_same_connection(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.add(_subject(uow, "b" * 32))
        uow.session.flush()  # and no commit
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.commit()
    assert _subjects(world) == 0


def test_what_is_not_committed_is_undone_with_its_audit_entry(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.add(_subject(uow, "c" * 32))
        entry_id = uow.record(SomethingHappened())
    assert _subjects(world) == 0
    with world.placet.runtime.snapshot() as session:
        assert session.get(audit_store.Entry, entry_id) is None


def test_the_reading_door_refuses_a_change(world: World) -> None:
    with world.placet.runtime.snapshot() as session, pytest.raises(ReadOnlyDoor, match="subject"):
        session.execute(sa.delete(store.SubjectRow))


@pytest.mark.parametrize(
    "statement",
    ["WITH gone AS (SELECT 1) DELETE FROM subject", "/* tidy */ DELETE FROM subject"],
)
def test_the_reading_door_refuses_raw_changes_however_they_begin(
    world: World, statement: str
) -> None:
    with world.placet.runtime.snapshot() as session, pytest.raises(ReadOnlyDoor):
        session.execute(sa.text(statement))


def test_the_database_itself_keeps_the_reading_door_shut(world: World) -> None:
    """Whatever the guard does not recognise, the database refuses; and only on that door."""
    runtime = world.placet.runtime
    for _ in range(2):
        with runtime.snapshot() as session, pytest.raises(sa.exc.DBAPIError, match=r"read.?only"):
            raw = session.connection().connection.driver_connection
            assert raw is not None
            session.execute(sa.select(sa.literal(1)))
            try:
                raw.execute("DELETE FROM subject")
            except Exception as error:
                raise sa.exc.DBAPIError("raw", None, error) from error
        with runtime.unit_of_work(SYSTEM) as uow:  # the same pooled connection writes again
            uow.session.add(_subject(uow, "f" * 32))
            uow.record(SomethingHappened())
            uow.session.flush()


def test_a_second_commit_needs_an_event_of_its_own(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.record(SomethingHappened())
        uow.commit()
        uow.session.add(_subject(uow, "a" * 32))
        with pytest.raises(UnauditedChange):
            uow.commit()
    assert _subjects(world) == 0


def test_a_key_that_a_savepoint_undid_is_not_used_afterwards(world: World) -> None:
    """What was sealed must open: the key's row went with the savepoint."""
    runtime, sealer = world.placet.runtime, world.placet.sealer
    holder, retention = "9" * 32, RetentionClass.PROFILE
    with runtime.unit_of_work(SYSTEM) as uow:
        with pytest.raises(RuntimeError), uow.savepoint():
            sealer.seal(uow.session, holder, retention, b"here", b"lost", at=uow.now)
            raise RuntimeError
        sealed = sealer.seal(uow.session, holder, retention, b"here", b"kept", at=uow.now)
        uow.commit()
    with runtime.snapshot() as session:
        assert sealer.open(session, holder, retention, b"here", sealed) == b"kept"


def test_a_subscriber_works_in_the_same_transaction(world: World) -> None:
    heard: list[datetime] = []

    def subscriber(uow: UnitOfWork, event: SomethingHappened) -> None:
        uow.session.add(_subject(uow, "d" * 32))
        heard.append(uow.now)
        assert isinstance(event, SomethingHappened)

    world.placet.runtime.subscribe(SomethingHappened, subscriber)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.record(SomethingHappened())
    assert heard == [world.clock.now]
    assert _subjects(world) == 0  # the unit was not committed, so neither was the subscriber's work
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.record(SomethingHappened())
        uow.commit()
    assert _subjects(world) == 1


def test_a_naive_instant_is_refused_by_the_column(world: World) -> None:
    with (
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
        pytest.raises(sa.exc.StatementError, match="time zone"),
    ):
        naive = world.clock.now.replace(tzinfo=None)
        uow.session.add(store.SubjectRow(subject_id="e" * 32, created_at=naive))
        uow.session.flush()


def test_thirty_two_threads_lose_no_update(world: World) -> None:
    """Read-then-write through the writing door is serial on SQLite and locked on PostgreSQL."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.pseudonyms.ensure_domain(uow, "shop")
        uow.commit()

    def issue(number: int) -> list[str]:
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            return world.placet.pseudonyms.pseudonymise(
                uow, "shop", [f"person{number % 8}@example.com"]
            )

    with ThreadPoolExecutor(32) as pool:
        values = list(pool.map(issue, range(64)))
    by_person = {number % 8: values[number] for number in range(64)}
    assert all(values[number] == by_person[number % 8] for number in range(64))
    assert len({value for [value] in values}) == 8
    assert _subjects(world) == 8
    world.settle()
    assert world.verify().ok


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_error_of_the_database_does_not_say_what_was_to_be_stored(world: World) -> None:
    with (
        pytest.raises(sa.exc.IntegrityError) as raised,
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
    ):
        for _ in range(2):
            uow.session.execute(
                sa.insert(store.SubjectRow).values(subject_id="a-secret", created_at=uow.now)
            )
    assert "a-secret" not in str(raised.value)
