"""Two processes at the same moment: one sign-in, and one notice of its end. On both databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import sqlalchemy as sa

from identity.provider.logout_model import LogoutCause
from identity.provider.logout_store import LogoutMessageRow, SignInRow
from tests.identity.administration.office import open_account
from tests.identity.people import ANA
from tests.identity.provider.listener import begin, enter
from tests.identity.provider.relying_party import register
from tests.support.world import World

AT_ONCE = 4


def test_tabs_that_sign_in_at_once_share_a_sid_and_workers_that_sweep_at_once_tell_once(
    world: World,
) -> None:
    placet = world.placet
    party = register(world, backchannel_logout_uri="https://shop.example/logout")
    ana = begin(world, open_account(world, ANA, password=None))
    together = Barrier(AT_ONCE, timeout=20)

    def join(_: int) -> str:
        together.wait()
        with world.app.app_context(), placet.runtime.unit_of_work(ana.actor) as uow:
            sid = placet.logouts.join(uow, party.client, ana.actor)
            uow.commit()
        return sid

    def sweep(_: int) -> None:
        together.wait()
        with world.app.app_context():
            placet.logouts.run_due()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        [sid] = set(pool.map(join, range(AT_ONCE)))
        assert enter(world, party, ana).sid == sid
        world.clock.advance(hours=2)
        list(pool.map(sweep, range(AT_ONCE)))
    with placet.runtime.snapshot() as session:
        assert session.scalars(sa.select(SignInRow.ended_at)).all() == [world.clock()]
        causes = session.scalars(sa.select(LogoutMessageRow.cause)).all()
    assert causes == [LogoutCause.RAN_OUT]
