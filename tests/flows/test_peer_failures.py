"""What other consent services do wrong, tried on this one.

Each test names the failure it restates. Of c15t 2.2.1 (github.com/c15t/c15t): found by running it, or
its issues #435, #545, #546, #868, #986, #987, #1084. Of Fides 2.86 (github.com/ethyca/fides): #2231,
#4132, #4649. Of OneTrust: its change log of 2024-06-10.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from policies.vocabulary import ConsentAction, Scope
from tests.support.cast import (
    PURPOSES,
    SCOPES,
    Person,
    application,
    ask,
    calls_as,
    give,
    introduce,
    refuse,
    signed_in_as,
    withdraw,
)
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

MARKETING = "newsletter"
#: Gives data to a partner, so Global Privacy Control is about it.
SHARED = "partner-advertising"


@pytest.fixture
def ana(world: World) -> Person:
    """Ana, with a proved address, known to the shop, which is calling."""
    person = introduce(world)
    calls_as(world, application(purposes=PURPOSES | {SHARED}))
    return person


def word(person: Person, **changes: Any) -> dict[str, Any]:
    """The body that records a consent."""
    return {
        "subject": person.pseudonym,
        "purpose": MARKETING,
        "notice_version": 2,
        "language": "es",
        "channel": "web",
    } | changes


def answer(world: World, person: Person, purpose: str = MARKETING) -> tuple[bool, list[str]]:
    found = ask(world, person, purpose)
    assert found.status_code == 200
    body = found.get_json()
    return body["decision"], body["context"]["reasons"]


def history(world: World, person: Person) -> list[tuple[ConsentAction, str]]:
    with world.placet.runtime.snapshot() as session:
        events = world.placet.consents.history(session, person.subject_id)
    return [(event.action, event.purpose) for event in events]


def signals(world: World, person: Person, *, gpc: bool = True) -> dict[str, Any]:
    found = world.client.post("/v1/signals", json={"subject": person.pseudonym, "gpc": gpc})
    assert found.status_code == 200, found.text
    told: dict[str, Any] = found.get_json()
    return told


def test_who_only_ever_refused_is_not_said_to_have_consented(world: World, ana: Person) -> None:
    """c15t: the check answers hasConsent after a full refusal."""
    for purpose in (MARKETING, "recommendations"):
        refuse(world, ana, purpose, version=2 if purpose == MARKETING else 1)
        assert answer(world, ana, purpose) == (False, ["consent-refused"])


def test_a_refusal_is_kept_as_one_and_not_as_an_absence(world: World, ana: Person) -> None:
    """c15t: only the accepted purposes are stored."""
    give(world, ana)
    refuse(world, ana, "recommendations", version=1)
    assert set(history(world, ana)) == {
        (ConsentAction.GIVEN, MARKETING),
        (ConsentAction.REFUSED, "recommendations"),
    }


def test_a_withdrawal_leaves_the_grant_it_ends_in_the_history(world: World, ana: Person) -> None:
    """A state that is overwritten proves nothing (c15t #545)."""
    given = give(world, ana)
    world.clock.advance(days=1)
    withdraw(world, ana)
    with world.placet.runtime.snapshot() as session:
        events = world.placet.consents.history(session, ana.subject_id)
    assert given in events
    assert {event.action for event in events} == {ConsentAction.GIVEN, ConsentAction.WITHDRAWN}
    assert answer(world, ana)[0] is False


@pytest.mark.parametrize("change", ["UPDATE consent_event SET action = 'given'"])
def test_the_history_cannot_be_rewritten_in_the_database_either(
    world: World, ana: Person, change: str
) -> None:
    refuse(world, ana)
    with (
        world.placet.runtime.database.engine.connect() as connection,
        pytest.raises(sa.exc.DBAPIError),
    ):
        connection.execute(sa.text(change))
    assert history(world, ana) == [(ConsentAction.REFUSED, MARKETING)]


def test_nobody_writes_reads_or_asks_without_a_token(world: World) -> None:
    """c15t #986, #987: consent writes, reads and checks need no authentication."""
    ana = introduce(world)
    give(world, ana)
    before = history(world, ana)
    client = world.client
    question = {
        "subject": {"type": "application", "id": "shop"},
        "action": {"name": MARKETING},
        "resource": {"type": "person", "id": ana.pseudonym},
    }
    answers = [
        client.post("/v1/consents", json=word(ana, action="withdrawn")),
        client.get("/v1/consents", query_string={"subject": ana.pseudonym}),
        client.post("/v1/signals", json={"subject": ana.pseudonym, "gpc": True}),
        client.post("/access/v1/evaluation", json=question),
    ]
    assert [found.status_code for found in answers] == [401] * len(answers)
    assert ana.pseudonym not in "".join(found.text for found in answers)
    assert history(world, ana) == before


def test_no_application_moves_a_person_to_another_identity(world: World, ana: Person) -> None:
    """c15t #987: whoever knows a subject's id can link it to somebody else's account."""
    bruno = introduce(world, "bruno@example.com")
    give(world, ana)
    for method in ("PATCH", "PUT", "DELETE"):
        for path in ("/v1/consents", f"/v1/consents/{ana.pseudonym}", "/v1/pseudonyms"):
            sent = {"subject": ana.pseudonym, "email": "bruno@example.com"}
            assert world.client.open(path, method=method, json=sent).status_code in {404, 405}
    both = word(ana, subject={"email": "bruno@example.com", "pseudonym": ana.pseudonym})
    assert world.client.post("/v1/consents", json=both).status_code == 422
    assert answer(world, ana)[0] is True
    assert answer(world, bruno) == (False, ["no-consent"])


def test_an_unknown_person_is_denied_like_one_who_said_nothing(world: World, ana: Person) -> None:
    """A 404 for the unknown tells who is known, and a client takes an error for what it likes."""
    stranger = Person("0" * 32, ana.pseudonym[:-8] + "AAAAAAAA")
    decision, reasons = answer(world, stranger)
    assert (decision, reasons) == (False, ["unknown-person"])


def test_a_call_that_fails_loses_no_refusal(world: World, ana: Person) -> None:
    """c15t #1084, #546: a saved rejection is lost when one call fails, and consent is assumed."""
    refuse(world, ana)
    failing = [
        word(ana, notice_version=1),  # no longer shown
        word(ana, purpose="nonsense"),
        word(ana, language="xx"),
        word(ana, action="maybe"),
        ["not", "an", "object"],
    ]
    for body in failing:
        assert world.client.post("/v1/consents", json=body).status_code in {400, 409, 422}
    assert answer(world, ana) == (False, ["consent-refused"])
    assert history(world, ana) == [(ConsentAction.REFUSED, MARKETING)]


def test_looking_at_pages_saves_no_consent(world: World, ana: Person) -> None:
    """c15t #70, Fides #4649: a dialogue that was opened or closed saved preferences."""
    refuse(world, ana)
    signed_in_as(world, ana)
    client = world.client
    for path in ("/privacy", "/account", "/privacy", "/v1/purposes"):
        client.get(path, headers={"Accept": "text/html"})
    assert history(world, ana) == [(ConsentAction.REFUSED, MARKETING)]


def test_a_consent_ends_with_its_term_though_no_job_ran(world: World, ana: Person) -> None:
    """c15t: validUntil is written and never read."""
    give(world, ana)
    world.clock.advance(days=731)
    decision, reasons = answer(world, ana)
    assert (decision, reasons) == (False, ["consent-expired"])


def test_an_earlier_text_is_no_consent_to_the_one_in_force(world: World, ana: Person) -> None:
    """c15t: the check ignores what was agreed to."""
    stale = world.client.post("/v1/consents", json=word(ana, notice_version=1))
    assert stale.status_code == 409
    assert answer(world, ana)[0] is False


def test_no_purpose_comes_into_being_because_a_client_sent_it(world: World, ana: Person) -> None:
    """c15t: purposes are created from whatever codes the client sends."""
    sent = word(ana, purpose="sell-everything")
    calls_as(world, application(purposes=PURPOSES | {SHARED, "sell-everything"}))
    assert world.client.post("/v1/consents", json=sent).status_code == 422
    listed = world.client.get("/v1/purposes").get_json()["purposes"]
    assert "sell-everything" not in {each["id"] for each in listed}
    assert answer(world, ana, "sell-everything") == (False, ["unknown-purpose"])


def test_global_privacy_control_ends_what_was_agreed_to_before(world: World, ana: Person) -> None:
    """Fides #2231: the signal lost against a choice that was made before it."""
    give(world, ana, SHARED, version=1)
    assert answer(world, ana, SHARED)[0] is True
    world.clock.advance(minutes=1)
    assert signals(world, ana)["objected"] == [SHARED]
    assert answer(world, ana, SHARED)[0] is False


def test_an_express_consent_is_not_undone_by_the_same_signal_again(
    world: World, ana: Person
) -> None:
    """Fides #4132: a browser that goes on sending the signal overrode what the person then chose."""
    assert signals(world, ana)["objected"] == [SHARED]
    world.clock.advance(minutes=1)
    give(world, ana, SHARED, version=1, explicit=True)
    world.clock.advance(minutes=1)
    assert answer(world, ana, SHARED)[0] is True
    assert signals(world, ana)["changed"] is False
    assert answer(world, ana, SHARED)[0] is True


def test_asking_records_nothing(world: World, ana: Person) -> None:
    """A check that writes events is no evidence of what the person did."""
    give(world, ana)
    before = history(world, ana)
    for _ in range(3):
        answer(world, ana)
        answer(world, ana, "recommendations")
    assert history(world, ana) == before


def test_the_person_s_own_copy_holds_each_consent_with_its_words(world: World, ana: Person) -> None:
    """c15t #868: how is the consent history to come into the answer to an access request?"""
    given = give(world, ana)
    with world.placet.runtime.snapshot() as session:
        copied = str(world.placet.consents.export(session, ana.subject_id))
    assert given.event_id in copied
    assert given.notice_digest in copied


def test_every_consent_stands_in_the_log_and_the_log_proves_it(world: World, ana: Person) -> None:
    """c15t #435, #545: the audit table holds identity links alone, and nothing protects it."""
    events = [give(world, ana), withdraw(world, ana), refuse(world, ana)]
    world.settle()
    assert world.verify().ok
    calls_as(world, application(scopes=SCOPES | {Scope.AUDIT_READ}))
    for event in events:
        found = world.client.get("/v1/audit/proof", query_string={"entry_id": event.entry_id})
        assert found.status_code == 200


def test_evidence_is_exported_as_often_as_it_is_needed(world: World, ana: Person) -> None:
    """OneTrust: six bulk exports a month."""
    give(world, ana)
    world.settle()
    calls_as(world, application(scopes=SCOPES | {Scope.REPORTS_READ}))
    statuses = {world.client.get("/v1/reports/consents").status_code for _ in range(20)}
    assert statuses == {200}
