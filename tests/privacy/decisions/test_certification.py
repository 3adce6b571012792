"""Every protocol case of AuthZEN's published certification scenario, on our own subject matter.

Its users, records and actions are here applications, people and purposes: the shop may use Ana's data
for `newsletter` (she consented) and `loyalty` (a contract), and not for `recommendations` (she
refused); of Bruno it may use `loyalty` alone. Properties that decide are here the channel of a
purpose asked for channel by channel and the data categories. Subject search is not offered: which
applications may use a person's data is told to no application.
Source: openid/authzen `certification/authorization-api-1_0-scenario.md`, by its numbers.
"""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.cast import Person, application, calls_as, give, introduce, refuse
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

SHOP = {"type": "application", "id": "shop"}
ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
PEOPLE, PURPOSES = "/access/v1/search/resource", "/access/v1/search/action"


@pytest.fixture
def bruno(world: World, ana: Person) -> Person:
    """Bruno, and the required fixture."""
    mine = frozenset({"newsletter", "recommendations", "loyalty", "offers.email", "offers.post"})
    calls_as(world, application(purposes=mine))
    give(world, ana)
    refuse(world, ana, "recommendations", version=1)
    give(world, ana, "offers.email", version=1)
    return introduce(world, "bruno@example.com")


def of(person: Person, **properties: Any) -> dict[str, Any]:
    resource = {"type": "person", "id": person.pseudonym}
    return resource | ({"properties": properties} if properties else {})


def act(name: str, **properties: Any) -> dict[str, Any]:
    return {"name": name} | ({"properties": properties} if properties else {})


def ask(action: dict[str, Any], resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"subject": SHOP, "action": action, "resource": resource} | more


def send(world: World, path: str, body: dict[str, Any], **headers: str) -> TestResponse:
    response = world.client.post(path, json=body, headers=headers)
    assert str(response.mimetype).endswith("json")
    return response


def permits(world: World, body: dict[str, Any]) -> bool:
    """The decision, in a response of the required format (2.3)."""
    response = send(world, ONE, body)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    answer = response.get_json()
    assert isinstance(answer["decision"], bool)
    assert isinstance(answer["context"], dict)
    return bool(answer["decision"])


def decisions(world: World, body: dict[str, Any]) -> list[bool]:
    """The decisions of a batch, in a response of the required format (3.3)."""
    response = send(world, MANY, body)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    answer = response.get_json()
    assert set(answer) == {"evaluations"}
    assert all(isinstance(each["decision"], bool) for each in answer["evaluations"])
    return [each["decision"] for each in answer["evaluations"]]


