"""The signed-in person's rights, each from its page to its effect."""

import re

import pytest
import sqlalchemy as sa

from policies.vocabulary import Right, Scope
from privacy.audit import store as audit_store
from privacy.audit.leaf import parse_leaf
from privacy.consent.notice_html import render_notice
from privacy.rights.store import RequestRow
from tests.privacy.rights.steps import (
    browse_as,
    mailed,
    of_person,
    reference_in,
    signed_out,
    state_of,
    words,
)
from tests.support.cast import ANA, Person, application, ask, calls_as, give, introduce, refuse
from tests.support.forms import csrf_token, submit
from tests.support.sample import PAGES
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = PAGES


def ana_signs_in(world: World) -> Person:
    ana = introduce(world)
    browse_as(world, of_person(ana))
    return ana


def profile(world: World, person: Person) -> dict[str, str]:
    with world.placet.runtime.snapshot() as session:
        found = world.placet.subjects.profile(session, person.subject_id)
    return {name.value: value for name, value in found.items()}


def leaf_types(world: World) -> list[str]:
    with world.placet.runtime.snapshot() as session:
        return [
            parse_leaf(entry.leaf).type for entry in session.scalars(sa.select(audit_store.Entry))
        ]


@pytest.mark.parametrize("language", ["es", "en"])
def test_every_right_has_a_page_in_both_languages(world: World, language: str) -> None:
    ana_signs_in(world)
    for right in Right:
        page = world.client.get(f"/rights/{right.value}?lang={language}")
        assert page.status_code == 200
        assert f'<html lang="{language}">' in page.text


