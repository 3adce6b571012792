"""`POST /access/v1/evaluation`: AuthZEN's form and rules, our reasons, no permit too many."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator

from policies.vocabulary import ConsentChannel, Scope
from privacy.actor import SYSTEM
from privacy.clock import rfc3339
from privacy.consent.model import ConsentEvent
from tests.privacy.consent.test_service import counts
from tests.support.cast import (
    SCOPES,
    Person,
    application,
    ask,
    calls_as,
    give,
    introduce,
    refuse,
    withdraw,
)
from tests.support.tampering import behind_our_back
from tests.support.world import World, make_world

PATH = "/access/v1/evaluation"
SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "authzen"


def question(person: Person, **changes: Any) -> dict[str, Any]:
    """A request that works, with changes."""
    return {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": "newsletter"},
        "resource": {"type": "person", "id": person.pseudonym},
    } | changes


def reasons(world: World, person: Person, purpose: str = "newsletter") -> list[str]:
    """The reasons of a deny."""
    answer = ask(world, person, purpose).get_json()
    assert answer["decision"] is False
    return list(answer["context"]["reasons"])


def named(world: World, event: ConsentEvent, domain: str = "shop") -> str:
    """An event as an application's answers name it."""
    return world.placet.pseudonyms.of_event(domain, event.event_id)


def test_two_applications_cannot_join_a_person_by_what_they_are_told(
    world: World, ana: Person
) -> None:
    """Nothing in their answers about one person and one purpose is the same secret value."""
    at_insurer = introduce(world, domain="insurer")
    event = give(world, ana)
    told = []
    for client_id, person in (("shop", ana), ("insurer", at_insurer)):
        calls_as(world, application(client_id))
        answer = ask(world, person, client_id=client_id).get_json()
        assert answer["decision"] is True
        told.append(answer["context"]["evidence_id"].split(":")[0])
        states = world.client.get("/v1/consents", query_string={"subject": person.pseudonym})
        assert event.event_id not in states.text
        assert world.client.get(f"/v1/receipts/{event.event_id}").status_code == 404
    assert len({*told, event.event_id}) == 3


def test_a_permit_says_why_until_when_and_on_what_evidence(world: World, ana: Person) -> None:
    event = give(world, ana)
    response = ask(world, ana)
    assert response.status_code == 200
    revision = world.placet.register.revision
    assert response.get_json() == {
        "decision": True,
        "context": {
            "reasons": ["consent-given"],
            "obligations": [],
            "valid_until": "2028-03-03T11:00:00.000Z",
            "cache_seconds": 0,
            "evidence_id": f"{named(world, event)}:{revision}:2026-03-03T11:00:00.000Z",
        },
    }
    assert ask(world, ana).get_json() == response.get_json()


def test_a_contract_needs_no_consent(world: World, ana: Person) -> None:
    answer = ask(world, ana, "loyalty").get_json()
    assert answer["decision"] is True
    assert answer["context"]["reasons"] == ["contract"]
    assert answer["context"]["valid_until"] is None
    assert answer["context"]["evidence_id"].startswith("-:")


def test_a_withdrawn_consent_denies_at_the_same_instant(
    world: World, ana: Person, database_url: str, instance: Path
) -> None:
    other = make_world(database_url, instance, seed="another process")
    calls_as(other, application())
    give(world, ana)
    assert ask(other, ana).get_json()["decision"] is True
    assert ask(world, ana).get_json()["decision"] is True
    withdraw(world, ana)
    assert reasons(world, ana) == ["consent-withdrawn"]
    assert reasons(other, ana) == ["consent-withdrawn"]
    other.placet.uses.flush()
    other.placet.runtime.database.engine.dispose()


def test_silence_a_refusal_and_an_expired_consent_all_deny(world: World, ana: Person) -> None:
    assert reasons(world, ana) == ["no-consent"]
    refuse(world, ana)
    assert reasons(world, ana) == ["consent-refused"]
    event = give(world, ana)
    assert event.expires_at
    world.clock.now = event.expires_at - timedelta(milliseconds=1)
    assert ask(world, ana).get_json()["decision"] is True
    world.clock.now = event.expires_at
    assert reasons(world, ana) == ["consent-expired"]