def results(world: World, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a search, in a response of the required format (4.5.3)."""
    response = send(world, path, body)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    answer = response.get_json()
    assert isinstance(answer["page"]["next_token"], str)
    assert answer["page"]["count"] == len(answer["results"])
    return list(answer["results"])


def test_2_2_a_request_is_accepted_and_decided(world: World, ana: Person, bruno: Person) -> None:
    news, context = act("newsletter"), {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
    cases = {
        "2.2.1 permit": (ask(news, of(ana)), True),
        "2.2.1 permit on another ground": (ask(act("loyalty"), of(bruno)), True),
        "2.2.2 deny": (ask(act("recommendations"), of(ana)), False),
        "2.2.2 deny another person": (ask(news, of(bruno)), False),
        "2.2.3 with context": (ask(news, of(ana), context=context), True),
        "2.2.4 deny by the resource's properties": (
            ask(news, of(ana, categories=["purchases"])),
            False,
        ),
        "2.2.5 permit by the resource's properties": (
            ask(news, of(ana, categories=["contact"])),
            True,
        ),
        "2.2.6 permit by the action's": (ask(act("offers", channel="email"), of(ana)), True),
        "2.2.7 deny by the action's": (ask(act("offers", channel="post"), of(ana)), False),
        "2.2.8 other properties": (
            {
                "subject": SHOP | {"properties": {"department": "Sales", "role": "manager"}},
                "action": act("newsletter", method="GET"),
                "resource": of(ana, status="active", owner="bruno"),
            },
            True,
        ),
        "2.2.9 unknown members": (ask(news, of(ana), foo="bar", later={"nested": True}), True),
    }
    for name, (body, expected) in cases.items():
        assert permits(world, body) is expected, name


def test_2_4_what_is_no_request_is_400(world: World, ana: Person, bruno: Person) -> None:
    good = ask(act("newsletter"), of(ana))
    wrong: dict[str, dict[str, Any]] = {
        "2.4.1 no subject": {n: good[n] for n in ("action", "resource")},
        "2.4.1 no action": {n: good[n] for n in ("subject", "resource")},
        "2.4.1 no resource": {n: good[n] for n in ("subject", "action")},
        "2.4.2 subject without type": good | {"subject": {"id": "shop"}},
        "2.4.2 subject without id": good | {"subject": {"type": "application"}},
        "2.4.2 action without name": good | {"action": {}},
        "2.4.2 resource without type": good | {"resource": {"id": ana.pseudonym}},
        "2.4.2 resource without id": good | {"resource": {"type": "person"}},
        "2.4.6 subject is a string": good | {"subject": "shop"},
        "2.4.6 action.name is a number": good | {"action": {"name": 123}},
    }
    for name, body in wrong.items():
        for path in (ONE, MANY):
            assert send(world, path, body).status_code == 400, name
    bodies = {
        "2.4.3 another media type": (b"{}", "text/plain"),
        "2.4.4 no JSON": (b'{"subject": ', "application/json"),
        "2.4.4 NaN": (b'{"subject": NaN}', "application/json"),
        "2.4.4 a number too long": (b'{"a": ' + b"9" * 5_000 + b"}", "application/json"),
        "2.4.4 too deep": (b'{"a":' * 50_000, "application/json"),
        "2.4.5 nothing": (b"", "application/json"),
    }
    for name, (content, media_type) in bodies.items():
        for path in (ONE, MANY, PEOPLE, PURPOSES, "/access/v1/request"):
            response = world.client.post(path, data=content, content_type=media_type)
            assert response.status_code == 400, name


def test_2_5_the_request_id_comes_back_and_2_6_the_same_is_decided_again(
    world: World, ana: Person, bruno: Person
) -> None:
    header = {"X-Request-ID": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"}
    good = ask(act("newsletter"), of(ana))
    requests = [(ONE, good, 200), (MANY, good, 200), (PEOPLE, {}, 400), (PURPOSES, {}, 400)]
    requests += [("/access/v1/nothing", {}, 404), ("/access/v1/search/subject", good, 404)]
    for path, body, status in requests:
        response = send(world, path, body, **header)
        assert (response.status_code, response.headers["X-Request-ID"]) == (
            status,
            header["X-Request-ID"],
        )
    assert world.client.get(ONE, headers=header).headers["X-Request-ID"] == header["X-Request-ID"]
    metadata = world.client.get("/.well-known/authzen-configuration", headers=header)
    assert metadata.headers["X-Request-ID"] == header["X-Request-ID"]
    for long in ("x" * 1024, "a b\tc", "<{\"'%0d}>"):
        assert send(world, ONE, good, **{"X-Request-ID": long}).headers["X-Request-ID"] == long
    assert "X-Request-ID" not in send(world, ONE, good).headers
    assert [permits(world, good) for _ in range(3)] == [True] * 3


def test_3_2_a_batch_is_decided_in_its_order(world: World, ana: Person, bruno: Person) -> None:
    news, tastes = act("newsletter"), act("recommendations")
    context = {"time": "2025-06-27T18:03-07:00"}
    cases: dict[str, tuple[dict[str, Any], list[bool]]] = {
        "3.2.1 one purpose, many people": (
            {
                "subject": SHOP,
                "action": news,
                "evaluations": [{"resource": of(ana)}, {"resource": of(bruno)}],
            },
            [True, False],
        ),
        "3.2.2 one person, many purposes": (
            {
                "subject": SHOP,
                "resource": of(ana),
                "evaluations": [{"action": news}, {"action": tastes}],
            },
            [True, False],
        ),
        "3.2.3 the resources' properties": (
            {
                "subject": SHOP,
                "action": news,
                "evaluations": [
                    {"resource": of(ana, categories=["contact"])},
                    {"resource": of(ana, categories=["purchases"])},
                ],
            },
            [True, False],
        ),
        "3.2.4 the actions' properties": (
            {
                "subject": SHOP,
                "resource": of(ana),
                "evaluations": [
                    {"action": act("offers", channel="post")},
                    {"action": act("offers", channel="email")},
                ],
            },
            [False, True],
        ),
        "3.2.5 no defaults": (
            {"evaluations": [ask(news, of(ana)), ask(tastes, of(ana))]},
            [True, False],
        ),
        "3.2.6 context": (
            {
                "subject": SHOP,
                "action": news,
                "context": context,
                "evaluations": [
                    {"resource": of(ana)},
                    {"resource": of(bruno), "context": {"source": "batch-override"}},
                ],
            },
            [True, False],
        ),
        "3.2.7 an entity is replaced whole, but for what it must have": (
            {
                "subject": SHOP,
                "action": news,
                "resource": {"type": "person", "properties": {"categories": ["purchases"]}},
                "evaluations": [{"resource": {"id": ana.pseudonym}}, {"resource": of(bruno)}],
            },
            [True, False],
        ),
    }
    for name, (body, expected) in cases.items():
        assert decisions(world, body) == expected, name


def test_3_4_an_error_in_a_batch_is_its_items_alone(
    world: World, ana: Person, bruno: Person
) -> None:
    defaults = {"subject": SHOP, "action": act("newsletter")}
    bad = [{}, 5, {"resource": {"type": "person"}}, {"resource": of(ana), "context": "now"}]
    foreign = {"resource": of(ana), "subject": {"type": "application", "id": "insurer"}}
    listed = [{"resource": of(ana)}, *bad, foreign, {"resource": of(ana)}]
    answer = send(world, MANY, defaults | {"evaluations": listed}).get_json()["evaluations"]
    assert [each["decision"] for each in answer] == [True, *[False] * 5, True]
    assert [each["context"]["error"]["status"] for each in answer[1:6]] == [400] * 4 + [403]
    assert "resource.id" in answer[3]["context"]["error"]["message"]
    whole: dict[str, dict[str, Any]] = {
        "a default of another type": defaults | {"subject": "shop", "evaluations": [{}]},
        "no list": defaults | {"evaluations": {}},
        "too many": defaults | {"evaluations": [{}] * 1_001},
        "an unknown semantic": {"evaluations": [{}], "options": {"evaluations_semantic": "some"}},
        "options of another type": {"evaluations": [{}], "options": []},
    }
    for name, body in whole.items():
        assert send(world, MANY, body).status_code == 400, name
    alike: list[dict[str, Any]] = [{}, {"evaluations": []}]
    for more in alike:  # 3.4.2 and 3.4.3: as a single evaluation
        answer = send(world, MANY, defaults | {"resource": of(ana)} | more).get_json()
        assert answer == send(world, ONE, defaults | {"resource": of(ana)}).get_json()
        assert answer["decision"] is True


def test_a_batch_stops_where_its_semantic_says(world: World, ana: Person, bruno: Person) -> None:
    listed = [{"action": act(each)} for each in ("newsletter", "recommendations", "loyalty")]
    asked = {"subject": SHOP, "resource": of(ana), "evaluations": listed}
    expected = {
        "execute_all": [True, False, True],
        "deny_on_first_deny": [True, False],
        "permit_on_first_permit": [True],
    }
    for semantic, answers in expected.items():
        options = {"options": {"evaluations_semantic": semantic}}
        assert decisions(world, asked | options) == answers
    world.count_uses()
    with world.placet.runtime.snapshot() as session:
        used = world.placet.uses.of_subject(session, ana.subject_id)
    counted = {use.purpose: use.count for use in used}
    assert counted == {"newsletter": 3, "recommendations": 2, "loyalty": 1}


def test_4_3_the_people_whose_data_may_be_used(world: World, ana: Person, bruno: Person) -> None:
    def found(action: dict[str, Any], **more: Any) -> list[str]:
        resource = {"type": "person"} | more.pop("resource", {})
        listed = results(world, PEOPLE, ask(action, resource, **more))
        assert all(each["type"] == "person" for each in listed)
        return [each["id"] for each in listed]

    both = sorted([ana.pseudonym, bruno.pseudonym])
    assert found(act("newsletter")) == [ana.pseudonym]
    assert found(act("loyalty")) == both
    assert found(act("loyalty"), context={"ip": "192.168.1.1"}) == both
    assert found(act("newsletter"), resource={"id": bruno.pseudonym}) == [ana.pseudonym]
    # 4.3.3: properties
    assert found(act("offers", channel="email")) == [ana.pseudonym]
    assert found(act("offers", channel="post")) == []
    unfit = {"properties": {"categories": ["purchases"]}}
    assert found(act("newsletter"), resource=unfit) == []


def test_4_4_the_purposes_that_may_use_a_persons_data(
    world: World, ana: Person, bruno: Person
) -> None:
    def found(resource: dict[str, Any], **more: Any) -> list[str]:
        asked = {"subject": SHOP, "resource": resource} | more
        return [each["name"] for each in results(world, PURPOSES, asked)]

    assert found(of(ana)) == ["newsletter", "offers.email", "loyalty"]
    assert found(of(bruno), context={"ip": "192.168.1.1"}) == ["loyalty"]
    assert found(of(bruno), page={"limit": 1, "token": "anything"}) == ["loyalty"]
    assert found(of(ana, categories=["loyalty-points"])) == ["loyalty"]  # 4.4.3


def test_4_5_pages_follow_one_another_to_the_end(world: World, ana: Person, bruno: Person) -> None:
    everybody = [ana, bruno, *(introduce(world, f"p{n}@example.com") for n in range(5))]
    asked = ask(act("loyalty"), {"type": "person"})
    seen, token = [], ""
    while True:
        page = {"limit": 3, "token": token}
        answer = send(world, PEOPLE, asked | {"page": page}).get_json()
        assert len(answer["results"]) <= 3
        seen += [each["id"] for each in answer["results"]]
        token = answer["page"]["next_token"]
        if not token:
            break
    assert seen == sorted(each.pseudonym for each in everybody)
    first = send(world, PEOPLE, asked | {"page": {"limit": 3}}).get_json()["page"]["next_token"]
    elsewhere = ask(act("newsletter"), {"type": "person"}, page={"token": first})
    assert send(world, PEOPLE, elsewhere).status_code == 400
    pages: list[Any] = [{"token": 5}, {"token": "é"}, {"limit": 0}, {"limit": True}, []]
    for unfit in [*pages, {"limit": "3"}]:
        assert send(world, PEOPLE, asked | {"page": unfit}).status_code == 400, unfit
    calls_as(world, application("insurer"))
    theirs = asked | {"subject": {"type": "application", "id": "insurer"}, "page": {"token": first}}
    assert send(world, PEOPLE, theirs).status_code == 400


def test_4_6_what_is_unknown_finds_nothing_and_4_7_what_is_missing_is_400(
    world: World, ana: Person, bruno: Person
) -> None:
    anybody = {"type": "person"}
    nothing: list[tuple[str, dict[str, Any]]] = [
        (PURPOSES, {"subject": SHOP, "resource": {"type": "person", "id": "nobody"}}),
        (PURPOSES, {"subject": SHOP, "resource": {"type": "spaceship", "id": ana.pseudonym}}),
        (PURPOSES, {"subject": SHOP | {"id": "insurer"}, "resource": of(ana)}),
        (PURPOSES, {"subject": SHOP | {"type": "user"}, "resource": of(ana)}),
        (PEOPLE, ask(act("newsletter"), {"type": "spaceship"})),
        (PEOPLE, ask(act("horoscope"), anybody)),
        (PEOPLE, ask(act("analytics"), anybody)),
        (PEOPLE, ask(act("offers"), anybody)),
        (PEOPLE, ask(act("newsletter"), anybody) | {"subject": SHOP | {"id": "insurer"}}),
    ]
    for path, body in nothing:
        assert results(world, path, body) == [], body
    missing: list[tuple[str, dict[str, Any]]] = [
        (PEOPLE, {"action": act("newsletter"), "resource": anybody}),
        (PEOPLE, {"subject": SHOP, "resource": anybody}),
        (PEOPLE, {"subject": SHOP, "action": act("newsletter")}),
        (PEOPLE, ask(act("newsletter"), anybody) | {"subject": {"type": "application"}}),
        (PEOPLE, ask(act("newsletter"), {})),
        (PURPOSES, {"subject": SHOP}),
        (PURPOSES, {"subject": SHOP, "resource": anybody}),
    ]
    for path, body in missing:
        assert send(world, path, body).status_code == 400, body


def test_6_the_metadata_names_what_there_is(world: World) -> None:
    response = world.client.get("/.well-known/authzen-configuration")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    base = "http://localhost:8000"
    metadata = response.get_json()
    duties = ["human-review", "pseudonymise", "mask", "show-notice", "keep-until"]
    assert metadata == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
        "access_request_endpoint": f"{base}/access/v1/request",
        "capabilities": ["urn:openid:authzen:capability:access-request"],
        "supported_obligations": duties,
        "obligations_supported": duties,
    }
    for name, endpoint in metadata.items():
        if name.endswith("_endpoint"):
            response = world.client.post(endpoint.removeprefix(base), json={})
            assert response.status_code == 401, name
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
