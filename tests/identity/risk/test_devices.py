"""Browsers that an account knows: found, shared, listed, forgotten."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from identity.accounts.client import Client
from identity.risk.housekeeping import Housekeeping
from identity.risk.model import Device, DeviceRevoked
from policies.errors import NotFound
from privacy.actor import SYSTEM
from privacy.unit_of_work import UnitOfWork
from tests.identity.risk.people import open_account, remember
from tests.support.world import World

BRUNO = "bruno@example.com"
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def _find(world: World, account_id: str, token: str | None) -> Device | None:
    with world.placet.runtime.snapshot() as session:
        devices = world.placet.identity.devices
        return devices.find(session, account_id, token, now=world.clock())


@SQLITE
def test_a_device_is_found_by_its_token_and_by_its_account_alone(world: World) -> None:
    ana, bruno = open_account(world), open_account(world, BRUNO)
    token, device = remember(world, ana)
    assert _find(world, ana.account_id, token) == device
    assert (device.name, device.network) == ("Firefox, Linux", "88.1.2.0/24")
    assert _find(world, bruno.account_id, token) is None
    for wrong in (None, "", "x" * 43):
        assert _find(world, ana.account_id, wrong) is None


@SQLITE
def test_two_accounts_share_one_browser_s_token_and_not_their_devices(world: World) -> None:
    ana, bruno = open_account(world), open_account(world, BRUNO)
    token, of_ana = remember(world, ana)
    shared, of_bruno = remember(world, bruno, token=token)
    assert of_ana.device_id != of_bruno.device_id
    assert _find(world, ana.account_id, shared) == of_ana
    assert _find(world, bruno.account_id, shared) == of_bruno
    assert remember(world, ana, token=shared)[0] == shared


@SQLITE
def test_a_copy_of_a_browser_s_token_knows_nobody_who_came_later(world: World) -> None:
    ana, bruno = open_account(world), open_account(world, BRUNO)
    copied, _device = remember(world, ana)
    remember(world, bruno, token=copied)
    assert _find(world, bruno.account_id, copied) is None
    assert _find(world, ana.account_id, copied) is None


@SQLITE
def test_a_token_that_we_did_not_give_is_replaced(world: World) -> None:
    ana = open_account(world)
    planted = "A" * 43
    token, _device = remember(world, ana, token=planted)
    assert token != planted
    assert _find(world, ana.account_id, planted) is None


@SQLITE
def test_a_device_that_is_seen_again_stays_itself_and_shows_where_it_was_last(
    world: World,
) -> None:
    ana = open_account(world)
    token, first = remember(world, ana, trust=True)
    world.clock.advance(days=1)
    _token, again = remember(world, ana, Client("198.51.100.7", ""), token=token)
    assert again.device_id == first.device_id
    assert (again.network, again.last_seen_at) == ("198.51.100.0/24", world.clock())
    assert again.first_seen_at == first.first_seen_at
    assert again.trusted_until == first.trusted_until


@SQLITE
def test_a_device_is_unknown_at_the_instant_it_was_not_seen_for_a_year(world: World) -> None:
    ana = open_account(world)
    token, device = remember(world, ana)
    world.clock.advance(days=365, microseconds=-1)
    assert _find(world, ana.account_id, token) == device
    world.clock.advance(microseconds=1)
    assert _find(world, ana.account_id, token) is None
    Housekeeping(world.placet.runtime, world.placet.identity.devices).run_due()
    with world.placet.runtime.snapshot() as session:
        assert world.placet.identity.devices.of_account(session, ana.account_id) == []


@SQLITE
def test_a_forgotten_device_is_announced_and_its_token_makes_a_new_one(world: World) -> None:
    ana, bruno = open_account(world), open_account(world, BRUNO)
    token, device = remember(world, ana)
    announced: list[str] = []

    def hear(_uow: UnitOfWork, event: DeviceRevoked) -> None:
        announced.append(event.device_id)

    world.placet.runtime.subscribe(DeviceRevoked, hear)
    devices = world.placet.identity.devices
    with (
        pytest.raises(NotFound),
        world.placet.runtime.unit_of_work(SYSTEM) as uow,
    ):
        devices.revoke(uow, bruno, device.device_id)  # somebody else's
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        devices.revoke(uow, ana, device.device_id)
    assert announced == [device.device_id]
    assert _find(world, ana.account_id, token) is None
    assert remember(world, ana, token=token)[1].device_id != device.device_id


@SQLITE
def test_a_new_password_ends_trust_and_a_closed_account_knows_no_device(world: World) -> None:
    ana = open_account(world)
    token, device = remember(world, ana, trust=True)
    assert device.trusted_until is not None
    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.identity.passwords.keep(uow, ana, "hash")
        uow.commit()
    found = _find(world, ana.account_id, token)
    assert found is not None
    assert found.trusted_until is None
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.identity.accounts.close(uow, ana.account_id)
        uow.commit()
    assert _find(world, ana.account_id, token) is None


def test_a_browser_that_signs_in_twenty_times_at_once_is_one_device(world: World) -> None:
    ana = open_account(world)
    token, _device = remember(world, ana)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _number: remember(world, ana, token=token), range(20)))
    assert {each for each, _device in found} == {token}
    assert len({device.device_id for _token, device in found}) == 1
