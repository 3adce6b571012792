"""`/v1/rights-requests`: applications file for their own people, and see their own."""

from typing import Any

import pytest
import sqlalchemy as sa

from policies.vocabulary import Scope
from privacy.rights.store import RequestRow
from tests.privacy.rights.steps import mailed, words
from tests.support.cast import ANA, Person, application, calls_as, introduce
from tests.support.smtp import MailServer
from tests.support.world import World

PATH = "/v1/rights-requests"
RIGHTS = frozenset({Scope.RIGHTS_READ, Scope.RIGHTS_WRITE})


def shop_calls(world: World) -> Person:
    ana = introduce(world)
    calls_as(world, application(scopes=RIGHTS))
    return ana


def rows(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(RequestRow)) or 0


def test_a_request_is_filed_and_followed(world: World, mail_server: MailServer) -> None:
    ana = shop_calls(world)
    body = {"subject": ana.pseudonym, "right": "restriction", "message": "Por teléfono"}
    filed = world.client.post(PATH, json=body)
    assert filed.status_code == 201
    standing = filed.json
    assert standing is not None
    assert standing["state"] == "open"
    assert standing["due_nominal"] == "2026-04-03"
    assert standing["due_effective"] == "2026-04-06"
    assert standing["due_at"] == "2026-04-06T22:00:00.000Z"
    assert world.client.get(filed.headers["Location"]).json == standing
    assert standing["reference"] in words(mailed(world, mail_server, ANA))


def test_an_objection_holds_at_once(world: World) -> None:
    ana = shop_calls(world)
    body = {"subject": ana.pseudonym, "right": "objection", "purpose": "newsletter"}
    filed = world.client.post(PATH, json=body)
    assert filed.json is not None
    assert filed.json["state"] == "fulfilled"
    with world.placet.runtime.snapshot() as session:
        facts = world.placet.consents.facts(session, ana.subject_id, "newsletter", at=world.clock())
    assert facts.objected


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"subject": "d1v1_" + "A" * 32}, 404, "subject"),
        ({"subject": "nobody"}, 404, "subject"),
        ({"subject": 7}, 422, "subject"),
        ({"right": "x"}, 422, "right"),
        ({"right": None}, 422, "right"),
        ({"right": "rectification"}, 422, "attribute"),
        ({"right": "rectification", "attribute": "shoe"}, 422, "attribute"),
        ({"right": "rectification", "attribute": "phone"}, 422, "value"),
        ({"right": "rectification", "attribute": "phone", "value": "\ud800"}, 422, "value"),
        ({"right": "objection", "purpose": "x"}, 422, "purpose"),
        ({"right": "restriction"}, 422, "message"),
        ({"message": "x" * 4001}, 422, "message"),
        ({"message": "\ud800"}, 422, "message"),
        ({"language": "tlh"}, 422, "language"),
        ({"nothing": 1}, 422, "nothing"),
    ],
)
def test_a_wrong_body_names_its_member_and_changes_nothing(
    world: World, changes: dict[str, Any], status: int, field: str
) -> None:
    ana = shop_calls(world)
    body = {"subject": ana.pseudonym, "right": "access", **changes}
    answer = world.client.post(PATH, json=body)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json is not None
    assert field in [each["field"] for each in answer.json["errors"]]
    assert rows(world) == 0


def test_another_applications_person_is_like_one_that_never_was(world: World) -> None:
    ana = introduce(world)
    introduce(world, domain="other")
    calls_as(world, application("other", scopes=RIGHTS))
    answer = world.client.post(PATH, json={"subject": ana.pseudonym, "right": "access"})
    assert answer.status_code == 404
    assert rows(world) == 0


def test_another_applications_request_is_not_there(world: World) -> None:
    ana = shop_calls(world)
    filed = world.client.post(PATH, json={"subject": ana.pseudonym, "right": "access"})
    calls_as(world, application("other", scopes=RIGHTS))
    assert world.client.get(filed.headers["Location"]).status_code == 404


def test_each_operation_needs_its_scope(world: World) -> None:
    calls_as(world, application(scopes=frozenset({Scope.CONSENTS_READ})))
    assert world.client.post(PATH, json={}).status_code == 403
    assert world.client.get(f"{PATH}/D-2026-000001").status_code == 403
