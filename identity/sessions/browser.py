"""The browser that sent the present request: its cookie becomes an `Actor`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from flask import g, request, session

from identity.accounts.model import PRIVILEGED, Account
from identity.mfa.service import SecondFactor
from identity.sessions.model import FRESH_FOR, Client, Session
from identity.sessions.service import Sessions
from policies.vocabulary import Role, Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.http import current_actor
from privacy.unit_of_work import Runtime

#: Where the signed cookie keeps the session's secret id.
SID: Final = "sid"
ENROL: Final = "/account/totp"

#: What a role adds to `Scope.SIGNED_IN`, and only in a session with a second factor.
PRIVILEGES: Final = MappingProxyType(
    {
        Role.PERSON: frozenset[Scope](),
        Role.STAFF: frozenset({Scope.DESK}),
        Role.DPO: frozenset({Scope.DESK}),
        Role.ADMINISTRATOR: frozenset({Scope.ADMINISTRATION}),
    }
)


class BrowserSession:
    """Reads and writes the session of the present request."""

    def __init__(self, runtime: Runtime, sessions: Sessions, second_factor: SecondFactor) -> None:
        self._runtime = runtime
        self._sessions = sessions
        self._second_factor = second_factor

    def authenticate(self) -> Actor | None:
        """Return who sent the request, by the cookie; None where nobody is signed in."""
        secret = session.get(SID)
        if not isinstance(secret, str):
            return None
        now = self._runtime.clock()
        with self._runtime.snapshot() as database:
            found = self._sessions.find(database, secret, now=now)
        if found is None:
            return None
        if self._sessions.wants_touch(found, now=now):
            with self._runtime.unit_of_work(SYSTEM) as uow:
                self._sessions.touch(uow, found.digest)
        return _actor(found)

    @staticmethod
    def client() -> Client:
        """Return the browser as it shows itself; the address only as trusted proxies give it."""
        return Client(request.remote_addr, request.headers.get("User-Agent", ""))

    def sign_in(self, account: Account, methods: Sequence[str]) -> None:
        """Begin a session for a person who has just proved who they are, in its own transaction."""
        actor = current_actor()
        with self._runtime.unit_of_work(actor) as uow:
            secret = self._sessions.begin(
                uow, account, methods, self.client(), replaces=actor.session_id
            )
            uow.commit()
        self.carry(secret)

    def first_stop(self, account: Account) -> str | None:
        """Return where a person must go before anything else, or None."""
        if account.role not in PRIVILEGED:
            return None
        with self._runtime.snapshot() as database:
            if self._second_factor.is_enrolled(database, account.account_id):
                return None
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._second_factor.begin(uow, account)
        return ENROL

    @staticmethod
    def carry(secret: str) -> None:
        """Put a new session's id into the cookie, and nothing of what was there before."""
        session.clear()
        session[SID] = secret
        g.pop("actor", None)

    def renew(self, methods: Sequence[str]) -> None:
        """Give the present session a new id and other methods: its privilege has changed."""
        digest = current_actor().session_id
        if digest is None:
            return
        with self._runtime.unit_of_work(current_actor()) as uow:
            secret = self._sessions.renew(uow, digest, methods)
        g.pop("actor", None)
        if secret is None:
            session.pop(SID, None)
        else:
            session[SID] = secret

    def is_fresh(self) -> bool:
        """Tell whether the person proved who they are a short while ago."""
        proved_at = current_actor().authenticated_at
        return proved_at is not None and self._runtime.clock() - proved_at < FRESH_FOR


def _actor(found: Session) -> Actor:
    privileges = PRIVILEGES[found.role] if "otp" in found.methods else frozenset[Scope]()
    return Actor(
        kind=ActorKind.PERSON,
        scopes=frozenset({Scope.SIGNED_IN}) | privileges,
        subject_id=found.subject_id,
        account_id=found.account_id,
        role=found.role,
        session_id=found.digest,
        methods=found.methods,
        authenticated_at=found.authenticated_at,
        address=request.remote_addr,
    )
