"""What a person has been asked stands on top of their privacy centre until they have answered."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from policies.vocabulary import ConsentAction, ConsentChannel
from privacy.actor import SYSTEM, Actor
from privacy.consent.double_opt_in_letters import MAX_LETTERS
from privacy.consent.double_opt_in_store import ConfirmationRow
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.model import Voice
from privacy.subjects.standing import restrict
from tests.privacy.consent.test_portal import answer
from tests.privacy.decisions.test_access_requests import asked
from tests.privacy.decisions.test_access_requests import shop as shop  # noqa: PLC0414 - fixture
from tests.support.cast import (
    ANA,
    Person,
    application,
    calls_as,
    give,
    introduce,
    signed_in_as,
)
from tests.support.forms import submit
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
BOX = "Esperan tu respuesta"


@pytest.fixture
def world(register_folder: Path, database_url: str, instance: Path) -> World:
    """Its newsletter is confirmed by mail and has new words; recommendations need an express yes."""
    file = register_folder / "purposes.toml"
    edited = file.read_text().replace("reminder_days = 30", "")
    edited = edited.replace("[newsletter]\n", "[newsletter]\ndouble_opt_in = true\n")
    file.write_text(edited.replace("[recommendations]\n", "[recommendations]\nexplicit = true\n"))
    (register_folder / "notices" / "newsletter" / "2.toml").write_text("material = true\n")
    lock = register_folder / "notices.lock.toml"
    lock.write_text(lock.read_text().replace("material = false", "material = true"))
    return make_world(database_url, instance, PLACET_REGISTER=str(register_folder))


def box(world: World) -> str:
    """What stands in the box; empty where there is none."""
    page = world.client.get("/privacy").text
    return page.partition(BOX)[2].partition("</section>")[0]


def test_an_open_ask_is_answered_from_the_privacy_centre_without_its_link(
    world: World, shop: Actor
) -> None:
    ana, bruno = introduce(world, domain=shop.domain), introduce(world, "bruno@example.com")
    signed_in_as(world, ana)
    assert box(world) == ""
    assert asked(world, shop, ana, "analytics").status_code == 201
    shown = box(world)
    for words in ("Medir las visitas", "La tienda te lo pidió el 3 de marzo de 2026"):
        assert words in shown
    assert "Puedes contestar hasta el 10 de marzo de 2026" in shown
    path = shown.partition('href="')[2].partition('"')[0]
    signed_in_as(world, bruno)
    assert world.client.get(path).status_code == 404
    assert box(world) == ""
    signed_in_as(world, ana)
    assert submit(world.client, path, {"answer": "no"}).status_code == 303
    assert box(world) == ""
    with world.placet.runtime.snapshot() as session:
        open_to = world.placet.access_requests.open_to
        assert open_to(session, ana.subject_id, world.clock.now) == []


def test_a_consent_to_confirm_is_shown_until_the_person_decides_or_its_time_is_over(
    world: World, shop: Actor
) -> None:
    ana = introduce(world, domain=shop.domain)
    signed_in_as(world, ana)
    typed(world, shop, ANA)
    shown = box(world)
    assert "La tienda apuntó un sí con tu dirección el 3 de marzo de 2026" in shown
    event_id = shown.partition('href="/privacy/waiting/')[2].partition('"')[0]
    assert len(event_id) == len("0" * 32)
    began = world.clock.now
    world.clock.advance(days=7)
    assert box(world) == ""
    world.clock.now = began
    assert box(world) != ""
    assert answer(world.client, "newsletter", "grant") == 303
    assert box(world) == ""


def test_what_waits_is_confirmed_refused_or_written_again_from_the_privacy_centre(
    world: World, shop: Actor
) -> None:
    ana, bruno = introduce(world, domain=shop.domain), introduce(world, "bruno@example.com")
    calls_as(world, application(shop.client_id or "", purposes=frozenset({"newsletter"})))
    word = {"subject": {"email": ANA}, "purpose": "newsletter", "notice_version": 2}
    word |= {"language": "es", "channel": "web"}

    def wait() -> tuple[str, str]:
        world.clock.advance(minutes=1)
        told = world.client.post("/v1/consents", json=word).get_json()
        return f"/privacy/waiting/{told['event_id']}", told["event_id"]

    first, request = wait()
    browser = world.client
    signed_in_as(world, bruno)
    assert browser.get(first).status_code == 410
    signed_in_as(world, ana)
    assert f'href="{first}"' in box(world)
    page = browser.get(first).text
    for words in ("Falta tu respuesta", "La tienda apuntó un sí", "Nada de otras empresas"):
        assert words in page
    digests = {wrote(world)}
    for _ in range(MAX_LETTERS - 1):
        assert submit(browser, first, {}, to=f"{first}/letter").status_code == 303
        digests.add(wrote(world))
    assert len(digests) == MAX_LETTERS  # each link is a new one, and the one before ends
    assert submit(browser, first, {}, to=f"{first}/letter").status_code == 303
    assert wrote(world) in digests
    assert "Hoy no podemos enviarte más correos" in browser.get(first).text
    assert submit(browser, first, {"answer": "yes"}).status_code == 303
    assert browser.get(first).status_code == 410
    assert box(world) == ""
    with world.placet.runtime.snapshot() as session:
        *_, given = world.placet.consents.history(session, ana.subject_id)
    assert (given.action, given.follows) == (ConsentAction.GIVEN, request)
    second, _ = wait()
    assert submit(browser, second, {"answer": "no"}).status_code == 303
    assert browser.get(second).status_code == 410
    with world.placet.runtime.snapshot() as session:
        *_, refused = world.placet.consents.history(session, ana.subject_id)
    assert refused.action is ConsentAction.REFUSED


def test_a_consent_that_holds_nothing_now_hides_no_question(world: World, shop: Actor) -> None:
    ana = introduce(world, domain=shop.domain)
    signed_in_as(world, ana)
    measured = give(world, ana, "analytics", version=1)
    assert measured.expires_at is not None
    world.clock.advance(hours=1)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        monthly = world.placet.consents.record_given(
            uow,
            ana.subject_id,
            "newsletter",
            notice_version=1,  # there are other words by now
            language="es",
            channel=ConsentChannel.WEB,
            voice=Voice(said_at=world.clock.now),
        )
        uow.commit()
    assert monthly.expires_at == measured.expires_at + timedelta(hours=1)
    give(world, ana, "recommendations", version=1)  # not in so many words
    world.clock.now = measured.expires_at
    for purpose in ("analytics", "recommendations"):
        assert asked(world, shop, ana, purpose).status_code == 201, purpose
    typed(world, shop, ANA)
    assert box(world).count("<h3>") == 3
    world.clock.now = monthly.expires_at
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        assert Lifecycle(world.placet.consents).note_expired(uow) == 3
    assert box(world).count("<h3>") == 3  # and the clock is not the person's word
    give(world, ana, "recommendations", version=1, explicit=True)
    assert box(world).count("<h3>") == 2


def test_a_yes_that_no_letter_went_out_for_is_not_called_a_question(
    world: World, shop: Actor
) -> None:
    ana = introduce(world, domain=shop.domain)
    signed_in_as(world, ana)
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        restrict(uow, ana.subject_id, reason="Lo pide")
        uow.commit()
    path = typed(world, shop, ANA)
    shown = box(world)
    assert "La tienda apuntó un sí con tu dirección el 3 de marzo de 2026. Hasta que" in shown
    assert "te lo pidió" not in shown
    page = world.client.get(path).text
    assert "Enviarme el enlace" in page
    assert "otra vez" not in page


def test_where_only_the_hash_of_an_address_is_kept_no_letter_is_offered(
    world: World, shop: Actor
) -> None:
    path = typed(world, shop, "new@example.com")
    with world.placet.runtime.snapshot() as session:
        subject_id = world.placet.subjects.find_by_email(session, "new@example.com")
    signed_in_as(world, Person(subject_id or "", ""))
    page = world.client.get(path).text
    assert "Sí, lo acepto" in page
    assert "/letter" not in page
    assert submit(world.client, path, {}, to=f"{path}/letter").status_code == 404
    assert "Hoy no podemos" not in world.client.get(path).text


def typed(world: World, shop: Actor, address: str) -> str:
    """Have the shop write down a yes for an address; return where its owner answers."""
    calls_as(world, application(shop.client_id or "", purposes=frozenset({"newsletter"})))
    word = {"subject": {"email": address}, "purpose": "newsletter", "notice_version": 2}
    word |= {"language": "es", "channel": "web"}
    told = world.client.post("/v1/consents", json=word).get_json()
    assert told["pending"] == "confirmation"
    return f"/privacy/waiting/{told['event_id']}"


def wrote(world: World) -> str:
    """The digest of the link that is mailed of what waits."""
    with world.placet.runtime.snapshot() as session:
        found = session.scalars(
            sa.select(ConfirmationRow.token_digest).where(ConfirmationRow.mailed)
        )
        return next(iter(found))
