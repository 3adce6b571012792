"""Who asks. `identity` fills it; `privacy` only reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from policies.errors import Forbidden, InsufficientScope, Unauthenticated
from policies.vocabulary import Role, Scope


class ActorKind(StrEnum):
    """The kinds of caller."""

    ANONYMOUS = "anonymous"
    PERSON = "person"
    APPLICATION = "application"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a use case.

    Attributes:
        kind: what sort of caller.
        scopes: what the caller may do; `Scope.PUBLIC` is implied for everybody.
        subject_id: the person, where the caller is one.
        account_id: the account of the signed-in human.
        client_id: the application, where the caller is one (also behind a person's own token).
        domain: the application's pseudonymisation domain; empty where the caller is none.
        purposes: the purposes that the application may ask about.
        role: the human's role.
        session_id: the digest of the browser session.
        session_family: names the session over each new secret id of it.
        methods: authentication methods used, RFC 8176 values.
        authenticated_at: when the person last proved who they are; aware UTC.
        address: the caller's network address as we trust it, or None.
    """

    kind: ActorKind
    scopes: frozenset[Scope] = frozenset()
    subject_id: str | None = None
    account_id: str | None = None
    client_id: str | None = None
    domain: str = ""
    purposes: frozenset[str] = frozenset()
    role: Role = Role.PERSON
    session_id: str | None = None
    session_family: str | None = None
    methods: tuple[str, ...] = ()
    authenticated_at: datetime | None = None
    address: str | None = None

    def may(self, scope: Scope) -> bool:
        """Tell whether the caller holds `scope`."""
        return scope is Scope.PUBLIC or scope in self.scopes

    def demand(self, scope: Scope) -> None:
        """Let the caller pass or refuse.

        Raises:
            Unauthenticated: the caller is anonymous.
            InsufficientScope: an application whose token lacks the scope (RFC 6750 s. 3.1).
            Forbidden: a person without the right.
        """
        if self.may(scope):
            return
        if self.kind is ActorKind.ANONYMOUS:
            raise Unauthenticated("this needs a signed-in caller")
        if self.kind is ActorKind.APPLICATION:
            raise InsufficientScope(f"this needs the scope {scope.value}")
        raise Forbidden("this is not yours to do")

    @property
    def name(self) -> str:
        """What the audit trail calls this caller: `person`, `staff:<id>`, `application:<id>`."""
        if self.kind is ActorKind.APPLICATION:
            return f"application:{self.client_id}"
        if self.kind is ActorKind.PERSON and self.role is not Role.PERSON:
            return f"{self.role.value}:{self.account_id}"
        return self.kind.value


ANONYMOUS = Actor(kind=ActorKind.ANONYMOUS)
SYSTEM = Actor(kind=ActorKind.SYSTEM, scopes=frozenset(Scope))


class Callers(Protocol):
    """Tells from an Authorization header who calls."""

    def __call__(self, authorization: str, now: datetime, /) -> Actor | None:
        """Return who calls at this instant; None: nobody, or unusual."""

    def known(self, authorization: str, now: datetime, /) -> Actor | None:
        """Return who called with it when it was looked at last; it may count no longer."""
