"""Authorization requests as they are understood, also those that a client pushed to us before.

Source: RFC 9126.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

from authlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error
from sqlalchemy.orm import Session

from identity.provider import discovery, id_token_hint, pushed_store
from identity.provider.authorization import (
    PUSHED_PREFIX,
    AuthorizationRequest,
    NoDestination,
    Parameters,
    RequestGone,
    client_of,
    destination,
    given,
    is_pushed,
    read,
    state_of,
)
from identity.provider.clients import Clients
from identity.provider.model import PUSHED_LIFETIME, Client
from policies.vocabulary import RetentionClass
from privacy.ids import new_token, secret_digest
from privacy.keys.sealing import DEPLOYMENT, KeyDestroyed, SealBroken, Sealer, place
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.unit_of_work import Runtime, UnitOfWork

#: What proves the client beside its request, and is no part of it. Source: RFC 9126 s. 2.1.
_PROOFS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
#: Of all that is pushed, in JSON.
MAX_LENGTH: Final = 16_000


@dataclass(frozen=True, slots=True)
class Addressed:
    """A request of which we know who sent it and where its answer goes, and nothing more yet.

    Attributes:
        parameters: the request's own; of a pushed one what was pushed, not what the address says.
        pushed: names the row of a pushed request.
    """

    client: Client
    redirect_uri: str
    parameters: Parameters
    pushed: str | None = None

    @property
    def state(self) -> str | None:
        """The state that every answer carries."""
        return state_of(self.parameters)


class PushedRequests:
    """Keeps what clients push, sealed, until it is answered or its time is over."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def keep(self, uow: UnitOfWork, client: Client, parameters: Parameters) -> str:
        """Keep a request and return its address, which is a secret of the client's; commits.

        Raises:
            InvalidRequestError: it is too long.
        """
        plain = json.dumps({name: list(values) for name, values in parameters.items()}).encode()
        if len(plain) > MAX_LENGTH:
            raise InvalidRequestError("The request is too long.")
        secret = new_token(uow.ids)
        digest = secret_digest(secret)
        uow.session.add(
            pushed_store.PushedRow(
                request_digest=digest,
                client_id=client.client_id,
                sealed=self._sealer.seal(
                    uow.session,
                    DEPLOYMENT,
                    RetentionClass.SECURITY_TRAIL,
                    _place(digest),
                    plain,
                    at=uow.now,
                ),
                expires_at=uow.now + PUSHED_LIFETIME,
            )
        )
        uow.commit()
        return PUSHED_PREFIX + secret

    def find(
        self, session: Session, request_uri: str, client: Client, at: datetime
    ) -> tuple[str, Parameters]:
        """Return the name of a pushed request's row, and what was pushed.

        Raises:
            RequestGone: this client has no such request waiting.
        """
        digest = secret_digest(request_uri.removeprefix(PUSHED_PREFIX))
        row = pushed_store.find(session, digest, client.client_id, at)
        if row is None:
            raise RequestGone("there is no such request of this client waiting")
        try:
            plain = self._sealer.open(
                session, DEPLOYMENT, RetentionClass.SECURITY_TRAIL, _place(digest), row.sealed
            )
        except (KeyDestroyed, SealBroken):
            raise RequestGone("the request cannot be read any more") from None
        return digest, json.loads(plain)

    @staticmethod
    def claim(uow: UnitOfWork, asked: AuthorizationRequest) -> None:
        """Use up the row of a request that is about to be answered with a code, if it has one.

        Raises:
            RequestGone: it was answered meanwhile, or its time ran out.
        """
        if asked.pushed is None:
            return
        if not pushed_store.claim(uow.session, asked.pushed, asked.client.client_id, uow.now):
            raise RequestGone("the request was answered already")


class Requests:
    """Understands authorization requests, at whatever page of ours they stand."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        clients: Clients,
        pushed: PushedRequests,
        signing_keys: SigningKeys,
        issuer: str,
    ) -> None:
        self._runtime = runtime
        self._clients = clients
        self._pushed = pushed
        self._signing_keys = signing_keys
        self._issuer = issuer

    def understood(self, parameters: Parameters) -> AuthorizationRequest:
        """Return what is asked.

        Raises:
            NoDestination: the answer is a page.
            OAuth2Error: the error that the client is told at its redirect URI.
        """
        return self.read(self.addressed(parameters))

    def addressed(self, parameters: Parameters) -> Addressed:
        """Return who asks and where the answer goes.

        Raises:
            NoDestination: that is not clear, or it is nobody we know.
        """
        now = self._runtime.clock()
        with self._runtime.snapshot() as session:
            client = client_of(
                parameters, lambda client_id: self._clients.find(session, client_id, at=now)
            )
            pushed = None
            if is_pushed(parameters):
                uris = given(parameters, "request_uri")
                if len(uris) != 1:
                    raise NoDestination("request_uri may stand once only")
                pushed, parameters = self._pushed.find(session, uris[0], client, now)
        return Addressed(client, destination(parameters, client), parameters, pushed)

    def read(self, request: Addressed) -> AuthorizationRequest:
        """Return what is asked.

        Raises:
            OAuth2Error: the error that the client is told at its redirect URI.
        """
        if request.client.require_par and request.pushed is None:
            raise InvalidRequestError("This client pushes its requests (RFC 9126).")
        return replace(self._read(request), pushed=request.pushed)

    def login_hint(self, way_back: str) -> str:
        """Return the address that the request at this path of ours says the person signs in with.

        Only a right request of a client that we know says anything.
        """
        parts = urlsplit(way_back)
        if parts.path != discovery.AUTHORIZE:
            return ""
        try:
            return self.understood(parse_qs(parts.query)).login_hint or ""
        except (NoDestination, OAuth2Error):
            return ""

    def push(self, uow: UnitOfWork, client: Client, form: Mapping[str, str]) -> str:
        """Keep the request of a client that proved itself, if it could be answered; commits.

        Args:
            uow: the caller's unit of work.
            client: who sent the form.
            form: its members.

        Returns:
            The request's address, for `request_uri`.

        Raises:
            OAuth2Error: what the authorization endpoint would say of it.
        """
        parameters = {name: [value] for name, value in form.items() if name not in _PROOFS}
        parameters["client_id"] = [client.client_id]
        if "request_uri" in parameters:
            raise InvalidRequestError("A pushed request holds no 'request_uri'.")
        try:
            redirect_uri = destination(parameters, client)
        except NoDestination as error:
            raise InvalidRequestError(str(error)) from None
        self._read(Addressed(client, redirect_uri, parameters))
        return self._pushed.keep(uow, client, parameters)

    def _read(self, request: Addressed) -> AuthorizationRequest:
        return read(
            request.parameters,
            request.client,
            request.redirect_uri,
            issuer=self._issuer,
            sub_of_hint=lambda hint: self._sub_of_hint(hint, request.client),
        )

    def _sub_of_hint(self, hint: str, client: Client) -> str:
        with self._runtime.snapshot() as session:
            keys = self._signing_keys.own(session, KeyUse.OPENID)
        return id_token_hint.sub_of(hint, keys, issuer=self._issuer, client_id=client.client_id)


def _place(digest: str) -> bytes:
    return place("oauth_pushed_request", "sealed", digest)
