"""Tables of linked identities, and of who has come from a provider and is not known yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class IdentityRow(Base):
    """Somebody at an outside provider who is an account's person here.

    Found by issuer and the keyed blind index of the subject there, by nothing else.
    """

    __tablename__ = "sso_identity"
    __table_args__ = (sa.UniqueConstraint("issuer", "sub_index"),)

    identity_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    issuer: Mapped[str] = mapped_column(sa.String(512))
    sub_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16))
    sub_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    provider: Mapped[str] = mapped_column(sa.String(32))
    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    linked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ArrivalRow(Base):
    """Somebody has come from a provider whom no account knows; the browser holds the secret.

    `account_id` is of the account whose person may link it, once the address was proven.
    Operational: there is no person yet whom an audit entry could be about.
    """

    __tablename__ = "sso_arrival"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    arrival_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(32))
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    account_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def identity_of(session: Session, issuer: str, sub_index: bytes) -> IdentityRow | None:
    """Return the identity of this key."""
    query = sa.select(IdentityRow).where(
        IdentityRow.issuer == issuer, IdentityRow.sub_index == sub_index
    )
    return session.scalars(query).one_or_none()


def identities_of(session: Session, account_id: str) -> Sequence[IdentityRow]:
    """Return an account's identities in the order they were linked."""
    query = sa.select(IdentityRow).where(IdentityRow.account_id == account_id)
    return session.scalars(query.order_by(IdentityRow.linked_at, IdentityRow.identity_id)).all()


def has_identity(session: Session, account_id: str, providers: Collection[str]) -> bool:
    """Tell whether the account has an identity of one of these providers."""
    query = sa.select(
        sa.exists().where(
            IdentityRow.account_id == account_id, IdentityRow.provider.in_(list(providers))
        )
    )
    return bool(session.scalar(query))


def claim_arrival(session: Session, arrival_digest: str, at: datetime) -> bool:
    """Use an arrival up; True for exactly one caller."""
    return changed_one(
        session,
        sa.update(ArrivalRow)
        .where(
            ArrivalRow.arrival_digest == arrival_digest,
            ArrivalRow.used_at.is_(None),
            ArrivalRow.expires_at > at,
        )
        .values(used_at=at),
    )


def offer_arrival(
    session: Session, arrival_digest: str, account_id: str, *, at: datetime, until: datetime
) -> bool:
    """Let an arrival wait for an account's person; False where it was used or has expired."""
    return changed_one(
        session,
        sa.update(ArrivalRow)
        .where(
            ArrivalRow.arrival_digest == arrival_digest,
            ArrivalRow.used_at.is_(None),
            ArrivalRow.expires_at > at,
        )
        .values(account_id=account_id, expires_at=until),
    )


def delete_of(session: Session, account_id: str) -> None:
    """Forget an account's identities and what waits for it."""
    for table in (IdentityRow, ArrivalRow):
        session.execute(
            sa.delete(table)
            .where(table.account_id == account_id)
            .execution_options(synchronize_session=False)
        )


def delete_expired_arrivals(session: Session, at: datetime) -> int:
    """Delete the arrivals that have run out and return how many there were."""
    gone = session.execute(
        sa.delete(ArrivalRow)
        .where(ArrivalRow.expires_at <= at)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", gone).rowcount
