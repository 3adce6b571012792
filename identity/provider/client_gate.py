"""The door of the endpoints that clients call: whoever does not prove itself stays outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from authlib.oauth2.rfc6749.errors import OAuth2Error
from flask import request
from sqlalchemy.orm import Session

from identity.accounts.attempts import Attempt, Attempts
from identity.provider import client_assertion, discovery
from identity.provider.client_assertion import AssertionRefused
from identity.provider.client_authentication import (
    Credentials,
    Proven,
    check,
    credentials,
    refusal,
)
from identity.provider.clients import Clients
from identity.provider.model import Client
from privacy.actor import SYSTEM
from privacy.unit_of_work import Runtime

Found = TypeVar("Found")


class ClientGate:
    """Lets a request pass whose client proves itself, and slows down networks that fail at it.

    A right secret costs no write where nothing failed before: it has 256 bits, so the counters
    keep noise down rather than guesses.
    """

    def __init__(self, runtime: Runtime, clients: Clients, attempts: Attempts, issuer: str) -> None:
        self._runtime = runtime
        self._clients = clients
        self._attempts = attempts
        self._issuer = issuer

    def client_of(self, form: Mapping[str, str]) -> Client:
        """Return the client of this request.

        Raises:
            OAuth2Error: it did not prove itself.
            TooManyAttempts: it must wait.
        """
        return self.answer(form, lambda _session, client: client)

    def answer(self, form: Mapping[str, str], read: Callable[[Session, Client], Found]) -> Found:
        """Return what `read` finds for the client of this request.

        In the usual case it reads in the very snapshot that the client was found in.

        Raises:
            OAuth2Error: the client did not prove itself.
            TooManyAttempts: it must wait.
        """
        presented = credentials(request.headers.get("Authorization"), form)
        counter = self._attempts.of_client(presented.client_id, request.remote_addr)
        with self._runtime.snapshot() as session:
            failed_before = self._attempts.failures(session, counter) > 0
            client = self._clients.find(session, presented.client_id, at=self._runtime.clock())
            if client is not None and not failed_before and self._is_right(client, presented):
                return read(session, client)
        if failed_before:
            self._attempts.begin(counter)
        try:
            proven = self._check(client, presented)
            self._note(proven, counter if failed_before else None)
        except OAuth2Error:
            if not failed_before:
                self._attempts.begin(counter)
            raise
        with self._runtime.snapshot() as session:
            return read(session, proven.client)

    def _is_right(self, client: Client, presented: Credentials) -> bool:
        """Tell whether nothing is left to be written; a failure is counted by the caller."""
        if presented.assertion is not None:
            return False
        try:
            self._check(client, presented)
        except OAuth2Error:
            return False
        return True

    def _check(self, client: Client | None, presented: Credentials) -> Proven:
        ours = {self._issuer, self._issuer + discovery.TOKEN, self._issuer + request.path}
        return check(client, presented, audiences=ours, now=self._runtime.clock())

    def _note(self, proven: Proven, counter: Attempt | None) -> None:
        """Take back what was counted and spend the assertion, for good, whatever it is used for.

        Raises:
            InvalidClientError: the assertion was used before.
        """
        with self._runtime.unit_of_work(SYSTEM) as uow:
            if proven.assertion is not None:
                try:
                    client_assertion.spend(uow, proven.client, proven.assertion)
                except AssertionRefused:
                    raise refusal() from None
            if counter is not None:
                self._attempts.succeeded(uow, counter)
            uow.commit()
