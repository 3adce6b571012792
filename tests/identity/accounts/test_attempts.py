"""Guessing is slowed down per account and per network, for everybody alike."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import request

from identity.accounts.attempts import AddressProofNeeded, Attempt, AttemptKind, Lately
from identity.accounts.client import Client
from identity.accounts.store import AttemptRow, SignInTryRow
from identity.risk.model import Device
from identity.sessions.arrival import SignedIn, Visit
from policies.errors import TooManyAttempts
from privacy.actor import SYSTEM
from tests.identity.people import ANA, BRUNO, OTHER_PASSWORD, PASSWORD, register, sign_in
from tests.identity.risk.people import HOME, STRANGER, open_account, remember
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

NOBODY = "nobody@example.com"
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def _fail(world: World, email: str, times: int = 1) -> list[int]:
    """Try as a stranger, in a new browser each time."""
    return [
        sign_in(world.client, email, OTHER_PASSWORD, known=False).status_code for _ in range(times)
    ]


def test_wrong_passwords_make_the_next_attempt_wait_even_a_right_one(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    assert _fail(world, ANA, 5) == [422, 422, 422, 422, 429]
    waiting = sign_in(world.client, ANA, PASSWORD, known=False)
    assert waiting.status_code == 429
    assert waiting.headers["Retry-After"] == "1"
    assert "1 segundo" in waiting.text
    world.clock.advance(seconds=1)  # half-open: at this instant the wait is over
    assert sign_in(world.client, ANA, PASSWORD, known=False).status_code == 303


def test_a_success_forgets_the_account_s_failures(world: World, mail_server: MailServer) -> None:
    register(world, mail_server)
    _fail(world, ANA, 3)
    assert sign_in(world.client, known=False).status_code == 303
    assert _fail(world, ANA, 4) == [422] * 4


def test_an_unknown_account_waits_like_a_known_one(world: World, mail_server: MailServer) -> None:
    register(world, mail_server)
    answers = {}
    for email in (ANA, NOBODY):
        client, seen = world.client, []
        for _ in range(6):
            answer = sign_in(client, email, OTHER_PASSWORD, known=False)
            text = re.sub(r'(name="csrf_token"[^>]*value=)"[^"]+"', "", answer.text)
            text = text.replace(email, "")
            seen.append((answer.status_code, answer.headers.get("Retry-After"), text))
        answers[email] = seen
    assert answers[ANA] == answers[NOBODY]


@SQLITE
def test_one_network_is_slowed_down_over_all_accounts(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    codes = [_fail(world, f"person{number}@example.com")[0] for number in range(21)]
    assert codes == [422] * 20 + [429]
    waiting = sign_in(world.client, ANA, PASSWORD, known=False)
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (429, "900")
    assert sign_in(world.client, ANA, PASSWORD, known=True).status_code == 303
    world.clock.advance(minutes=15)
    assert sign_in(world.client, ANA, PASSWORD, known=False).status_code == 303


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("hops", "seen"),
    [("0", "127.0.0.1"), ("1", "203.0.113.1"), ("2", "198.51.100.2")],
)
def test_an_address_is_believed_only_from_as_many_proxies_as_are_configured(
    database_url: str, instance: Path, hops: str, seen: str
) -> None:
    world = make_world(database_url, instance, PLACET_TRUSTED_PROXIES=hops)
    # The caller invents the first; each proxy in front of us adds whom it heard it from.
    forwarded = {"X-Forwarded-For": "192.0.2.66, 198.51.100.2, 203.0.113.1"}
    with world.client as client:
        client.get("/login", headers=forwarded)
        assert request.remote_addr == seen


@SQLITE
def test_a_caller_without_a_readable_address_is_served_and_slowed_down(world: World) -> None:
    def fail(number: int) -> int:
        client = world.client
        client.environ_base["REMOTE_ADDR"] = f"no address {number}"
        return sign_in(client, f"person{number}@example.com", OTHER_PASSWORD).status_code

    assert [fail(number) for number in range(21)] == [422] * 20 + [429]


def test_the_wait_survives_a_restart(world: World, database_url: str, instance: Path) -> None:
    _fail(world, NOBODY, 5)
    restarted = make_world(database_url, instance, seed="restarted")
    assert _fail(restarted, NOBODY) == [429]
    restarted.placet.runtime.database.engine.dispose()


def test_guesses_side_by_side_are_counted_one_by_one(world: World) -> None:
    attempts = world.placet.attempts
    attempt = attempts.of_email(AttemptKind.PASSWORD, ANA)

    def guess(_number: int) -> bool:
        try:
            attempts.begin(attempt)
        except TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        looked_at = sum(pool.map(guess, range(20)))
    assert looked_at == 4  # the three free ones, and the one before which nobody waits yet


def test_an_attempt_counts_although_the_request_dies_before_its_answer(world: World) -> None:
    attempts = world.placet.attempts
    attempt = attempts.of_email(AttemptKind.PASSWORD, ANA)
    attempts.begin(attempt)
    with world.placet.runtime.snapshot() as session:
        assert attempts.failures(session, attempt) == 1


def _failures(world: World, attempt: Attempt | None) -> int:
    assert attempt is not None
    with world.placet.runtime.snapshot() as session:
        return world.placet.attempts.failures(session, attempt)


def test_a_success_takes_back_only_its_own_attempt_from_what_many_share(world: World) -> None:
    attempts = world.placet.attempts
    account = attempts.of_account(AttemptKind.OTP, "0" * 32)
    network = attempts.of_network(AttemptKind.ADDRESS, "203.0.113.7")
    for _ in range(3):
        attempts.begin(account, network)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        attempts.succeeded(uow, account, network)
        uow.commit()
    assert (_failures(world, account), _failures(world, network)) == (0, 2)


@SQLITE
def test_a_hundred_failures_close_the_password_and_not_the_network(world: World) -> None:
    attempts = world.placet.attempts
    password = attempts.of_email(AttemptKind.PASSWORD, ANA)
    for _ in range(100):
        world.clock.advance(minutes=15)
        attempts.begin(password)
    world.clock.advance(days=365)
    with pytest.raises(TooManyAttempts):
        attempts.begin(password)
    network = attempts.of_network(AttemptKind.ADDRESS, "203.0.113.7")
    for _ in range(150):
        world.clock.advance(minutes=15)
        attempts.begin(network)


@SQLITE
def test_a_shared_counter_forgets_after_an_hour_without_a_failure(world: World) -> None:
    attempts = world.placet.attempts
    network = attempts.of_network(AttemptKind.ADDRESS, "203.0.113.7")
    for _ in range(20):
        attempts.begin(network)
    world.clock.advance(hours=1)
    world.clock.now -= timedelta(microseconds=1)
    attempts.begin(network)
    assert _failures(world, network) == 21
    world.clock.advance(hours=1)
    attempts.begin(network)
    assert _failures(world, network) == 1


@SQLITE
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("no address", "203.0.113.7:443", True),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64(
    world: World, one: str, other: str, same: bool
) -> None:
    attempts = world.placet.attempts
    found = [attempts.of_network(AttemptKind.ADDRESS, address) for address in (one, other)]
    assert (found[0] == found[1]) is same
    assert found[0] is not None
    assert one not in found[0].key_digest


@SQLITE
def test_letters_to_one_address_are_slowed_down(world: World) -> None:
    codes = [
        submit(world.client, path, {"email": BRUNO, "password": PASSWORD}).status_code
        for path in ("/register", "/recover", "/register", "/recover", "/register")
    ]
    assert codes == [303, 303, 303, 303, 429]


def _from(number: int) -> Client:
    return Client(f"10.{number // 200}.{number % 200}.1", "")


def _attack(world: World, times: int) -> list[str]:
    """Let strangers try Ana's password, from ever other networks, as fast as they may."""
    outcomes = []
    for number in range(times):
        world.clock.advance(minutes=15)
        try:
            world.placet.attempts.begin_sign_in(ANA, _from(number), None)
        except AddressProofNeeded as error:
            outcomes.append(error.code)
        else:
            outcomes.append("looked at")
    return outcomes


