"""People who work here, opened by the services alone, and pages as one of them sees them."""

from flask.testing import FlaskClient

from identity.accounts.model import Account
from identity.sessions.browser import PRIVILEGES
from policies.vocabulary import Role, Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from tests.identity.people import PASSWORD
from tests.support.world import World

ALMA, BRUNO, DELIA = "alma@example.com", "bruno@example.com", "delia@example.com"


def open_account(
    world: World, email: str, role: Role = Role.PERSON, password: str | None = PASSWORD
) -> Account:
    """Open an account whose address is proven, as a finished registration leaves it."""
    placet, identity = world.placet, world.placet.identity
    encoded = identity.passwords.choose(password, email=email) if password else None
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = placet.subjects.by_email(uow, email, keep=True)
        account = identity.accounts.open(uow, subject_id, role=role, language="es")
        placet.subjects.verify_email(uow, subject_id, email)
        if encoded:
            identity.passwords.keep(uow, account, encoded)
        uow.commit()
    return account


def actor_of(account: Account) -> Actor:
    """Return the account's person, signed in with a factor that is strong enough."""
    return Actor(
        kind=ActorKind.PERSON,
        scopes=frozenset({Scope.SIGNED_IN}) | PRIVILEGES[account.role],
        subject_id=account.subject_id,
        account_id=account.account_id,
        role=account.role,
        methods=("swk", "user", "mfa"),
    )


def browser_of(world: World, account: Account) -> FlaskClient:
    """Return a browser whose every request comes from this account's session.

    How a session begins and what it must prove is tested where sessions are.
    """
    world.app.extensions["placet.session"] = lambda: actor_of(account)
    world.app.extensions["placet.step-up"] = lambda *_asked: None
    return world.client


def sign_in_for_real(world: World) -> None:
    """Let requests come from their own sessions again."""
    browser = world.placet.identity.browser
    world.app.extensions["placet.session"] = browser.authenticate
    world.app.extensions["placet.step-up"] = browser.step_up
