"""Whoever has a password and guesses at codes shuts nobody out of their own second factor."""

import pytest

from identity.accounts.attempts import AddressProofNeeded, AttemptKind
from identity.accounts.client import Client
from identity.risk.model import Device
from policies.errors import TooManyAttempts
from policies.throttling import LONGEST_WAIT, MAX_CONSECUTIVE_FAILURES
from privacy.actor import SYSTEM
from tests.identity.people import account_of, enrol, register
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def _guess(world: World, account_id: str, device: Device | None, times: int) -> None:
    for _ in range(times):
        world.clock.now += LONGEST_WAIT
        world.placet.attempts.begin_code(account_id, device)


def _device(world: World) -> Device:
    account = account_of(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        _token, device = world.placet.identity.devices.remember(
            uow, account, Client("198.51.100.7", ""), token=None, trust=False
        )
        uow.commit()
    return device


def test_a_hundred_guesses_of_strangers_leave_a_known_browser_its_own_tries(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    account, device = account_of(world), _device(world)
    _guess(world, account.account_id, None, MAX_CONSECUTIVE_FAILURES)
    with pytest.raises(AddressProofNeeded):
        _guess(world, account.account_id, None, 1)
    world.placet.attempts.begin_code(account.account_id, device)


def test_a_known_browser_is_slowed_down_alone_and_a_stranger_after_a_hundred_guesses(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    account, device = account_of(world), _device(world)
    _guess(world, account.account_id, device, 5)
    with pytest.raises(TooManyAttempts):
        world.placet.attempts.begin_code(account.account_id, device)
    world.placet.attempts.begin_code(account.account_id, None)
    _guess(world, account.account_id, device, MAX_CONSECUTIVE_FAILURES - 5)
    world.placet.attempts.begin_code(account.account_id, device)
    with world.placet.runtime.snapshot() as session:
        known = world.placet.identity.devices.of_account(session, account.account_id)
    assert device.device_id not in {other.device_id for other in known}


def test_a_new_authenticator_begins_with_no_guesses_against_it(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    account_id = account_of(world).account_id
    attempts = world.placet.attempts
    counter = attempts.of_account(AttemptKind.OTP, account_id)
    attempts.begin_code(account_id, None)
    enrol(world, client)
    with world.placet.runtime.snapshot() as session:
        assert attempts.failures(session, counter) == 0
