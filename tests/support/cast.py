"""Ana, and the applications that ask about her: callers wired without an identity provider."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from werkzeug.test import TestResponse

from policies.vocabulary import ConsentChannel, Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.consent import store
from privacy.consent.model import ConsentEvent, RegisterPublished
from tests.support.world import NOON, World

ANA = "ana@example.com"
PURPOSES = frozenset({"newsletter", "recommendations", "loyalty"})
SCOPES = frozenset(
    {
        Scope.CONSENTS_READ,
        Scope.CONSENTS_WRITE,
        Scope.DECISIONS_EVALUATE,
        Scope.PURPOSES_READ,
    }
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody known to the deployment, and to one application."""

    subject_id: str
    pseudonym: str


def introduce(
    world: World, email: str = ANA, *, domain: str = "shop", verified: bool = True
) -> Person:
    """Make a person known, with a proved address, to one application."""
    placet = world.placet
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        placet.pseudonyms.ensure_domain(uow, domain)
        subject_id = placet.subjects.by_email(uow, email, keep=True)
        if verified:
            placet.subjects.verify_email(uow, subject_id, email)
        pseudonym = placet.pseudonyms.issue(uow, domain, subject_id)
        uow.commit()
    return Person(subject_id, pseudonym)


def in_force_since(world: World, since: datetime) -> None:
    """Have the register be in force since then; its set-up was dated by the real clock."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        revision = world.placet.register.revision
        entry_id = uow.record(RegisterPublished(register_revision=revision))
        store.note_in_force(uow.session, revision, since, entry_id)
        uow.commit()


def application(
    client_id: str = "shop",
    *,
    purposes: frozenset[str] = PURPOSES,
    scopes: frozenset[Scope] = SCOPES,
) -> Actor:
    """Return an application as the bearer token would make it known."""
    return Actor(
        kind=ActorKind.APPLICATION,
        client_id=client_id,
        domain=client_id,
        purposes=purposes,
        scopes=scopes,
    )


def calls_as(world: World, actor: Actor) -> None:
    """Have every bearer-token request come from this caller."""
    world.app.extensions["placet.bearer"] = lambda: actor


def signed_in_as(world: World, person: Person) -> None:
    """Have every page request come from this person's session."""
    actor = Actor(
        kind=ActorKind.PERSON,
        subject_id=person.subject_id,
        account_id="0" * 32,
        scopes=frozenset({Scope.SIGNED_IN}),
        methods=("pwd",),
        authenticated_at=NOON,
    )
    world.app.extensions["placet.session"] = lambda: actor


def give(
    world: World,
    person: Person,
    purpose: str = "newsletter",
    *,
    version: int = 2,
    actor: Actor = SYSTEM,
    **more: Any,
) -> ConsentEvent:
    """Have the person consent, written down by `actor`."""
    with world.placet.runtime.unit_of_work(actor) as uow:
        return world.placet.consents.give(
            uow,
            person.subject_id,
            purpose,
            notice_version=version,
            language="es",
            channel=ConsentChannel.WEB,
            **more,
        )


def refuse(
    world: World,
    person: Person,
    purpose: str = "newsletter",
    *,
    version: int = 2,
    actor: Actor = SYSTEM,
) -> ConsentEvent:
    """Have the person refuse, written down by `actor`."""
    with world.placet.runtime.unit_of_work(actor) as uow:
        return world.placet.consents.refuse(
            uow,
            person.subject_id,
            purpose,
            notice_version=version,
            language="es",
            channel=ConsentChannel.WEB,
        )


def withdraw(world: World, person: Person, purpose: str = "newsletter") -> ConsentEvent:
    """Have the person withdraw."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        return world.placet.consents.withdraw(
            uow, person.subject_id, purpose, channel=ConsentChannel.WEB
        )


def ask(
    world: World, person: Person, purpose: str = "newsletter", *, client_id: str = "shop"
) -> TestResponse:
    """Ask whether the application may use the person's data for a purpose."""
    return world.client.post(
        "/access/v1/evaluation",
        json={
            "subject": {"type": "application", "id": client_id},
            "action": {"name": purpose},
            "resource": {"type": "person", "id": person.pseudonym},
        },
    )
