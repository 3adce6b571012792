"""The page that asks: what it says, what it records, and who may answer it."""

import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.provider.grant_store import GrantRow
from policies.register import publication
from policies.vocabulary import Attribute, EventTag
from privacy.actor import SYSTEM
from privacy.audit.leaf import parse_leaf
from privacy.audit.store import Entry
from privacy.consent.model import ConsentEvent
from privacy.settings import EXAMPLE_REGISTER
from tests.identity.provider.consent_page import (
    answer,
    arrive,
    asked,
    authorize,
    form_of,
    is_asked,
    signed_in,
)
from tests.identity.provider.relying_party import (
    RelyingParty,
    query_of,
    register,
    sign_in,
    sign_out,
)
from tests.support.cast import Person, give, introduce, refuse, withdraw
from tests.support.forms import forms, hidden_fields, submit
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
SCOPE = "openid email profile"
BOTH = ("newsletter", "orders")


@pytest.fixture
def ana(world: World) -> Person:
    known = introduce(world)
    sign_in(world, known.subject_id)
    return known


@pytest.fixture
def letter(world: World) -> RelyingParty:
    """A client whose purposes are one consent and one contract."""
    return register(
        world, scopes=("openid", "email", "profile", "offline_access"), purposes=BOTH, refresh=True
    )


def history(world: World, person: Person) -> list[ConsentEvent]:
    with world.placet.runtime.snapshot() as session:
        return world.placet.consents.history(session, person.subject_id)


def said(world: World, person: Person) -> list[tuple[str, str]]:
    return [(event.purpose, event.action.value) for event in history(world, person)]


def grants(world: World) -> int:
    with world.placet.runtime.snapshot() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(GrantRow)) or 0


def tags(world: World) -> Counter[str]:
    """How many entries of each kind the log has, placed or waiting."""
    with world.placet.runtime.snapshot() as session:
        return Counter(parse_leaf(leaf).type for leaf in session.scalars(sa.select(Entry.leaf)))


