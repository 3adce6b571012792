"""A waiting sign-in used twenty times side by side signs in once; on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import sqlalchemy as sa

from identity.accounts.client import Client
from identity.accounts.model import LinkNotValid, WrongCode
from identity.sessions.arrival import SignedIn, Visit
from identity.sessions.sign_in import Waiting
from identity.sessions.store import SessionRow
from policies.errors import TooManyAttempts
from privacy.actor import SYSTEM
from tests.identity.people import ANA, PASSWORD, enrol, letter, register
from tests.support.smtp import MailServer
from tests.support.world import World

VISIT = Visit(Client("127.0.0.1", ""))


def side_by_side(attempt: Callable[[], SignedIn]) -> int:
    """Do something twenty times at once; return how often it let somebody in."""
    barrier = Barrier(20)

    def one(_number: int) -> bool:
        barrier.wait()
        try:
            attempt()
        except (LinkNotValid, WrongCode, TooManyAttempts):
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        return sum(pool.map(one, range(20)))


def waiting(world: World) -> Waiting:
    result = world.placet.identity.sign_in.by_password(
        SYSTEM, email=ANA, password=PASSWORD, visit=VISIT
    )
    assert isinstance(result, Waiting)
    return result


def sessions(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(SessionRow)) or 0


def test_one_mailed_code_and_one_second_factor_each_sign_in_once(
    world: World, mail_server: MailServer
) -> None:
    browser = register(world, mail_server)
    steps, before = world.placet.identity.second_step, sessions(world)
    secret = waiting(world).secret
    code = letter(world, mail_server, ANA, 2).code
    assert side_by_side(lambda: steps.by_mailed_code(SYSTEM, secret, code, VISIT)) == 1
    assert sessions(world) == before + 1
    _totp, codes = enrol(world, browser)
    second, before = waiting(world).secret, sessions(world)
    # Of so many at once the brakes let some pass; a code of its own each, one sign-in for all.
    spare = iter(codes * 2)
    assert side_by_side(lambda: steps.by_code(SYSTEM, second, next(spare), VISIT)) == 1
    assert sessions(world) == before + 1
    world.settle()
    assert world.verify().ok
