"""The privacy centre: an honest choice, the exact words, one step to take it back."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from policies.register import publication
from policies.vocabulary import ConsentAction
from tests.privacy.consent.test_receipts import published_keys, verify_jws
from tests.privacy.consent.test_service import counts
from tests.support.cast import Person, give, introduce, refuse, signed_in_as, withdraw
from tests.support.forms import csrf_token, forms, hidden_fields
from tests.support.sample import PAGES
from tests.support.world import World, make_world

pytestmark = PAGES

CONSENTS = ["newsletter", "recommendations", "partner-advertising", "analytics"]


def card(page: str, purpose: str) -> str:
    """The HTML of one purpose's card."""
    found = re.search(
        rf'<article class="card consent" id="{purpose}".*?</article>', page, re.DOTALL
    )
    assert found, purpose
    return found.group(0)


def press(client: FlaskClient, purpose: str, action: str, page: str | None = None) -> TestResponse:
    """Press the card's button, as a browser would: with the form's hidden fields."""
    whole = page or client.get("/privacy").text
    [form] = forms(card(whole, purpose))
    assert f'value="{action}"' in form
    target = re.search(r'action="([^"]+)"', form)
    assert target
    fields = hidden_fields(form) | {"action": action, "csrf_token": csrf_token(whole)}
    return client.post(target.group(1).replace("&amp;", "&"), data=fields)


def actions(world: World, person: Person) -> list[ConsentAction]:
    with world.placet.runtime.snapshot() as session:
        return [e.action for e in world.placet.consents.history(session, person.subject_id)]


def test_a_stranger_is_asked_to_sign_in(world: World, ana: Person) -> None:
    world.app.extensions["placet.session"] = lambda: None
    for path in ("/privacy", "/privacy/history", "/privacy/uses"):
        response = world.client.get(path, headers={"Accept": "text/html"})
        assert response.status_code == 303
        assert response.headers["Location"].startswith("/login?next=")


def test_the_centre_shows_what_the_person_decides_before_what_rests_on_something_else(
    world: World, ana: Person
) -> None:
    page = world.client.get("/privacy").text
    assert re.findall(r'<article class="card consent" id="([^"]+)"', page) == [
        "newsletter",
        "offers",
        "recommendations",
        "partner-advertising",
        "partner-offers",
        "analytics",
        "loyalty",
        "tastings",
        "orders",
        "invoices",
    ]
    assert page.count("Aún no has decidido") == 4 + (1 + 3) + (1 + 2)  # each group, each unit
    assert "checked" not in page
    for purpose in ("loyalty", "orders", "invoices"):
        assert forms(card(page, purpose)) == []
    assert "RGPD, artículo 6.1.b" in card(page, "loyalty")
    newsletter = card(page, "newsletter")
    for words in ("Nombre y correo electrónico", "Correo Almendro, S.L.", "Mientras tú quieras"):
        assert words in newsletter, words
    assert "Versión 2, en vigor desde el 2 de febrero de 2026" in newsletter
    assert "No miramos si abres la carta" in newsletter


def test_accept_and_refuse_are_equal_buttons_and_nothing_is_chosen(
    world: World, ana: Person
) -> None:
    page = world.client.get("/privacy").text
    for purpose in CONSENTS:
        accept, refuse_ = re.findall(r"<button.*?</button>", card(page, purpose), re.DOTALL)
        same = accept.replace("grant", "refuse").replace("Aceptar", "Rechazar")
        assert same == refuse_
    assert "button-primary" not in page


def test_withdrawing_takes_no_more_steps_than_granting(world: World, ana: Person) -> None:
    client = world.client
    steps = {}
    for action in ("grant", "withdraw"):
        response = press(client, "newsletter", action)
        assert response.status_code == 303
        assert response.headers["Location"] == "/privacy#done"
        steps[action] = 1  # one form, and the answer is the page itself again
        assert client.get(response.headers["Location"]).status_code == 200
    assert steps["withdraw"] <= steps["grant"]
    assert actions(world, ana) == [ConsentAction.GIVEN, ConsentAction.WITHDRAWN]


def test_a_change_is_named_and_a_grant_can_be_undone(world: World, ana: Person) -> None:
    client = world.client
    press(client, "newsletter", "grant")
    page = client.get("/privacy").text
    said = page.index("Has aceptado: La carta del mes.")
    assert (
        page.index('id="done"') < said < page.index('<article class="card consent" id="newsletter"')
    )
    assert "Aceptado el 3 de marzo de 2026" in card(page, "newsletter")
    assert "Caduca el 3 de marzo de 2028" in card(page, "newsletter")
    [undo] = [form for form in forms(page) if "Deshacer" in form]
    fields = hidden_fields(undo)
    target = re.search(r'action="([^"]+)"', undo)
    assert target
    assert client.post(target.group(1), data=fields).status_code == 303
    page = client.get("/privacy").text
    assert "Has retirado tu consentimiento: La carta del mes." in page
    assert "Deshacer" not in page  # a consent is given on its card, beside its notice
    assert actions(world, ana) == [ConsentAction.GIVEN, ConsentAction.WITHDRAWN]


