"""Signing keys for receipts and tokens: private halves sealed at rest, public halves published.

A key's life: published, so that everybody who keeps our keys has it; then it signs; then it rests,
published still, until what it signed has run out. The times stand in its row, so no process has to
do anything at the right moment. The audit log's own signing key is not here: it is a file that the
worker alone reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, cast

import sqlalchemy as sa
from joserfc.jwk import Key, KeyParameters, KeySet, OKPKey, RSAKey
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.vocabulary import EventTag, RetentionClass
from privacy.clock import Clock, rfc3339
from privacy.events import Event
from privacy.ids import new_id
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.tables import Base, UtcDateTime
from privacy.unit_of_work import UnitOfWork

RSA_BITS = 2048

#: So long a new key is published before it signs: far longer than anybody is told to keep our keys
#: (`PUBLIC_SECONDS` of the provider), and enough for who asks once a day.
PUBLISHED_BEFORE: Final = timedelta(days=1)
#: So long an OpenID key stays published after its last signature: longer than any token lives.
PUBLISHED_AFTER: Final = timedelta(days=1)


class KeyUse(StrEnum):
    """What a signing key signs; never two things."""

    RECEIPT = "receipt"
    OPENID = "openid"


ALGORITHM: dict[KeyUse, str] = {KeyUse.RECEIPT: "Ed25519", KeyUse.OPENID: "RS256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyCreated(Event):
    """A signing key was made; from when on it signs (RFC 3339) is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.KEYS_SIGNING_KEY_CREATED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    kid: str
    use: str
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRetired(Event):
    """A key's private half was destroyed; `cause` is `age`, or `compromise` where it left at once."""

    tag: ClassVar[EventTag] = EventTag.KEYS_SIGNING_KEY_RETIRED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    kid: str
    use: str
    cause: str


class SigningKey(Base):
    """A signing key.

    Attributes:
        active_from: it signs from then on; None: since it was made.
        retired_at: it signs until then, which may lie ahead; None: until another is made. Of one
            use, exactly one key has none.
        published_until: its public half is shown until then; None: for good.
        private_sealed: empty once it was destroyed.
    """

    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    use: Mapped[str] = mapped_column(sa.String(16), index=True)
    algorithm: Mapped[str] = mapped_column(sa.String(16))
    public_jwk: Mapped[str] = mapped_column(sa.Text)
    private_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    active_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    published_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def signs_from(self) -> datetime:
        """When it began or begins to sign; aware UTC."""
        return self.active_from or self.created_at

    def is_spent(self, at: datetime) -> bool:
        """Tell whether it signs no more and its private half is still there."""
        return self.retired_at is not None and self.retired_at <= at and bool(self.private_sealed)


#: A key's age counts from when it signs; keys made before there was rotation sign since they are.
_SIGNS_FROM: Final = sa.func.coalesce(SigningKey.active_from, SigningKey.created_at)


_KEY = cast("sa.Table", SigningKey.__table__)


def _current(
    use: sa.ColumnElement[str], at: sa.ColumnElement[datetime]
) -> sa.Select[tuple[str, bytes]]:
    return (
        sa.select(_KEY.c.kid, _KEY.c.private_sealed)
        .where(
            _KEY.c.use == use,
            sa.or_(_KEY.c.active_from.is_(None), _KEY.c.active_from <= at),
            sa.or_(_KEY.c.retired_at.is_(None), _KEY.c.retired_at > at),
        )
        .order_by(sa.func.coalesce(_KEY.c.active_from, _KEY.c.created_at).desc(), _KEY.c.kid)
        .limit(1)
    )


def current_kid(use: KeyUse, at: sa.ColumnElement[datetime]) -> sa.ScalarSelect[str]:
    """Return, for a larger statement, the `kid` of the key that signs `use` at an instant."""
    return _current(sa.literal(use.value), at).with_only_columns(_KEY.c.kid).scalar_subquery()


_CURRENT = _current(  # built once: each ID token and receipt asks it
    sa.bindparam("of_use", type_=_KEY.c.use.type),
    sa.bindparam("of_at", type_=_KEY.c.created_at.type),
)


