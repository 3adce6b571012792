"""What has run out is deleted, at the instant it runs out and not before."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from identity.accounts.store import AttemptRow, PendingRegistration
from identity.credentials.store import RecoveryRow
from identity.mfa.store import EnrolmentRow
from identity.sessions.store import SessionRow, WaitingSignIn
from tests.identity.people import ANA, BRUNO, ask_for_account, enrol, register, sign_in
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import World

#: Each table with how long its rows live.
LIVES = {
    EnrolmentRow: timedelta(minutes=30),
    WaitingSignIn: timedelta(minutes=10),
    RecoveryRow: timedelta(hours=1),
    PendingRegistration: timedelta(hours=24),
    SessionRow: timedelta(hours=24),
}


def _left(world: World) -> dict[type, int]:
    with world.placet.runtime.snapshot() as session:
        return {
            table: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in LIVES
        }


def test_each_row_goes_when_its_time_is_over(world: World, mail_server: MailServer) -> None:
    enrol(world, register(world, mail_server, ANA))
    sign_in(world.client, ANA)
    bruno = register(world, mail_server, BRUNO)
    page = bruno.get("/account/totp").text
    bruno.post("/account/totp", data={"csrf_token": csrf_token(page)})
    submit(world.client, "/recover", {"email": ANA})
    ask_for_account(world.client, "carla@example.com")
    began = world.clock.now
    assert all(_left(world).values())
    run_due = world.placet.identity.housekeeping.run_due
    for life in sorted(set(LIVES.values())):
        tables = {table for table in LIVES if LIVES[table] == life}
        world.clock.now = began + life - timedelta(minutes=5)
        run_due()
        assert all(_left(world)[table] for table in tables)
        assert run_due() == 0  # not again within five minutes
        world.clock.now = began + life
        run_due()
        assert not any(_left(world)[table] for table in tables)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_counter_that_is_forgotten_after_an_hour_is_not_kept_for_longer(
    world: World, mail_server: MailServer
) -> None:
    register(world, mail_server)
    sign_in(world.client, password="no es esta, pero es larga", known=False)
    submit(world.client, "/recover", {"email": ANA})

    def kinds() -> set[str]:
        with world.placet.runtime.snapshot() as session:
            return set(session.scalars(sa.select(AttemptRow.kind)))

    run_due = world.placet.identity.housekeeping.run_due
    assert kinds() >= {"password", "address", "letter", "sender"}
    world.clock.advance(minutes=55)
    run_due()
    assert kinds() >= {"password", "address", "letter", "sender"}
    world.clock.advance(minutes=5)
    run_due()
    assert not kinds() & {"address", "letter", "sender"}  # a network's digest is personal data
    assert "password" in kinds()
