"""A thief of an account loses it everywhere when its owner sets a new password."""

import pytest

from tests.identity.administration.office import actor_of, open_account
from tests.identity.people import ANA, OTHER_PASSWORD
from tests.identity.provider import relying_party
from tests.support.world import World


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kept", [False, True])
def test_a_new_password_ends_tokens_and_codes_where_it_ends_sessions(
    world: World, kept: bool
) -> None:
    account = open_account(world, ANA)
    relying_party.sign_in(world, account.subject_id, account_id=account.account_id)
    shop = relying_party.register(world)
    token, waiting = shop.tokens()["access_token"], shop.code()
    passwords = world.placet.identity.passwords
    encoded = passwords.choose(OTHER_PASSWORD, email=ANA)
    with world.placet.runtime.unit_of_work(actor_of(account)) as uow:
        passwords.keep(uow, account, encoded, sessions_kept=kept)
        uow.commit()
    assert shop.introspect(token)["active"] is kept
    assert (shop.exchange(waiting).status_code == 200) is kept
