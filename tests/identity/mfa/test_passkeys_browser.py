"""Passkeys in Chromium, with its virtual authenticator."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.flows import steps
from tests.flows.conftest import running
from tests.flows.steps import Finger, Visitor, visitor
from tests.support.deployment import Deployment
from tests.support.smtp import MailServer, mail_server


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    """The SMTP server of this module's Placet."""
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def portal(mail: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One running Placet at localhost, which may be a relying party's id."""
    instance: Path = tmp_path_factory.mktemp("passkeys")
    with running(f"sqlite:///{instance / 'placet.sqlite3'}", instance, mail) as deployment:
        yield deployment


@pytest.fixture
def ana(portal: Deployment, browser: Browser) -> Iterator[Visitor]:
    """Somebody with a browser of her own."""
    with visitor(browser, portal.url) as someone:
        yield someone


@pytest.fixture
def elsewhere(portal: Deployment, browser: Browser) -> Iterator[Visitor]:
    """The same person's other device."""
    with visitor(browser, portal.url) as someone:
        yield someone


def test_an_account_is_opened_and_entered_with_a_passkey_alone(
    ana: Visitor, mail: MailServer
) -> None:
    address, finger = "ana@example.com", Finger(ana.page)
    ana.open("/register")
    ana.look("register")
    ana.press("Crear cuenta con una llave")  # no address yet: words, and nothing else happens
    ana.allow = ["status of 422"]
    expect(ana.page.get_by_role("alert").filter(has_text="dirección de correo")).to_be_visible()
    expect(ana.page.locator("#email")).to_be_focused()
    ana.page.locator("#email").fill(address)
    ana.press("Crear cuenta con una llave")
    ana.page.wait_for_url("**/register/code")
    ana.page.goto(steps.mailed_link(mail, address, path="/register/confirm/"))
    ana.look("confirm")
    ana.press("Confirmar mi correo")
    ana.page.wait_for_url("**/privacy")

    finger.touches(always=False)
    steps.sign_out(ana)
    with ana.page.expect_response("**/login/passkey/options"):  # offered, and nobody touches
        ana.open("/login")
    ana.look("login")
    finger.touches(always=True)  # holds for questions from now on
    ana.press("Entrar con una llave")
    ana.page.wait_for_url(lambda url: "/login" not in url)
    ana.open("/account/security")
    expect(ana.page.locator("h1")).to_have_text("Cómo inicias sesión")
    ana.look("security")
    expect(ana.page.get_by_text("Tu cuenta no tiene contraseña.")).to_be_visible()

    # The sign-in page offers the passkey by itself, and the finger is there.
    with ana.page.expect_navigation(url="**/login"):
        ana.page.locator(".site-nav form[action='/logout'] button").click()
    ana.page.wait_for_url(lambda url: "/login" not in url)
    expect(ana.page.locator(".site-nav form[action='/logout'] button")).to_be_visible()


def test_a_password_account_gets_a_passkey_and_loses_it_again(
    ana: Visitor, mail: MailServer
) -> None:
    Finger(ana.page)
    steps.register(ana, mail, "bruno@example.com")
    ana.open("/account/passkeys")
    ana.look("add")
    ana.page.locator("#name").fill("Portátil")
    ana.press("Añadir la llave")
    expect(ana.page.locator("main ol li")).to_have_count(10)
    ana.look("codes")
    with ana.page.expect_download() as download:
        ana.page.get_by_role("link", name="Descargar").click()
    kept = download.value.path().read_text(encoding="utf-8").split()
    assert kept == ana.page.locator("main ol li").all_text_contents()

    ana.open("/account/passkeys")  # the same device does not make a second one
    ana.press("Añadir la llave")
    expect(ana.page.get_by_role("alert").filter(has_text="ya tiene una llave")).to_be_visible()

    ana.open("/account/security")
    ana.look("security")
    ana.page.get_by_role("link", name="Portátil").click()
    ana.look("passkey")
    ana.press("Quitar la llave")
    expect(ana.page.get_by_text("Has quitado la llave")).to_be_visible()
    expect(ana.page.get_by_role("link", name="Portátil")).to_have_count(0)


def test_a_lost_passkey_is_replaced_after_a_recovery_code(ana: Visitor, mail: MailServer) -> None:
    address, finger = "carla@example.com", Finger(ana.page)
    steps.register(ana, mail, address)
    ana.open("/account/passkeys")
    ana.page.locator("#name").fill("Perdida")
    steps.add_passkey(ana)
    code = ana.page.locator("main ol li").first.inner_text()
    finger.is_lost()
    steps.sign_out(ana)

    ana.open("/login")
    steps.sign_in(ana, address)
    ana.page.wait_for_url("**/login/code*")
    ana.look("second step")
    ana.page.locator("#code").fill(code)
    ana.press("Continuar")
    ana.page.wait_for_url(lambda url: "/login" not in url)
    ana.open("/account/security")
    ana.page.get_by_role("link", name="Perdida").click()
    ana.press("Quitar la llave")
    expect(ana.page.get_by_text("Has quitado la llave")).to_be_visible()

    Finger(ana.page)
    ana.open("/account/passkeys")
    ana.page.locator("#name").fill("Nueva")
    steps.add_passkey(ana)
    ana.open("/account/security")
    expect(ana.page.get_by_role("link", name="Nueva")).to_be_visible()


def test_a_trusted_device_proves_just_the_missing_factor_and_is_ended_from_another(
    ana: Visitor, elsewhere: Visitor, mail: MailServer
) -> None:
    address = "delia@example.com"
    steps.register(ana, mail, address)
    codes = steps.add_totp(ana)

    elsewhere.open("/login")
    steps.sign_in(elsewhere, address)
    elsewhere.page.wait_for_url("**/login/code*")
    elsewhere.page.locator("#code").fill(codes[0])
    elsewhere.page.get_by_text("No pedirme el código").click()
    expect(elsewhere.page.get_by_label("No pedirme el código")).to_be_checked()
    elsewhere.press("Continuar")
    elsewhere.page.wait_for_url(lambda url: "/login" not in url)
    steps.sign_out(elsewhere)
    elsewhere.open("/login")
    steps.sign_in(elsewhere, address)  # the password is enough here now,
    elsewhere.page.wait_for_url(lambda url: "/login" not in url)

    elsewhere.page.goto(f"{elsewhere.placet}/account/totp")  # but not for this
    elsewhere.page.wait_for_url("**/login/again*")
    elsewhere.look("step-up")
    expect(elsewhere.page.locator("#password")).to_have_count(0)
    elsewhere.page.locator("#code").fill(codes[1])
    elsewhere.press("Continuar con el código")
    elsewhere.page.wait_for_url("**/account/totp")

    ana.open("/account/devices")
    ana.look("devices")
    row = ana.page.locator("main tbody tr", has_not_text="Es este dispositivo")
    row.get_by_role("button", name="Olvidar").click()
    expect(row).to_have_count(0)
    elsewhere.page.goto(f"{elsewhere.placet}/privacy")
    expect(elsewhere.page.locator("#password")).to_be_visible()
