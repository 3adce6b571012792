"""How the portal looks and behaves, measured in the browser: the honest choice before all."""

from collections.abc import Iterator, Sequence
from itertools import count, product
from typing import Literal

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, expect

from tests.flows import steps
from tests.flows.conftest import running
from tests.flows.steps import Visitor, visitor
from tests.flows.test_stylesheet import contrast
from tests.support.deployment import Deployment
from tests.support.smtp import MailServer, mail_server

_numbers = count(1)

PUBLIC_PAGES = ("/", "/register", "/login", "/recover", "/rights")
OWN_PAGES = (
    "/privacy",
    "/privacy/history",
    "/privacy/uses",
    "/privacy/download",
    "/privacy/marketing",
    "/privacy/guardian",
    "/privacy/children",
    "/account",
    "/rights",
)
#: What a person sees who has decided something.
DECIDED_PAGES = ("/privacy", "/privacy/history", "/privacy/uses?answer=permit")
PURPOSES = ("newsletter", "recommendations", "partner-advertising", "analytics")
TARGET_PIXELS = 44
SMALL = 320  # CSS pixels; WCAG 2.2, 1.4.10

#: What a button weighs for the eye; positions and words aside, two equal buttons agree in it all.
WEIGHT = """button => {
    const style = getComputedStyle(button);
    const names = ["color", "backgroundColor", "borderTopColor", "borderTopWidth", "borderRadius",
        "fontSize", "fontWeight", "fontStyle", "textDecorationLine", "textTransform", "opacity",
        "boxShadow", "outlineStyle", "cursor", "visibility", "letterSpacing", "paddingTop",
        "paddingBottom", "paddingLeft", "paddingRight"];
    return Object.fromEntries(names.map(name => [name, style[name]]));
}"""
HEX = """(colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
    return "#" + [r, g, b].map(part => part.toString(16).padStart(2, "0")).join("");
}"""


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    """The SMTP server of this module's Placet."""
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def portal(mail: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One running Placet: how it looks does not depend on the kind of database."""
    instance = tmp_path_factory.mktemp("portal")
    with running(f"sqlite:///{instance / 'placet.sqlite3'}", instance, mail) as deployment:
        yield deployment


@pytest.fixture
def ana(portal: Deployment, mail: MailServer, browser: Browser) -> Iterator[Visitor]:
    """Ana in her privacy centre, who has just registered and decided nothing."""
    with visitor(browser, portal.url) as someone:
        steps.register(someone, mail, f"ana{next(_numbers)}@example.com")
        someone.open("/privacy")
        yield someone


def _choice(ana: Visitor, purpose: str) -> tuple[Locator, Locator]:
    card = steps.card(ana, purpose)
    buttons = card.locator(".choice button")
    expect(buttons).to_have_count(2)
    accept, refuse = buttons.all()
    expect(accept).to_contain_text("Aceptar")
    expect(refuse).to_contain_text("Rechazar")
    return accept, refuse


def _box(element: Locator) -> FloatRect:
    box = element.bounding_box()
    assert box is not None
    return box


def test_accept_and_refuse_weigh_the_same(ana: Visitor) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme, width in product(schemes, (320, 1280)):
        ana.page.emulate_media(color_scheme=scheme)
        ana.page.set_viewport_size({"width": width, "height": 900})
        for purpose in PURPOSES:
            _demand_equal_weight(ana, *_choice(ana, purpose))
        for choice in ana.page.locator("#partner-offers .choice").all():  # of each partner, of all
            _demand_equal_weight(ana, *choice.locator("button").all())


def _demand_equal_weight(ana: Visitor, accept: Locator, refuse: Locator) -> None:
    here, there = _box(accept), _box(refuse)
    assert here["width"] == pytest.approx(there["width"], abs=0.5)
    assert here["height"] == pytest.approx(there["height"], abs=0.5)
    assert here["y"] == pytest.approx(there["y"], abs=0.5)  # neither is further down
    assert min(here["height"], here["width"]) >= TARGET_PIXELS
    weights = [button.evaluate(WEIGHT) for button in (accept, refuse)]
    assert weights[0] == weights[1]
    colours = [ana.page.evaluate(HEX, weights[0][name]) for name in ("color", "backgroundColor")]
    assert contrast(*colours) >= 4.5


def test_refusing_is_one_tab_stop_after_accepting_and_nothing_is_between(ana: Visitor) -> None:
    for purpose in PURPOSES:
        accept, refuse = _choice(ana, purpose)
        accept.focus()
        ana.page.keyboard.press("Tab")
        expect(refuse).to_be_focused()


def test_nothing_is_chosen_before_the_person_chooses(ana: Visitor) -> None:
    chosen = (
        "input:checked, option[selected], [aria-pressed=true], [aria-checked=true], [autofocus]"
    )
    assert ana.page.locator(f"main {chosen}").count() == 0
    for purpose in PURPOSES:
        expect(steps.card(ana, purpose)).to_have_attribute("data-state", "none")
    ana.page.keyboard.press("Enter")  # a hasty key decides nothing
    ana.open("/privacy")
    for purpose in PURPOSES:
        expect(steps.card(ana, purpose)).to_have_attribute("data-state", "none")


def _tab_stops_to(ana: Visitor, button: Locator) -> int:
    """Count the key presses from the top of the privacy centre to a button."""
    ana.open("/privacy")
    for presses in range(1, 200):
        ana.page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            return presses
    raise AssertionError("the keyboard does not reach the button")


def test_withdrawing_takes_no_more_than_granting(ana: Visitor) -> None:
    for purpose in PURPOSES:
        accept, _ = _choice(ana, purpose)
        to_grant = _tab_stops_to(ana, accept)
        ana.page.keyboard.press("Enter")  # one key more
        expect(steps.card(ana, purpose)).to_have_attribute("data-state", "given")
        withdraw = steps.card(ana, purpose).get_by_role("button", name="Retirar")
        to_withdraw = _tab_stops_to(ana, withdraw)
        ana.page.keyboard.press("Enter")  # one key more, and nothing else is asked
        expect(steps.card(ana, purpose)).to_have_attribute("data-state", "withdrawn")
        assert to_withdraw <= to_grant


def test_the_button_that_withdraws_is_of_the_kind_that_granted(ana: Visitor) -> None:
    accept, _ = _choice(ana, "newsletter")
    granting = accept.evaluate(WEIGHT)
    height = _box(accept)["height"]
    accept.click()
    withdraw = steps.card(ana, "newsletter").get_by_role("button", name="Retirar")
    withdrawing = withdraw.evaluate(WEIGHT)
    same = ("color", "backgroundColor", "borderTopColor", "fontSize", "fontWeight", "opacity")
    assert {name: granting[name] for name in same} == {name: withdrawing[name] for name in same}
    assert _box(withdraw)["height"] == pytest.approx(height, abs=0.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_readable_on_a_small_phone_in_both_schemes(
    ana: Visitor, browser: Browser, portal: Deployment, scheme: Literal["light", "dark"]
) -> None:
    ana.page.set_viewport_size({"width": SMALL, "height": 640})
    ana.page.emulate_media(color_scheme=scheme)
    _demand_readable(ana, OWN_PAGES, scheme)
    ana.open("/privacy")
    ana.page.locator("#partner-offers").get_by_role("button", name="Aceptar todas").click()
    _demand_readable(ana, DECIDED_PAGES, scheme)
    ana.open("/privacy/history")
    receipt = ana.page.locator(".timeline a[href*='/receipts/']").first.get_attribute("href")
    _demand_readable(ana, [receipt or ""], scheme)
    small = {"width": SMALL, "height": 640}
    with visitor(browser, portal.url, viewport=small, color_scheme=scheme) as stranger:
        _demand_readable(stranger, PUBLIC_PAGES, scheme)


def _demand_readable(someone: Visitor, paths: Sequence[str], scheme: str) -> None:
    for path in paths:
        someone.open(path)
        width = someone.page.evaluate("document.documentElement.scrollWidth")
        assert width <= SMALL, f"{path} scrolls sideways: {width}"
        ground = someone.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        darkness = contrast(someone.page.evaluate(HEX, ground), "#ffffff")
        assert (darkness > 7) == (scheme == "dark"), f"{path} is not {scheme}"
        someone.look(path)


def test_registering_and_withdrawing_need_no_script(
    portal: Deployment, mail: MailServer, browser: Browser
) -> None:
    with visitor(browser, portal.url, java_script_enabled=False) as bare:
        steps.register(bare, mail, "bare@example.com")
        steps.decide(bare, "newsletter", "Aceptar", "given")
        notice = steps.card(bare, "newsletter")
        notice.locator("summary").click()
        expect(notice.locator(".prose")).to_be_visible()
        steps.decide(bare, "newsletter", "Retirar", "withdrawn")
        steps.sign_out(bare)
