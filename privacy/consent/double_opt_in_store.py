"""The mailed links by which a consent that came with an address is confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.tables import Base, UtcDateTime


class ConfirmationRow(Base):
    """A consent that waits for its confirmation; the request's event tells what was said.

    Attributes:
        token_digest: of the mailed link.
        event_id: the request.
        identifier_id: the address that the link was mailed to.
        explicit: what is confirmed is an express statement.
        mailed: a letter with the link was sent, and no newer one ended it; otherwise the page
            behind another letter to the same address lists the request.
        confirmed_at: when the consent was given; None while it was not.
    """

    __tablename__ = "consent_confirmation"
    __table_args__ = (sa.Index(None, "subject_id", "purpose"),)

    token_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    event_id: Mapped[str] = mapped_column(sa.String(32), unique=True)
    subject_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("subject.subject_id"))
    purpose: Mapped[str] = mapped_column(sa.String(64))
    identifier_id: Mapped[str] = mapped_column(sa.String(32))
    explicit: Mapped[bool]
    mailed: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def with_token(session: Session, digest: str) -> ConfirmationRow | None:
    """Return what the link with this digest confirms, used and expired ones as well."""
    return session.get(ConfirmationRow, digest, populate_existing=True)


def spend(session: Session, event_id: str, now: datetime) -> bool:
    """Let the first who comes confirm a request; tell whether it was this caller."""
    used = session.execute(
        sa.update(ConfirmationRow)
        .where(
            ConfirmationRow.event_id == event_id,
            ConfirmationRow.confirmed_at.is_(None),
            ConfirmationRow.expires_at > now,
        )
        .values(confirmed_at=now)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", used).rowcount == 1


def waiting(
    session: Session, subject_id: str, identifier_id: str, now: datetime
) -> Sequence[ConfirmationRow]:
    """Return what can still be confirmed with one address of a person, newest first."""
    row = ConfirmationRow
    query = (
        sa.select(row)
        .where(
            row.subject_id == subject_id,
            row.identifier_id == identifier_id,
            row.confirmed_at.is_(None),
            row.expires_at > now,
        )
        .order_by(row.asked_at.desc(), row.event_id)
    )
    return session.scalars(query.execution_options(populate_existing=True)).all()


def of_person(session: Session, subject_id: str, now: datetime) -> Sequence[ConfirmationRow]:
    """Return what can still be confirmed of a person, with whichever address, newest first."""
    row = ConfirmationRow
    query = (
        sa.select(row)
        .where(row.subject_id == subject_id, row.confirmed_at.is_(None), row.expires_at > now)
        .order_by(row.asked_at.desc(), row.event_id)
    )
    return session.scalars(query).all()


def renew(session: Session, event_id: str, digest: str, expires_at: datetime) -> None:
    """Let another link, mailed now, confirm what waits, in place of its own."""
    session.execute(
        sa.update(ConfirmationRow)
        .where(ConfirmationRow.event_id == event_id, ConfirmationRow.confirmed_at.is_(None))
        .values(token_digest=digest, mailed=True, expires_at=expires_at)
        .execution_options(synchronize_session=False)
    )


def drop_unmailed(session: Session, subject_id: str, purpose: str, identifier_id: str) -> None:
    """Delete a unit's requests without a letter of their own: a newer one stands for them."""
    row = ConfirmationRow
    session.execute(
        sa.delete(row).where(
            row.subject_id == subject_id,
            row.purpose == purpose,
            row.identifier_id == identifier_id,
            row.confirmed_at.is_(None),
            ~row.mailed,
        )
    )


def end_links(session: Session, subject_id: str, identifier_id: str) -> None:
    """End every link mailed to an address; what waits for it stays, for the next one to list."""
    session.execute(
        sa.update(ConfirmationRow)
        .where(
            ConfirmationRow.subject_id == subject_id,
            ConfirmationRow.identifier_id == identifier_id,
        )
        .values(mailed=False)
        .execution_options(synchronize_session=False)
    )


def drop_others(session: Session, subject_id: str, purpose: str, event_id: str) -> None:
    """Delete the other requests of a person and a unit that wait, with whichever address."""
    row = ConfirmationRow
    session.execute(
        sa.delete(row).where(
            row.subject_id == subject_id,
            row.purpose == purpose,
            row.event_id != event_id,
            row.confirmed_at.is_(None),
        )
    )


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
