"""One code sent twenty times at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from authlib.oauth2.rfc6749.errors import InvalidGrantError

from identity.provider.model import TokenAnswer
from privacy.actor import SYSTEM
from tests.identity.provider.relying_party import RelyingParty
from tests.support.world import World

AT_ONCE = 20


def at_once(use: Callable[[threading.Barrier], object]) -> list[object]:
    """Return what `use` returned to each of twenty threads that meet at a barrier."""
    barrier = threading.Barrier(AT_ONCE, timeout=30)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(use, barrier) for _ in range(AT_ONCE)]
        return [each.result(60) for each in running]


def test_one_code_used_twenty_times_at_once_yields_one_token_and_then_none(
    world: World, shop: RelyingParty, ana: str
) -> None:
    """Authlib's documented wiring gave two token pairs to two requests."""
    form = shop.token_form(shop.code())
    is_sqlite = world.placet.runtime.database.is_sqlite

    def use(barrier: threading.Barrier) -> TokenAnswer | None:
        if is_sqlite:  # a writer waits at the door: the race is for who opens it first
            barrier.wait()
        with world.placet.runtime.unit_of_work(SYSTEM) as uow:
            if not is_sqlite:  # all transactions are open before any looks at the code
                barrier.wait()
            try:
                return world.placet.provider.exchange(uow, shop.client, form)
            except InvalidGrantError:
                return None

    answers = [answer for answer in at_once(use) if answer is not None]
    assert len(answers) == 1
    assert isinstance(answers[0], TokenAnswer)
    with world.placet.runtime.snapshot() as session:
        count = session.connection().exec_driver_sql("SELECT count(*) FROM oauth_token")
        assert count.scalar_one() == 1
    # The nineteen others were second uses.
    assert shop.introspect(answers[0].access_token) == {"active": False}
    world.settle()
    assert world.verify().ok


def test_one_code_sent_by_twenty_requests_at_once_is_answered_once(
    world: World, shop: RelyingParty, ana: str
) -> None:
    code = shop.code()

    def use(barrier: threading.Barrier) -> int:
        barrier.wait()
        return shop.exchange(code).status_code

    assert sorted(map(str, at_once(use))) == ["200"] + ["400"] * (AT_ONCE - 1)


def test_one_token_ended_by_twenty_requests_at_once_is_ended_without_an_error(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.tokens()["access_token"]

    def use(barrier: threading.Barrier) -> int:
        barrier.wait()
        return world.client.post(
            "/oauth/revoke", data={"token": token}, headers=shop.header
        ).status_code

    assert at_once(use) == [200] * AT_ONCE
    assert shop.introspect(token) == {"active": False}
