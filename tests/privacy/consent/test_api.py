"""`/v1/consents` and `/v1/purposes`: what applications record and read, and what is refused."""

from typing import Any

import pytest

from policies.vocabulary import ConsentAction, ConsentChannel, Scope
from privacy.actor import SYSTEM
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
from tests.support.world import World


def body(person: Person, **changes: Any) -> dict[str, Any]:
    """A request that works, with changes; None leaves a member out."""
    whole = {
        "subject": person.pseudonym,
        "purpose": "newsletter",
        "notice_version": 2,
        "language": "es",
        "channel": "web",
    } | changes
    return {name: value for name, value in whole.items() if value is not ...}


def test_a_grant_is_answered_with_the_address_of_its_receipt(world: World, ana: Person) -> None:
    response = world.client.post("/v1/consents", json=body(ana))
    answer = response.get_json()
    assert response.status_code == 201
    assert response.headers["Location"] == answer["receipt"]
    assert answer["receipt"] == f"/v1/receipts/{answer['event_id']}"
    assert (answer["log"], answer["subject"]) == ("pending", ana.pseudonym)
    receipt = world.client.get(answer["receipt"]).get_json()
    assert receipt["entry_id"] == answer["entry_id"]
    with world.placet.runtime.snapshot() as session:
        [event] = world.placet.consents.history(session, ana.subject_id)
    assert (event.action, event.channel) == (ConsentAction.GIVEN, ConsentChannel.WEB)
    assert (event.recorded_by, event.explicit) == ("application:shop", False)


def test_the_person_can_be_somebody_who_has_no_account_yet(world: World, ana: Person) -> None:
    asked = body(ana, subject={"email": "Carla@Example.com"}, channel="store", explicit=True)
    first = world.client.post("/v1/consents", json=asked).get_json()
    again = world.client.post(
        "/v1/consents", json=asked | {"subject": {"email": "carla@example.com"}}
    ).get_json()
    assert first["subject"] == again["subject"] != ana.pseudonym
    with world.placet.runtime.snapshot() as session:
        subject_id = world.placet.subjects.find_by_email(session, "carla@example.com")
        assert subject_id
        assert world.placet.subjects.emails(session, subject_id) == []
        events = world.placet.consents.history(session, subject_id)
    assert [event.explicit for event in events] == [True, True]
    carla = Person(subject_id, first["subject"])
    assert ask(world, carla).get_json()["decision"] is True  # the shop took her word


@pytest.mark.parametrize("channel", ["web", "app", "api"])
def test_an_address_that_somebody_typed_must_be_proved_first(
    world: World, ana: Person, channel: str
) -> None:
    asked = body(ana, subject={"email": "carla@example.com"}, channel=channel, explicit=True)
    done = world.client.post("/v1/consents", json=asked).get_json()
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = world.placet.subjects.find_by_email(uow.session, "carla@example.com")
        assert subject_id
        carla = Person(subject_id, done["subject"])
        assert ask(world, carla).get_json()["context"]["reasons"] == ["unverified-person"]
        world.placet.subjects.verify_email(uow, subject_id, "carla@example.com")
        uow.commit()
    assert ask(world, carla).get_json()["decision"] is True


@pytest.mark.parametrize("action", ["refused", "withdrawn"])
def test_a_no_can_be_recorded_as_well_as_a_yes(world: World, ana: Person, action: str) -> None:
    assert world.client.post("/v1/consents", json=body(ana)).status_code == 201
    response = world.client.post("/v1/consents", json=body(ana, action=action))
    assert response.status_code == 201
    state = world.client.get("/v1/consents", query_string={"subject": ana.pseudonym}).get_json()
    [newsletter] = [c for c in state["consents"] if c["purpose"] == "newsletter"]
    assert newsletter["status"] == action


def test_a_withdrawal_needs_neither_version_nor_language(world: World, ana: Person) -> None:
    world.client.post("/v1/consents", json=body(ana))
    short = body(ana, action="withdrawn", notice_version=..., language=...)
    assert world.client.post("/v1/consents", json=short).status_code == 201


