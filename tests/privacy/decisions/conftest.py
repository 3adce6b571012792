import shutil
from pathlib import Path

import pytest

from privacy.settings import EXAMPLE_REGISTER
from tests.support.cast import Person, application, calls_as, introduce, signed_in_as
from tests.support.world import World


@pytest.fixture
def ana(world: World) -> Person:
    """Ana, with a proved address, signed in, and known to the shop, which is calling."""
    person = introduce(world)
    calls_as(world, application())
    signed_in_as(world, person)
    return person


@pytest.fixture
def register_folder(tmp_path: Path) -> Path:
    """A copy of the example register, to be changed."""
    return Path(shutil.copytree(EXAMPLE_REGISTER, tmp_path / "register"))