@SQLITE
def test_three_hundred_wrong_tries_of_strangers_do_not_lock_the_owner_out(world: World) -> None:
    account = open_account(world)
    token, device = remember(world, account)
    identity = world.placet.identity
    encoded = identity.passwords.choose(PASSWORD, email=ANA)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        identity.passwords.keep(uow, account, encoded)
        uow.commit()
    assert _attack(world, 300) == ["looked at"] * 100 + ["address-proof-needed"] * 200
    at_home = identity.sign_in.by_password(
        SYSTEM, email=ANA, password=PASSWORD, visit=Visit(HOME, token)
    )
    assert isinstance(at_home, SignedIn)  # at once: no wait, no proof
    assert _failures(world, world.placet.attempts.of_device(device.device_id)) == 0
    with pytest.raises(AddressProofNeeded):  # the owner's success gives strangers no new tries
        world.placet.attempts.begin_sign_in(ANA, STRANGER, None)


@SQLITE
def test_an_account_that_does_not_exist_asks_for_the_proof_alike(world: World) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        counter = world.placet.attempts.of_email(AttemptKind.PASSWORD, ANA)
        row = AttemptRow(kind=counter.kind.value, key_digest=counter.key_digest)
        row.failures, row.last_failure_at = 99, uow.now
        uow.session.add(row)
        uow.commit()
    assert _attack(world, 3) == ["looked at", *["address-proof-needed"] * 2]


