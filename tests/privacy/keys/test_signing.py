import pytest
from joserfc import jws
from joserfc.jwk import KeySet, import_key

from privacy.actor import SYSTEM
from privacy.keys.signing import ALGORITHM, KeyUse
from tests.support.world import World


@pytest.mark.parametrize("use", list(KeyUse))
def test_what_the_current_key_signs_the_published_half_verifies(world: World, use: KeyUse) -> None:
    with world.placet.runtime.snapshot() as session:
        key = world.placet.signing_keys.current(session, use)
        public = world.placet.signing_keys.public(session, use)
    assert not any("d" in jwk for jwk in public)
    token = jws.serialize_compact(
        {"alg": ALGORITHM[use], "kid": key.kid}, b"receipt", key, [ALGORITHM[use]]
    )
    opened = jws.deserialize_compact(
        token, KeySet([import_key(jwk) for jwk in public]), [ALGORITHM[use]]
    )
    assert opened.payload == b"receipt"


def test_a_second_set_up_keeps_the_key(world: World) -> None:
    keys = world.placet.signing_keys
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        before = [jwk["kid"] for jwk in keys.public(uow.session, KeyUse.OPENID)]
        assert keys.ensure(uow, KeyUse.OPENID) == before[0]
        assert [jwk["kid"] for jwk in keys.public(uow.session, KeyUse.OPENID)] == before
