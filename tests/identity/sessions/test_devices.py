"""The person's known browsers: listed, distrusted, forgotten."""

import re

import pytest

from tests.identity.people import (
    BRUNO,
    PASSWORD,
    enrol,
    is_signed_in,
    prove_again,
    register,
    sign_in,
)
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

PAGE = "/account/devices"


def listed(page: str, act: str = "forget") -> list[str]:
    """The ids in the forms of a page that do one thing."""
    forms = re.findall(rf'action="{PAGE}/{act}".*?name="device" value="([^"]+)"', page, re.DOTALL)
    return [str(found) for found in forms]


def test_a_forgotten_browser_loses_its_session_and_is_a_new_one(
    world: World, mail_server: MailServer
) -> None:
    here = register(world, mail_server)
    there = world.client
    sign_in(there)
    world.clock.advance(minutes=1)
    assert is_signed_in(here)
    page = here.get(PAGE).text
    assert page.count("Es este dispositivo") == 1
    own = here.get_cookie("placet-device")
    assert own
    assert len(listed(page)) == 2
    row_of_this = next(row for row in page.split("<tr>") if "Es este dispositivo" in row)
    (other,) = set(listed(page)) - set(listed(row_of_this))
    assert submit(here, PAGE, {"device": other}, to=f"{PAGE}/forget").status_code == 303
    assert not is_signed_in(there)
    assert is_signed_in(here)
    assert len(listed(here.get(PAGE).text)) == 1
    there.delete_cookie("placet")
    assert sign_in(there, known=False).headers["Location"] == "/login/code"
    world.settle()
    assert world.verify().ok


def test_a_browser_that_is_not_trusted_any_more_is_asked_for_the_second_factor(
    world: World, mail_server: MailServer
) -> None:
    totp, _codes = enrol(world, register(world, mail_server))
    world.clock.advance(seconds=60)
    client = world.client
    sign_in(client)
    submit(client, "/login/code", {"code": totp.at(world.clock()), "trust": "yes"})
    (device,) = listed(client.get(PAGE).text, "distrust")
    assert submit(client, PAGE, {"device": device}, to=f"{PAGE}/distrust").status_code == 303
    assert listed(client.get(PAGE).text, "distrust") == []
    client.delete_cookie("placet")
    assert sign_in(client, known=False).headers["Location"] == "/login/code"


def test_nobody_touches_another_person_s_devices(world: World, mail_server: MailServer) -> None:
    ana, bruno = register(world, mail_server), register(world, mail_server, BRUNO)
    (hers,) = listed(ana.get(PAGE).text)
    for act in ("forget", "distrust"):
        for device in (hers, "0" * 32, "", "x" * 5000):
            answer = submit(bruno, PAGE, {"device": device}, to=f"{PAGE}/{act}")
            assert answer.status_code == 404
    assert listed(ana.get(PAGE).text) == [hers]
    world.clock.advance(minutes=10)
    asked = submit(ana, PAGE, {"device": hers}, to=f"{PAGE}/forget")
    assert asked.headers["Location"].startswith("/login/again?next=%2Faccount%2Fdevices&")
    assert prove_again(ana, PAGE, PASSWORD).status_code == 303
    assert submit(ana, PAGE, {"device": hers}, to=f"{PAGE}/forget").status_code == 303
    assert not is_signed_in(ana)  # it was this one
