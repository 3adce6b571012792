from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from policies.vocabulary import Role, Scope
from privacy.actor import Actor, ActorKind
from tests.support.world import World

DELIA = "de" * 16


@pytest.fixture
def delia(world: World) -> FlaskClient:
    """The browser of Delia, the DPO."""
    actor = Actor(
        kind=ActorKind.PERSON,
        account_id=DELIA,
        role=Role.DPO,
        scopes=frozenset({Scope.SIGNED_IN, Scope.DESK}),
        methods=("mfa", "swk", "user"),
    )
    world.app.extensions["placet.session"] = lambda: actor
    return world.client


@pytest.fixture
def auditor(world: World) -> FlaskClient:
    """The DPO's own program."""
    actor = Actor(
        kind=ActorKind.APPLICATION,
        client_id="auditor",
        domain="auditor",
        scopes=frozenset({Scope.REPORTS_READ}),
    )
    world.app.extensions["placet.bearer"] = lambda: actor
    return world.client