class SigningKeys:
    """Creates, finds, publishes and replaces signing keys.

    Args:
        sealer: seals the private halves.
        clock: tells which of the keys signs now.
    """

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock
        # The one that signs now. Importing an RSA key checks it first, which costs some 60 ms;
        # which key signs is read from the database each time, so a retired one is never used.
        self._opened: dict[KeyUse, tuple[str, Key]] = {}

    def ensure(self, uow: UnitOfWork, use: KeyUse) -> str:
        """Create the first key for `use` where there is none; joins the caller's transaction.

        Returns:
            The `kid` of the newest key.
        """
        newest = self._newest(uow.session, use)
        return newest.kid if newest else self._create(uow, use, active_from=None)

    def rotate(self, uow: UnitOfWork, use: KeyUse, *, at_once: bool = False) -> str:
        """Replace the key that signs `use`; joins the caller's transaction.

        The new key is published now and signs in `PUBLISHED_BEFORE`; until then the old one does,
        which stays published afterwards until what it signed has run out. Receipts are kept, and so
        are the public halves of their keys, for good. Nothing happens where a new key waits for its
        turn already, or another process was quicker.

        Args:
            uow: the caller's unit of work.
            use: which of our keys.
            at_once: the private half is known to somebody else: no key that there was signs any
                more, none for OpenID is published any more, and the new one signs now. Who keeps
                our keys does not know it yet and must ask again.

        Returns:
            The `kid` of the newest key.
        """
        newest = _held(uow.session, use)
        if newest is None:
            return self._create(uow, use, active_from=None)
        if at_once:
            _distrust_all(uow, use)
            return self._create(uow, use, active_from=uow.now)
        if newest.active_from is not None and newest.active_from > uow.now:
            return newest.kid
        newest.retired_at = uow.now + PUBLISHED_BEFORE
        if use is KeyUse.OPENID:
            newest.published_until = newest.retired_at + PUBLISHED_AFTER
        return self._create(uow, use, active_from=newest.retired_at)

    def destroy_retired(self, uow: UnitOfWork) -> int:
        """Destroy the private halves of keys that sign no more, and return of how many.

        Joins the caller's transaction. Source: NIST SP 800-57 part 1 rev. 5 s. 8.3.4.
        """
        spent = uow.session.scalars(
            sa.select(SigningKey)
            .where(SigningKey.retired_at <= uow.now, SigningKey.private_sealed != b"")
            .with_for_update()
        ).all()
        for key in spent:
            _destroy(uow, key, cause="age")
        return len(spent)

    def current(self, session: Session, use: KeyUse) -> Key:
        """Return the private key that signs `use` now, with `kid` and `alg` set.

        Raises:
            LookupError: set-up has not created one.
        """
        session.flush()  # a key that this transaction made may sign in it
        row = session.execute(_CURRENT, {"of_use": use.value, "of_at": self._clock()}).first()
        if row is None:
            raise LookupError(f"there is no signing key for {use.value}; run `placet setup`")
        kid, key = self._opened.get(use, ("", None))
        if key is None or kid != row.kid:
            private = self._sealer.open(
                session,
                DEPLOYMENT,
                RetentionClass.SECURITY_TRAIL,
                place("signing_key", "private", row.kid),
                row.private_sealed,
            )
            [key] = KeySet.import_key_set({"keys": [json.loads(private)]}).keys
            self._opened[use] = (row.kid, key)
        return key

    def opened(self, use: KeyUse, kid: str) -> Key | None:
        """Return the private key of `current_kid` if `current` has opened it already."""
        known, key = self._opened.get(use, ("", None))
        return key if known == kid else None

    def public(self, session: Session, use: KeyUse) -> list[dict[str, str | list[str]]]:
        """Return the public JWKs for `use`, newest first: of keys to come, present and resting."""
        shown = sa.or_(
            SigningKey.published_until.is_(None), SigningKey.published_until > self._clock()
        )
        return _jwks(session, use, shown)

    def own(self, session: Session, use: KeyUse) -> list[dict[str, str | list[str]]]:
        """Return the public JWKs by which we know again what we signed ourselves, however old.

        A sign-out names the person by an ID token that ran out long ago (`id_token_hint`). Keys
        that were compromised are not among them.
        """
        trusted = sa.or_(
            SigningKey.published_until.is_(None),
            SigningKey.published_until > SigningKey.retired_at,
        )
        return _jwks(session, use, trusted)

    @staticmethod
    def all(session: Session) -> list[SigningKey]:
        """Return every key there ever was, the newest first."""
        query = sa.select(SigningKey).order_by(
            SigningKey.use, _SIGNS_FROM.desc(), SigningKey.created_at.desc(), SigningKey.kid
        )
        return [*session.scalars(query)]

    @staticmethod
    def _newest(session: Session, use: KeyUse) -> SigningKey | None:
        return session.scalars(_unretired(use)).first()

    def _create(self, uow: UnitOfWork, use: KeyUse, *, active_from: datetime | None) -> str:
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
                active_from=active_from,
            )
        )
        uow.record(
            SigningKeyCreated(kid=kid, use=use.value, algorithm=algorithm),
            {"signs_from": rfc3339(active_from or uow.now)},
        )
        return kid


def _unretired(use: KeyUse) -> sa.Select[SigningKey]:
    return sa.select(SigningKey).where(SigningKey.use == use.value, SigningKey.retired_at.is_(None))


def _jwks(
    session: Session, use: KeyUse, condition: sa.ColumnElement[bool]
) -> list[dict[str, str | list[str]]]:
    query = (
        sa.select(SigningKey.public_jwk)
        .where(SigningKey.use == use.value, condition)
        .order_by(_SIGNS_FROM.desc(), SigningKey.kid)
    )
    return [json.loads(jwk) for jwk in session.scalars(query)]


def _held(session: Session, use: KeyUse) -> SigningKey | None:
    """Return the newest key, which nobody else replaces until this transaction ends.

    Who waited for another process finds that key retired, and the one it made at the second look.
    """
    held = _unretired(use).with_for_update().execution_options(populate_existing=True)
    return session.scalars(held).first() or session.scalars(held).first()


def _distrust_all(uow: UnitOfWork, use: KeyUse) -> None:
    """Let no key that there is sign any more; OpenID keys leave what is published at once."""
    known = sa.or_(SigningKey.private_sealed != b"", SigningKey.published_until > uow.now)
    query = sa.select(SigningKey).where(SigningKey.use == use.value, known).with_for_update()
    for key in uow.session.scalars(query.execution_options(populate_existing=True)):
        key.retired_at = min(key.retired_at or uow.now, uow.now)
        if use is KeyUse.OPENID:
            key.published_until = key.retired_at
        _destroy(uow, key, cause="compromise")


def _destroy(uow: UnitOfWork, key: SigningKey, *, cause: str) -> None:
    key.private_sealed = b""
    uow.record(SigningKeyRetired(kid=key.kid, use=key.use, cause=cause))
