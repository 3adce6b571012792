import pytest
import sqlalchemy as sa

from policies.errors import InvalidInput
from policies.vocabulary import Attribute, RetentionClass
from privacy.actor import SYSTEM
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects import store
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.model import UnknownSubject
from tests.support.tampering import behind_our_back
from tests.support.world import World

ANA = "ana@example.com"


def _ana(world: World, *, keep: bool = True) -> str:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = world.placet.subjects.by_email(uow, ANA, keep=keep)
        uow.commit()
    return subject_id


def test_one_address_is_one_person_however_often_it_comes(world: World) -> None:
    assert _ana(world) == _ana(world)
    with world.placet.runtime.snapshot() as session:
        assert world.placet.subjects.find_by_email(session, "ANA@example.com") is not None
        assert world.placet.subjects.find_by_email(session, "bruno@example.com") is None


def test_an_address_that_nobody_needs_is_not_kept_until_somebody_does(world: World) -> None:
    subject_id = _ana(world, keep=False)
    with world.placet.runtime.snapshot() as session:
        assert world.placet.subjects.emails(session, subject_id) == []
    assert _ana(world, keep=True) == subject_id
    with world.placet.runtime.snapshot() as session:
        assert world.placet.subjects.emails(session, subject_id) == [ANA]


def test_an_address_is_verified_once_and_only_for_its_owner(world: World) -> None:
    subject_id = _ana(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.verify_email(uow, subject_id, ANA)
        first = store.identifiers_of(uow.session, subject_id)[0].verified_at
        assert first == uow.now
        world.clock.advance(days=1)
        world.placet.subjects.verify_email(uow, subject_id, ANA)
        assert store.identifiers_of(uow.session, subject_id)[0].verified_at == first
        with pytest.raises(UnknownSubject):
            world.placet.subjects.verify_email(uow, "f" * 32, ANA)


def test_rectification_tells_before_and_after(world: World) -> None:
    subject_id = _ana(world)
    subjects = world.placet.subjects
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        added = subjects.rectify(uow, subject_id, Attribute.GIVEN_NAME, " Ana ")
        changed = subjects.rectify(uow, subject_id, Attribute.GIVEN_NAME, "Ana María")
        assert (added.before, added.after) == (None, "Ana")
        assert (changed.before, changed.after) == ("Ana", "Ana María")
        assert subjects.profile(uow.session, subject_id) == {Attribute.GIVEN_NAME: "Ana María"}
        removed = subjects.rectify(uow, subject_id, Attribute.GIVEN_NAME, None)
        assert (removed.before, removed.after) == ("Ana María", None)
        assert subjects.profile(uow.session, subject_id) == {}
        uow.commit()


@pytest.mark.parametrize("bad", ["", "   ", "x" * 201, "line\nbreak", "null\0"])
def test_a_value_that_cannot_be_kept_is_refused_and_names_the_field(world: World, bad: str) -> None:
    subject_id = _ana(world)
    with (
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
        pytest.raises(InvalidInput) as caught,
    ):
        world.placet.subjects.rectify(uow, subject_id, Attribute.GIVEN_NAME, bad)
    assert caught.value.field == "given_name"


def test_an_erased_person_is_found_by_nothing_and_cannot_be_erased_twice(world: World) -> None:
    subject_id = _ana(world)
    subjects = world.placet.subjects
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        subjects.rectify(uow, subject_id, Attribute.GIVEN_NAME, "Ana")
        subjects.erase(uow, subject_id)
        world.placet.log.erase(uow, subject_id, [RetentionClass.PROFILE])
        uow.commit()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        standing = subjects.standing(uow.session, subject_id)
        assert standing is not None
        assert standing.erased
        assert subjects.find_by_email(uow.session, ANA) is None
        assert subjects.emails(uow.session, subject_id) == []
        assert subjects.sid(uow.session, subject_id) is None
        with pytest.raises(UnknownSubject):
            subjects.erase(uow, subject_id)
        with pytest.raises(UnknownSubject):
            subjects.rectify(uow, subject_id, Attribute.GIVEN_NAME, "Ana")
        assert subjects.by_email(uow, ANA, keep=True) != subject_id
        uow.commit()
    world.settle()
    assert world.verify().ok


def test_an_erasure_leaves_every_proof_valid_and_shows_in_the_log(world: World) -> None:
    subject_id = _ana(world)
    world.settle()
    before = world.verify()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.erase(uow, subject_id)
        assert world.placet.log.erase(uow, subject_id, [RetentionClass.PROFILE]) == 1
        uow.commit()
    assert world.verify().ok  # also while the erasure itself waits for its place
    world.settle()
    after = world.verify()
    assert after.ok
    assert after.size == before.size + 2
    assert after.erased == 1


def test_an_erasure_that_was_placed_before_what_it_erased_proves_nothing(
    world: World, database_url: str
) -> None:
    """Who can write the queue cannot have an erasure stand ready for a payload yet to come."""
    subject_id = _ana(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.erase(uow, subject_id)
        world.placet.log.erase(uow, subject_id, [RetentionClass.PROFILE])
        uow.commit()
    with behind_our_back(database_url) as connection:
        connection.execute(
            sa.text(
                "UPDATE audit_pending SET ordinal = -1 WHERE entry_id IN "
                "(SELECT erasure_entry_id FROM audit_opening)"
            )
        )
    world.settle()
    [finding] = world.verify().findings
    assert finding.message == "the payload was removed without a proven erasure"


def test_a_key_destroyed_without_a_recorded_erasure_is_found(world: World) -> None:
    subject_id = _ana(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.sealer.destroy(uow.session, subject_id, RetentionClass.PROFILE)
        uow.commit()
    world.settle()
    assert not world.verify().ok


def test_the_address_and_the_name_rest_sealed(world: World) -> None:
    subject_id = _ana(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.rectify(uow, subject_id, Attribute.GIVEN_NAME, "Canaria")
        uow.commit()
    with world.placet.runtime.snapshot() as session:
        for table in store.SubjectRow.metadata.sorted_tables:
            for row in session.execute(sa.select(table)):
                content = b"|".join(
                    value if isinstance(value, bytes) else str(value).encode() for value in row
                )
                assert b"ana@example" not in content, table.name
                assert b"Canaria" not in content, table.name


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_row_that_the_database_refuses_is_not_tried_for_ever(world: World) -> None:
    subjects, tried = world.placet.subjects, []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        tried.append(statement)
        assert len(tried) < 100

    sa.event.listen(world.placet.runtime.database.engine, "before_cursor_execute", note)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.execute(
            sa.text(
                "CREATE TRIGGER refuses BEFORE INSERT ON subject BEGIN SELECT RAISE(ABORT, '-'); END"
            )
        )
        arrivals = Arrivals(world.placet.sealer, subjects.identifiers, world.placet.log)
        with pytest.raises(sa.exc.IntegrityError):
            arrivals.by_many(uow, [subjects.identifiers.read(IdentifierKind.EMAIL, ANA)])