@SQLITE
def test_a_known_device_is_slowed_down_alone_and_forgotten_after_a_hundred_tries(
    world: World,
) -> None:
    account = open_account(world)
    (_token, device), (_other, other) = remember(world, account), remember(world, account)
    attempts, devices = world.placet.attempts, world.placet.identity.devices
    for _ in range(4):
        attempts.begin_sign_in(ANA, HOME, device)
    with pytest.raises(TooManyAttempts):
        attempts.begin_sign_in(ANA, HOME, device)
    attempts.begin_sign_in(ANA, HOME, other)
    for _ in range(96):
        world.clock.advance(minutes=15)
        attempts.begin_sign_in(ANA, HOME, device)
    assert _failures(world, attempts.of_email(AttemptKind.PASSWORD, ANA)) == 0
    world.clock.advance(minutes=15)
    attempts.begin_sign_in(ANA, HOME, device)  # now counted as a stranger's
    assert _failures(world, attempts.of_email(AttemptKind.PASSWORD, ANA)) == 1
    with world.placet.runtime.snapshot() as session:
        left = devices.of_account(session, account.account_id)
    assert [each.device_id for each in left] == [other.device_id]


def test_a_network_that_tries_twenty_accounts_waits_long_and_the_others_do_not(
    world: World,
) -> None:
    attempts = world.placet.attempts
    for number in range(20):
        attempts.begin_sign_in(f"person{number}@example.com", STRANGER, None)
    with pytest.raises(TooManyAttempts) as refused:
        attempts.begin_sign_in(ANA, STRANGER, None)
    assert refused.value.retry_after_seconds == 15 * 60
    attempts.begin_sign_in(ANA, HOME, None)
    world.clock.advance(minutes=15)
    attempts.begin_sign_in(ANA, STRANGER, None)
    with pytest.raises(TooManyAttempts):
        attempts.begin_sign_in(BRUNO, STRANGER, None)
    world.clock.advance(hours=1)  # what was tried an hour ago is over
    for email in (ANA, BRUNO):
        attempts.begin_sign_in(email, STRANGER, None)


def test_what_was_tried_lately_is_told_apart_by_device_account_and_network(world: World) -> None:
    _token, device = remember(world, open_account(world))
    attempts = world.placet.attempts
    for _ in range(3):
        attempts.begin_sign_in(ANA, STRANGER, None)
    attempts.begin_sign_in(BRUNO, STRANGER, None)
    succeeded = attempts.begin_sign_in(ANA, HOME, device)
    attempts.begin_sign_in(ANA, HOME, device)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        attempts.succeeded(uow, *succeeded)
        uow.commit()

    def lately(client: Client, known: Device | None) -> Lately:
        with world.placet.runtime.snapshot() as session:
            return attempts.lately(
                session, addresses=[ANA], client=client, device=known, now=world.clock()
            )

    assert lately(STRANGER, None) == Lately(failures=3, other_accounts=1, everywhere=5)
    assert lately(HOME, device) == Lately(failures=1, other_accounts=0, everywhere=5)
    world.clock.advance(minutes=1)
    assert lately(STRANGER, None) == Lately(failures=3, other_accounts=1, everywhere=0)
    world.clock.advance(minutes=59)  # half-open: an hour ago is not lately
    assert lately(STRANGER, None) == Lately(failures=0, other_accounts=0, everywhere=0)


@SQLITE
def test_tries_name_neither_account_nor_network(world: World) -> None:
    world.placet.attempts.begin_sign_in(ANA, STRANGER, None)
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(SignInTryRow)).one()
    for kept in (row.account_digest, row.network_digest):
        assert re.fullmatch(r"[0-9a-f]{32,64}", kept)
    assert row.device_id is None
