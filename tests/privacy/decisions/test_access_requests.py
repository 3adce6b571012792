"""An application that was denied asks the person: who, for what, how often, and what comes of it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from identity.provider.client_settings import ClientSettings
from policies.asking import ASK_OPEN, ASKS_WINDOW, may_ask
from policies.deadlines import months_after
from policies.decision import ConsentFact
from policies.vocabulary import ConsentAction, ConsentChannel, DecisionReason, Scope
from privacy.actor import SYSTEM, Actor
from privacy.collection.housekeeping import Housekeeping
from privacy.decisions.access_request_model import KEPT, AccessAnswered, AccessRequested
from privacy.subjects.store import SubjectRow
from privacy.unit_of_work import UnitOfWork
from tests.privacy.test_unit_of_work import SomethingHappened
from tests.support.cast import (
    Person,
    application,
    calls_as,
    give,
    introduce,
    refuse,
    signed_in_as,
    withdraw,
)
from tests.support.cast import ask as evaluate
from tests.support.forms import submit
from tests.support.world import NOON, World

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
SHOP = "https://shop.example"
PURPOSES = ("newsletter", "recommendations", "analytics", "partner-advertising")


@pytest.fixture
def shop(world: World) -> Actor:
    """The shop as a real client, calling."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        added, _secret = world.placet.clients.add(
            uow,
            ClientSettings(
                name="La tienda",
                redirect_uris=[f"{SHOP}/callback"],
                scopes=["openid", "decisions:evaluate"],
                purposes=frozenset(PURPOSES),
            ),
        )
    scopes = frozenset({Scope.DECISIONS_EVALUATE})
    caller = application(added.client_id, purposes=frozenset(PURPOSES), scopes=scopes)
    calls_as(world, caller)
    return caller


@pytest.fixture
def ana(world: World, shop: Actor) -> Person:
    """Ana, signed in and known to the shop."""
    person = introduce(world, domain=shop.domain)
    signed_in_as(world, person)
    return person


def asked(
    world: World, shop: Actor, person: Person, purpose: str = "newsletter", **more: Any
) -> TestResponse:
    """The shop asks the person for a consent."""
    body = {
        "subject": {"type": "application", "id": shop.client_id},
        "action": {"name": purpose},
        "resource": {"type": "person", "id": person.pseudonym},
    }
    return world.client.post("/access/v1/request", json=body | more)


def code(response: TestResponse) -> tuple[int, str]:
    """The status and the code of a problem."""
    return response.status_code, str(response.get_json()["type"]).removeprefix("/problems/")


def page_of(response: TestResponse) -> str:
    assert response.status_code == 201, response.text
    return str(response.get_json()["form_url"]).removeprefix("http://localhost:8000")


def said(world: World, person: Person) -> list[ConsentAction]:
    with world.placet.runtime.snapshot() as session:
        return [each.action for each in world.placet.consents.history(session, person.subject_id)]


def decision(world: World, shop: Actor, person: Person, purpose: str = "newsletter") -> Any:
    return evaluate(world, person, purpose, client_id=shop.client_id or "").get_json()


@SQLITE
def test_after_a_yes_the_next_evaluation_permits(world: World, shop: Actor, ana: Person) -> None:
    denial = decision(world, shop, ana)
    assert denial["context"]["access_request"] == {
        "endpoint": "http://localhost:8000/access/v1/request",
        "expires_at": "2026-03-03T12:00:00.000Z",
    }
    events: list[object] = []
    for each in (AccessRequested, AccessAnswered):
        world.placet.runtime.subscribe(each, lambda _uow, event: events.append(type(event)))
    made = asked(world, shop, ana, return_to=f"{SHOP}/account?tab=1&status=x")
    assert made.get_json()["evaluation_id"] == denial["context"]["evidence_id"]
    assert made.get_json()["expires_at"] == "2026-03-10T11:00:00.000Z"
    assert said(world, ana) == [ConsentAction.REQUESTED]
    assert decision(world, shop, ana)["context"]["reasons"] == ["no-consent"]
    browser, path = world.client, page_of(made)
    shown = browser.get(path).text
    assert "La tienda te pide" in shown
    assert "La carta del mes" in shown
    assert "Nada de otras empresas." in shown  # the notice itself
    yes, no = (shown.index(f'value="{each}"') for each in ("yes", "no"))
    buttons = [shown[shown.rindex("<button", 0, at) : at] for at in (yes, no)]
    assert buttons[0].replace("yes", "") == buttons[1].replace("no", "")
    answered = submit(browser, path, {"answer": "yes"})
    assert (answered.status_code, answered.location) == (303, f"{path}?done=1")
    after = browser.get(answered.location)
    assert after.headers["Refresh"] == f"0;url={SHOP}/account?tab=1&status=given"
    assert decision(world, shop, ana)["decision"] is True
    assert said(world, ana) == [ConsentAction.REQUESTED, ConsentAction.GIVEN]
    assert events == [AccessRequested, AccessAnswered]
    assert browser.post(path, data={"answer": "no"}).status_code == 400  # no token
    assert submit(browser, "/privacy", {"answer": "no", "notice_version": "2"}, to=path).location
    assert said(world, ana)[-1] is ConsentAction.GIVEN


