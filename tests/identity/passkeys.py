"""What people do with passkeys, as our script in the browser would."""

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from identity.mfa.model import CeremonyKind, PasskeyRefused
from privacy.actor import ANONYMOUS
from tests.identity.people import ANA, letter
from tests.support.authenticator import Authenticator, Says
from tests.support.forms import csrf_token, submit
from tests.support.smtp import MailServer
from tests.support.world import World


def options(client: FlaskClient, page: str, to: str, **fields: str) -> TestResponse:
    """Begin a ceremony with the token of `page`."""
    token = csrf_token(client.get(page).text)
    headers = {"X-CSRFToken": token, "Accept": "application/json"}
    return client.post(to, json=fields, headers=headers)


def begin(client: FlaskClient, email: str, page: str = "/register") -> TestResponse:
    """Begin to register with a passkey."""
    return options(client, page, "/register/passkey/options", email=email)


def ask_with_passkey(
    client: FlaskClient,
    key: Authenticator,
    email: str = ANA,
    *,
    path: str = "/register",
    says: Says | None = None,
) -> TestResponse:
    """Fill in the registration form and make a passkey instead of a password."""
    credential = key.create(begin(client, email, path).text, says)
    return submit(client, path, {"email": email, "credential": credential})


def register_with_passkey(
    world: World, mail: MailServer, email: str = ANA
) -> tuple[FlaskClient, Authenticator]:
    """Open an account with a passkey alone; return the browser, signed in, and the passkey."""
    before = len(mail.messages_to(email))
    client, key = world.client, Authenticator()
    ask_with_passkey(client, key, email)
    code = letter(world, mail, email, before + 1).code
    answer = submit(client, "/register/code", {"code": code})
    assert answer.status_code == 303, answer.text
    return client, key


def show_passkey(world: World, key: Authenticator) -> str | None:
    """Return whose account a passkey opens; nothing is kept."""
    passkeys, runtime = world.placet.identity.passkeys, world.placet.runtime
    with runtime.unit_of_work(ANONYMOUS) as uow:
        begun = passkeys.begin_assertion(uow, None, purpose=CeremonyKind.SIGN_IN)
    with runtime.unit_of_work(ANONYMOUS) as uow:
        try:
            response = key.get(begun.options)
            return passkeys.accept(uow, begun.ceremony_id, response, account=None).account_id
        except PasskeyRefused:
            return None


def with_passkey(
    client: FlaskClient, key: Authenticator, *, says: Says | None = None, page: str = "/login"
) -> TestResponse:
    """Press the passkey button of a page and show the passkey."""
    path = page.partition("?")[0]
    begun = options(client, page, f"{path}/passkey/options")
    assert begun.status_code == 200, begun.text
    credential = key.get(begun.text, says)
    return submit(client, page, {"credential": credential}, to=f"{path}/passkey")


def add_passkey(client: FlaskClient) -> Authenticator:
    """Add a passkey to the account that is signed in."""
    key, add = Authenticator(), "/account/passkeys"
    begun = options(client, add, f"{add}/options")
    answer = submit(client, add, {"name": "Móvil", "credential": key.create(begun.text)})
    assert answer.status_code in (200, 303), answer.text
    return key
