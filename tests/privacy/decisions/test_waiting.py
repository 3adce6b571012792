"""What a person has been asked stands on top of their privacy centre until they have answered."""

from pathlib import Path

import pytest

from privacy.actor import Actor
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
    assert 'href="/privacy#newsletter"' in shown
    began = world.clock.now
    world.clock.advance(days=7)
    assert box(world) == ""
    world.clock.now = began
    assert box(world) != ""
    assert answer(world.client, "newsletter", "grant") == 303
    assert box(world) == ""
