"""What people do with Placet and the shop in a browser, in steps that a flow is made of."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.chromium import PageErrors, run_axe
from tests.support.processes import ROOT
from tests.support.smtp import MailServer

ARTIFACTS = ROOT / "tests" / ".artifacts"
PASSWORD = "una frase larga que nadie diría"
LINK = re.compile(r"https?://\S+")


@dataclass
class Visitor:
    """A person with a browser of their own.

    Attributes:
        page: their only tab.
        placet: Placet's address.
        shop: the shop's address; empty where there is none.
        pictures: the folder of this flow's screenshots; None for no pictures.
        allow: expressions for what a step provokes, such as `status of 404`.
    """

    page: Page
    placet: str
    shop: str = ""
    pictures: Path | None = None
    allow: Sequence[str] = ()
    _seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        origins = [self.placet, *([self.shop] if self.shop else [])]
        self.errors = PageErrors(self.page, origins)

    def open(self, path: str) -> None:
        """Open a page of Placet."""
        self.page.goto(f"{self.placet}{path}")

    def look(self, name: str) -> None:
        """Check the page that is shown: clean, accessible (WCAG 2.2 AA), and keep a picture."""
        expect(self.page.locator("h1")).to_have_count(1)
        if self.pictures:
            self._seen.append(name)
            self.pictures.mkdir(parents=True, exist_ok=True)
            picture = self.pictures / f"{len(self._seen):02d}-{name}.png"
            self.page.screenshot(path=picture, full_page=True)
        self.errors.check(allow=self.allow)
        violations = run_axe(self.page)
        assert violations == [], f"{name}: {violations}"

    def press(self, name: str, within: Locator | None = None) -> None:
        """Press the one button whose name begins so."""
        place = within or self.page.locator("main")
        place.get_by_role("button", name=re.compile(f"^{re.escape(name)}")).click()


@contextmanager
def visitor(
    browser: Browser, placet: str, shop: str = "", *, pictures: Path | None = None, **options: Any
) -> Iterator[Visitor]:
    """Open a browser for one person; at the end every page must have been clean.

    Args:
        browser: the Chromium.
        placet: Placet's address.
        shop: the shop's address.
        pictures: where screenshots go.
        options: what Playwright's `new_context` takes.
    """
    settings: dict[str, Any] = {
        "locale": "es-ES",
        "timezone_id": "Europe/Madrid",
        "accept_downloads": True,
    }
    with browser.new_context(**(settings | options)) as context:
        context.set_default_timeout(15_000)
        someone = Visitor(context.new_page(), placet, shop, pictures)
        try:
            yield someone
        except BaseException:
            _keep_last_sight(context, someone)
            raise
        someone.errors.check(allow=someone.allow)


def _keep_last_sight(context: BrowserContext, someone: Visitor) -> None:
    """Leave what the browser showed when a flow failed."""
    if context.pages and not someone.page.is_closed():
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        someone.page.screenshot(path=ARTIFACTS / "failed.png", full_page=True)
        (ARTIFACTS / "failed.html").write_text(someone.page.content(), encoding="utf-8")


# ---- accounts ----


def mailed_link(mail: MailServer, address: str, *, path: str, count: int = 1) -> str:
    """Return the address in the `count`-th letter to somebody that leads to `path`."""
    message = mail.wait_for(to=address, count=count, timeout=20)
    body = message.get_body(preferencelist=("plain",))
    assert body is not None
    found: list[str] = [link for link in LINK.findall(body.get_content()) if path in link]
    assert len(found) == 1, body.get_content()
    return found[0].rstrip(".")


def fill_registration(someone: Visitor, address: str) -> None:
    """Fill in the form that is shown, with an address and a password, and send it."""
    someone.page.locator("#email").fill(address)
    someone.page.locator("#password").fill(PASSWORD)
    someone.page.locator("main form button[type=submit]").click()
    someone.page.wait_for_url("**/register/code")


def confirm_address(someone: Visitor, mail: MailServer, address: str) -> None:
    """Open the mailed link and press its one button."""
    someone.page.goto(mailed_link(mail, address, path="/register/confirm/"))
    buttons = someone.page.locator("main form button[type=submit]")
    expect(buttons).to_have_count(1)
    buttons.click()


def register(someone: Visitor, mail: MailServer, address: str) -> None:
    """Open an account, from the form to the privacy centre."""
    someone.open("/register")
    fill_registration(someone, address)
    confirm_address(someone, mail, address)
    someone.page.wait_for_url("**/privacy")


def sign_out(someone: Visitor) -> None:
    """Sign out of Placet."""
    someone.page.locator(".site-nav form[action='/logout'] button").click()
    expect(someone.page.locator(".site-nav a[href='/login']")).to_be_visible()


def sign_in(someone: Visitor, address: str) -> None:
    """Fill in the sign-in form that is shown and send it."""
    someone.page.locator("#email").fill(address)
    someone.page.locator("#password").fill(PASSWORD)
    someone.page.locator("main form button[type=submit]").click()


# ---- passkeys ----


class Finger:
    """The virtual authenticator of a browser, and whether somebody touches it."""

    def __init__(self, page: Page) -> None:
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        added = self._devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._authenticator = added["authenticatorId"]

    def is_lost(self) -> None:
        """Take the authenticator away, with every passkey on it."""
        self._devtools.send(
            "WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self._authenticator}
        )

    def touches(self, *, always: bool) -> None:
        """Answer every question at once from now on, or none."""
        self._devtools.send(
            "WebAuthn.setAutomaticPresenceSimulation",
            {"authenticatorId": self._authenticator, "enabled": always},
        )


def add_totp(someone: Visitor) -> list[str]:
    """Add an authenticator application by the secret shown as text; return the recovery codes."""
    someone.open("/account/totp")
    someone.press("Añadir la aplicación")
    someone.page.wait_for_url("**/account/totp")
    secret = someone.page.locator("main code").first.inner_text().replace(" ", "")
    someone.page.locator("#code").fill(pyotp.TOTP(secret).now())
    someone.press("Confirmar")
    expect(someone.page.locator("main ol li")).to_have_count(10)
    return someone.page.locator("main ol li").all_text_contents()


def add_passkey(someone: Visitor) -> None:
    """Add a passkey on the page that is shown; the recovery codes come with the first one."""
    someone.press("Añadir la llave")
    expect(someone.page.locator("main ol li")).to_have_count(10)


# ---- the privacy centre ----


def card(someone: Visitor, purpose: str) -> Locator:
    """Return a purpose's card in the privacy centre."""
    return someone.page.locator(f"article[id='{purpose}']")


