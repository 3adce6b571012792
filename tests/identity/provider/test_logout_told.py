"""Whatever ends a session tells each application that it went on into, once. OIDC BCL 1.0 s. 2."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.accounts.client import Client as Browser
from identity.accounts.model import Account
from identity.accounts.service import Accounts
from identity.provider.grant_model import GrantEnded
from identity.provider.logout_model import LogoutState
from identity.provider.logout_store import SignInRow
from identity.provider.store import TokenRow
from policies.errors import Unauthenticated
from privacy.actor import SYSTEM
from privacy.outbox import OutboxRow
from privacy.unit_of_work import UnitOfWork
from tests.identity.administration.office import BRUNO, actor_of, open_account
from tests.identity.people import ANA
from tests.identity.provider.listener import ALLOWED, Entered, Listener, Signed, begin, enter
from tests.identity.provider.listener import listening as start_listening
from tests.identity.provider.relying_party import RelyingParty, register
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ONE_TICK = timedelta(microseconds=1)


@pytest.fixture
def world(database_url: str, instance: Path, mail_server: MailServer) -> World:
    return make_world(database_url, instance, PLACET_MAIL_PORT=str(mail_server.port), **ALLOWED)


@pytest.fixture
def ana(world: World) -> Signed:
    return begin(world, open_account(world, ANA, password=None))


def _outbox(world: World) -> list[str]:
    with world.placet.runtime.snapshot() as session:
        return list(session.scalars(sa.select(OutboxRow.kind)).all())


def _told(world: World, listener: Listener, party: RelyingParty) -> list[dict[str, object]]:
    """Let the worker work twice and return the claims of what came."""
    for _ in range(2):
        world.placet.logouts.run_due()
        world.settle()
        world.clock.advance(minutes=2)
    return listener.claims(party)


# ---- every cause ----


def _sign_out(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        world.placet.identity.sessions.sign_out(uow)


def _end_from_the_list(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        world.placet.identity.sessions.end(uow, ana.account, str(ana.actor.session_id))


def _end_others(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        world.placet.identity.sessions.end_others(uow, ana.account, None)


def _by_staff(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.identity.sessions.end_all(uow, ana.account, "by-staff")
        uow.commit()


def _set_password(world: World, ana: Signed) -> None:
    encoded = world.placet.identity.passwords.choose("una frase larga y nueva", email=ANA)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.identity.passwords.keep(uow, ana.account, encoded)
        uow.commit()


def _disable(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.administration.disable(uow, ana.account.account_id, "abuse")


def _begin_closing(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(actor_of(ana.account)) as uow:
        world.placet.identity.closing.begin(uow, ana.account)


def _close(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        Accounts.close(uow, ana.account.account_id)
        uow.commit()


def _erase(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.eraser.erase(uow, ana.account.subject_id)
        uow.commit()


def _forget_device(world: World, ana: Signed) -> None:
    devices = world.placet.identity.devices
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        for device in devices.of_account(uow.session, ana.account.account_id):
            devices.revoke(uow, ana.account, device.device_id)


def _too_many_proofs(world: World, ana: Signed) -> None:
    with pytest.raises(Unauthenticated):
        for _ in range(6):
            with world.placet.runtime.unit_of_work(ana.actor) as uow:
                world.placet.identity.sessions.count_step_up_try(uow)


def _other_person_in_the_browser(world: World, ana: Signed) -> None:
    begin(world, open_account(world, BRUNO, password=None), replacing=ana)


def _idle(world: World, _: Signed) -> None:
    world.clock.advance(minutes=60)


def _end_grant(world: World, ana: Signed) -> None:
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        [client_id] = uow.session.scalars(sa.select(SignInRow.client_id)).all()
        uow.record(GrantEnded(subject_id=ana.account.subject_id, client_id=client_id))
        uow.commit()


CAUSES: dict[str, Callable[[World, Signed], None]] = {
    "sign-out": _sign_out,
    "by-person": _end_from_the_list,
    "by-person, all": _end_others,
    "by-staff": _by_staff,
    "password-set": _set_password,
    "disabled": _disable,
    "closing": _begin_closing,
    "account-closed": _close,
    "erased": _erase,
    "device-forgotten": _forget_device,
    "step-up-failed": _too_many_proofs,
    "replaced": _other_person_in_the_browser,
    "ran-out": _idle,
    "grant-ended": _end_grant,
}


@pytest.mark.parametrize("cause", CAUSES)
def test_whatever_ends_a_session_tells_its_application_exactly_once(
    world: World, party: RelyingParty, listener: Listener, ana: Signed, cause: str
) -> None:
    if cause == "device-forgotten":
        ana = _on_a_known_device(world, ana.account)
    entered = enter(world, party, ana)
    CAUSES[cause](world, ana)
    [claims] = _told(world, listener, party)
    assert claims["sub"] == entered.sub
    assert claims.get("sid") == (None if cause == "grant-ended" else entered.sid)
    with world.placet.runtime.snapshot() as session:
        [result] = world.placet.logouts.results(session, party.client.client_id)
        left = session.scalars(sa.select(SignInRow.sid).where(SignInRow.ended_at.is_(None))).all()
    assert (result.state, result.cause) == (LogoutState.TOLD, _shown(cause))
    assert not left
    assert world.verify().ok


def _shown(cause: str) -> str:
    return {"erased": "account-closed"}.get(cause, cause.partition(",")[0])


def _on_a_known_device(world: World, account: Account) -> Signed:
    identity = world.placet.identity
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        _token, device = identity.devices.remember(
            uow, account, Browser("127.0.0.1", "Firefox"), token=None, trust=False
        )
        uow.commit()
    return begin(world, account, device_id=device.device_id)


# ---- and nothing else does ----


def _renew(uow: UnitOfWork, world: World, ana: Signed) -> None:
    assert world.placet.identity.sessions.renew(uow, str(ana.actor.session_id), ["pwd", "otp"])


def test_a_new_secret_id_and_a_new_proof_of_the_same_person_end_nothing(
    world: World, party: RelyingParty, listener: Listener, ana: Signed
) -> None:
    entered = enter(world, party, ana)
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        _renew(uow, world, ana)
    again = begin(world, ana.account)
    other = enter(world, party, again)
    proved = begin(world, ana.account, replacing=again)
    assert _told(world, listener, party) == []
    assert proved.actor.session_family == again.actor.session_family
    assert enter(world, party, proved).sid == other.sid != entered.sid


def test_another_session_of_the_same_person_goes_on(
    world: World, party: RelyingParty, listener: Listener, ana: Signed
) -> None:
    phone = begin(world, ana.account)
    here, there = enter(world, party, ana), enter(world, party, phone)
    _sign_out(world, ana)
    assert [claims["sid"] for claims in _told(world, listener, party)] == [here.sid]
    _sign_out(world, phone)
    assert [claims["sid"] for claims in _told(world, listener, party)] == [here.sid, there.sid]


def test_two_applications_are_told_apart_and_learn_nothing_of_each_other(
    world: World, party: RelyingParty, listener: Listener, ana: Signed
) -> None:
    silent = register(world, name="Sin aviso")
    with start_listening() as elsewhere:
        other = register(world, name="Otra", backchannel_logout_uri=elsewhere.uri)
        enter(world, silent, ana)
        entered, apart = enter(world, party, ana), enter(world, other, ana)
        _sign_out(world, ana)
        [here] = _told(world, listener, party)
        [there] = elsewhere.claims(other)
    assert (here["sub"], here["sid"]) == (entered.sub, entered.sid)
    assert (there["sub"], there["sid"]) == (apart.sub, apart.sid)
    assert not {here["sub"], here["sid"], here["jti"], party.client.client_id} & {
        there["sub"],
        there["sid"],
        there["jti"],
        there["aud"],
    }
    with world.placet.runtime.snapshot() as session:
        assert world.placet.logouts.results(session, silent.client.client_id) == []


def test_a_shut_account_is_told_to_whoever_stayed_connected_after_the_session(
    world: World, party: RelyingParty, listener: Listener, ana: Signed
) -> None:
    entered = enter(world, party, ana)
    _sign_out(world, ana)
    assert len(_told(world, listener, party)) == 1
    _disable(world, ana)
    _first, shut = _told(world, listener, party)
    assert (shut["sub"], "sid" in shut) == (entered.sub, False)


def test_a_person_that_never_reached_the_application_is_not_named_to_it(
    world: World, party: RelyingParty, ana: Signed
) -> None:
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        world.placet.logouts.join(uow, party.client, ana.actor)  # a code that nobody exchanged
        uow.commit()
    _sign_out(world, ana)
    assert _outbox(world) == []


# ---- tokens ----


def _token(uow: UnitOfWork, digest: str, entered: Entered, party: RelyingParty, who: str) -> None:
    family = "f" * 32 if digest == "b" * 64 else None
    uow.session.add(
        TokenRow(
            token_digest=digest,
            client_id=party.client.client_id,
            subject_id=who,
            scope="openid",
            family_id=family,
            sid=entered.sid,
            issued_at=uow.now,
            expires_at=uow.now + timedelta(minutes=10),
        )
    )


def test_tokens_of_the_session_end_and_those_for_offline_use_stay(
    world: World, party: RelyingParty, ana: Signed
) -> None:
    entered = enter(world, party, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        for digest in ("a" * 64, "b" * 64):
            _token(uow, digest, entered, party, ana.account.subject_id)
        uow.record(GrantEnded(client_id=party.client.client_id))  # any entry: rows need one
        uow.commit()
    _sign_out(world, ana)
    with world.placet.runtime.snapshot() as session:
        ended = session.scalars(
            sa.select(TokenRow.token_digest).where(TokenRow.revoked_at.is_not(None))
        ).all()
    assert ended == ["a" * 64]


# ---- the instant, and what is kept ----


def test_a_session_that_runs_out_is_told_at_its_very_instant_and_rows_go_in_time(
    world: World, party: RelyingParty, ana: Signed
) -> None:
    logouts = world.placet.logouts
    enter(world, party, ana)
    world.clock.advance(minutes=60)
    world.clock.now -= ONE_TICK
    assert logouts.run_due() == 0
    world.clock.advance(minutes=1)
    assert (logouts.run_due(), logouts.run_due()) == (1, 0)
    assert _outbox(world) == ["backchannel-logout"]
    world.clock.advance(days=2)
    logouts.run_due()
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(SignInRow)) == 0
        assert len(logouts.results(session, party.client.client_id)) == 1
    world.clock.advance(days=90)
    logouts.run_due()
    with world.placet.runtime.snapshot() as session:
        assert logouts.results(session, party.client.client_id) == []


def test_a_disconnected_application_that_is_entered_again_gets_another_sid(
    world: World, party: RelyingParty, listener: Listener, ana: Signed
) -> None:
    first = enter(world, party, ana)
    _end_grant(world, ana)
    second = enter(world, party, ana)
    assert second.sid != first.sid
    _sign_out(world, ana)
    disconnected, signed_out = _told(world, listener, party)
    assert ("sid" in disconnected, signed_out["sid"]) == (False, second.sid)
