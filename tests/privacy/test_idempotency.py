"""`Idempotency-Key`: what is sent twice happens once, whenever and however often it is sent."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from policies.vocabulary import Scope
from privacy.actor import SYSTEM
from privacy.consent.store import EventRow
from privacy.idempotency import HEADER, KEPT, PATHS, REPLAYED, WRITING
from privacy.idempotency_store import AnswerRow
from privacy.subjects.store import SubjectRow
from tests.support.cast import SCOPES, Person, application, calls_as, introduce
from tests.support.world import World

KEY = '"8e03978e-40d5-43e8-bc93-6894a57f9324"'
SHOP = application(scopes=SCOPES | {Scope.PSEUDONYMS_WRITE})
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def ana(world: World) -> Person:
    """Ana, whom the calling shop knows."""
    calls_as(world, SHOP)
    return introduce(world)


def grant(world: World, person: Person, key: str | None = KEY, **changes: Any) -> TestResponse:
    body = {
        "subject": person.pseudonym,
        "purpose": "newsletter",
        "notice_version": 2,
        "language": "es",
        "channel": "store",
    }
    headers = {} if key is None else {HEADER: key}
    return world.client.post("/v1/consents", json=body | changes, headers=headers)


def count(world: World, table: type[Any]) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@SQLITE
def test_a_request_that_is_sent_again_gets_the_first_answer(world: World, ana: Person) -> None:
    first = grant(world, ana)
    again = grant(world, ana)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    assert dict(again.headers).items() >= dict(first.headers).items()
    assert count(world, EventRow) == 1
    assert grant(world, ana, '"another"').get_json()["event_id"] != first.get_json()["event_id"]
    assert world.verify().ok


@SQLITE
def test_a_key_is_one_requests_and_one_clients(world: World, ana: Person) -> None:
    assert grant(world, ana).status_code == 201
    for changes in ({"language": "en"}, {"channel": "phone"}):
        refused = grant(world, ana, **changes)
        assert refused.status_code == 422
        assert refused.get_json()["type"] == "/problems/idempotency-key-reused"
    elsewhere = world.client.post("/v1/pseudonyms", json={"identifiers": []}, headers={HEADER: KEY})
    assert elsewhere.get_json()["type"] == "/problems/idempotency-key-reused"
    calls_as(world, replace(SHOP, client_id="newsstand"))
    assert REPLAYED not in grant(world, ana).headers
    assert count(world, EventRow) == 2


@SQLITE
def test_what_is_no_quoted_string_is_refused(world: World, ana: Person) -> None:
    too_long = '"' + "x" * 256 + '"'
    for header in ("", '""', "bare", '"open', "'single'", too_long, '"ñ"', '"a""b"', '"\\n"'):
        refused = grant(world, ana, header)
        assert refused.status_code == 400, header
        assert refused.get_json()["type"] == "/problems/idempotency-key-malformed"
    assert count(world, EventRow) == 0


@SQLITE
def test_a_refusal_is_not_kept(world: World, ana: Person) -> None:
    stale: dict[str, Any] = {"notice_version": 1}
    assert grant(world, ana, **stale).status_code == 409
    assert grant(world, ana, **stale).headers.get(REPLAYED) is None
    assert count(world, AnswerRow) == 0
    longest = '"' + 'x\\"' * 127 + '\\\\"'
    assert grant(world, ana, longest).status_code == 201
    assert grant(world, ana, longest).headers[REPLAYED] == "true"


@SQLITE
def test_an_answer_is_forgotten_after_a_day(world: World, ana: Person) -> None:
    first = grant(world, ana)
    world.clock.advance(seconds=(KEPT - timedelta(seconds=1)).total_seconds())
    assert grant(world, ana).data == first.data
    world.clock.advance(seconds=1)
    assert world.placet.idempotency.run_due() == 1
    assert world.placet.idempotency.run_due() == 0  # not due yet
    assert count(world, AnswerRow) == 0
    assert grant(world, ana).get_json()["event_id"] != first.get_json()["event_id"]


@SQLITE
def test_nothing_that_is_kept_names_anybody(world: World, ana: Person) -> None:
    assert grant(world, ana, '"ana@example.com"').status_code == 201
    with world.placet.runtime.snapshot() as session:
        [row] = session.scalars(sa.select(AnswerRow))
    kept = repr([row.key_digest, row.fingerprint, row.sealed])
    assert "ana@example.com" not in kept
    assert ana.pseudonym not in kept


@SQLITE
def test_every_write_of_the_json_api_heeds_the_header(world: World, ana: Person) -> None:
    document = world.client.get("/openapi.json").get_json()
    writes = [
        operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith(PATHS) and method.upper() in WRITING
    ]
    assert len(writes) >= 4
    for operation in writes:
        assert HEADER in [each["name"] for each in operation["parameters"]]
        assert "`idempotency-key-reused`" in operation["responses"]["422"]["description"]
    asked = {"identifiers": ["carla@example.com"]}
    before = count(world, SubjectRow)
    answers = [
        world.client.post("/v1/pseudonyms", json=asked, headers={HEADER: KEY}) for _ in range(2)
    ]
    assert answers[0].data == answers[1].data
    assert answers[1].headers[REPLAYED] == "true"
    assert count(world, SubjectRow) == before + 1


def test_of_twenty_equal_requests_at_once_one_is_done(world: World, ana: Person) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: grant(world, ana), range(20)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {201, 409}
    assert {a.get_json()["type"] for a in answers if a.status_code == 409} <= {
        "/problems/idempotency-in-progress"
    }
    assert len({answer.data for answer in answers if answer.status_code == 201}) == 1
    assert count(world, EventRow) == 1
    assert count(world, AnswerRow) == 1
    assert grant(world, ana).headers[REPLAYED] == "true"


def test_a_failure_after_the_work_undoes_the_work_and_frees_the_key(
    world: World, ana: Person
) -> None:
    runtime = world.placet.runtime
    with pytest.raises(RuntimeError, match="power cut"), runtime.as_one():
        with runtime.unit_of_work(SYSTEM) as uow:
            world.placet.consents.publish(uow)
            uow.session.add(SubjectRow(subject_id="f" * 32, created_at=uow.now))
            uow.touch("f" * 32)
            uow.session.flush()
        raise RuntimeError("power cut")
    assert grant(world, ana).status_code == 201
    assert grant(world, ana).headers[REPLAYED] == "true"
