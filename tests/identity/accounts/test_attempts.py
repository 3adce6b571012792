"""Guessing is slowed down per account and per network, for everybody alike."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from identity.accounts.attempts import Attempt, AttemptKind
from policies.errors import TooManyAttempts
from privacy.actor import SYSTEM
from tests.identity.people import ANA, BRUNO, OTHER_PASSWORD, PASSWORD, register, sign_in
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

NOBODY = "nobody@example.com"


def _fail(world: World, email: str, times: int = 1) -> list[int]:
    return [sign_in(world.client, email, OTHER_PASSWORD).status_code for _ in range(times)]


def test_wrong_passwords_make_the_next_attempt_wait_even_a_right_one(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    assert _fail(world, ANA, 5) == [422, 422, 422, 422, 429]
    waiting = sign_in(world.client, ANA, PASSWORD)
    assert waiting.status_code == 429
    assert waiting.headers["Retry-After"] == "1"
    assert "1 segundo" in waiting.text
    world.clock.advance(seconds=1)  # half-open: at this instant the wait is over
    assert sign_in(world.client, ANA, PASSWORD).status_code == 303


def test_a_success_forgets_the_account_s_failures(world: World, mail_server: MailServer) -> None:
    register(world, mail_server)
    _fail(world, ANA, 3)
    assert sign_in(world.client).status_code == 303
    assert _fail(world, ANA, 4) == [422] * 4


def test_an_unknown_account_waits_like_a_known_one(world: World, mail_server: MailServer) -> None:
    register(world, mail_server)
    answers = {}
    for email in (ANA, NOBODY):
        client, seen = world.client, []
        for _ in range(6):
            answer = sign_in(client, email, OTHER_PASSWORD)
            text = re.sub(r'(name="csrf_token"[^>]*value=)"[^"]+"', "", answer.text)
            text = text.replace(email, "")
            seen.append((answer.status_code, answer.headers.get("Retry-After"), text))
        answers[email] = seen
    assert answers[ANA] == answers[NOBODY]


def test_one_network_is_slowed_down_over_all_accounts(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    codes = [_fail(world, f"person{number}@example.com")[0] for number in range(32)]
    assert codes == [422] * 31 + [429]
    assert sign_in(world.client, ANA, PASSWORD).status_code == 429
    world.clock.advance(seconds=1)
    assert sign_in(world.client, ANA, PASSWORD).status_code == 303


def test_an_invented_forwarding_header_changes_nothing(
    world: World, database_url: str, instance: Path
) -> None:
    def fail(app: World, number: int) -> int:
        client = app.client
        client.environ_base["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{number}"
        return sign_in(client, f"person{number}@example.com", OTHER_PASSWORD).status_code

    assert [fail(world, number) for number in range(32)][-1] == 429
    behind_proxy = make_world(database_url, instance, seed="proxy", PLACET_TRUSTED_PROXIES="1")
    assert [fail(behind_proxy, number) for number in range(100, 132)][-1] == 422
    behind_proxy.placet.runtime.database.engine.dispose()


def test_a_caller_without_a_readable_address_is_served_and_slowed_down(world: World) -> None:
    def fail(number: int) -> int:
        client = world.client
        client.environ_base["REMOTE_ADDR"] = f"no address {number}"
        return sign_in(client, f"person{number}@example.com", OTHER_PASSWORD).status_code

    assert [fail(number) for number in range(32)] == [422] * 31 + [429]


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


def test_letters_to_one_address_are_slowed_down(world: World) -> None:
    codes = [
        submit(world.client, path, {"email": BRUNO, "password": PASSWORD}).status_code
        for path in ("/register", "/recover", "/register", "/recover", "/register")
    ]
    assert codes == [303, 303, 303, 303, 429]
