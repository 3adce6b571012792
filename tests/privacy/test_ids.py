"""Ids that begin with the time."""

import uuid
from datetime import timedelta

from privacy.ids import neighbouring_ids, new_ordered_id
from tests.support.world import NOON, CountedIds


class Ones:
    """Every bit is set."""

    def random_bytes(self, count: int) -> bytes:
        return b"\xff" * count


def test_an_ordered_id_is_version_7_of_its_millisecond_and_all_else_is_random() -> None:
    ids = CountedIds("ordered")
    made = [new_ordered_id(ids, NOON + timedelta(milliseconds=each)) for each in (0, 0, 1, 1000)]
    assert [each[:12] for each in made] == sorted(each[:12] for each in made)
    assert len({each[12:] for each in made}) == 4
    for each in made:
        assert (uuid.UUID(each).version, uuid.UUID(each).variant) == (7, uuid.RFC_4122)
    assert int(made[3][:12], 16) == NOON.timestamp() * 1000 + 1000
    random = int(new_ordered_id(Ones(), NOON)[12:], 16)
    assert random == 0x7FFF_BFFF_FFFF_FFFF_FFFF  # 74 bits of 80


def test_ids_of_rows_written_at_once_stand_side_by_side() -> None:
    ids = CountedIds()
    first, second = neighbouring_ids(ids, 500), neighbouring_ids(ids, 500)
    assert first == sorted(set(first))
    assert {len(each) for each in first} == {32}
    assert len({each[:8] for each in first}) == 1
    assert len({each[8:] for each in (*first, *second)}) == 1_000
    assert first[0][:8] != second[0][:8]
    assert neighbouring_ids(ids, 0) == []