def test_one_purpose_says_nothing_of_another(world: World, ana: Person) -> None:
    give(world, ana)
    refuse(world, ana, "recommendations", version=1)
    assert ask(world, ana).get_json()["decision"] is True
    assert reasons(world, ana, "recommendations") == ["consent-refused"]


def test_an_objection_denies_and_an_erased_person_is_unknown(world: World, ana: Person) -> None:
    give(world, ana)
    runtime = world.placet.runtime
    with runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(
            uow, ana.subject_id, "newsletter", channel=ConsentChannel.PHONE
        )
        uow.commit()
    assert reasons(world, ana) == ["objected", "suppressed", "consent-withdrawn"]
    with runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.erase(uow, ana.subject_id)
        uow.commit()
    assert reasons(world, ana) == ["unknown-person"]


@pytest.mark.parametrize(
    ("column", "reason"), [("restricted_at", "restricted"), ("blocked_at", "blocked")]
)
def test_a_restricted_or_blocked_person_is_denied(
    world: World, ana: Person, database_url: str, column: str, reason: str
) -> None:
    give(world, ana)
    with behind_our_back(database_url) as connection:
        connection.execute(sa.text(f"UPDATE subject SET {column} = created_at"))
    assert reasons(world, ana) == [reason]


def test_nobody_unverified_is_permitted(world: World, ana: Person) -> None:
    bruno = introduce(world, "bruno@example.com", verified=False)
    give(world, bruno)
    assert reasons(world, bruno) == ["unverified-person"]


def test_what_is_unknown_is_denied_and_tells_nothing_more(world: World, ana: Person) -> None:
    give(world, ana)
    elsewhere = introduce(world, domain="insurer")
    invented = Person("", "d1v1_" + "A" * 32)
    nonsense = Person("", "ana\x00\ud800")
    assert reasons(world, elsewhere) == ["unknown-person"]
    assert reasons(world, invented) == ["unknown-person"]
    assert reasons(world, nonsense) == ["unknown-person"]
    assert reasons(world, ana, "horoscope") == ["unknown-purpose"]
    assert reasons(world, ana, "analytics") == ["purpose-not-of-application"]
    for changes in (
        {"resource": {"type": "record", "id": ana.pseudonym}},
        {"subject": {"type": "user", "id": "shop"}},
    ):
        answer = world.client.post(PATH, json=question(ana, **changes))
        assert answer.status_code == 200
        assert answer.get_json()["decision"] is False
        assert answer.get_json()["context"]["reasons"] == ["unknown-type"]


def test_an_application_asks_for_itself_only(world: World, ana: Person) -> None:
    give(world, ana)
    response = ask(world, ana, client_id="insurer")
    assert response.status_code == 403
    assert response.get_json()["type"] == "/problems/forbidden"
    assert response.get_json()["errors"][0]["field"] == "subject.id"


@pytest.mark.parametrize(
    "kind_of_damage",
    ["action = 'perhaps'", "event_id = NULL", "at = 5", "expires_at = 'x'", "notice_version = 'x'"],
)
def test_a_state_that_cannot_be_read_denies(
    world: World, ana: Person, database_url: str, database_kind: str, kind_of_damage: str
) -> None:
    if database_kind == "postgresql" and kind_of_damage.startswith(("at", "exp", "notice")):
        pytest.skip("PostgreSQL lets no column hold a value of another type")
    give(world, ana)
    with behind_our_back(database_url) as connection:
        if "NULL" in kind_of_damage:
            connection.execute(sa.text("ALTER TABLE consent_state RENAME TO elsewhere"))
        else:
            connection.execute(sa.text(f"UPDATE consent_state SET {kind_of_damage}"))
    assert reasons(world, ana) == ["state-unreadable"]


def test_unknown_members_are_ignored(world: World, ana: Person) -> None:
    give(world, ana)
    asked = question(
        ana,
        subject={"type": "application", "id": "shop", "properties": {"a": 1}, "extra": 5},
        action={"name": "newsletter", "properties": {}, "why": None},
        context={"time": "2026-03-03T11:00:00Z"},
        options={"evaluations_semantic": "execute_all"},
    )
    assert world.client.post(PATH, json=asked).get_json()["decision"] is True


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"subject": None}, "subject"),
    ({"subject": "shop"}, "subject"),
    ({"subject": {"type": "application"}}, "subject.id"),
    ({"subject": {"id": "shop"}}, "subject.type"),
    ({"subject": {"type": 1, "id": "shop"}}, "subject.type"),
    ({"subject": {"type": "application", "id": None}}, "subject.id"),
    ({"subject": {"type": "application", "id": "shop", "properties": []}}, "subject.properties"),
    ({"action": {}}, "action.name"),
    ({"action": {"name": ["x"]}}, "action.name"),
    ({"action": []}, "action"),
    ({"resource": {"type": "person"}}, "resource.id"),
    ({"resource": {"type": "person", "id": 7}}, "resource.id"),
    ({"context": "now"}, "context"),
]