def test_what_was_refused_can_be_accepted_and_what_was_withdrawn_again(
    world: World, ana: Person
) -> None:
    client = world.client
    for action in ("refuse", "grant", "withdraw", "grant"):
        assert press(client, "recommendations", action).status_code == 303
    assert [action.value for action in actions(world, ana)] == [
        "refused",
        "given",
        "withdrawn",
        "given",
    ]


def test_the_page_pins_the_language_that_it_showed(world: World, ana: Person) -> None:
    client = world.client
    page = client.get("/privacy?lang=en").text
    assert "The monthly letter" in card(page, "newsletter")
    press(client, "newsletter", "grant", page)
    with world.placet.runtime.snapshot() as session:
        [event] = world.placet.consents.history(session, ana.subject_id)
        words = world.placet.consents.words_of(session, event)
    assert event.language == "en"
    assert words.text.startswith("# The monthly letter")
    assert event.explicit


def test_a_notice_that_changed_under_the_person_is_shown_and_nothing_recorded(
    world: World, ana: Person
) -> None:
    client = world.client
    page = client.get("/privacy").text
    before = counts(world)
    response = client.post(
        "/privacy/consents?language=es",
        data={
            "purpose": "newsletter",
            "action": "grant",
            "notice_version": "1",
            "csrf_token": csrf_token(page),
        },
    )
    assert response.status_code == 409
    assert "El aviso de «La carta del mes» ha cambiado y no hemos guardado nada" in response.text
    assert 'name="notice_version" value="2"' in card(response.text, "newsletter")
    assert counts(world) == before


FORGED = [
    {"purpose": "horoscope", "action": "grant", "notice_version": "1"},
    {"purpose": "newsletter", "action": "sell", "notice_version": "2"},
    {"purpose": "newsletter", "action": "grant", "notice_version": "two"},
    {"purpose": "loyalty", "action": "grant", "notice_version": "1"},
    {"purpose": "loyalty", "action": "object", "notice_version": "1"},
    {"purpose": "newsletter", "action": "grant"},
    {"action": "grant", "notice_version": "2"},
    {"purpose": "newsletter\x00", "action": "withdraw", "notice_version": "2"},
    {"purpose": "newsletter", "action": "grant", "notice_version": "2", "all": "yes"},
]


def test_a_form_that_no_page_of_ours_sends_changes_nothing(world: World, ana: Person) -> None:
    client = world.client
    token = csrf_token(client.get("/privacy").text)
    before = counts(world)
    for data in FORGED:
        response = client.post("/privacy/consents?language=es", data=data | {"csrf_token": token})
        assert 400 <= response.status_code < 500, data
        assert counts(world) == before, data


def test_a_form_without_its_token_is_refused(world: World, ana: Person) -> None:
    before = counts(world)
    response = world.client.post(
        "/privacy/consents?language=es",
        data={"purpose": "newsletter", "action": "grant", "notice_version": "2"},
    )
    assert response.status_code == 400
    assert counts(world) == before


def test_withdrawing_twice_says_that_there_was_nothing_left(world: World, ana: Person) -> None:
    give(world, ana)
    client = world.client
    stale = client.get("/privacy").text
    press(client, "newsletter", "withdraw", stale)
    before = counts(world)
    assert press(client, "newsletter", "withdraw", stale).status_code == 303
    assert "No había nada que retirar" in client.get("/privacy").text
    assert counts(world) == before


def test_a_consent_that_ends_soon_or_has_ended_says_so(world: World, ana: Person) -> None:
    event = give(world, ana)
    assert event.expires_at
    world.clock.now = event.expires_at - timedelta(days=12)
    assert "Caduca en 12 días." in card(world.client.get("/privacy").text, "newsletter")
    world.clock.now = event.expires_at
    expired = card(world.client.get("/privacy").text, "newsletter")
    assert "Caducó el 3 de marzo de 2028" in expired
    assert 'value="grant"' in expired


def test_a_material_change_asks_again_with_both_answers(
    world: World, ana: Person, register_folder: Path, database_url: str, instance: Path
) -> None:
    give(world, ana)
    for language in ("es", "en"):
        before = register_folder / "notices" / "newsletter" / f"2.{language}.md"
        before.with_name(f"3.{language}.md").write_text(before.read_text() + "\nY más.\n")
    publication.publish(register_folder, world.clock().date())
    later = make_world(database_url, instance, seed="later", PLACET_REGISTER=str(register_folder))
    signed_in_as(later, ana)
    newsletter = card(later.client.get("/privacy").text, "newsletter")
    assert "El aviso ha cambiado: decide otra vez" in newsletter
    assert re.findall(r'name="action" value="([^"]+)"', newsletter) == ["grant", "refuse"]
    later.placet.runtime.database.engine.dispose()


