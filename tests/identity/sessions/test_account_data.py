"""What identity tells a person it holds, and what it lets go of."""

import json

import sqlalchemy as sa

from identity.accounts.store import AccountRow
from identity.credentials.store import PasswordRow
from identity.mfa.store import RecoveryCodeRow, TotpRow
from identity.sessions.store import SessionRow
from privacy.actor import SYSTEM
from privacy.rights.sources import PersonalDataSource
from tests.identity.people import (
    ANA,
    BRUNO,
    OTHER_PASSWORD,
    PASSWORD,
    account_of,
    enrol,
    is_signed_in,
    register,
    sign_in,
)
from tests.support.smtp import MailServer
from tests.support.world import World


def test_access_shows_account_addresses_sessions_and_sign_ins_and_no_secret(
    world: World, mail_server: MailServer
) -> None:
    client = register(world, mail_server)
    totp, codes = enrol(world, client)
    world.clock.advance(minutes=1)
    sign_in(world.client, ANA, OTHER_PASSWORD)
    world.settle()
    source: PersonalDataSource = world.placet.identity.account_data
    with world.placet.runtime.snapshot() as session:
        held = dict(source.collect(session, account_of(world).subject_id))
    assert source.name == "account"
    assert held["addresses"] == [ANA]
    assert held["account"] == {
        "status": "active",
        "role": "person",
        "language": "es",
        "created_at": "2026-03-03T11:00:00.000Z",
        "password_changed_at": "2026-03-03T11:00:00.000Z",
        "second_factor_since": "2026-03-03T11:00:00.000Z",
    }
    assert isinstance(held["sessions"], list)
    assert len(held["sessions"]) == 1
    assert held["sign_ins"] == [
        {
            "at": "2026-03-03T11:00:00.000Z",
            "result": "succeeded",
            "methods": ["pwd"],
            "network": "127.0.0.0/24",
            "user_agent": "",
        },
        {
            "at": "2026-03-03T11:01:00.000Z",
            "result": "failed",
            "failed_factor": "password",
            "network": "127.0.0.0/24",
            "user_agent": "",
            "tried_at": "2026-03-03T11:01:00.000Z",
        },
    ]
    text = json.dumps(held)
    for secret in (PASSWORD, totp.secret, *codes, "argon2"):
        assert secret not in text


def test_a_person_without_account_has_sources_too(world: World) -> None:
    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = placet.subjects.by_email(uow, ANA, keep=True)
        uow.commit()
    with placet.runtime.snapshot() as session:
        held = placet.identity.account_data.collect(session, subject_id)
    assert held["account"] is None
    assert held["addresses"] == [ANA]
    assert not any(value for name, value in held.items() if name != "addresses")
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.identity.account_data.erase(uow, subject_id)
        uow.commit()


def test_erasing_closes_the_account_and_touches_nobody_else(
    world: World, mail_server: MailServer
) -> None:
    client, other = register(world, mail_server, ANA), register(world, mail_server, BRUNO)
    enrol(world, client)
    enrol(world, other)
    account = account_of(world)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.identity.account_data.erase(uow, account.subject_id)
        world.placet.identity.account_data.erase(uow, account.subject_id)  # nothing happens twice
        uow.commit()
    with world.placet.runtime.snapshot() as session:
        for table in (PasswordRow, TotpRow, RecoveryCodeRow, SessionRow):
            owners = set(session.scalars(sa.select(table.account_id)))
            assert owners == {account_of(world, BRUNO).account_id}
        assert session.get_one(AccountRow, account.account_id).status == "closed"
    assert not is_signed_in(client)
    assert is_signed_in(other)
    world.settle()
    assert world.verify().ok