def test_a_malformed_evaluation_is_400_and_names_the_field(world: World, ana: Person) -> None:
    before = counts(world)
    for changes, field in MALFORMED:
        asked = {n: v for n, v in question(ana, **changes).items() if v is not None}
        response = world.client.post(PATH, json=asked)
        assert response.status_code == 400, changes
        assert response.mimetype == "application/problem+json"
        problem = response.get_json()
        assert problem["type"] == "/problems/malformed-evaluation"
        assert field in [error["field"] for error in problem["errors"]], changes
        assert counts(world) == before


NO_EVALUATION = [
    (b"", "application/json", 400),
    (b"{", "application/json", 400),
    (b"\xff", "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b"[]", "application/json", 400),
    (b"null", "application/json", 400),
    (b"{}", "application/json", 400),
    (b"{}", "text/plain", 400),
    (b"{}", "", 400),
    (b"{" + b" " * 300_000 + b"}", "application/json", 413),
]


def test_what_is_no_evaluation_is_refused_in_authzens_way(world: World, ana: Person) -> None:
    for content, media_type, status in NO_EVALUATION:
        response = world.client.post(PATH, data=content, content_type=media_type)
        assert response.status_code == status, content[:20]
        assert response.mimetype == "application/problem+json"


def test_the_request_id_comes_back_whatever_the_answer(world: World, ana: Person) -> None:
    headers = {"X-Request-ID": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"}
    requests: list[tuple[dict[str, Any], int]] = [(question(ana), 200), ({}, 400)]
    for body, status in requests:
        response = world.client.post(PATH, json=body, headers=headers)
        assert (response.status_code, response.headers["X-Request-ID"]) == (
            status,
            headers["X-Request-ID"],
        )
    calls_as(world, application(scopes=SCOPES - {Scope.DECISIONS_EVALUATE}))
    denied = world.client.post(PATH, json=question(ana), headers=headers)
    assert (denied.status_code, denied.headers["X-Request-ID"]) == (403, headers["X-Request-ID"])
    world.app.extensions["placet.bearer"] = lambda: None
    unknown = world.client.post(PATH, json=question(ana), headers=headers)
    assert (unknown.status_code, unknown.headers["X-Request-ID"]) == (
        401,
        headers["X-Request-ID"],
    )
    assert unknown.headers["WWW-Authenticate"].startswith("Bearer")
    assert "X-Request-ID" not in world.client.post(PATH, json=question(ana)).headers


def test_an_answer_can_be_computed_again_from_its_evidence_id(world: World, ana: Person) -> None:
    give(world, ana)
    evidence = ask(world, ana).get_json()["context"]["evidence_id"]
    name, revision, at = evidence.split(":", 2)
    with world.placet.runtime.snapshot() as session:
        [event] = [
            event
            for event in world.placet.consents.history(session, ana.subject_id)
            if named(world, event) == name
        ]
    assert revision == event.register_revision == world.placet.register.revision
    assert at == rfc3339(world.clock())


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="the AuthZEN schemas are not on this machine")
def test_requests_and_answers_fit_authzens_own_schemas(world: World, ana: Person) -> None:
    request_schema, response_schema = (
        Draft202012Validator(json.loads((SCHEMAS / f"evaluation-{which}.schema.json").read_text()))
        for which in ("request", "response")
    )
    give(world, ana)
    for purpose in ("newsletter", "recommendations", "loyalty", "horoscope"):
        asked = question(ana, action={"name": purpose})
        request_schema.validate(asked)
        response_schema.validate(world.client.post(PATH, json=asked).get_json())
    for changes, _field in MALFORMED:
        asked = {n: v for n, v in question(ana, **changes).items() if v is not None}
        assert not request_schema.is_valid(asked)