@SQLITE
def test_a_no_rests_for_a_year_and_never_again_is_for_good(
    world: World, shop: Actor, ana: Person
) -> None:
    submit(world.client, page_of(asked(world, shop, ana)), {"answer": "no"})
    denial = decision(world, shop, ana)
    assert denial["context"]["reasons"] == ["consent-refused"]
    assert "access_request" not in denial["context"]
    assert code(asked(world, shop, ana)) == (409, "not-requestable")
    world.clock.now = months_after(NOON, 12, UTC) - timedelta(seconds=1)
    assert code(asked(world, shop, ana)) == (409, "not-requestable")
    world.clock.advance(seconds=1)
    assert "access_request" in decision(world, shop, ana)["context"]
    path = page_of(asked(world, shop, ana))
    submit(world.client, path, {"answer": "never"})
    assert said(world, ana)[-1] is ConsentAction.REFUSED
    world.clock.advance(days=800)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.access_requests.forget_old(uow)
    assert code(asked(world, shop, ana)) == (409, "not-requestable")
    give(world, ana)
    withdraw(world, ana)
    assert code(asked(world, shop, ana)) == (409, "not-requestable")  # a fresh no of hers
    world.clock.advance(days=400)
    assert asked(world, shop, ana).status_code == 201  # she had said yes since


@SQLITE
def test_nobody_is_asked_too_often(world: World, shop: Actor, ana: Person) -> None:
    page_of(asked(world, shop, ana))
    assert code(asked(world, shop, ana)) == (409, "already-asked")
    world.clock.advance(days=1)
    for purpose in PURPOSES[1:3]:
        page_of(asked(world, shop, ana, purpose))
    often = asked(world, shop, ana, PURPOSES[3])
    assert code(often) == (429, "too-many-attempts")
    wait = int(often.headers["Retry-After"])
    assert timedelta(seconds=wait) == ASKS_WINDOW - timedelta(days=1)
    world.clock.advance(seconds=wait)
    page_of(asked(world, shop, ana, PURPOSES[3]))
    assert said(world, ana) == [ConsentAction.REQUESTED] * 4


@SQLITE
def test_only_that_very_person_is_shown_the_question_while_it_is_open(
    world: World, shop: Actor, ana: Person
) -> None:
    path = page_of(asked(world, shop, ana))
    signed_in_as(world, introduce(world, "bruno@example.com"))
    assert world.client.get(path).status_code == 404
    world.app.extensions["placet.session"] = lambda: None
    to_login = world.client.get(path, headers={"Accept": "text/html"})
    assert (to_login.status_code, to_login.location.split("?")[0]) == (303, "/login")
    signed_in_as(world, ana)
    assert world.client.get(f"{path}x").status_code == 404
    world.clock.now = NOON + ASK_OPEN
    late = submit(world.client, "/privacy", {"answer": "yes", "notice_version": "2"}, to=path)
    assert late.status_code == 303
    assert "ha caducado" in world.client.get(path).text
    assert said(world, ana) == [ConsentAction.REQUESTED]
    world.clock.now += KEPT
    collected = world.placet.access_requests.collect
    with world.placet.runtime.snapshot() as session:
        assert len(collected(session, ana.subject_id)["access_requests"]) == 1  # type: ignore[arg-type]
    assert Housekeeping(world.placet.runtime, world.placet.access_requests).run_due() == 1
    assert world.client.get(path).status_code == 404


@SQLITE
def test_why_nobody_is_asked_is_not_told_to_the_application(
    world: World, shop: Actor, ana: Person
) -> None:
    """That somebody is a child, or wants to be left alone, is no application's business."""
    child, given, silent = (
        introduce(world, f"{name}@example.com", domain=shop.domain)
        for name in ("child", "given", "silent")
    )
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        row = uow.session.get_one(SubjectRow, child.subject_id)
        row.minor_until = NOON + timedelta(days=800)
        uow.touch(child.subject_id)
        uow.record(SomethingHappened())
        uow.commit()
    give(world, given)
    signed_in_as(world, silent)
    submit(world.client, page_of(asked(world, shop, silent)), {"answer": "never"})
    world.clock.advance(days=400)
    assert "access_request" in decision(world, shop, silent)["context"]
    refused = [asked(world, shop, each).get_json() for each in (child, given, silent)]
    assert refused[0]["type"] == "/problems/not-requestable"
    assert refused[0] == refused[1] == refused[2]


