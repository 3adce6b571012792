"""From an access token to the application that calls. Source: RFC 6750."""

from __future__ import annotations

from collections.abc import Callable

from flask import request

from identity.provider import tokens
from identity.provider.model import Token
from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.actor import Actor, ActorKind
from privacy.unit_of_work import Runtime


def token_in_header() -> str | None:
    """Return the token of the Authorization header; None where there is none of this kind."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def actor_of(token: Token, address: str | None, register: Register) -> Actor:
    """Return the application behind a token, and the person where the token is a person's."""
    return Actor(
        kind=ActorKind.APPLICATION,
        scopes=frozenset(Scope(name) for name in token.api_scope),
        subject_id=token.subject_id,
        client_id=token.client.client_id,
        domain=token.client.sector,
        purposes=register.in_units(token.client.purposes),
        address=address,
    )


def authenticator(runtime: Runtime, register: Register) -> Callable[[], Actor | None]:
    """Return what tells, for the present request, who calls the JSON API; None for nobody."""

    def authenticate() -> Actor | None:
        secret = token_in_header()
        if secret is None:
            return None
        with runtime.snapshot() as session:
            token = tokens.find_for_us(session, secret, runtime.clock())
        return None if token is None else actor_of(token, request.remote_addr, register)

    return authenticate
