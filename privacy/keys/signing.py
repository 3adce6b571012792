"""Signing keys for receipts and tokens: private halves sealed at rest, public halves published.

The audit log's own signing key is not here: it is a file that the worker alone reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import sqlalchemy as sa
from joserfc.jwk import Key, KeyParameters, KeySet, OKPKey, RSAKey
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.vocabulary import EventTag, RetentionClass
from privacy.database import Base, UtcDateTime
from privacy.events import Event
from privacy.ids import new_id
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.unit_of_work import UnitOfWork

RSA_BITS = 2048


class KeyUse(StrEnum):
    """What a signing key signs; never two things."""

    RECEIPT = "receipt"
    OPENID = "openid"


ALGORITHM: dict[KeyUse, str] = {KeyUse.RECEIPT: "Ed25519", KeyUse.OPENID: "RS256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyCreated(Event):
    """A signing key came into use."""

    tag: ClassVar[EventTag] = EventTag.KEYS_SIGNING_KEY_CREATED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    kid: str
    use: str
    algorithm: str


class SigningKey(Base):
    """A signing key; `retired_at` ends its signing, not the publication of its public half."""

    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    use: Mapped[str] = mapped_column(sa.String(16), index=True)
    algorithm: Mapped[str] = mapped_column(sa.String(16))
    public_jwk: Mapped[str] = mapped_column(sa.Text)
    private_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SigningKeys:
    """Creates, finds and publishes signing keys."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        # By `kid`. Importing an RSA key checks it first, which costs some 60 ms; whether a key
        # still signs is read from the database each time.
        self._opened: dict[str, Key] = {}

    def ensure(self, uow: UnitOfWork, use: KeyUse) -> str:
        """Create the first key for `use` where there is none; joins the caller's transaction.

        Returns:
            The `kid` of the key that signs now.
        """
        row = self._current(uow.session, use)
        if row is not None:
            return row.kid
        algorithm = ALGORITHM[use]
        kid = new_id(uow.ids)
        parameters: KeyParameters = {"kid": kid, "alg": algorithm, "use": "sig"}
        key: Key
        if algorithm == "RS256":
            key = RSAKey.generate_key(RSA_BITS, parameters, private=True, auto_kid=False)
        else:
            key = OKPKey.generate_key("Ed25519", parameters, private=True, auto_kid=False)
        private = json.dumps(key.as_dict(private=True)).encode()
        uow.session.add(
            SigningKey(
                kid=kid,
                use=use.value,
                algorithm=algorithm,
                public_jwk=json.dumps(key.as_dict(private=False), sort_keys=True),
                private_sealed=self._sealer.seal(
                    uow.session,
                    DEPLOYMENT,
                    RetentionClass.SECURITY_TRAIL,
                    place("signing_key", "private", kid),
                    private,
                    at=uow.now,
                ),
                created_at=uow.now,
            )
        )
        uow.record(SigningKeyCreated(kid=kid, use=use.value, algorithm=algorithm))
        return kid

    def current(self, session: Session, use: KeyUse) -> Key:
        """Return the private key that signs `use` now, with `kid` and `alg` set.

        Raises:
            LookupError: set-up has not created one.
        """
        row = self._current(session, use)
        if row is None:
            raise LookupError(f"there is no signing key for {use.value}; run `placet setup`")
        if row.kid not in self._opened:
            private = self._sealer.open(
                session,
                DEPLOYMENT,
                RetentionClass.SECURITY_TRAIL,
                place("signing_key", "private", row.kid),
                row.private_sealed,
            )
            [self._opened[row.kid]] = KeySet.import_key_set({"keys": [json.loads(private)]}).keys
        return self._opened[row.kid]

    @staticmethod
    def public(session: Session, use: KeyUse) -> list[dict[str, str | list[str]]]:
        """Return the public JWKs for `use`, newest first, retired ones included."""
        query = (
            sa.select(SigningKey.public_jwk)
            .where(SigningKey.use == use.value)
            .order_by(SigningKey.created_at.desc(), SigningKey.kid)
        )
        return [json.loads(jwk) for jwk in session.scalars(query)]

    @staticmethod
    def _current(session: Session, use: KeyUse) -> SigningKey | None:
        query = (
            sa.select(SigningKey)
            .where(SigningKey.use == use.value, SigningKey.retired_at.is_(None))
            .order_by(SigningKey.created_at.desc(), SigningKey.kid)
            .limit(1)
        )
        return session.scalars(query).first()
