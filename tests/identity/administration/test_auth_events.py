"""Every event of an account's life has its line: who, when, what, factor, network, result, reason.

Source: OWASP ASVS 5.0 16.2.1, 16.3.1 to 16.3.3. What passkeys, devices and lost factors write is
tested beside them; here each act of this table is done once, in one deployment, and the log is
verified with all of it in place.
"""

from datetime import UTC

import pytest

from identity.accounts.model import Account
from identity.accounts.trail import TrailEntry, trail
from policies.vocabulary import EventTag, Role
from tests.identity.administration.office import (
    ALMA,
    actor_of,
    browser_of,
    open_account,
    sign_in_for_real,
)
from tests.identity.people import ANA, OTHER_PASSWORD, enrol, register, sign_in
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def _trail(world: World, account: Account) -> list[TrailEntry]:
    with world.placet.runtime.snapshot() as session:
        return list(trail(world.placet.log, session, account.subject_id).entries)[::-1]


def test_every_act_upon_an_account_writes_its_line_and_the_log_verifies(
    world: World, mail_server: MailServer
) -> None:
    own = register(world, mail_server)
    with world.placet.runtime.snapshot() as session:
        ana = world.placet.identity.accounts.by_email(session, ANA)
    assert ana is not None
    totp, _codes = enrol(world, own)
    world.clock.advance(minutes=1)
    sign_in(world.client, password=OTHER_PASSWORD)
    world.settle()
    waiting = world.client
    sign_in(waiting)
    submit(waiting, "/login/code", {"code": "000000"})
    submit(waiting, "/login/code", {"code": totp.at(world.clock())})
    submit(own, "/account", {}, to="/logout")

    alma = open_account(world, ALMA, Role.ADMINISTRATOR)
    office, here = browser_of(world, alma), f"/admin/accounts/{ana.account_id}"
    submit(office, "/admin", {"email": ANA}, to="/admin/find")
    for act, typed in (
        ("reset", {}),
        ("factor-recovery", {}),
        ("end-sessions", {}),
        ("disable", {"reason": "se investiga un abuso"}),
    ):
        assert submit(office, f"{here}/{act}", typed).status_code == 303, act
    sign_in_for_real(world)
    sign_in(world.client)  # the right password of a disabled account
    office = browser_of(world, alma)
    for act, typed in (
        ("enable", {"reason": "aclarado"}),
        ("role", {"role": "staff"}),
        ("role", {"role": "person"}),
    ):
        assert submit(office, f"{here}/{act}", typed).status_code == 303, act
    with world.placet.runtime.unit_of_work(actor_of(ana)) as uow:
        world.placet.identity.closing.begin(uow, ana)
    administrator = f"administrator:{alma.account_id}"
    lines = _trail(world, ana)
    told = {(line.tag, line.actor.partition(":")[0]) for line in lines}
    for tag, who in (
        (EventTag.ACCOUNTS_ACCOUNT_REGISTERED, "anonymous"),
        (EventTag.ACCOUNTS_ACCOUNT_VERIFIED, "anonymous"),
        (EventTag.CREDENTIALS_PASSWORD_SET, "anonymous"),
        (EventTag.MFA_TOTP_ENROLLED, "person"),
        (EventTag.SESSIONS_SIGN_IN_SUCCEEDED, "anonymous"),
        (EventTag.SESSIONS_SIGN_IN_FAILED, "anonymous"),
        (EventTag.SESSIONS_SESSION_ENDED, "person"),
        (EventTag.ADMINISTRATION_ACCOUNT_LOOKED_UP, "administrator"),
        (EventTag.CREDENTIALS_PASSWORD_RESET_REQUESTED, "administrator"),
        (EventTag.CREDENTIALS_FACTOR_RECOVERY_REQUESTED, "administrator"),
        (EventTag.SESSIONS_SESSION_ENDED, "administrator"),
        (EventTag.ACCOUNTS_ACCOUNT_DISABLED, "administrator"),
        (EventTag.ACCOUNTS_ACCOUNT_ENABLED, "administrator"),
        (EventTag.ACCOUNTS_ROLE_GRANTED, "administrator"),
        (EventTag.ACCOUNTS_ROLE_REMOVED, "administrator"),
        (EventTag.ACCOUNTS_CLOSING_BEGUN, "person"),
    ):
        assert (tag.value, who) in told, (tag, who)
    assert {line.actor for line in lines if line.actor.startswith("admin")} == {administrator}
    assert all(line.at.tzinfo is UTC for line in lines)

    failed = [line for line in lines if line.tag == EventTag.SESSIONS_SIGN_IN_FAILED]
    assert [line.event["factor"] for line in failed] == ["password", "otp", "password"]
    assert failed[-1].event.get("reason", failed[-1].evidence.get("reason")) == "account-disabled"
    arrived = [line for line in lines if line.tag == EventTag.SESSIONS_SIGN_IN_SUCCEEDED][-1]
    assert arrived.evidence["methods"] == ["pwd", "otp"]
    for line in (*failed, arrived):  # the network is kept without the last part of the address
        assert line.evidence["network"] == "127.0.0.0/24", line
        assert "user_agent" in line.evidence, line
    shut = next(line for line in lines if line.tag == EventTag.ACCOUNTS_ACCOUNT_DISABLED)
    assert shut.evidence["reason"] == "se investiga un abuso"

    with world.placet.runtime.snapshot() as session:
        held = world.placet.identity.account_data.collect(session, ana.subject_id)
    acts = held["acts_of_staff"]
    assert isinstance(acts, list)
    assert len(acts) >= 8
    assert {str(act["by"]) for act in acts if isinstance(act, dict)} == {"administrator"}
    assert alma.account_id not in str(acts)  # the person learns the role, not who of us it was
    world.settle()
    assert world.verify().ok
