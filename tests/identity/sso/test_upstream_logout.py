"""A provider says that its session has ended: ours that rests on it ends. Source: BCL 1.0 s. 2."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.sessions.model import SessionEnded
from tests.identity.people import ANA, enrol, is_signed_in, make_known
from tests.identity.people import register as register_by_password
from tests.identity.sso.house import arrive, house
from tests.identity.sso.upstreams import PROVIDER
from tests.support.hostile_provider import HostileProvider
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
LOGOUT = f"/sso/{PROVIDER}/logout"


@pytest.fixture
def world(
    database_url: str, instance: Path, mail_server: MailServer, provider: HostileProvider
) -> World:
    return house(database_url, instance, mail_server, provider)


def tell(world: World, token: str) -> TestResponse:
    answer = world.client.post(LOGOUT, data={"logout_token": token})
    assert answer.headers["Cache-Control"] == "no-store"
    return answer


def signed_in(world: World, provider: HostileProvider, sid: str) -> FlaskClient:
    """Sign in by the provider, in a session of this name there, with a browser that is known."""
    provider.claims = {"sid": sid}
    client = world.client
    make_known(client, ANA)
    arrive(client, provider)
    assert is_signed_in(client)
    return client


def test_sessions_end_with_the_provider_s_own_and_the_others_go_on(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    ended: list[SessionEnded] = []
    world.placet.runtime.subscribe(SessionEnded, lambda _uow, event: ended.append(event))
    own = register_by_password(world, mail_server, ANA)
    arrive(own, provider, "/account/identities")
    first = signed_in(world, provider, "s-1")
    second = signed_in(world, provider, "s-2")

    assert tell(world, provider.logout_token(sid="s-1", sub=None)).status_code == 200
    assert [is_signed_in(each) for each in (own, first, second)] == [True, False, True]
    assert [event.cause for event in ended] == ["upstream-logout"]

    assert tell(world, provider.logout_token(sid=None, jti="j-2")).status_code == 200
    assert [is_signed_in(each) for each in (own, second)] == [True, False]


def test_a_sign_in_that_waits_for_its_second_factor_ends_as_well(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    own = register_by_password(world, mail_server, ANA)
    enrol(world, own)
    world.clock.advance(minutes=1)
    arrive(own, provider, "/account/identities")
    client = world.client
    provider.claims = {"sid": "s-1"}
    assert arrive(client, provider).headers["Location"] == "/login/code"
    assert tell(world, provider.logout_token()).status_code == 200
    assert client.get("/login/code").headers["Location"] == "/login"


def test_a_token_that_is_not_believed_ends_nothing(
    world: World, mail_server: MailServer, provider: HostileProvider
) -> None:
    own = register_by_password(world, mail_server, ANA)
    arrive(own, provider, "/account/identities")
    token = provider.logout_token(sid="nobody-s")
    assert tell(world, token).status_code == 200  # nothing rests on it: well
    again = tell(world, token)
    assert again.status_code == 400
    assert again.json is not None
    assert again.json["error"] == "invalid_request"
    assert tell(world, provider.logout_token(jti="j-3", nonce="n")).status_code == 400
    assert tell(world, "").status_code == 400
    assert world.client.post(LOGOUT).status_code == 400
    assert is_signed_in(own)
