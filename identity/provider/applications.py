"""The clients as privacy's collection knows applications: a name, purposes, origins."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from identity.provider import grant_store, store
from identity.provider.client_authentication import is_client_id
from identity.provider.model import Client, redirect_uri_fault
from policies.register.model import Register
from privacy.collection.model import Application


class ClientApplications:
    """Reads the clients of this provider; implements `privacy.collection.service.Applications`."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def named(self, session: Session, client_id: str) -> Application | None:
        """Return an application in use, or None."""
        client = self._client(session, client_id)
        if client is None:
            return None
        return Application(client.name, self._register.in_units(client.purposes))

    def may_return_to(self, session: Session, client_id: str, uri: str) -> bool:
        """Tell whether an address is of an origin of the client's redirect URIs.

        An open redirector would lend our name to anybody. Source: RFC 9700 s. 4.11; RFC 6454 s. 4.
        """
        client = self._client(session, client_id)
        if client is None or redirect_uri_fault(uri) is not None:
            return False
        registered = (*client.redirect_uris, *client.post_logout_redirect_uris)
        return _origin(uri) in {_origin(each) for each in registered}

    def purposes_signed_in_to(self, session: Session, subject_id: str) -> frozenset[str]:
        """Return the purposes of the clients in use that the person signs in to."""
        found = grant_store.purposes_signed_in_to(session, subject_id)
        return self._register.in_units(each for purposes in found for each in purposes.split())

    @staticmethod
    def _client(session: Session, client_id: str) -> Client | None:
        row = session.get(store.ClientRow, client_id) if is_client_id(client_id) else None
        return store.client_from(row) if row and row.disabled_at is None else None


def _origin(uri: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(uri)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default
