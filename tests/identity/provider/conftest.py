import pytest

from tests.identity.provider.relying_party import RelyingParty, person, register, sign_in
from tests.support.world import World


@pytest.fixture
def shop(world: World) -> RelyingParty:
    """An ordinary client."""
    return register(world)


@pytest.fixture
def ana(world: World) -> str:
    """Ana, who is signed in: her subject id."""
    subject_id = person(world)
    sign_in(world, subject_id)
    return subject_id
