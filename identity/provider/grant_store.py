"""The table of what a person lets an application have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.provider.model import REFRESH_IDLE
from identity.provider.refresh_store import FamilyRow
from identity.provider.store import ClientRow
from privacy.tables import Base, UtcDateTime


class GrantRow(Base):
    """That a person signs in to an application, and what it may ask for about them.

    `scope` and `claims` are what the person was asked about and `purposes` what they were told;
    `asked_at` is when they last answered the page that asks, None where there was nothing to ask.
    """

    __tablename__ = "oauth_grant"

    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), primary_key=True
    )
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), primary_key=True, index=True
    )
    scope: Mapped[str] = mapped_column(sa.Text)
    claims: Mapped[str] = mapped_column(sa.Text, server_default=sa.text("''"))
    purposes: Mapped[str] = mapped_column(sa.Text, server_default=sa.text("''"))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime)


def grant(session: Session, subject_id: str, client_id: str) -> GrantRow | None:
    """Return the grant of a person to a client, or None."""
    return session.get(GrantRow, (client_id, subject_id))


def grants_of(session: Session, subject_id: str) -> Sequence[tuple[GrantRow, ClientRow]]:
    """Return a person's grants with their clients, the one used last first."""
    query = (
        sa.select(GrantRow, ClientRow)
        .join(ClientRow, ClientRow.client_id == GrantRow.client_id)
        .where(GrantRow.subject_id == subject_id)
        .order_by(GrantRow.last_used_at.desc(), GrantRow.client_id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def living_families(session: Session, subject_id: str, at: datetime) -> Sequence[FamilyRow]:
    """Return the families of a person by which applications are connected at this instant."""
    query = sa.select(FamilyRow).where(
        FamilyRow.subject_id == subject_id,
        FamilyRow.revoked_at.is_(None),
        FamilyRow.expires_at > at,
        FamilyRow.last_used_at > at - REFRESH_IDLE,
    )
    return session.scalars(query).all()


def ending_with(session: Session, purpose: str) -> list[str]:
    """Return the ids of the clients in whose purposes a withdrawal of this one ends the tokens."""
    query = sa.select(ClientRow.client_id, ClientRow.purposes).where(
        ClientRow.ends_with_withdrawal.is_(True)
    )
    names = {purpose, purpose.partition(".")[0]}  # by itself, or as a unit of what was declared
    return [
        row.client_id
        for row in session.execute(query)
        if not names.isdisjoint(row.purposes.split())
    ]


def purposes_signed_in_to(session: Session, subject_id: str) -> Sequence[str]:
    """Return the purposes, as kept, of the clients in use that the person signs in to."""
    query = (
        sa.select(ClientRow.purposes)
        .join(GrantRow, GrantRow.client_id == ClientRow.client_id)
        .where(GrantRow.subject_id == subject_id, ClientRow.disabled_at.is_(None))
    )
    return session.scalars(query).all()


def delete_of(session: Session, subject_id: str) -> None:
    """Delete a person's grants."""
    session.execute(sa.delete(GrantRow).where(GrantRow.subject_id == subject_id))
