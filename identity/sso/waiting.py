"""Who has come from a provider and is linked to no account yet.

The browser holds a secret, we its digest; what the provider told is sealed until it is used or has
expired. Each is used once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from identity.accounts.model import REGISTRATION_LIFETIME, Account, LinkNotValid
from identity.sso import store
from identity.sso.identity_model import ARRIVAL_LIFETIME, LINK_LIFETIME, Arrival
from identity.sso.model import Arrived
from policies.vocabulary import Attribute, RetentionClass
from privacy.events import Json
from privacy.ids import new_token, secret_digest
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.unit_of_work import UnitOfWork

_TRAIL: Final = RetentionClass.SECURITY_TRAIL


class Arrivals:
    """The arrivals that wait."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def receive(
        self,
        uow: UnitOfWork,
        arrived: Arrived,
        *,
        email: str | None,
        attributes: Mapping[Attribute, str],
        upstream_session: str | None,
        account: Account | None = None,
    ) -> str:
        """Keep who came and return the secret that names them; joins the transaction.

        Args:
            uow: the transaction.
            arrived: who came.
            email: normalised.
            attributes: what may be taken over; the rest of what the provider told is dropped.
            upstream_session: keyed digest of the provider's session.
            account: whose person it is by a proven address, once they are in.
        """
        secret = new_token(uow.ids)
        arrival = Arrival(
            digest=secret_digest(secret),
            provider=arrived.provider,
            issuer=arrived.issuer,
            sub=arrived.sub,
            email=email,
            address_proven=arrived.address_proven,
            attributes=attributes,
            upstream_session=upstream_session,
            next=arrived.next,
            account_id=account.account_id if account else None,
        )
        uow.session.add(
            store.ArrivalRow(
                arrival_digest=arrival.digest,
                provider=arrival.provider,
                sealed=self._sealed(uow, arrival),
                account_id=arrival.account_id,
                expires_at=uow.now + ARRIVAL_LIFETIME,
            )
        )
        uow.session.flush()
        return secret

    def find(self, session: Session, secret: str, *, now: datetime) -> Arrival:
        """Return who waits in this browser; changes nothing.

        Raises:
            LinkNotValid: nobody does, or no longer.
        """
        row = session.get(store.ArrivalRow, secret_digest(secret))
        if row is None or row.used_at is not None or row.expires_at <= now:
            raise LinkNotValid("nobody waits any more")
        return self._opened(session, row)

    def choose(
        self, uow: UnitOfWork, arrival: Arrival, email: str, chosen: Collection[Attribute]
    ) -> None:
        """Drop the attributes that the person left out, and wait as long as a registration; joins."""
        left = {key: value for key, value in arrival.attributes.items() if key in chosen}
        row = uow.session.get_one(store.ArrivalRow, arrival.digest)
        row.sealed = self._sealed(uow, replace(arrival, email=email, attributes=left))
        row.expires_at = uow.now + REGISTRATION_LIFETIME

    @staticmethod
    def offer(uow: UnitOfWork, account: Account, digest: str) -> None:
        """Have an arrival wait for an account's person to sign in and to confirm; joins.

        Raises:
            LinkNotValid: it was used or has expired.
        """
        until = uow.now + LINK_LIFETIME
        account_id = account.account_id
        if not store.offer_arrival(uow.session, digest, account_id, at=uow.now, until=until):
            raise LinkNotValid("nobody waits any more")

    def claim(self, uow: UnitOfWork, digest: str) -> Arrival:
        """Use an arrival up; joins the transaction of what it buys.

        Raises:
            LinkNotValid: it was used or has expired.
        """
        if not store.claim_arrival(uow.session, digest, uow.now):
            raise LinkNotValid("nobody waits any more")
        row = uow.session.get_one(store.ArrivalRow, digest, populate_existing=True)
        arrival = self._opened(uow.session, row)
        uow.session.delete(row)  # what was told is not kept any longer
        uow.session.flush()
        return arrival

    def _sealed(self, uow: UnitOfWork, arrival: Arrival) -> bytes:
        content: dict[str, Json] = {
            "issuer": arrival.issuer,
            "sub": arrival.sub,
            "email": arrival.email,
            "address_proven": arrival.address_proven,
            "attributes": {key.value: value for key, value in arrival.attributes.items()},
            "upstream_session": arrival.upstream_session,
            "next": arrival.next,
        }
        where = place("sso_arrival", "sealed", arrival.digest)
        plain = json.dumps(content).encode()
        return self._sealer.seal(uow.session, DEPLOYMENT, _TRAIL, where, plain, at=uow.now)

    def _opened(self, session: Session, row: store.ArrivalRow) -> Arrival:
        where = place("sso_arrival", "sealed", row.arrival_digest)
        content = json.loads(self._sealer.open(session, DEPLOYMENT, _TRAIL, where, row.sealed))
        attributes = {Attribute(key): value for key, value in content.pop("attributes").items()}
        return Arrival(
            digest=row.arrival_digest,
            provider=row.provider,
            attributes=attributes,
            account_id=row.account_id,
            **content,
        )
