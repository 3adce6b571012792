from collections.abc import Iterator

import pytest

from tests.identity.provider.listener import Listener, listening
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


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Where an application is told that a session has ended."""
    with listening() as started:
        yield started


@pytest.fixture
def party(world: World, listener: Listener) -> RelyingParty:
    """A client that is told."""
    return register(world, backchannel_logout_uri=listener.uri)
