"""Who calls the decision service is remembered for as long as no token and no client changes."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from decision_worker import create_app
from identity.provider import tokens
from identity.provider.callers import Callers
from identity.provider.client_settings import ClientSettings
from identity.provider.model import Client
from privacy.actor import SYSTEM
from privacy.prepared import Connections
from privacy.tables import orm
from tests.support.tampering import behind_our_back
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

SCOPES = ["decisions:evaluate"]


def _called(world: World) -> tuple[Client, str]:
    """An application and its access token."""
    runtime = world.placet.runtime
    with runtime.unit_of_work(SYSTEM) as uow:
        settings = ClientSettings(name="shop", scopes=SCOPES, purposes=["newsletter"])
        client, _secret = world.placet.clients.add(uow, settings)
    with runtime.unit_of_work(SYSTEM) as uow:
        form = {"grant_type": "client_credentials", "scope": " ".join(SCOPES)}
        return client, world.placet.provider.exchange(uow, client, form).access_token


def _callers(world: World) -> tuple[Callers, list[str]]:
    """The remembered callers, and every read for their sake."""
    database, reads = world.placet.runtime.database, list[str]()
    connections = Connections(database.engine)
    inner = connections.fetch

    def fetch(sql: str, parameters: object) -> list[object]:
        reads.append(sql)
        return inner(sql, parameters)

    connections.fetch = fetch  # type: ignore[method-assign]  # it counts
    return Callers(connections, database.versions, world.placet.register), reads


def test_a_token_is_read_once_and_ends_at_once(world: World) -> None:
    client, token = _called(world)
    callers, reads = _callers(world)
    for _ in range(3):
        actor = callers(f"Bearer {token}", world.clock.now)
        assert actor is not None
        assert actor.client_id == client.client_id
        assert actor.purposes == {"newsletter"}
    assert len(reads) == 1
    _called(world)  # a token more ends none
    assert callers(f"Bearer {token}", world.clock.now) == actor
    assert len(reads) == 1
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert tokens.revoke(uow, client, token)
        uow.commit()
    assert callers(f"Bearer {token}", world.clock.now) is None
    assert len(reads) == 2


def test_a_remembered_token_expires_by_the_clock(world: World) -> None:
    _client, token = _called(world)
    callers, _reads = _callers(world)
    assert callers(f"Bearer {token}", world.clock.now) is not None
    assert callers(f"Bearer {token}", world.clock.now + timedelta(days=1)) is None


def test_a_client_that_is_disabled_or_changed_is_read_anew(world: World) -> None:
    client, token = _called(world)
    callers, _reads = _callers(world)
    assert callers(f"Bearer {token}", world.clock.now) is not None
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        wider = ClientSettings(name="shop", scopes=SCOPES, purposes=["newsletter", "loyalty"])
        world.placet.clients.change(uow, client.client_id, wider)
    actor = callers(f"Bearer {token}", world.clock.now)
    assert actor is not None
    assert actor.purposes == {"newsletter", "loyalty"}
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.clients.disable(uow, client.client_id)
    assert callers(f"Bearer {token}", world.clock.now) is None


def test_where_nobody_can_be_read_the_ordinary_way_says_so(world: World, database_url: str) -> None:
    _client, token = _called(world)
    callers, _reads = _callers(world)
    with behind_our_back(database_url) as connection:
        connection.execute(sa.text("ALTER TABLE oauth_token RENAME TO elsewhere"))
    assert callers(f"Bearer {token}", world.clock.now) is None
    world.app.testing = False
    answer = world.client.post(
        "/access/v1/evaluation", json={}, headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")


@pytest.mark.parametrize("header", ["", "Bearer ", "Basic eDp5", "Bearer pat_short", "bearer pat_"])
def test_whatever_else_is_sent_is_nobody_and_costs_no_read(world: World, header: str) -> None:
    callers, reads = _callers(world)
    assert callers(header, world.clock.now) is None
    assert not reads


def test_a_decision_worker_answers_nothing_else(world: World) -> None:
    client, token = _called(world)
    app = create_app(world.placet.settings, world.clock, world.ids)
    worker = app.test_client()
    assert worker.get("/healthz").status_code == 200
    assert worker.get("/login").status_code == 404
    assert worker.get("/v1/purposes").status_code == 404
    answer = worker.post(
        "/access/v1/evaluation",
        json={
            "subject": {"type": "application", "id": client.client_id},
            "action": {"name": "newsletter"},
            "resource": {"type": "person", "id": "d1v1_" + "A" * 32},
        },
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.get_json()["context"]["reasons"] == ["unknown-person"]
    app.extensions["placet.decisions"].uses.flush()
    with app.app_context():
        orm.engine.dispose()


def test_reading_by_prepared_statements_changes_nothing(world: World) -> None:
    connections = Connections(world.placet.runtime.database.engine)
    with pytest.raises(Exception, match=r"read.?only"):
        connections.fetch(str(sa.text("DELETE FROM subject")), ())