@SQLITE
def test_a_form_that_is_sent_twice_shows_what_became_of_the_first(
    world: World, shop: Actor, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = page_of(asked(world, shop, ana, return_to=f"{SHOP}/back"))
    requests = world.placet.access_requests
    once = requests.answer

    def after_the_other_tab(uow: UnitOfWork, *which: Any, **said: Any) -> Any:
        once(uow, *which, **said)
        return once(uow, *which, **said)

    monkeypatch.setattr(requests, "answer", after_the_other_tab)
    answered = submit(world.client, path, {"answer": "no"})
    assert (answered.status_code, answered.location) == (303, f"{path}?done=1")
    assert said(world, ana) == [ConsentAction.REQUESTED, ConsentAction.REFUSED]
    assert world.client.get(answered.location).headers["Refresh"].endswith("/back?status=refused")


@SQLITE
def test_nobody_is_sent_where_the_application_is_no_longer(
    world: World, shop: Actor, ana: Person
) -> None:
    path = page_of(asked(world, shop, ana, return_to=f"{SHOP}/back"))
    submit(world.client, path, {"answer": "no"})
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        moved = ClientSettings(
            name="La tienda",
            redirect_uris=["https://new.example/callback"],
            scopes=["openid", "decisions:evaluate"],
            purposes=frozenset(PURPOSES),
        )
        world.placet.clients.change(uow, shop.client_id or "", moved)
    shown = world.client.get(f"{path}?done=1")
    assert shown.status_code == 200
    assert "Refresh" not in shown.headers
    assert SHOP not in shown.text


@SQLITE
def test_a_question_that_cannot_be_asked_says_why(world: World, shop: Actor, ana: Person) -> None:
    invented = Person("", "d1v1_" + "A" * 32)
    assert code(asked(world, shop, ana, "horoscope")) == (422, "unknown-purpose")
    assert code(asked(world, shop, ana, "loyalty")) == (403, "purpose-not-of-application")
    assert code(asked(world, shop, invented)) == (404, "not-found")
    for address in ("https://evil.example/", "javascript:alert(1)", f"{SHOP}.evil.example/"):
        answer = asked(world, shop, ana, return_to=address)
        assert code(answer) == (422, "invalid-input")
        assert answer.get_json()["errors"][0]["field"] == "return_to"
    assert code(asked(world, shop, ana, return_to=5)) == (400, "malformed-evaluation")
    assert code(asked(world, shop, ana, subject={"type": "application", "id": "other"})) == (
        403,
        "forbidden",
    )
    give(world, ana)
    assert code(asked(world, shop, ana)) == (409, "not-requestable")
    refuse(world, ana)
    assert code(asked(world, shop, ana)) == (409, "not-requestable")
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.consents.object_to(
            uow, ana.subject_id, "newsletter", channel=ConsentChannel.WEB
        )
        uow.commit()
    world.clock.advance(days=800)
    assert code(asked(world, shop, ana)) == (409, "not-requestable")


def test_of_many_who_ask_at_once_as_many_get_through_as_may(
    world: World, shop: Actor, ana: Person
) -> None:
    def attempt(number: int) -> int:
        return asked(world, shop, ana, PURPOSES[number % 4]).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(attempt, range(8)))
    assert statuses.count(201) == 3
    assert set(statuses) <= {201, 409, 429}
    assert said(world, ana) == [ConsentAction.REQUESTED] * 3
    with world.placet.runtime.snapshot() as session:
        units = [each.purpose for each in world.placet.consents.history(session, ana.subject_id)]
    assert len(set(units)) == 3


R = DecisionReason
MAY = {R.NO_CONSENT, R.CONSENT_EXPIRED, R.CONSENT_INVALIDATED, R.NOTICE_CHANGED}


def test_a_denial_is_asked_about_only_for_reasons_that_asking_changes() -> None:
    def fact(action: ConsentAction, at: datetime) -> ConsentFact:
        return ConsentFact(action, at, 1, None, explicit=True)

    assert {each for each in R if may_ask([each], None, NOON)} == MAY
    assert not may_ask([], None, NOON)
    assert may_ask([R.CONSENT_EXPIRED, R.NOTICE_CHANGED], None, NOON)
    assert not may_ask([R.OBJECTED, R.NO_CONSENT], None, NOON)
    year_ago = NOON.replace(year=NOON.year - 1)
    for reason in (R.CONSENT_REFUSED, R.CONSENT_WITHDRAWN):
        assert may_ask([reason], fact(ConsentAction.REFUSED, year_ago), NOON)
        late = year_ago + timedelta(microseconds=1)
        assert not may_ask([reason], fact(ConsentAction.REFUSED, late), NOON)
