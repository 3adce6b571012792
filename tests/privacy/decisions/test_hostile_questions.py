"""Whatever is sent to the decision doors: every way answers alike, by the standard, and never 500."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from identity.provider import bearer
from identity.provider.client_settings import ClientSettings
from privacy.actor import SYSTEM
from tests.privacy.decisions.ways import EVALUATION, EVALUATIONS, ways
from tests.support.cast import Person, give
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

PEOPLE, PURPOSES = "/access/v1/search/resource", "/access/v1/search/action"
REQUEST, METADATA = "/access/v1/request", "/.well-known/authzen-configuration"
DOORS = (EVALUATION, EVALUATIONS, PEOPLE, PURPOSES, REQUEST)
#: Values of every type of JSON and of none; those of the first line are texts and nothing else.
TEXTS = ('""', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', '"e\\u0301"', '"shop\\u202e"')
VALUES = (
    *("null", "true", "0", "-0", "1e400", "-1E-400", "1.0000000000000000000000001"),
    *("9" * 5000, "[]", "{}", '[""]', '{"":{}}', "[[[[[]]]]]", "NaN", "Infinity", "-Infinity"),
    *("nul", "01", "+1", ".5", "1.", "'shop'", "undefined", '"\\x41"', '"a\nb"', '"\t"', '"\x1f"'),
    *('"\\ud800x"', '"\\uD83D"', '"/"', '"\\/"', "[" * 200 + "]" * 200, "[" * 99999),
)


def bodies(person: Person) -> Iterator[bytes]:
    """The usual question, with one thing about it changed."""
    usual = {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": "newsletter"},
        "resource": {"type": "person", "id": person.pseudonym},
    }
    text = json.dumps(usual)
    for turn, value in enumerate((*VALUES, *TEXTS)):  # each value once, each entity a third of them
        entity = tuple(usual)[turn % 3]
        yield _with(usual, (entity,), value)
        for member in usual[entity]:
            yield _with(usual, (entity, member), value)
    for entity, members in usual.items():
        yield _with(usual, (entity, "properties"), "[]")
        again = json.dumps(members)
        yield text[:-1].encode() + f', "{entity}": null}}'.encode()  # the last one counts
        yield f'{{"{entity}": 5, {text[1:]}'.encode()
        yield text.replace(again, again[:-1] + f", {again[1:]}").encode()
    for name in ("context", "options", "page", "evaluations", "flavour", "", "\\u0073ubject"):
        for value in ("null", "[]", "{}", "[{}]", "[null]", "[[]]", "0", '"x"', f"[{text}]"):
            yield f'{text[:-1]}, "{name}": {value}}}'.encode()
    for value in VALUES[::2]:
        yield f'{text[:-1]}, "page": {{"token": {value}, "limit": {value}}}}}'.encode(
            errors="surrogatepass"
        )
        yield f'{text[:-1]}, "context": {{"supported_obligations": [{value}]}}}}'.encode()
        yield f'{text[:-1]}, "evaluations": [{{}}, {value}]}}'.encode()
    for encoding in ("utf-16", "utf-32", "utf-8-sig", "utf-16-le"):
        yield text.encode(encoding)
    whole = text.encode()
    yield from (whole[:-1], whole + b"}", whole + b" \n\t\r", b"\x0c" + whole, whole + b"\0")
    yield from (b"", b" ", b"null", b"[]", b'""', b"0", b"\xff", b"{" * 99999, whole * 2)
    yield from (whole.replace(b'"shop"', b'"sh\xc3"'), whole.replace(b": ", b" :\n\r\t"))
    yield whole.replace(b"{", b"{//\n", 1)
    yield whole.replace(b'"id"', b'"\\u0069\\u0064"')


def _with(usual: dict[str, Any], path: tuple[str, ...], value: str) -> bytes:
    mark = "@@"
    entity, *member = path
    put: Any = {**usual[entity], member[0]: mark} if member else mark
    return json.dumps(usual | {entity: put}).replace(json.dumps(mark), value).encode()


def seen(response: TestResponse) -> tuple[int, str | None, bytes]:
    return response.status_code, response.content_type, response.data


def test_every_way_answers_alike_to_whatever_comes(world: World, ana: Person) -> None:
    give(world, ana)
    made = ways(world)
    flask = made.pop("flask")
    tried, permitted = 0, 0
    for number, body in enumerate(bodies(ana)):
        for path in (EVALUATION, EVALUATIONS):
            expected = seen(flask.post(path, body))
            assert expected[0] in {200, 400, 403}, (path, body[:200], expected)
            for name, way in made.items():
                assert seen(way.post(path, body)) == expected, (name, path, body[:200])
            tried += 1
            permitted += b'"decision":true' in expected[2]
        path = DOORS[2 + number % 3]
        status = flask.post(path, body).status_code
        assert status in {200, 201, 400, 403, 404, 409, 422, 429}, (path, body[:200], status)
    assert tried > 400
    assert 0 < permitted < tried / 3


def test_what_is_no_question_is_refused_by_the_standards_own_codes(
    world: World, ana: Person
) -> None:
    """AuthZEN's 400, 401 and 403; RFC 9110 s. 15.5.6 for methods."""
    whole = json.dumps(
        {
            "subject": {"type": "application", "id": "shop"},
            "action": {"name": "newsletter"},
            "resource": {"type": "person", "id": ana.pseudonym},
        }
    ).encode()
    give(world, ana)
    for way in ways(world).values():
        for path in DOORS:
            for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"):
                answer = way.client.open(path, method=method, data=whole)
                assert (answer.status_code, answer.headers["Allow"]) == (405, "OPTIONS, POST")
            options = way.client.open(path, method="OPTIONS")
            assert (options.status_code, options.data) == (200, b"")
            for kind in (None, "", "text/json", "application/jsonp", "application/json-patch+json"):
                assert way.client.post(path, data=whole, content_type=kind).status_code == 400
        for kind in ("Application/JSON", "application/json;charset=utf-8", "application/json; x=y"):
            answer = way.client.post(EVALUATION, data=whole, content_type=kind)
            assert answer.get_json()["decision"] is True, kind
        answer = way.client.post(EVALUATION + "?x=1", data=whole, content_type="application/json")
        assert answer.get_json()["decision"] is True
        assert way.post(EVALUATIONS, b" " * (2 * 1024 * 1024 + 1)).status_code == 413
        assert way.post(EVALUATION, b" " * (256 * 1024 + 1)).status_code == 413


def test_a_token_that_is_none_is_401_and_one_of_too_little_403(world: World) -> None:
    def send(path: str, token: str | None) -> TestResponse:
        headers = {} if token is None else {"Authorization": token}
        return world.client.post(path, json={}, headers=headers)

    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        settings = ClientSettings(name="shop", scopes=["consents:write"], purposes=["newsletter"])
        client, _secret = placet.clients.add(uow, settings)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        form = {"grant_type": "client_credentials"}
        small = placet.provider.exchange(uow, client, form).access_token
    world.app.extensions["placet.bearer"] = bearer.authenticator(placet.runtime, placet.register)
    for path in DOORS:
        for none in (
            None,
            "",
            "Bearer",
            "Bearer ",
            "Basic eDp5",
            "Bearer \xff",
            f"Bearer {small}x",
        ):
            answer = send(path, none)
            assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        for sent in (f"Bearer {small}", f"bearer  {small}"):
            answer = send(path, sent)
            assert answer.status_code == 403
            assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    world.clock.advance(hours=1)
    assert send(EVALUATION, f"Bearer {small}").status_code == 401