LONG = "x" * 300_000
UNPROCESSABLE: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"purpose": "horoscope"}, 422, "unknown-purpose", "purpose"),
    ({"purpose": "horoscope\x00"}, 422, "unknown-purpose", "purpose"),
    ({"purpose": "loyalty", "notice_version": 1}, 422, "not-by-consent", "purpose"),
    (
        {"purpose": "analytics", "notice_version": 1},
        403,
        "purpose-not-of-application",
        "purpose",
    ),
    ({"notice_version": 1}, 409, "stale-notice", "notice_version"),
    ({"notice_version": 3}, 409, "stale-notice", "notice_version"),
    ({"notice_version": 3, "action": "refused"}, 409, "stale-notice", "notice_version"),
    ({"language": "xx"}, 422, "unknown-language", "language"),
    ({"action": "withdrawn"}, 409, "nothing-to-withdraw", "purpose"),
    ({"action": "expired"}, 422, "invalid-input", "action"),
    ({"action": 7}, 422, "invalid-input", "action"),
    ({"channel": "import"}, 422, "invalid-input", "channel"),
    ({"channel": "smoke"}, 422, "invalid-input", "channel"),
    ({"channel": ...}, 422, "invalid-input", "channel"),
    ({"purpose": ...}, 422, "invalid-input", "purpose"),
    ({"purpose": 5}, 422, "invalid-input", "purpose"),
    ({"purpose": None}, 422, "invalid-input", "purpose"),
    ({"purpose": ""}, 422, "invalid-input", "purpose"),
    ({"notice_version": "2"}, 422, "invalid-input", "notice_version"),
    ({"notice_version": 2.5}, 422, "invalid-input", "notice_version"),
    ({"notice_version": True}, 422, "invalid-input", "notice_version"),
    ({"notice_version": 0}, 422, "invalid-input", "notice_version"),
    ({"notice_version": 10**30}, 422, "invalid-input", "notice_version"),
    ({"notice_version": ...}, 422, "invalid-input", "notice_version"),
    ({"language": ...}, 422, "invalid-input", "language"),
    ({"language": ["es"]}, 422, "invalid-input", "language"),
    ({"explicit": "true"}, 422, "invalid-input", "explicit"),
    ({"explicit": 1}, 422, "invalid-input", "explicit"),
    ({"color": "red"}, 422, "invalid-input", "color"),
    ({"subject": ...}, 422, "invalid-input", "subject"),
    ({"subject": 5}, 422, "invalid-input", "subject"),
    ({"subject": ["a"]}, 422, "invalid-input", "subject"),
    ({"subject": {}}, 422, "invalid-input", "subject.email"),
    ({"subject": {"email": "no address"}}, 422, "invalid-input", "subject.email"),
    ({"subject": {"email": 5}}, 422, "invalid-input", "subject.email"),
    ({"subject": {"email": "a@b.es", "age": 7}}, 422, "invalid-input", "subject.age"),
    ({"subject": "d1v1_" + "A" * 32}, 404, "not-found", "subject"),
    ({"subject": "ana\x00\ud800"}, 404, "not-found", "subject"),
    ({"subject": LONG}, 413, "body-too-large", None),
]


def test_a_bad_request_names_the_field_and_changes_nothing(world: World, ana: Person) -> None:
    before = counts(world)
    for changes, status, code, field in UNPROCESSABLE:
        response = world.client.post("/v1/consents", json=body(ana, **changes))
        problem = response.get_json()
        assert (response.status_code, problem["type"]) == (status, f"/problems/{code}"), changes
        assert response.mimetype == "application/problem+json"
        assert problem["status"] == status
        named = [error["field"] for error in problem.get("errors", [])]
        assert named == ([field] if field else []), changes
        assert counts(world) == before, changes


