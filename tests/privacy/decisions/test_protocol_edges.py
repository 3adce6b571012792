"""Where AuthZEN's protocol is strained: what is too long, comes too late, or was tampered with."""

from typing import Any

import pytest
from werkzeug.test import Client, TestResponse, create_environ

from privacy.actor import Actor
from privacy.decisions.parsing import LONGEST_NAME, MOST_LISTED
from privacy.decisions.store import UseRow
from tests.privacy.decisions.ways import EVALUATION, EVALUATIONS, Late, Way, ways
from tests.support.cast import Person, application, calls_as, give, introduce
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

PEOPLE, PURPOSES = "/access/v1/search/resource", "/access/v1/search/action"
REQUEST = "/access/v1/request"
LONG = "x" * (LONGEST_NAME + 1)


def asked(person: Person, **changes: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": "newsletter"},
        "resource": {"type": "person", "id": person.pseudonym},
    } | changes


def resource(person: Person, **properties: Any) -> dict[str, Any]:
    return {"type": "person", "id": person.pseudonym, "properties": properties}


def test_what_an_answer_may_repeat_is_bounded(world: World, ana: Person) -> None:
    """Else a batch would repeat two megabytes of its top level a thousand times."""
    give(world, ana)
    supported = {"context": {"supported_obligations": ["mask"] * (MOST_LISTED + 1)}}
    cases: dict[str, dict[str, Any]] = {
        "subject.id": {"subject": {"type": "application", "id": LONG}},
        "action.name": {"action": {"name": LONG}},
        "action.properties.channel": {"action": {"name": "x", "properties": {"channel": LONG}}},
        "resource.type": {"resource": {"type": LONG, "id": ana.pseudonym}},
        "resource.id": {"resource": {"type": "person", "id": LONG}},
        "resource.properties.categories": {
            "resource": resource(ana, categories=["a"] * (MOST_LISTED + 1))
        },
        "context.supported_obligations": supported,
    }
    for field, changes in cases.items():
        for path in (EVALUATION, EVALUATIONS):
            response = world.client.post(path, json=asked(ana, **changes))
            assert response.status_code == 400, field
            assert [each["field"] for each in response.get_json()["errors"]] == [field]
        batch = asked(ana, **changes) | {"evaluations": [{}, asked(ana, context={})]}
        for way in ways(world).values():
            refused, answered = way.post(EVALUATIONS, batch).get_json()["evaluations"]
            assert field in refused["context"]["error"]["message"]
            assert answered["decision"] is True
    longest = asked(ana, resource=resource(ana, categories=["a" * LONGEST_NAME] * MOST_LISTED))
    answer = world.client.post(EVALUATION, json=longest).get_json()
    assert answer["context"]["reasons"] == ["category-not-covered"]
    one_long = asked(ana, resource=resource(ana, categories=[LONG]))
    assert world.client.post(EVALUATION, json=one_long).status_code == 400


def test_an_entity_that_is_null_is_none_whichever_way_is_asked(world: World, ana: Person) -> None:
    give(world, ana)
    full = asked(ana)
    for name in ("subject", "action", "resource"):
        item: dict[str, Any] = {"evaluations": [{name: None}]}
        for way in ways(world).values():
            [answer] = way.post(EVALUATIONS, full | item).get_json()["evaluations"]
            assert answer["decision"] is False, name
            assert answer["context"]["error"]["message"] == f"{name}: is no object"
            default: dict[str, Any] = {name: None, "evaluations": [full]}
            assert way.post(EVALUATIONS, default).status_code == 400, name


def test_a_token_that_ends_while_the_body_arrives_is_answered_nothing(
    world: World, ana: Person
) -> None:
    give(world, ana)
    callers: list[Actor | None] = []

    def end() -> None:
        callers[:] = [None]

    world.app.extensions["placet.bearer"] = lambda: callers[0]
    for path in (EVALUATION, EVALUATIONS, PEOPLE, PURPOSES, REQUEST):
        callers[:] = [application()]
        sent = world.app.json.dumps(asked(ana)).encode()
        kind = "application/json; charset=utf-8"
        environ = create_environ(path, method="POST", data=sent, content_type=kind)
        late = environ | {"wsgi.input": Late(sent, end)}
        response = world.app.response_class.from_app(world.app, late)
        assert response.status_code == 401, path


def test_a_page_token_that_was_tampered_with_is_refused(world: World, ana: Person) -> None:
    introduce(world, "bruno@example.com")
    search = asked(ana, action={"name": "loyalty"}, resource={"type": "person"})

    def page(token: str) -> Any:
        return world.client.post(PEOPLE, json=search | {"page": {"limit": 1, "token": token}})

    token = page("").get_json()["page"]["next_token"]
    assert page(token).status_code == 200
    flipped = [
        token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in (0, 9, 21, 30)
    ]
    for bad in (
        *flipped,
        token[:-4],
        token[4:],
        token + token,
        "\ud800",
        "\0",
        "AAAA",
        "x" * 9_999,
    ):
        response = page(bad)
        assert response.status_code == 400, bad
        assert response.get_json()["errors"][0]["field"] == "page.token"


def test_a_request_whose_id_cannot_come_back_as_it_came_is_refused_and_not_counted(
    world: World, ana: Person
) -> None:
    def post(way: Way, path: str, given: str) -> TestResponse:
        overrides = {"HTTP_X_REQUEST_ID": given}
        return way.client.post(path, json=asked(ana), environ_overrides=overrides)

    made = ways(world)
    made["search"] = Way(Client(world.app.wsgi_app))
    world.placet.uses.flush()
    for given in ("a\r\nSet-Cookie: a=1", "a\nb", "a\x00", "a\x7f", "\xff", " ", "a ", "x" * 1025):
        for way in made.values():
            for path in (EVALUATION, EVALUATIONS, PEOPLE, PURPOSES, REQUEST):
                response = post(way, path, given)
                assert response.status_code == 400, (path, given)
                assert response.get_json()["errors"][0]["field"] == "X-Request-ID"
                assert not {"X-Request-ID", "Set-Cookie"} & set(response.headers.keys()), given
    world.placet.uses.flush()
    with world.placet.runtime.snapshot() as session:
        assert session.query(UseRow).count() == 0
    for way in made.values():
        assert "X-Request-ID" not in post(way, EVALUATION, "").headers
        assert post(way, EVALUATION, "x" * 1024).headers["X-Request-ID"] == "x" * 1024


def test_a_batch_stops_at_an_item_that_cannot_be_read_as_at_a_denial(
    world: World, ana: Person
) -> None:
    give(world, ana)

    def answers(semantic: str, *items: dict[str, Any]) -> list[bool]:
        options = {"options": {"evaluations_semantic": semantic}}
        body = asked(ana) | options | {"evaluations": items}
        answered = world.client.post(EVALUATIONS, json=body).get_json()["evaluations"]
        return [each["decision"] for each in answered]

    unread: dict[str, Any] = {"action": {}, "resource": 5}
    foreign = {"subject": {"type": "application", "id": "insurer"}}
    calls_as(world, application())
    assert answers("deny_on_first_deny", {}, unread, {}) == [True, False]
    assert answers("deny_on_first_deny", foreign, {}) == [False]
    assert answers("deny_on_first_deny", {}, {}) == [True, True]
    assert answers("permit_on_first_permit", unread, foreign, {}, {}) == [False, False, True]
    assert answers("permit_on_first_permit", unread, foreign) == [False, False]
