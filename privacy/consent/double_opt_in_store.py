"""The mailed links by which a consent with an unproved address is confirmed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.database import Base, UtcDateTime


class ConfirmationRow(Base):
    """A consent that waits for its confirmation; the request's event tells what was said.

    Attributes:
        token_digest: of the mailed link.
        event_id: the request.
        identifier_id: the address that the link was mailed to.
        explicit: what is confirmed is an express statement.
        confirmed_at: when the link was used; None while it was not.
    """

    __tablename__ = "consent_confirmation"
    __table_args__ = (sa.Index(None, "subject_id", "purpose"),)

    token_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    event_id: Mapped[str] = mapped_column(sa.String(32), unique=True)
    subject_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("subject.subject_id"))
    purpose: Mapped[str] = mapped_column(sa.String(64))
    identifier_id: Mapped[str] = mapped_column(sa.String(32))
    explicit: Mapped[bool]
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def with_token(session: Session, digest: str) -> ConfirmationRow | None:
    """Return what the link with this digest confirms, used and expired ones as well."""
    return session.get(ConfirmationRow, digest, populate_existing=True)


def spend(session: Session, digest: str, now: datetime) -> bool:
    """Let the first who comes use a link; tell whether it was this caller."""
    used = session.execute(
        sa.update(ConfirmationRow)
        .where(
            ConfirmationRow.token_digest == digest,
            ConfirmationRow.confirmed_at.is_(None),
            ConfirmationRow.expires_at > now,
        )
        .values(confirmed_at=now)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", used).rowcount == 1


def waiting(session: Session, subject_id: str, purpose: str, now: datetime) -> list[str]:
    """Return the requests of a person and a unit that can still be confirmed, oldest first."""
    query = (
        sa.select(ConfirmationRow.event_id)
        .where(
            ConfirmationRow.subject_id == subject_id,
            ConfirmationRow.purpose == purpose,
            ConfirmationRow.confirmed_at.is_(None),
            ConfirmationRow.expires_at > now,
        )
        .order_by(ConfirmationRow.asked_at, ConfirmationRow.event_id)
    )
    return list(session.scalars(query))


def close_others(session: Session, subject_id: str, purpose: str, now: datetime) -> None:
    """Let the other links of a person and a unit confirm nothing more: one was enough."""
    session.execute(
        sa.update(ConfirmationRow)
        .where(
            ConfirmationRow.subject_id == subject_id,
            ConfirmationRow.purpose == purpose,
            ConfirmationRow.confirmed_at.is_(None),
        )
        .values(confirmed_at=now)
        .execution_options(synchronize_session=False)
    )


def move(session: Session, *, source: str, target: str) -> None:
    """Let the links of one subject be another's: two subjects are one person."""
    session.execute(
        sa.update(ConfirmationRow)
        .where(ConfirmationRow.subject_id == source)
        .values(subject_id=target)
    )


def delete_before(session: Session, instant: datetime) -> None:
    """Delete the links that expired before an instant."""
    session.execute(sa.delete(ConfirmationRow).where(ConfirmationRow.expires_at < instant))


def delete_of(session: Session, subject_id: str) -> None:
    """Delete a person's links."""
    session.execute(sa.delete(ConfirmationRow).where(ConfirmationRow.subject_id == subject_id))
