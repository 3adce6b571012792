"""What applications hold of a person ends with the account, whoever shuts it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from authlib.oauth2.rfc6749.errors import OAuth2Error

from identity.accounts.model import Account
from privacy.actor import SYSTEM
from tests.identity.administration.office import actor_of, open_account
from tests.identity.people import ANA
from tests.identity.provider import relying_party
from tests.identity.provider.relying_party import RelyingParty
from tests.support.world import World


@pytest.fixture
def ana(world: World) -> Account:
    """Ana, signed in where applications send her."""
    account = open_account(world, ANA)
    relying_party.sign_in(world, account.subject_id, account_id=account.account_id)
    return account


@pytest.fixture
def shop(world: World) -> RelyingParty:
    """An ordinary client."""
    return relying_party.register(world)


def _disable(world: World, account: Account) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.administration.disable(uow, account.account_id, "porque sí")


def _close(world: World, account: Account) -> None:
    with world.placet.runtime.unit_of_work(actor_of(account)) as uow:
        world.placet.identity.closing.begin(uow, account)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("shut", [_disable, _close])
def test_tokens_and_codes_of_a_person_end_with_the_account(
    world: World, ana: Account, shop: RelyingParty, shut: Callable[[World, Account], None]
) -> None:
    token, waiting = shop.tokens()["access_token"], shop.code()
    of_its_own = shop.own_token(scope="decisions:evaluate").json
    assert of_its_own is not None
    shut(world, ana)
    assert shop.introspect(token) == {"active": False}
    assert shop.userinfo(token).status_code == 401
    assert shop.exchange(waiting).status_code == 400
    late = shop.code()  # from a page that was opened before
    assert shop.exchange(late).json == {
        "error": "invalid_grant",
        "error_description": "The person may not sign in at present.",
    }
    assert shop.introspect(of_its_own["access_token"])["active"] is True  # it is nobody's


def test_a_code_exchanged_while_the_account_is_shut_leaves_no_living_token(
    world: World, ana: Account, shop: RelyingParty
) -> None:
    form, barrier = shop.token_form(shop.code()), Barrier(2)

    def exchange() -> str | None:
        barrier.wait()
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            try:
                return world.placet.provider.exchange(uow, shop.client, form).access_token
            except OAuth2Error:
                return None

    def shut() -> None:
        barrier.wait()
        _disable(world, ana)

    with ThreadPoolExecutor(2) as pool:
        exchanging, shutting = pool.submit(exchange), pool.submit(shut)
        token = exchanging.result(30)
        shutting.result(30)
    assert token is None or shop.introspect(token) == {"active": False}
