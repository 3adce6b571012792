"""Who calls the decision service: known without a read while no token and no client has changed."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from identity.provider import tokens
from identity.provider.bearer import actor_of
from identity.provider.clients import Clients
from identity.provider.store import TOKEN_AND_CLIENT
from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.actor import Actor, ActorKind
from privacy.ids import secret_digest
from privacy.prepared import DRIVER_ERRORS, Connections, Prepared
from privacy.unit_of_work import Runtime
from privacy.versions import CALLERS, Versions

#: So many tokens are remembered; then all are forgotten.
MOST_REMEMBERED: Final = 10_000
_BEARER: Final = re.compile(r"Bearer (pat_[A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class _Known:
    """A caller that may be remembered.

    Attributes:
        expires_at: aware UTC, half-open; of the token.
        stamp: of `CALLERS`, when it was read; None: nobody can tell whether it still counts.
    """

    actor: Actor
    expires_at: datetime
    stamp: int | None


class Callers:
    """From an Authorization header to the application that calls. Source: RFC 6750."""

    def __init__(
        self, connections: Connections, versions: Versions | None, register: Register
    ) -> None:
        """Wire it.

        Args:
            connections: to the database.
            versions: confirm that a token still counts; None: each is read each time.
            register: expands the purposes that a client was registered for.
        """
        self._tokens = Prepared(connections, TOKEN_AND_CLIENT)
        self._versions = versions
        self._register = register
        self._lock = threading.Lock()
        #: By the header as it came, which stands in this memory with each request anyway.
        self._known: dict[str, _Known] = {}

    def __call__(self, authorization: str, now: datetime) -> Actor | None:
        """Return who calls; None: nobody, or with another kind of token, or nobody can tell now.

        Args:
            authorization: the header, or "".
            now: aware; read after the request arrived.
        """
        known = self._known.get(authorization)
        if (
            known is not None
            and self._versions is not None
            and self._versions.begun[CALLERS] == known.stamp
            and now < known.expires_at
        ):
            return known.actor
        bearer = _BEARER.fullmatch(authorization)
        return self._read(authorization, bearer[1], now) if bearer else None

    def known(self, authorization: str, now: datetime) -> Actor | None:
        """Return who called with it when it was looked at last; else as to call this.

        For what grants nothing yet: whether a body is waited for, after which it is looked at.
        """
        known = self._known.get(authorization)
        return known.actor if known and now < known.expires_at else self(authorization, now)

    def _read(self, authorization: str, secret: str, now: datetime) -> Actor | None:
        moment = self._versions.moment() if self._versions else 0  # before the snapshot
        try:
            rows = self._tokens.rows(of_digest=secret_digest(secret))
        except DRIVER_ERRORS:  # the ordinary way says so
            return None
        token = tokens.living(rows[0], now) if rows else None
        if token is None or not token.is_for_us:
            self._known.pop(authorization, None)
            return None
        actor = actor_of(token, None, self._register)
        stamp = self._versions.settled_since(moment, CALLERS) if self._versions else None
        with self._lock:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[authorization] = _Known(actor, token.expires_at, stamp)
        return actor


def askers(runtime: Runtime, register: Register) -> list[Actor]:
    """Return the applications in use that may ask for decisions, each as if it called."""
    with runtime.snapshot() as session:
        clients = Clients.all(session)
    return [
        Actor(
            kind=ActorKind.APPLICATION,
            scopes=frozenset({Scope.DECISIONS_EVALUATE}),
            client_id=client.client_id,
            domain=client.sector,
            purposes=register.in_units(client.purposes),
        )
        for client in clients
        if client.disabled_at is None and Scope.DECISIONS_EVALUATE.value in client.scopes
    ]
