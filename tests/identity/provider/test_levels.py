"""Levels of assurance that an application asks for: proved by the person, never made up."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.sessions.store import SessionRow
from tests.identity import people
from tests.identity.provider.relying_party import RelyingParty, query_of, register
from tests.identity.provider.test_authorize import arrived, error_of
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

AAL1, AAL2, AAL3 = (f"urn:placet:acr:aal{level}" for level in (1, 2, 3))


def essential(*values: str) -> str:
    return json.dumps({"id_token": {"acr": {"essential": True, "values": list(values)}}})


def ask(shop: RelyingParty, browser: FlaskClient, **changes: str | None) -> TestResponse:
    return browser.get("/oauth/authorize?" + urlencode(shop.request(**changes)))


def by_password_alone(world: World) -> None:
    """Let the session be as in a browser that the person trusts: no second factor was shown."""
    with world.placet.runtime.database.engine.begin() as connection:
        connection.execute(sa.update(SessionRow).values(methods="pwd"))


def claims(shop: RelyingParty, answer: dict[str, str]) -> dict[str, Any]:
    tokens = shop.exchange(answer["code"]).get_json()
    return dict(shop.read_id_token(tokens["id_token"]).claims)


def test_a_person_shows_exactly_the_factor_that_a_level_lacks(
    world: World, mail_server: MailServer
) -> None:
    ana, shop = people.register(world, mail_server), register(world)
    shop.meet(people.account_of(world).subject_id)
    totp, _codes = people.enrol(world, ana)
    by_password_alone(world)

    # No page may be shown: a wish is passed over, an insistence is not.
    silent = claims(shop, query_of(ask(shop, ana, acr_values=AAL2, prompt="none").location))
    assert (silent["acr"], silent["amr"]) == (AAL1, ["pwd"])
    refused = ask(shop, ana, claims=essential(AAL2), prompt="none")
    assert error_of(refused) == "interaction_required"

    world.clock.advance(minutes=1)
    for asked in ({"acr_values": f"urn:else:gold {AAL3} {AAL2}"}, {"claims": essential(AAL2)}):
        leads = ask(shop, ana, **asked)
        assert leads.location.startswith("/login/again?")
        assert query_of(leads.location)["level"] == "aal2"
    page = ana.get(leads.location).text
    assert 'name="code"' in page
    assert 'name="password"' not in page
    # Coming back without having shown it answers nothing.
    back = query_of(leads.location)["next"]
    assert ana.get(back).location.startswith("/login/again?")
    shown = submit(ana, leads.location, {"code": totp.at(world.clock())}, to="/login/again/code")
    assert shown.location == back
    told = claims(shop, arrived(ana.get(back)))
    assert (told["acr"], told["amr"]) == (AAL2, ["pwd", "otp"])
    assert told["auth_time"] == int(world.clock.now.timestamp())
    # The session keeps it: nobody is asked again.
    assert "code" in query_of(ask(shop, ana, claims=essential(AAL2), prompt="none").location)


def test_a_level_that_the_account_cannot_reach_is_an_error_where_insisted_on_and_else_told(
    world: World, mail_server: MailServer
) -> None:
    ana, shop = people.register(world, mail_server), register(world)
    shop.meet(people.account_of(world).subject_id)
    told = claims(shop, query_of(ask(shop, ana, acr_values=AAL2).location))
    assert told["acr"] == AAL1
    for values in ((AAL2,), (AAL3,), ("urn:else:gold",)):
        refused = ask(shop, ana, claims=essential(*values))
        assert error_of(refused) == "unmet_authentication_requirements"
    # The weakest of several is enough.
    assert "code" in query_of(ask(shop, ana, claims=essential(AAL2, AAL1)).location)
    # Nobody is held at a page that leads nowhere.
    again = ana.get("/login/again?" + urlencode({"next": "/privacy", "level": "aal2"}))
    assert (again.status_code, again.location) == (303, "/privacy")
