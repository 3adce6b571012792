"""The logout token, its retries and what the operator sees. OIDC Back-Channel Logout 1.0."""

import socket
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.provider import logout
from identity.provider.logout import MAX_TRIES, SILENCE
from identity.provider.logout_model import LOST_AFTER, LogoutResult, LogoutState
from identity.provider.logout_store import LogoutMessageRow
from identity.provider.store import ClientRow
from policies.vocabulary import EventTag
from privacy.actor import SYSTEM
from privacy.audit.store import Entry
from privacy.outbox import RETRY_WAITS, OutboxRow
from tests.identity.administration.office import open_account
from tests.identity.people import ANA
from tests.identity.provider.listener import ALLOWED, Listener, begin, enter
from tests.identity.provider.relying_party import RelyingParty, register
from tests.support.processes import closed_port
from tests.support.smtp import MailServer
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def world(database_url: str, instance: Path, mail_server: MailServer) -> World:
    return make_world(database_url, instance, PLACET_MAIL_PORT=str(mail_server.port), **ALLOWED)


def _sign_in_and_out(world: World, *parties: RelyingParty) -> None:
    ana = begin(world, open_account(world, ANA, password=None))
    for each in parties:
        enter(world, each, ana)
    with world.placet.runtime.unit_of_work(ana.actor) as uow:
        world.placet.identity.sessions.sign_out(uow)


def _results(world: World, party: RelyingParty) -> list[LogoutResult]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.logouts.results(session, party.client.client_id)


def _result(world: World, party: RelyingParty) -> LogoutResult:
    [result] = _results(world, party)
    return result


def _logged(world: World, tag: EventTag) -> int:
    with world.placet.runtime.snapshot() as session:
        leaves = session.scalars(sa.select(Entry.leaf)).all()
    return sum(tag.value.encode() in leaf for leaf in leaves)


def test_the_token_says_what_the_standard_asks_and_nothing_else(
    world: World, party: RelyingParty, listener: Listener
) -> None:
    _sign_in_and_out(world, party)
    world.clock.advance(hours=3)  # it lay: the token is made when it is sent
    world.settle()
    [token] = listener.tokens(party)
    now = int(world.clock().timestamp())
    assert (token.header["typ"], token.header["alg"]) == ("logout+jwt", "RS256")
    claims = token.claims
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti", "events", "sid"}
    assert (claims["iss"], claims["aud"]) == ("http://localhost:8000", party.client.client_id)
    assert (claims["iat"], claims["exp"]) == (now, now + 120)
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert set(listener.bodies[0]) == {"logout_token"}


def test_an_application_that_fails_twice_is_told_at_the_third_try_with_a_new_token(
    world: World, party: RelyingParty, listener: Listener
) -> None:
    listener.statuses = [500, 500, 200]
    _sign_in_and_out(world, party)
    world.settle()
    assert (_result(world, party).state, _result(world, party).last_result) == (
        LogoutState.WAITING,
        "500",
    )
    for wait in RETRY_WAITS[:2]:
        world.settle()  # not before its time
        world.clock.advance(seconds=wait.total_seconds())
        world.settle()
    result = _result(world, party)
    assert (result.state, result.attempts, result.last_result) == (LogoutState.TOLD, 3, "200")
    assert result.ended_at == world.clock()
    first, second, third = listener.claims(party)
    assert len({claims["jti"] for claims in (first, second, third)}) == 3
    assert {claims["sid"] for claims in (first, second, third)} == {first["sid"]}
    assert third["iat"] == int(world.clock().timestamp())
    assert (_logged(world, EventTag.PROVIDER_LOGOUT_TOLD), len(listener.bodies)) == (1, 3)
    world.clock.advance(days=2)
    world.settle()
    assert len(listener.bodies) == 3


@pytest.mark.parametrize(("status", "state"), [(204, LogoutState.TOLD), (400, LogoutState.FAILED)])
def test_an_answer_that_is_the_last_word_is_not_asked_for_again(
    world: World, party: RelyingParty, listener: Listener, status: int, state: LogoutState
) -> None:
    listener.statuses = [status]
    _sign_in_and_out(world, party)
    world.settle()
    world.clock.advance(days=2)
    world.settle()
    result = _result(world, party)
    assert (result.state, result.attempts, result.last_result) == (state, 1, str(status))
    assert len(listener.bodies) == 1
    assert _logged(world, EventTag.PROVIDER_LOGOUT_FAILED) == (state is LogoutState.FAILED)


