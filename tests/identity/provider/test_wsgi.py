"""Introspection before Flask says what the ordinary way says, and leaves everything else to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from werkzeug.test import TestResponse

from identity.accounts.store import AttemptRow
from identity.provider.model import CLIENT_TOKEN_LIFETIME, PERSON_TOKEN_LIFETIME
from privacy.actor import SYSTEM
from privacy.changes import ReadOnlyDoor
from tests.identity.provider.relying_party import RelyingParty, basic, register
from tests.support.world import World

INTROSPECT = "/oauth/introspect"


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Collect what is asked of the database."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(statement)

    engine = world.placet.runtime.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


def ask(shop: RelyingParty, token: str, *, usual: bool, secret: str | None = None) -> TestResponse:
    """Ask about a token, in the usual form or in one that only the ordinary way reads."""
    charset = "" if usual else "; charset=utf-8"
    client = shop.world.app.test_client()
    return client.post(
        INTROSPECT,
        data=f"token={token}",
        content_type=f"application/x-www-form-urlencoded{charset}",
        headers=basic(shop.client.client_id, secret or shop.secret),
    )


def headers(answer: TestResponse) -> list[tuple[str, str]]:
    """Return the headers but for what says that a cookie was looked for."""
    return sorted(pair for pair in answer.headers if pair != ("Vary", "Cookie"))


def both(shop: RelyingParty, token: str) -> bool:
    """Ask both ways, hold that they agree to the byte, and return whether the token is active."""
    with statements(shop.world) as few:
        first = ask(shop, token, usual=True)
    with statements(shop.world) as many:
        second = ask(shop, token, usual=False)
    assert first.status_code == second.status_code == 200
    assert first.data == second.data
    assert headers(first) == headers(second)
    active: bool = first.get_json()["active"]
    assert (len(few) < len(many)) is active
    assert not active or len(few) == 1
    return active


def test_both_ways_of_introspection_agree_on_living_ended_and_foreign_tokens(
    world: World, shop: RelyingParty, ana: str
) -> None:
    persons, others = shop.tokens()["access_token"], register(world, name="Blog")
    own = register(world, name="Desk", scopes=["decisions:evaluate"], redirect_uris=[])
    answer = own.post("/oauth/token", grant_type="client_credentials", scope="decisions:evaluate")
    of_client = answer.get_json()["access_token"]
    assert both(shop, persons)
    assert both(own, of_client)
    assert not both(others, persons)
    assert not both(shop, "pat_" + "A" * 43)
    shop.post("/oauth/revoke", token=persons)
    assert not both(shop, persons)
    later = shop.tokens()["access_token"]
    world.clock.now += PERSON_TOKEN_LIFETIME - timedelta(microseconds=1)
    assert both(shop, later)
    world.clock.advance(microseconds=1)
    assert not both(shop, later)
    world.clock.now += CLIENT_TOKEN_LIFETIME
    assert not both(own, of_client)


def test_a_wrong_secret_is_refused_and_counted_however_it_is_asked(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token = shop.tokens()["access_token"]
    wrong = "w" * 43
    assert ask(shop, token, usual=True, secret=wrong).status_code == 401
    attempts = world.placet.attempts
    counter = attempts.of_client(shop.client.client_id, "127.0.0.1")
    with world.placet.runtime.snapshot() as session:
        assert attempts.failures(session, counter) == 1
    with statements(world) as asked:  # the right one goes the ordinary way, which forgives
        assert ask(shop, token, usual=True).get_json()["active"] is True
    assert any(statement.startswith("UPDATE attempt") for statement in asked)
    with statements(world) as asked:
        assert ask(shop, token, usual=True).get_json()["active"] is True
    assert len(asked) == 1
    while ask(shop, token, usual=True, secret=wrong).status_code == 401:
        pass
    assert ask(shop, token, usual=True).status_code == 429


def test_a_disabled_client_and_a_retired_secret_are_refused_at_once(
    world: World, shop: RelyingParty, ana: str
) -> None:
    token, clients = shop.tokens()["access_token"], world.placet.clients
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        new = clients.rotate_secret(uow, shop.client.client_id, timedelta(minutes=5))
    for secret in (shop.secret, new):
        with statements(world) as asked:
            assert ask(shop, token, usual=True, secret=secret).get_json()["active"] is True
        assert len(asked) == 1
    world.clock.advance(minutes=5)
    assert ask(shop, token, usual=True).status_code == 401
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        clients.disable(uow, shop.client.client_id)
    assert ask(shop, token, usual=True, secret=new).status_code == 401


def test_a_glance_changes_nothing(world: World) -> None:
    with world.placet.runtime.database.glance() as connection, pytest.raises(ReadOnlyDoor):
        connection.execute(sa.delete(AttemptRow))
