"""What goes to the driver past SQLAlchemy is noted and refused as if it had not."""

from contextlib import nullcontext
from typing import cast

import pytest
import sqlalchemy as sa

from privacy.actor import SYSTEM
from privacy.audit.store import Entry
from privacy.bulk import Insert, at_once
from privacy.changes import ReadOnlyDoor, UnauditedChange
from privacy.consent.store import ObjectionRow
from tests.support.cast import introduce
from tests.support.world import World

OBJECTION = cast("sa.Table", ObjectionRow.__table__)
ADD = Insert(OBJECTION, ["subject_id", "purpose", "since", "entry_id"])
SECRET = "whom-it-is-about"


def objection(world: World) -> dict[str, object]:
    """A row that can be written."""
    with world.placet.runtime.snapshot() as session:
        entry_id = session.scalar(sa.select(sa.func.min(Entry.entry_id)))
    return {
        "subject_id": introduce(world).subject_id,
        "purpose": "newsletter",
        "since": world.clock(),
        "entry_id": entry_id,
    }


def test_a_refused_row_is_an_ordinary_error_that_tells_nothing_of_it(world: World) -> None:
    row = {"subject_id": SECRET, "purpose": "newsletter", "since": world.clock(), "entry_id": "0"}
    for several in (at_once, nullcontext):
        with (
            world.placet.runtime.unit_of_work(SYSTEM) as uow,
            pytest.raises(sa.exc.IntegrityError) as refused,
            several(uow.session),
        ):
            ADD.run(uow.session, [row])
        assert SECRET not in str(refused.value)
        assert SECRET not in repr(refused.value.params)


def test_a_text_that_is_too_long_is_refused_and_never_cut_off(
    world: World, database_kind: str
) -> None:
    row = objection(world) | {"purpose": "p" * 65}
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        if database_kind == "sqlite":  # its texts have no greatest length
            ADD.run(uow.session, [row])
            assert uow.session.scalar(sa.select(ObjectionRow.purpose)) == "p" * 65
        else:
            with pytest.raises(sa.exc.DataError):
                ADD.run(uow.session, [row])


def test_rows_past_sqlalchemy_want_an_event_and_the_writing_door_like_all_others(
    world: World,
) -> None:
    row, runtime = objection(world), world.placet.runtime
    with runtime.snapshot() as session, pytest.raises(ReadOnlyDoor):
        ADD.run(session, [row])
    with runtime.unit_of_work(SYSTEM) as uow:
        ADD.run(uow.session, [row])
        with pytest.raises(UnauditedChange):
            uow.commit()
    with runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(OBJECTION)) == 0