def test_an_anonymous_visitor_is_led_to_sign_in(world: World) -> None:
    answer = world.client.get("/rights/erasure", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/login?next=%2Frights%2Ferasure"


def test_access_is_fulfilled_at_once_with_reference_due_date_and_letter(
    world: World, mail_server: MailServer
) -> None:
    ana_signs_in(world)
    reference = reference_in(submit(world.client, "/rights/access", {}))
    assert re.fullmatch(r"D-2026-\d{6}", reference)
    assert state_of(world, reference) == "fulfilled"
    letter = mailed(world, mail_server)
    assert reference in str(letter["Subject"])
    with world.placet.runtime.snapshot() as session:
        row = session.scalars(sa.select(RequestRow)).one()
    assert row.due_effective.isoformat() == "2026-04-06"  # 3 April is Good Friday
    assert reference in world.client.get("/rights").text


def test_the_copy_holds_account_consents_with_their_texts_uses_and_the_law(
    world: World,
) -> None:
    ana = ana_signs_in(world)
    give(world, ana)
    refuse(world, ana, "recommendations", version=1)
    calls_as(world, application(scopes=frozenset({Scope.DECISIONS_EVALUATE})))
    ask(world, ana)
    world.count_uses()
    client = world.client
    page = f"/rights/requests/{reference_in(submit(client, '/rights/access', {}))}"
    copy = submit(client, page, {"form": "json"}, to=f"{page}/data")
    assert copy.headers["Content-Disposition"].startswith("attachment")
    data = copy.json
    assert data is not None
    assert data["data"]["profile"]["emails"] == [ANA]
    events = data["data"]["consents"]["events"]
    notice = world.placet.register.revision_of("newsletter", 2)
    assert notice is not None
    assert [(e["purpose"], e["action"]) for e in events] == [
        ("newsletter", "given"),
        ("recommendations", "refused"),
    ]
    assert events[0]["text"] == notice.texts["es"]
    assert data["data"]["uses"]["uses"][0]["purpose"] == "newsletter"
    assert data["data"]["rights_requests"]["requests"][0]["right"] == "access"
    processing = data["processing"]
    names = [r["name"] for p in processing["purposes"] for r in p["recipients"]]
    assert "Mediterránea de Audiencias, S.A." in names
    assert processing["complaint"]["authority"] == "Agencia Española de Protección de Datos"
    assert data["controller"]["dpo_email"] == "dpd@olivarysal.example"


def test_the_readable_copy_shows_the_same_and_can_be_printed(world: World) -> None:
    ana = ana_signs_in(world)
    give(world, ana)
    client = world.client
    page = f"/rights/requests/{reference_in(submit(client, '/rights/access', {}))}"
    copy = submit(client, page, {"form": "html"}, to=f"{page}/data")
    assert copy.status_code == 200
    assert "data-print" in copy.text
    for text in (ANA, "Tus consentimientos", "Correo Almendro, S.L.", "www.aepd.es"):
        assert text in copy.text
    notice = world.placet.register.revision_of("newsletter", 2)
    assert notice is not None
    assert str(render_notice(notice.texts["es"], below=2)) in copy.text


def test_taking_the_data_is_logged_and_looking_at_the_request_is_not(world: World) -> None:
    ana_signs_in(world)
    client = world.client
    page = f"/rights/requests/{reference_in(submit(client, '/rights/access', {}))}"
    client.get(page)
    assert "rights:data:downloaded" not in leaf_types(world)
    submit(client, page, {"form": "json"}, to=f"{page}/data")
    assert leaf_types(world).count("rights:data:downloaded") == 1


def test_rectification_changes_the_field_at_once_and_records_before_and_after(
    world: World, mail_server: MailServer
) -> None:
    ana = ana_signs_in(world)
    for value in ("Ana", "Ana María"):
        typed = {"attribute": "given_name", "value": f" {value} "}
        reference = reference_in(submit(world.client, "/rights/rectification", typed))
        assert state_of(world, reference) == "fulfilled"
    assert profile(world, ana) == {"given_name": "Ana María"}
    with world.placet.runtime.snapshot() as session:
        payloads = audit_store.payloads_of(session, ana.subject_id)
        found = [world.placet.log.disclose(session, each).payload for each in payloads]
    changes = [
        each["evidence"]
        for each in found
        if isinstance(each["evidence"], dict) and "before" in each["evidence"]
    ]
    assert changes == [
        {"before": None, "after": "Ana"},
        {"before": "Ana", "after": "Ana María"},
    ]
    world.settle()
    assert world.verify().ok


def test_a_refused_form_keeps_what_was_typed_and_changes_nothing(world: World) -> None:
    ana = ana_signs_in(world)
    typed = {"attribute": "phone", "value": "9" * 201}
    answer = submit(world.client, "/rights/rectification", typed)
    assert answer.status_code == 422
    assert 'id="value-error"' in answer.text
    assert "9" * 201 in answer.text
    assert re.search(r'value="phone" checked', answer.text)
    assert profile(world, ana) == {}


def test_an_objection_shows_in_the_next_decision_and_tells_of_the_exclusion_systems(
    world: World, mail_server: MailServer
) -> None:
    ana = ana_signs_in(world)
    give(world, ana)
    calls_as(world, application(scopes=frozenset({Scope.DECISIONS_EVALUATE})))
    before = ask(world, ana).json
    assert before is not None
    assert before["decision"] is True
    answer = submit(world.client, "/rights/objection", {"purpose": "newsletter"})
    assert state_of(world, reference_in(answer)) == "fulfilled"
    after = ask(world, ana).json
    assert after is not None
    assert after["decision"] is False
    assert "objected" in after["context"]["reasons"]
    assert "Lista Robinson" in words(mailed(world, mail_server))


def test_a_purpose_that_rests_on_a_contract_is_not_offered_for_objection(world: World) -> None:
    ana_signs_in(world)
    page = world.client.get("/rights/objection").text
    assert 'value="newsletter"' in page
    assert 'value="orders"' not in page


def test_what_needs_a_human_waits_at_the_desk(world: World, mail_server: MailServer) -> None:
    ana_signs_in(world)
    answer = submit(world.client, "/rights/restriction", {"message": "Estoy reclamando"})
    assert state_of(world, reference_in(answer)) == "open"
    assert "6 de abril de 2026" in words(mailed(world, mail_server))


def test_a_person_asks_ten_times_an_hour(world: World) -> None:
    ana_signs_in(world)
    client = world.client
    token = csrf_token(client.get("/rights/access").text)
    codes = [
        client.post("/rights/access", data={"csrf_token": token}).status_code for _ in range(11)
    ]
    assert codes == [303] * 10 + [429]


def test_a_form_without_its_token_is_refused(world: World) -> None:
    ana_signs_in(world)
    assert world.client.post("/rights/erasure").status_code == 400
    with world.placet.runtime.snapshot() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(RequestRow)) == 0


def test_the_message_is_shown_as_text_and_never_as_markup(world: World) -> None:
    ana_signs_in(world)
    answer = submit(world.client, "/rights/restriction", {"message": "<script>x()</script>"})
    page = world.client.get(answer.headers["Location"]).text
    assert "<script>x()" not in page
    assert "&lt;script&gt;x()" in page


def test_without_a_session_the_page_is_the_public_form(world: World) -> None:
    signed_out(world)
    assert "¿Qué quieres pedir?" in world.client.get("/rights").text