def test_a_redirect_is_no_yes_and_is_not_followed(
    world: World, party: RelyingParty, listener: Listener
) -> None:
    listener.statuses = [302]
    _sign_in_and_out(world, party)
    world.settle()
    result = _result(world, party)
    assert (result.state, result.last_result) == (LogoutState.WAITING, "302")


def test_whoever_takes_no_connection_fails_for_all_to_see_and_holds_nobody_else_up(
    world: World, party: RelyingParty, listener: Listener
) -> None:
    with closed_port() as port:
        uri = f"http://127.0.0.1:{port}/logout"
        dead = register(world, name="Caída", backchannel_logout_uri=uri)
        _sign_in_and_out(world, dead, party)
        for wait in (*RETRY_WAITS, timedelta()):
            world.settle()
            world.clock.advance(seconds=wait.total_seconds())
    result = _result(world, dead)
    assert (result.state, result.attempts) == (LogoutState.FAILED, MAX_TRIES)
    assert result.last_result == "connection refused"
    assert _logged(world, EventTag.PROVIDER_LOGOUT_FAILED) == 1
    assert (_result(world, party).state, len(listener.bodies)) == (LogoutState.TOLD, 1)
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(OutboxRow)) == 0


def test_one_message_at_most_waits_for_an_application_that_never_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logout, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(logout, "SLOW_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        uri = f"http://127.0.0.1:{mute.getsockname()[1]}/logout"
        hung = register(world, name="Colgada", backchannel_logout_uri=uri)
        account = open_account(world, ANA, password=None)
        for _ in range(3):
            ana = begin(world, account)
            enter(world, hung, ana)
            with world.placet.runtime.unit_of_work(ana.actor) as uow:
                world.placet.identity.sessions.sign_out(uow)
        world.settle()
        results = sorted(str(each.last_result) for each in _results(world, hung))
        assert results == [*["not tried: no answer a moment ago"] * 2, "timeout"]
        world.clock.advance(seconds=SILENCE.total_seconds())
        world.settle()  # one is asked again
        assert sorted(each.attempts for each in _results(world, hung)) == [2, 2, 2]
        assert "timeout" in {each.last_result for each in _results(world, hung)}


def test_a_private_address_that_nobody_listed_is_never_called(
    world: World, party: RelyingParty, listener: Listener
) -> None:
    inside = listener.uri.replace("127.0.0.1", "localhost").replace("http:", "https:")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.get_one(ClientRow, party.client.client_id).backchannel_logout_uri = inside
        world.placet.pseudonyms.ensure_domain(uow, "any")  # an entry: rows need one
        uow.commit()
    _sign_in_and_out(world, party)
    world.settle()
    result = _result(world, party)
    assert (result.state, result.last_result) == (
        LogoutState.WAITING,
        "refused: private address",
    )
    assert not listener.bodies


def test_a_disabled_application_is_told_no_more(
    world: World, party: RelyingParty, listener: Listener
) -> None:
    _sign_in_and_out(world, party)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.disable(uow, party.client.client_id)
    world.settle()
    result = _result(world, party)
    assert (result.state, result.last_result) == (LogoutState.FAILED, "no address")
    assert not listener.bodies


def test_a_message_that_was_lost_on_the_way_does_not_wait_for_ever(
    world: World, party: RelyingParty
) -> None:
    _sign_in_and_out(world, party)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        uow.session.execute(sa.delete(OutboxRow))
        uow.commit()
    world.clock.advance(seconds=LOST_AFTER.total_seconds() + 1)
    world.placet.logouts.run_due()
    assert _result(world, party).state is LogoutState.FAILED


def test_what_is_kept_of_a_message_names_nobody(
    world: World, party: RelyingParty, listener: Listener
) -> None:
    _sign_in_and_out(world, party)
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(LogoutMessageRow)).one()
        queued = sa.select(OutboxRow.sealed).where(OutboxRow.kind == "backchannel-logout")
        sealed = session.scalars(queued).one()
    world.settle()
    [claims] = listener.claims(party)
    assert set(sa.inspect(row).mapper.columns.keys()) == {
        *("message_id", "client_id", "cause", "state", "attempts", "last_result"),
        *("created_at", "ended_at"),
    }
    assert sealed is not None
    assert claims["sub"].encode() not in sealed