def test_a_legitimate_interest_can_be_objected_to_and_the_objection_lifted(
    world: World, ana: Person, register_folder: Path, database_url: str, instance: Path
) -> None:
    purposes = register_folder / "purposes.toml"
    purposes.write_text(
        purposes.read_text()
        + '\n[fraud]\ntitle = { es = "Evitar fraudes", en = "Preventing fraud" }\n'
        'summary = { es = "Miramos si un pedido parece falso.", en = "We look for fakes." }\n'
        'legal_basis = "legitimate-interests"\ndata_categories = ["purchases"]\n'
        'recipients = ["hosting"]\nretention = "contract-claims"\nnotice = "purchases"\n'
        'dpv_purpose = "dpv:FraudPreventionAndDetection"\n'
    )
    shop = make_world(database_url, instance, seed="shop", PLACET_REGISTER=str(register_folder))
    signed_in_as(shop, ana)
    client = shop.client
    assert press(client, "fraud", "object").status_code == 303
    page = client.get("/privacy").text
    assert "Te has opuesto: Evitar fraudes." in page
    assert "Te opusiste el 3 de marzo de 2026" in card(page, "fraud")
    assert "Evitar fraudes" in client.get("/privacy/history").text
    assert press(client, "fraud", "lift-objection").status_code == 303
    assert "Ya no te opones: Evitar fraudes." in client.get("/privacy").text
    shop.settle()
    assert shop.verify().ok
    shop.placet.runtime.database.engine.dispose()


def test_the_history_tells_everything_with_day_hour_and_receipt(world: World, ana: Person) -> None:
    client = world.client
    assert "Aún no has decidido nada" in client.get("/privacy/history").text
    refuse(world, ana)
    world.clock.advance(hours=1)
    event = give(world, ana)
    page = client.get("/privacy/history").text
    assert page.index("Aceptaste: La carta del mes") < page.index("Rechazaste: La carta del mes")
    assert "3 de marzo de 2026, 12:00:00 CET" in page
    assert "3 de marzo de 2026, 13:00:00 CET" in page
    assert f"/privacy/receipts/{event.event_id}" in page


def test_a_receipt_can_be_read_and_downloaded_signed(world: World, ana: Person) -> None:
    event = give(world, ana)
    withdraw(world, ana)
    client = world.client
    address = f"/privacy/receipts/{event.event_id}"
    assert "Dentro de unos segundos" in client.get(address).text
    world.settle()
    page = client.get(address).text
    assert "No miramos si abres la carta" in page
    assert "puede cambiar ni quitar una línea sin que se note" in page
    assert "Correo Almendro, S.L. (España)" in page
    signed = client.get(f"{address}.jws")
    assert signed.mimetype == "application/jose"
    _header, claims = verify_jws(signed.text, published_keys(world))
    assert claims["pii_principal_id"] not in (ana.subject_id, ana.pseudonym)
    linked = client.get(f"{address}.jsonld")
    assert linked.mimetype == "application/ld+json"
    assert json.loads(linked.text)["@type"] == "dpv:ConsentReceipt"
    assert client.get(f"{address}.kantara.json").get_json()["version"] == "KI-CR-v1.1.0"
    plain = client.get(f"{address}.json")
    assert plain.get_json() == claims
    assert plain.headers["Content-Disposition"].startswith("attachment")


def test_nobody_reads_anothers_receipt(world: World, ana: Person) -> None:
    event = give(world, ana)
    signed_in_as(world, introduce(world, "bruno@example.com"))
    for suffix in ("", ".json", ".jws", ".jsonld", ".kantara.json"):
        path = f"/privacy/receipts/{event.event_id}{suffix}"
        assert world.client.get(path).status_code == 404
        assert world.client.get(f"/privacy/receipts/{'z' * 32}{suffix}").status_code == 404


@pytest.mark.parametrize("language", ["es", "en"])
def test_every_page_opens_in_both_languages_without_inline_script(
    world: World, ana: Person, language: str
) -> None:
    event = give(world, ana)
    receipt = f"/privacy/receipts/{event.event_id}"
    for path in ("/privacy", "/privacy/history", "/privacy/uses", receipt):
        response = world.client.get(f"{path}?lang={language}")
        assert response.status_code == 200
        assert f'<html lang="{language}">' in response.text
        assert not re.search(r"<script(?![^>]* src=)|\sstyle=|<style", response.text)
