"""What stands in the database of a person and a purpose depends on no order in which it arrived."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.decision import ConsentFact
from policies.vocabulary import ConsentAction, ConsentChannel, SaidBy
from privacy.actor import SYSTEM
from privacy.consent import store
from privacy.consent.model import Voice
from privacy.ids import new_id
from tests.support.cast import introduce
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
UNIT = "newsletter"
#: (yes or no, said so many days ago, expressly); several on one day, and the same twice.
WORDS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([900, 30, 7, 7, 1]), st.booleans()),
    min_size=2,
    max_size=5,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=WORDS, random=st.randoms(use_true_random=False))
def test_letters_that_arrive_in_another_order_leave_the_same_state(
    world: World, words: list[tuple[bool, int, bool]], random: object
) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives its own Random
    one, other = (stands(world, each) for each in (words, shuffled))
    assert one == other
    said = max((-days, not yes) for yes, days, _explicit in words)
    assert (one.action is ConsentAction.REFUSED) == said[1]  # of two words of one day, the no


def stands(world: World, words: list[tuple[bool, int, bool]]) -> ConsentFact:
    """What stands once all has been written down, each in a transaction and at a time of its own."""
    consents = world.placet.consents
    began = world.clock()
    person = introduce(world, f"{new_id(world.ids)[:8]}@example.com")
    for is_yes, days, explicit in words:
        world.clock.advance(seconds=1)
        voice = Voice(SaidBy.STAFF, began - timedelta(days=days))
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            if is_yes:
                consents.record_given(
                    uow,
                    person.subject_id,
                    UNIT,
                    notice_version=2,
                    language="es",
                    channel=ConsentChannel.POST,
                    explicit=explicit,
                    voice=voice,
                )
            else:
                consents.record_refused(
                    uow,
                    person.subject_id,
                    UNIT,
                    notice_version=2,
                    language="es",
                    channel=ConsentChannel.POST,
                    voice=voice,
                )
            uow.commit()
    world.clock.now = began
    with world.placet.runtime.snapshot() as session:
        state = store.state_of(session, person.subject_id, UNIT)
    assert state.consent is not None
    return state.consent
