"""Whose body a decision worker waits for: it may never come, and holds a thread until then."""

from functools import partial
from itertools import product

from werkzeug.test import create_environ

from decision_worker import create_app
from identity.provider import tokens
from identity.provider.callers import Callers
from identity.provider.client_settings import ClientSettings
from identity.provider.model import Client
from privacy.actor import SYSTEM
from privacy.prepared import Connections
from privacy.tables import orm
from tests.privacy.decisions.ways import EVALUATION, EVALUATIONS, Late
from tests.support.world import World

PEOPLE = "/access/v1/search/resource"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def _token(world: World, scope: str) -> tuple[Client, str]:
    """An application that may do one thing, and its access token."""
    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        client, _secret = placet.clients.add(uow, ClientSettings(name="shop", scopes=[scope]))
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        grant = {"grant_type": "client_credentials"}
        return client, placet.provider.exchange(uow, client, grant).access_token


def test_a_decision_worker_waits_for_no_strangers_body(world: World) -> None:
    """Whether or not it remembers anything; nor for that of a token of too little."""
    read: list[str] = []
    _client, small = _token(world, "consents:write")
    worker = create_app(world.placet.settings, world.clock, world.ids)
    asks = [(path, kind) for path in (EVALUATION, EVALUATIONS, PEOPLE) for kind in (JSON, FORM)]
    others = (("/healthz", FORM), ("/nothing", FORM))
    for token, (path, kind) in product(("pat_" + "A" * 43, small), (*asks, *others)):
        environ = create_environ(path, method="POST", data=b"{}", content_type=kind)
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        late = environ | {"wsgi.input": Late(b"{}", partial(read.append, path))}
        response = worker.response_class.from_app(worker, late)
        assert response.status_code in {403 if token == small else 401, 404, 405}, (path, kind)
    assert read == []
    with worker.app_context():
        orm.engine.dispose()


def test_a_token_that_ended_is_waited_for_at_most_until_it_is_looked_at(world: World) -> None:
    client, token = _token(world, "decisions:evaluate")
    database = world.placet.runtime.database
    connections = Connections(database.engine)
    callers = Callers(connections, database.versions, world.placet.register)
    sent, now = f"Bearer {token}", world.clock.now
    actor = callers.known(sent, now)
    assert actor is not None
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert tokens.revoke(uow, client, token)
        uow.commit()
    assert callers.known(sent, now) == actor
    assert callers(sent, now) is None
    assert callers.known(sent, now) is None