def test_the_page_names_who_asks_for_what_why_and_for_how_long(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    browser = letter.browser
    address = asked(browser, letter, scope=SCOPE + " offline_access")
    page = browser.get(address).text
    for words in (
        "Entrar en Tienda",
        "ana@example.com",  # what we hold
        "No lo tenemos",  # and what we do not
        "La carta del mes",
        "Te escribimos una vez al mes",  # the summary
        "Porque tú lo decides (RGPD, artículo 6.1.a)",
        "Para esto recibiría: correo electrónico y nombre.",
        "Leer el aviso completo",
        "Versión 2, en vigor desde el 2 de febrero de 2026",
        "Tus pedidos",
        "Parte de tu contrato",
        "hasta 30 días sin usarla y 180 como mucho",
        "lo que dejes sin marcar queda rechazado y no te lo volvemos a preguntar",
        'href="/account/applications"',
    ):
        assert words in page, words
    card = browser.get("/privacy").text
    notice = re.search(r'<div class="prose">.*?</div>', page, re.DOTALL)
    assert notice
    assert notice[0] in card  # word for word what the privacy centre shows
    assert page.count('type="checkbox"') == 1  # a contract is told, not asked
    assert "checked" not in page
    assert "<script>" not in page
    english = browser.get(address + "&lang=en")
    assert english.status_code == 200
    assert 'lang="en"' in english.text
    kept = re.search(r'href="\?([^"]+lang=es)"', english.text)
    assert kept, "the other language loses the request"
    assert is_asked(browser.get("/oauth/authorize?" + kept[1].replace("&amp;", "&")))


def test_accept_and_turn_back_differ_in_nothing_but_their_words(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    page = letter.browser.get(asked(letter.browser, letter, scope=SCOPE)).text
    go_on, back = re.findall(r'<button class="button"[^>]*name="action".*?</button>', page)
    go_on = go_on.replace(' aria-describedby="unticked"', "").replace("continue", "cancel")
    assert go_on.replace("Continuar", "Volver sin continuar") == back


def test_a_consent_given_there_is_the_same_evidence_as_one_of_the_privacy_centre(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    bruno = introduce(world, "bruno@example.com")
    signed_in(letter, "newsletter", scope=SCOPE)
    sign_in(world, bruno.subject_id)
    form = {"purpose": "newsletter", "action": "grant", "notice_version": "2"}
    sent = submit(letter.browser, "/privacy", form, to="/privacy/consents?language=es")
    assert sent.status_code == 303
    (here,), (there,) = history(world, ana), history(world, bruno)
    of_each = {"event_id": "", "subject_id": "", "entry_id": "", "ordinal": 0}
    assert replace(here, **of_each) == replace(there, **of_each)  # type: ignore[arg-type]  # as above
    world.settle()
    assert world.verify().ok
    sign_in(world, ana.subject_id)
    browser = letter.browser
    page = browser.get(f"/privacy/receipts/{here.event_id}").text
    assert "Aceptaste: La carta del mes" in page
    assert browser.get(f"/privacy/receipts/{here.event_id}.jws").status_code == 200
    assert "Aceptaste: La carta del mes" in browser.get("/privacy/history").text


def test_what_is_left_open_is_refused_once_and_nobody_is_asked_again(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    browser = letter.browser
    sent = answer(browser, asked(browser, letter, scope=SCOPE))
    assert "code" in arrive(browser, sent)
    assert said(world, ana) == [("newsletter", "refused")]
    again = authorize(letter.browser, letter, scope=SCOPE)
    assert "code" in query_of(again.location)
    assert "code" in query_of(authorize(letter.browser, letter, prompt="none").location)
    assert said(world, ana) == [("newsletter", "refused")]
    assert grants(world) == 1


def test_an_answer_of_the_privacy_centre_is_told_and_not_asked_for(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    for says in (refuse, give, withdraw):
        says(world, ana)
        page = letter.browser.get(asked(letter.browser, letter, scope=SCOPE)).text
        assert "Lo que ya habías decidido" in page
        assert 'type="checkbox"' not in page
    before = said(world, ana)
    signed_in(letter, scope=SCOPE)
    assert said(world, ana) == before
    assert not is_asked(authorize(letter.browser, letter, scope=SCOPE))


def test_openid_alone_asks_nothing_and_is_remembered(world: World, ana: Person) -> None:
    shop, before = register(world), tags(world)
    browser = shop.browser
    (form,) = (each for each in forms(authorize(browser, shop).text) if "/oauth/select" in each)
    target = unescape(re.findall(r'action="([^"]+)"', form)[0])
    assert "code" in arrive(browser, browser.post(target, data=hidden_fields(form)))
    assert grants(world) == 1
    made = EventTag.PROVIDER_GRANT_MADE.value
    assert (tags(world) - before)[made] == 1
    assert "code" in query_of(authorize(browser, shop).location)
    assert (tags(world) - before)[made] == 1
    nosy = register(world, scopes=("openid", "email"), purposes=("recommendations",))
    assert "code" in query_of(nosy.authorize(scope="openid email").location)  # no purpose needs it


def test_more_than_was_told_before_is_told(world: World, ana: Person, letter: RelyingParty) -> None:
    signed_in(letter, "newsletter", scope="openid email")
    assert not is_asked(authorize(letter.browser, letter, scope="openid email"))
    assert is_asked(authorize(letter.browser, letter, scope=SCOPE))
    by_name = '{"userinfo": {"given_name": null}}'
    assert is_asked(authorize(letter.browser, letter, scope="openid email", claims=by_name))
    offline = authorize(letter.browser, letter, scope="openid email offline_access")
    assert is_asked(offline)
    signed_in(letter, scope=SCOPE + " offline_access")
    for scope in ("openid email", SCOPE, SCOPE + " offline_access"):
        assert not is_asked(authorize(letter.browser, letter, scope=scope))


def test_prompt_none_never_shows_the_page(world: World, ana: Person, letter: RelyingParty) -> None:
    refused = authorize(letter.browser, letter, scope=SCOPE, prompt="none")
    assert query_of(refused.location)["error"] == "consent_required"
    direct = letter.browser.get(refused.request.full_path.replace("/authorize", "/consent"))
    assert query_of(letter.browser.get(direct.location).location)["error"] == "consent_required"
    assert said(world, ana) == []


def test_turning_back_says_access_denied_and_records_that_alone(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    browser, before = letter.browser, tags(world)
    sent = answer(browser, asked(browser, letter, scope=SCOPE), tick=BOTH[:1], action="cancel")
    told = arrive(browser, sent)
    assert (told["error"], told["state"]) == ("access_denied", "xyz")
    assert tags(world) - before == {EventTag.PROVIDER_GRANT_REFUSED.value: 1}
    assert (said(world, ana), grants(world)) == ([], 0)


def test_prompt_consent_shows_the_answers_as_they_stand_and_records_changes_alone(
    world: World, ana: Person
) -> None:
    shop = register(world, scopes=("openid", "email"), purposes=("newsletter", "loyalty"))
    signed_in(shop, "newsletter", scope="openid email")
    changes: Mapping[str, str | None] = {"scope": "openid email", "prompt": "consent"}
    browser = shop.browser
    address = asked(browser, shop, **changes)
    assert form_of(browser, address)["purpose"] == ["newsletter"]
    assert "code" in arrive(browser, answer(browser, address))
    assert said(world, ana) == [("newsletter", "given")]
    arrive(browser, answer(browser, address, tick=()))
    assert said(world, ana)[1:] == [("newsletter", "withdrawn")]
    assert form_of(browser, address)["purpose"] == []
    arrive(browser, answer(browser, address))
    assert len(said(world, ana)) == 2  # it was a no already
    arrive(browser, answer(browser, address, tick=["newsletter"]))
    assert said(world, ana)[2:] == [("newsletter", "given")]
    page = browser.get(asked(browser, shop, prompt="consent")).text
    assert "No pide ningún dato tuyo" in page


def test_a_purpose_that_was_not_asked_about_is_refused(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    browser = letter.browser
    address = asked(browser, letter, scope=SCOPE)
    for purpose in ("orders", "recommendations", "", "newsletter\0"):
        assert answer(browser, address, tick=["newsletter", purpose]).status_code == 422
    assert answer(browser, address, action="").status_code == 422
    assert (said(world, ana), grants(world)) == ([], 0)


def test_a_form_without_its_token_or_from_another_site_does_nothing(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    browser = letter.browser
    address = asked(browser, letter, scope=SCOPE)
    form = form_of(browser, address) | {"action": "continue", "purpose": "newsletter"}
    assert browser.post(address, data=form | {"csrf_token": ""}).status_code == 400
    cross = browser.post(address, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert cross.status_code == 400
    assert (
        letter.browser.post(address, data=form).status_code == 400
    )  # a browser without the cookie
    assert (said(world, ana), grants(world)) == ([], 0)


def test_only_the_session_that_saw_the_page_answers_it(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    browser = letter.browser
    address = asked(browser, letter, scope=SCOPE)
    form = form_of(browser, address) | {"action": "continue", "purpose": "newsletter"}
    bruno = introduce(world, "bruno@example.com")
    other = address.replace("xyz", "abc")
    for session, target in (
        ({"subject_id": bruno.subject_id, "account_id": "b" * 32}, address),
        ({"subject_id": ana.subject_id, "session_id": "6" * 64}, address),
        ({"subject_id": ana.subject_id}, other),  # another request than the one shown
    ):
        sign_in(world, **session)
        sent = browser.post(target, data=form)
        assert (sent.status_code, sent.location) == (303, target)  # it is shown to them, in turn
        sent = browser.post(target, data=form | {"seen": "x" + str(form["seen"])})
        assert (sent.status_code, sent.location) == (303, target)
    assert (said(world, ana), said(world, bruno), grants(world)) == ([], [], 0)
    sign_in(world, ana.subject_id)
    assert "code" in arrive(browser, browser.post(address, data=form))
    sign_out(world)
    unknown = browser.get(address, headers={"Accept": "text/html"})
    assert unknown.location.startswith("/login?next=%2Foauth%2Fconsent")


def test_a_notice_that_was_revised_meanwhile_is_not_agreed_to_unseen(
    world: World,
    ana: Person,
    letter: RelyingParty,
    database_url: str,
    instance: Path,
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(EXAMPLE_REGISTER, tmp_path / "register"))
    browser = letter.browser
    address = asked(browser, letter, scope=SCOPE)
    form = form_of(browser, address) | {"action": "continue", "purpose": "newsletter"}
    for language in ("es", "en"):
        before = folder / "notices" / "newsletter" / f"2.{language}.md"
        before.with_name(f"3.{language}.md").write_text(before.read_text() + "\nY más.\n")
    publication.publish(folder, world.clock().date())
    later = make_world(database_url, instance, seed="later", PLACET_REGISTER=str(folder))
    sign_in(later, ana.subject_id)
    moved = later.client
    cookie = browser.get_cookie("placet")
    assert cookie
    moved.set_cookie("placet", cookie.value)
    shown = moved.post(address, data=form)
    assert shown.status_code == 409
    assert "ha cambiado y no hemos guardado nada" in shown.text
    assert "Versión 3" in shown.text
    assert said(later, ana) == []
    assert "code" in arrive(moved, answer(moved, address, tick=["newsletter"]))
    (event,) = history(later, ana)
    assert (event.notice_version, event.language) == (3, "es")


def test_an_answer_given_elsewhere_meanwhile_is_not_undone(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    browser = letter.browser
    address = asked(browser, letter, scope=SCOPE)
    form = form_of(browser, address) | {"action": "continue"}
    give(world, ana)
    assert browser.post(address, data=form).status_code == 409
    assert said(world, ana) == [("newsletter", "given")]


def test_who_is_too_young_is_told_whom_to_ask_and_decides_nothing(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        world.placet.subjects.rectify(uow, ana.subject_id, Attribute.BIRTHDATE, "2015-01-01")
        uow.commit()
    browser = letter.browser
    address = asked(browser, letter, scope=SCOPE)
    page = browser.get(address).text
    assert "Tienes menos de 14 años" in page
    assert 'type="checkbox"' not in page
    assert answer(browser, address, tick=["newsletter"]).status_code == 422
    token = signed_in(letter, scope=SCOPE)
    assert letter.userinfo(token).get_json().keys() == {"sub"}
    assert said(world, ana) == []


def test_a_consent_that_ran_out_is_asked_for_again(
    world: World, ana: Person, letter: RelyingParty
) -> None:
    signed_in(letter, "newsletter", scope=SCOPE)
    world.clock.advance(days=731)
    sign_in(world, ana.subject_id)
    assert form_of(letter.browser, asked(letter.browser, letter, scope=SCOPE))["purpose"] == []
