"""What applications hold of a person ends where the sessions end."""

import pytest

from identity.accounts.address_model import AddressChangeUndone
from identity.accounts.model import Account
from privacy.actor import SYSTEM
from tests.identity.administration.office import open_account
from tests.identity.people import ANA
from tests.identity.provider import relying_party
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.mark.parametrize("kept", [False, True])
def test_a_new_password_ends_tokens_unless_the_person_keeps_the_sessions(
    world: World, kept: bool
) -> None:
    account: Account = open_account(world, ANA)
    relying_party.sign_in(world, account.subject_id, account_id=account.account_id)
    shop = relying_party.register(world)
    token = shop.tokens()["access_token"]
    passwords = world.placet.identity.passwords
    encoded = passwords.choose("la tercera frase del día", email=ANA)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        passwords.keep(uow, account, encoded, sessions_kept=kept)
        uow.commit()
    assert shop.introspect(token)["active"] is kept


def test_tokens_end_with_the_sessions_when_a_change_of_address_is_taken_back(world: World) -> None:
    account: Account = open_account(world, ANA)
    relying_party.sign_in(world, account.subject_id, account_id=account.account_id)
    shop = relying_party.register(world)
    token = shop.tokens()["access_token"]
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.record(
            AddressChangeUndone(subject_id=account.subject_id, account_id=account.account_id)
        )
        uow.commit()
    assert not shop.introspect(token)["active"]
