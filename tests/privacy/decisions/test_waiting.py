"""What a person has been asked stands on top of their privacy centre until they have answered."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from policies.vocabulary import ConsentAction
from privacy.actor import Actor
from privacy.consent.double_opt_in_letters import MAX_LETTERS
from privacy.consent.double_opt_in_store import ConfirmationRow
from tests.privacy.consent.test_portal import answer
from tests.privacy.decisions.test_access_requests import asked
from tests.privacy.decisions.test_access_requests import shop as shop  # noqa: PLC0414 - fixture
from tests.support.cast import ANA, application, calls_as, introduce, signed_in_as
from tests.support.forms import submit
from tests.support.world import World, make_world

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
BOX = "Esperan tu respuesta"


@pytest.fixture
def world(register_folder: Path, database_url: str, instance: Path) -> World:
    """A deployment whose newsletter is confirmed by mail."""
    file = register_folder / "purposes.toml"
    edited = file.read_text().replace("reminder_days = 30", "")
    file.write_text(edited.replace("[newsletter]\n", "[newsletter]\ndouble_opt_in = true\n"))
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
    calls_as(world, application(shop.client_id or "", purposes=frozenset({"newsletter"})))
    word = {"subject": {"email": ANA}, "purpose": "newsletter", "notice_version": 2}
    word |= {"language": "es", "channel": "web"}
    assert world.client.post("/v1/consents", json=word).get_json()["pending"] == "confirmation"
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


def wrote(world: World) -> str:
    """The digest of the link that is mailed of what waits."""
    with world.placet.runtime.snapshot() as session:
        found = session.scalars(
            sa.select(ConfirmationRow.token_digest).where(ConfirmationRow.mailed)
        )
        return next(iter(found))
