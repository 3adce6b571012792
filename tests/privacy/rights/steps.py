"""What people and staff do in these tests, through the pages."""

import re
from email.message import EmailMessage

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from policies.vocabulary import Role, Scope
from privacy.actor import ANONYMOUS, Actor, ActorKind
from tests.support.cast import ANA, Person
from tests.support.forms import submit
from tests.support.smtp import MailServer
from tests.support.world import NOON, World

BRUNO = Actor(
    kind=ActorKind.PERSON,
    account_id="b" * 32,
    role=Role.STAFF,
    scopes=frozenset({Scope.SIGNED_IN, Scope.DESK}),
    methods=("mfa", "swk", "user"),
    authenticated_at=NOON,
)


def browse_as(world: World, actor: Actor) -> None:
    """Have every page request come from this caller's session."""
    world.app.extensions["placet.session"] = lambda: actor


def signed_out(world: World) -> None:
    """Have every page request come from nobody in particular."""
    browse_as(world, ANONYMOUS)


def of_person(person: Person) -> Actor:
    """Return a signed-in person."""
    return Actor(
        kind=ActorKind.PERSON,
        subject_id=person.subject_id,
        account_id="a" * 32,
        scopes=frozenset({Scope.SIGNED_IN}),
        methods=("pwd",),
        authenticated_at=NOON,
    )


def ask_by_form(client: FlaskClient, right: str, email: str = ANA, **more: str) -> TestResponse:
    """Fill in the public form."""
    values = {"right": right, "email": email, **more}
    return submit(client, f"/rights?right={right}", values, to="/rights")


def mailed(world: World, mail_server: MailServer, to: str = ANA, count: int = 1) -> EmailMessage:
    """Let the worker work and return the `count`-th letter to an address."""
    world.settle()
    return mail_server.wait_for(to=to, count=count)


def words(letter: EmailMessage) -> str:
    """Return the plain text of a letter."""
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(letter: EmailMessage) -> str:
    """Return the path of a letter's link."""
    found = re.search(r"http://localhost:8000(/rights/confirm/\S+)", words(letter))
    assert found, words(letter)
    return found.group(1)


def code_in(letter: EmailMessage) -> str:
    """Return a letter's code, which stands in its first line."""
    found = re.search(r"\b(\d{8})\b", words(letter).splitlines()[0])
    assert found, words(letter)
    return found.group(1)


def reference_in(answer: TestResponse) -> str:
    """Return the reference of the request that an answer leads to."""
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].removeprefix("/rights/requests/")


def proved(
    world: World, mail_server: MailServer, client: FlaskClient, right: str, **more: str
) -> str:
    """Ask by the form, press the mailed button, and return the reference."""
    world.settle()
    mail_server.clear()
    assert ask_by_form(client, right, **more).status_code == 303
    letter = mailed(world, mail_server, more.get("email", ANA))
    path = link_in(letter)
    mail_server.clear()
    return reference_in(submit(client, path, {}))


def request_id(world: World, reference: str) -> str:
    """Return the id that the desk uses for a reference."""
    with world.placet.runtime.snapshot() as session:
        return world.placet.rights.referred(session, reference).request_id


def state_of(world: World, reference: str) -> str:
    """Return where a request stands."""
    with world.placet.runtime.snapshot() as session:
        return world.placet.rights.referred(session, reference).state.value
