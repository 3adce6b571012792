"""The applications that may use this provider: adding, changing, re-keying and shutting them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from identity.provider import client_store
from identity.provider.client_authentication import is_client_id
from identity.provider.client_settings import ClientSettings, Fault, as_evidence, faults
from identity.provider.model import (
    Client,
    ClientAdded,
    ClientChanged,
    ClientDisabled,
    ClientEnabled,
    ClientSecretRetired,
    ClientSecretRotated,
)
from identity.provider.store import ClientRow, ClientSecretRow, client_from
from policies.errors import Conflict, InvalidInput, NotFound
from policies.register.model import Register
from privacy.clock import rfc3339
from privacy.ids import new_id, new_token, secret_digest
from privacy.pseudonyms.service import Pseudonyms
from privacy.unit_of_work import UnitOfWork

#: Hexadecimal digits of a secret's SHA-256 that name it: of 256 random bits they tell nothing.
FINGERPRINT_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """What may be told of a secret.

    Attributes:
        fingerprint: the first digits of its SHA-256, by which people know it apart.
        created_at: aware UTC.
        retired_at: from then on it is refused; None: until it is replaced.
    """

    fingerprint: str
    created_at: datetime
    retired_at: datetime | None

    def works(self, at: datetime) -> bool:
        """Tell whether the secret is accepted at this instant."""
        return self.retired_at is None or at < self.retired_at


class Clients:
    """The applications that may use this provider."""

    def __init__(self, register: Register, pseudonyms: Pseudonyms) -> None:
        self._register = register
        self._pseudonyms = pseudonyms

    def faults(self, settings: ClientSettings) -> Sequence[Fault]:
        """Return everything that is wrong with the settings."""
        return [*faults(settings, self._register)]

    def add(self, uow: UnitOfWork, settings: ClientSettings) -> tuple[Client, str | None]:
        """Add a client and return it with its secret, which is shown this once.

        It may sign people in where it has redirect URIs, and act in its own name where it has
        scopes of the JSON API. A client that proves itself by its keys alone gets no secret.

        Raises:
            InvalidInput: a setting is wrong; names it.
        """
        settings = self._checked(settings)
        client_id = new_id(uow.ids)
        row = ClientRow(
            client_id=client_id,
            sector=settings.sector or client_id,
            created_at=uow.now,
            **settings.columns(),
        )
        uow.session.add(row)
        uow.session.flush()
        secret = self._new_secret(uow, client_id) if settings.has_secrets else None
        self._pseudonyms.ensure_domain(uow, row.sector)
        evidence = {name: as_evidence(name, value) for name, value in settings.columns().items()}
        uow.record(ClientAdded(client_id=client_id), {**evidence, "sector": row.sector})
        uow.commit()
        return client_from(row), secret

    def change(self, uow: UnitOfWork, client_id: str, settings: ClientSettings) -> Client:
        """Replace a client's settings by these, from this instant on.

        What the client holds of a scope that it may not ask for any more ends, what it got by a
        grant that it may not use any more (its own tokens, refresh tokens), and so do its secrets where it is to prove itself by its keys alone.

        Raises:
            NotFound: there is no such client.
            InvalidInput: a setting is wrong, or another sector is wanted; names it.
        """
        row = self._row(uow.session, client_id)
        if settings.sector not in {"", row.sector}:
            raise InvalidInput(
                "a sector never changes: every person would get another `sub`, and the "
                "application would know nobody again; add another application instead",
                field="sector",
            )
        settings = self._checked(settings)
        before, after = {}, {}
        lost = frozenset(row.scopes.split()) - frozenset(settings.scopes)
        lost_grants = frozenset(row.grant_types.split()) - settings.grant_types
        for name, value in settings.columns().items():
            old = getattr(row, name)
            if old != value:
                before[name], after[name] = as_evidence(name, old), as_evidence(name, value)
                setattr(row, name, value)
        if after:
            ended = client_store.end_all(uow.session, client_id, uow.now, lost) if lost else {}
            by_grant = client_store.end_of_grants(uow.session, client_id, uow.now, lost_grants)
            if not settings.has_secrets:
                client_store.retire_secrets(uow.session, client_id, uow.now)
            uow.record(
                ClientChanged(client_id=client_id),
                {"before": {**before}, "after": {**after}, "ended": {**ended, **by_grant}},
            )
        uow.commit()
        return client_from(row)

    def rotate_secret(self, uow: UnitOfWork, client_id: str, overlap: timedelta) -> str:
        """Return a new secret; the present ones are valid for `overlap` longer, at most.

        Raises:
            NotFound: there is no such client.
            Conflict: it proves itself by its keys alone.
        """
        row = self._row(uow.session, client_id)
        if not ClientSettings.of(client_from(row)).has_secrets:
            raise Conflict("this client proves itself by its keys and has no secret")
        client_store.retire_secrets(uow.session, client_id, uow.now + overlap)
        secret = self._new_secret(uow, client_id)
        uow.record(ClientSecretRotated(client_id=client_id, old_until=rfc3339(uow.now + overlap)))
        uow.commit()
        return secret

    def retire_secrets(
        self, uow: UnitOfWork, client_id: str, fingerprint: str | None = None
    ) -> Sequence[ClientSecret]:
        """End secrets at once and return them: the one named, or all but the newest.

        Raises:
            NotFound: there is no such client.
            Conflict: no secret that works is meant.
        """
        row = self._row(uow.session, client_id)
        working = [
            each
            for each in client_store.secrets(uow.session, row.client_id)
            if _told(each).works(uow.now)
        ]
        if fingerprint is None:
            meant = working[1:]
        else:
            meant = [each for each in working if _told(each).fingerprint == fingerprint]
        if not meant:
            raise Conflict("there is no such secret that still works")
        digests = [each.secret_digest for each in meant]
        client_store.retire_secrets(uow.session, client_id, uow.now, digests)
        retired = [
            ClientSecret(_told(each).fingerprint, each.created_at, uow.now) for each in meant
        ]
        uow.record(
            ClientSecretRetired(client_id=client_id),
            {"fingerprints": [each.fingerprint for each in retired]},
        )
        uow.commit()
        return retired

    def disable(self, uow: UnitOfWork, client_id: str) -> None:
        """Refuse a client from now on, and end its codes, tokens and refresh tokens for good.

        Raises:
            NotFound: there is no such client.
        """
        row = self._row(uow.session, client_id)
        if row.disabled_at is None:
            row.disabled_at = uow.now
            ended = client_store.end_all(uow.session, client_id, uow.now)
            uow.record(ClientDisabled(client_id=client_id), {**ended})
        uow.commit()

    def enable(self, uow: UnitOfWork, client_id: str) -> None:
        """Let a disabled client in again; what it held stays ended.

        Raises:
            NotFound: there is no such client.
        """
        row = self._row(uow.session, client_id)
        if row.disabled_at is not None:
            row.disabled_at = None
            # What was issued at the very moment of the disabling must not come to life.
            client_store.end_all(uow.session, client_id, uow.now)
            uow.record(ClientEnabled(client_id=client_id))
        uow.commit()

    @staticmethod
    def find(session: Session, client_id: str, *, at: datetime) -> Client | None:
        """Return the client with the secrets that are valid at this instant, or None."""
        return client_store.find(session, client_id, at)

    @staticmethod
    def all(session: Session) -> list[Client]:
        """Return every client, oldest first, without secrets."""
        return [client_from(row) for row in client_store.clients(session)]

    @staticmethod
    def secrets(session: Session, client_id: str) -> list[ClientSecret]:
        """Return what may be told of a client's secrets, the newest first; never a value."""
        return [_told(row) for row in client_store.secrets(session, client_id)]

    @staticmethod
    def people(session: Session, client_id: str) -> int:
        """Return how many people are connected with the client."""
        return client_store.people(session, client_id)

    def _checked(self, settings: ClientSettings) -> ClientSettings:
        """Return the settings as they are kept: a declared purpose stands for all its units."""
        for fault in faults(settings, self._register):
            raise fault.refusal()
        units = {unit for each in settings.purposes for unit in self._register.units_of(each)}
        return replace(settings, purposes=units)

    @staticmethod
    def _row(session: Session, client_id: str) -> ClientRow:
        row = client_store.held(session, client_id) if is_client_id(client_id) else None
        if row is None:
            raise NotFound("there is no such client")
        return row

    @staticmethod
    def _new_secret(uow: UnitOfWork, client_id: str) -> str:
        secret = new_token(uow.ids)
        uow.session.add(
            ClientSecretRow(
                secret_digest=secret_digest(secret), client_id=client_id, created_at=uow.now
            )
        )
        return secret


def _told(row: ClientSecretRow) -> ClientSecret:
    return ClientSecret(row.secret_digest[:FINGERPRINT_LENGTH], row.created_at, row.retired_at)