def decide(someone: Visitor, purpose: str, button: str, state: str) -> None:
    """Press one button of a purpose's card and see its new state."""
    someone.press(button, card(someone, purpose))
    expect(card(someone, purpose)).to_have_attribute("data-state", state)


# ---- the shop ----


def enter_shop(someone: Visitor) -> None:
    """Press the shop's one way in, on its home page."""
    someone.page.get_by_role("link", name="Entrar con Placet").click()


def arrive_in_shop(someone: Visitor) -> None:
    """Be in the shop, signed in."""
    someone.page.wait_for_url(f"{someone.shop}/")
    expect(someone.page.get_by_role("button", name="Salir")).to_be_visible()


def buy(someone: Visitor, slug: str) -> None:
    """Buy a product."""
    someone.page.goto(f"{someone.shop}/productos/{slug}")
    someone.press("Comprar")
    expect(someone.page.get_by_role("status")).to_contain_text("Apuntado")


def see_product(someone: Visitor, slug: str) -> dict[str, tuple[bool, str]]:
    """Open a product's page; return purpose -> (permitted, reason codes) as the shop was told."""
    someone.page.goto(f"{someone.shop}/productos/{slug}")
    someone.page.locator("details.developer summary").click()
    told: dict[str, tuple[bool, str]] = {}
    for answer in someone.page.locator("[data-asked]").all():
        values = dict(
            zip(
                answer.locator("dt").all_text_contents(),
                answer.locator("dd").all_text_contents(),
                strict=True,
            )
        )
        told[values["action.name"]] = (values["decision"] == "true", values["context.reasons"])
    return told


def is_personalised(someone: Visitor) -> bool:
    """Tell whether the product's page that is shown was made for this person."""
    return someone.page.get_by_role("heading", name="Elegido para ti").is_visible()