NO_OBJECT = [
    (b"{", "application/json", 400),
    (b"", "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b"null", "application/json", 422),
    (b"[]", "application/json", 422),
    (b'"x"', "application/json", 422),
    (b"{}", "text/plain", 415),
    (b"purpose=newsletter", "application/x-www-form-urlencoded", 415),
    (b"{}", "", 415),
]


def test_what_is_no_json_object_is_refused_and_changes_nothing(world: World, ana: Person) -> None:
    before = counts(world)
    for content, media_type, status in NO_OBJECT:
        response = world.client.post("/v1/consents", data=content, content_type=media_type)
        assert response.status_code == status, content[:20]
        assert response.mimetype == "application/problem+json"
        assert counts(world) == before


def test_another_applications_person_is_nobody_here(world: World, ana: Person) -> None:
    elsewhere = introduce(world, domain="insurer")
    assert elsewhere.subject_id == ana.subject_id
    before = counts(world)
    foreign = world.client.post("/v1/consents", json=body(elsewhere))
    invented = world.client.post("/v1/consents", json=body(Person("", "d2v1_" + "A" * 32)))
    assert foreign.status_code == invented.status_code == 404
    assert foreign.get_json() == invented.get_json()
    reading = world.client.get("/v1/consents", query_string={"subject": elsewhere.pseudonym})
    assert reading.status_code == 404
    assert counts(world) == before


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Scope.CONSENTS_WRITE, "POST", "/v1/consents"),
        (Scope.CONSENTS_READ, "GET", "/v1/consents?subject=x"),
        (Scope.CONSENTS_READ, "GET", f"/v1/receipts/{'0' * 32}"),
        (Scope.PURPOSES_READ, "GET", "/v1/purposes"),
    ],
)
def test_a_token_without_the_scope_or_no_token_is_refused(
    world: World, ana: Person, scope: Scope, method: str, path: str
) -> None:
    before = counts(world)
    calls_as(world, application(scopes=SCOPES - {scope}))
    response = world.client.open(path, method=method, json=body(ana) if method == "POST" else None)
    assert (response.status_code, response.get_json()["type"]) == (
        403,
        "/problems/insufficient-scope",
    )
    world.app.extensions["placet.bearer"] = lambda: None
    response = world.client.open(path, method=method, json=body(ana) if method == "POST" else None)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert counts(world) == before


def test_an_application_reads_its_own_purposes_alone(world: World, ana: Person) -> None:
    give(world, ana)
    give(world, ana, "analytics", version=1)
    state = world.client.get("/v1/consents", query_string={"subject": ana.pseudonym}).get_json()
    assert [consent["purpose"] for consent in state["consents"]] == [
        "newsletter",
        "recommendations",
    ]
    newsletter, recommendations = state["consents"]
    assert newsletter["status"] == "given"
    assert newsletter["since"] == "2026-03-03T11:00:00.000Z"
    assert newsletter["expires_at"] == "2028-03-03T11:00:00.000Z"
    assert recommendations == {
        "purpose": "recommendations",
        "status": "none",
        "since": None,
        "expires_at": None,
        "notice_version": None,
        "explicit": False,
        "objected_since": None,
        "event_id": None,
    }
    withdraw(world, ana)
    refuse(world, ana, "recommendations", version=1)
    state = world.client.get("/v1/consents", query_string={"subject": ana.pseudonym}).get_json()
    assert [consent["status"] for consent in state["consents"]] == ["withdrawn", "refused"]


@pytest.mark.parametrize("query", ["", "?subject=", "?subject=a&subject=b", "?subject=a&x=1"])
def test_a_bad_query_is_refused(world: World, ana: Person, query: str) -> None:
    assert world.client.get(f"/v1/consents{query}").status_code == 422


def test_an_application_learns_which_notices_to_show(world: World, ana: Person) -> None:
    answer = world.client.get("/v1/purposes").get_json()
    assert answer["register_revision"] == world.placet.register.revision
    assert [p["id"] for p in answer["purposes"]] == ["newsletter", "recommendations", "loyalty"]
    newsletter, _recommendations, loyalty = answer["purposes"]
    assert newsletter["notice"]["version"] == 2
    assert newsletter["notice"]["published"] == "2026-02-02"
    assert newsletter["notice"]["texts"]["es"].startswith("# La carta del mes")
    assert (newsletter["validity_months"], loyalty["validity_months"]) == (24, None)
