"""What people do with their accounts through the pages, as a browser would."""

import re
from dataclasses import dataclass

import pyotp
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import Placet
from identity.accounts.client import Client
from identity.accounts.model import Account
from identity.sessions.arrival import SignedIn, Visit
from policies.vocabulary import Role
from privacy.actor import SYSTEM
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import World

ANA, BRUNO, DELIA = "ana@example.com", "bruno@example.com", "delia@example.com"
PASSWORD = "una frase larga y única"
OTHER_PASSWORD = "otra frase, todavía más larga"


@dataclass(frozen=True, slots=True)
class Letter:
    """A received letter's plain text."""

    text: str

    @property
    def code(self) -> str:
        found = re.search(r"\b\d{8}\b", self.text)
        assert found, self.text
        return found[0]

    @property
    def path(self) -> str:
        """The local path of its one link."""
        found = re.findall(r"http://localhost:8000(/\S+)", self.text)
        assert len(found) == 1, self.text
        return str(found[0])


def letter(world: World, mail: MailServer, to: str, count: int = 1) -> Letter:
    """Let the worker work and return the `count`-th letter to an address."""
    world.settle()
    body = mail.wait_for(to=to, count=count).get_body(preferencelist=("plain",))
    assert body is not None
    return Letter(body.get_content())


def ask_for_account(
    client: FlaskClient, email: str = ANA, password: str = PASSWORD, *, path: str = "/register"
) -> TestResponse:
    """Fill in the registration form."""
    return submit(client, path, {"email": email, "password": password})


def register(
    world: World, mail: MailServer, email: str = ANA, password: str = PASSWORD
) -> FlaskClient:
    """Open an account by the mailed code and return the browser, signed in."""
    before = len(mail.messages_to(email))
    client = world.client
    assert ask_for_account(client, email, password).status_code == 303
    code = letter(world, mail, email, before + 1).code
    answer = submit(client, "/register/code", {"code": code})
    assert answer.status_code == 303, answer.text
    return client


def account_of(world: World, email: str = ANA) -> Account:
    """Return the active account of an address."""
    with world.placet.runtime.snapshot() as session:
        account = world.placet.identity.accounts.by_email(session, email)
    assert account is not None
    return account


def has_account(world: World, email: str = ANA) -> bool:
    """Tell whether the address has an active account."""
    with world.placet.runtime.snapshot() as session:
        return world.placet.identity.accounts.by_email(session, email) is not None


def make_known(client: FlaskClient, email: str = ANA) -> None:
    """Have the browser be one that the address's account, if there is one, has signed in with."""
    placet: Placet = client.application.extensions["placet"]
    found = client.get_cookie("placet-device")
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        account = placet.identity.accounts.by_email(uow.session, email)
        if account is None:
            return
        token, _device = placet.identity.devices.remember(
            uow,
            account,
            Client("127.0.0.1", ""),
            token=found.value if found else None,
            trust=False,
        )
        uow.commit()
    client.set_cookie("placet-device", token)


def sign_in(
    client: FlaskClient,
    email: str = ANA,
    password: str = PASSWORD,
    path: str = "/login",
    *,
    known: bool = True,
) -> TestResponse:
    """Fill in the sign-in form, in a browser that the account knows or in a new one."""
    if known:
        make_known(client, email)
    return submit(client, path, {"email": email, "password": password}, to="/login")


def is_signed_in(client: FlaskClient) -> bool:
    """Tell whether the browser has a living session."""
    return client.get("/account").status_code == 200


def prove_again(
    client: FlaskClient, page: str = "/account", password: str = PASSWORD
) -> TestResponse:
    """Show the password again, as a sensitive page asks for it."""
    asked = f"/login/again?next={page}"
    return submit(client, asked, {"password": password, "next": page}, to="/login/again/password")


def enrol(world: World, client: FlaskClient) -> tuple[pyotp.TOTP, list[str]]:
    """Add a second factor and return the authenticator and the recovery codes."""
    page = client.get("/account/totp").text
    if "/account/totp/confirm" not in page:
        answer = client.post("/account/totp", data={"csrf_token": csrf_token(page)})
        assert answer.headers["Location"] == "/account/totp"
        page = client.get("/account/totp").text
    found = re.search(r"<code[^>]*>([A-Z2-7 ]{39})</code>", page)
    assert found, page
    totp = pyotp.TOTP(found[1].replace(" ", ""))
    answer = submit(
        client, "/account/totp", {"code": totp.at(world.clock())}, to="/account/totp/confirm"
    )
    assert answer.status_code == 200, answer.text
    return totp, re.findall(r"<li>([A-Z2-7-]{29})</li>", answer.text)


def invited(world: World, mail: MailServer, role: Role, email: str = DELIA) -> FlaskClient:
    """Take up an invitation and return the browser, signed in by password alone."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        token = world.placet.identity.accounts.invite(uow, role)
    client = world.client
    answer = ask_for_account(client, email, path=f"/invitation/{token}")
    assert answer.headers["Location"] == "/register/code", answer.text
    code = letter(world, mail, email).code
    answer = submit(client, "/register/code", {"code": code})
    assert answer.headers["Location"] == "/account/passkeys", answer.text
    return client


def signed_in_by_password(world: World, email: str, password: str) -> SignedIn:
    """Sign in by the service alone."""
    client = world.client
    make_known(client, email)
    found = client.get_cookie("placet-device")
    visit = Visit(Client("127.0.0.1", ""), found.value if found else None)
    result = world.placet.identity.sign_in.by_password(
        SYSTEM, email=email, password=password, visit=visit
    )
    assert isinstance(result, SignedIn)
    return result
