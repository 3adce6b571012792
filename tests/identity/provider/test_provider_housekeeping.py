"""What the worker forgets of codes and tokens, and what it must not forget."""

import pytest

from identity.provider.housekeeping import Housekeeping
from tests.identity.provider.relying_party import OFFLINE, register, register_with_key
from tests.identity.provider.test_token import error_of, rows
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def left(world: World) -> dict[str, int]:
    """Return how many rows each table has."""
    counts = {}
    for table in ("code", "token", "refresh_family", "refresh_token", "client_assertion"):
        [(count,)] = rows(world, f"SELECT count(*) FROM oauth_{table}")
        assert isinstance(count, int)
        counts[table] = count
    return counts


def test_what_ended_a_month_ago_is_forgotten_and_a_code_when_nothing_is_left_of_it(
    world: World, ana: str
) -> None:
    shop = register(world, **OFFLINE)
    machine = register_with_key(world, redirect_uris=(), scopes=("decisions:evaluate",))
    housekeeping = Housekeeping(world.placet.runtime)
    code = shop.granted_code()
    refresh = shop.exchange(code).get_json()["refresh_token"]
    shop.granted_code()  # that nobody exchanges
    shop.exchange(shop.granted_code("openid"))
    assert machine.own_token().status_code == 200
    assert housekeeping.run_due() == 0

    world.clock.advance(minutes=2)
    assert Housekeeping(world.placet.runtime).run_due() == 1  # the assertion, which ran out
    world.clock.advance(days=29)
    refresh = shop.refresh(refresh).get_json()["refresh_token"]
    assert housekeeping.run_due() == 0
    world.clock.advance(days=2)
    refresh = shop.refresh(refresh).get_json()["refresh_token"]
    # Of the four access tokens three ended a month ago, and two codes yielded nothing else.
    assert housekeeping.run_due() == 5
    assert left(world) == {
        "code": 1,
        "token": 2,
        "refresh_family": 1,
        "refresh_token": 3,
        "client_assertion": 0,
    }
    # The code of the living family is still recognised.
    assert error_of(shop.exchange(code)) == "invalid_grant"
    assert error_of(shop.refresh(refresh)) == "invalid_grant"
    world.clock.advance(days=30, minutes=10)
    assert housekeeping.run_due() == 2 + 1 + 1
    assert set(left(world).values()) == {0}
    world.settle()
    assert world.verify().ok


def test_it_works_once_an_hour(world: World, ana: str) -> None:
    shop = register(world, **OFFLINE)
    housekeeping = Housekeeping(world.placet.runtime)
    assert housekeeping.run_due() == 0
    shop.offline_tokens()
    world.clock.now = world.clock.now.replace(year=2027)
    assert Housekeeping(world.placet.runtime).run_due() == 3
    world.clock.now = world.clock.now.replace(year=2026, minute=59)
    shop.offline_tokens(scope="openid")
    assert housekeeping.run_due() == 0
