"""Queries over accounts and invitations that only administration asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from identity.accounts.store import AccountRow, InvitationRow
from identity.single_use import changed_one


def change_status(session: Session, account_id: str, *, old: str, new: str) -> bool:
    """Move an account from one status to another; True for exactly one caller."""
    change = (
        sa.update(AccountRow)
        .where(AccountRow.account_id == account_id, AccountRow.status == old)
        .values(status=new)
    )
    return changed_one(session, change)


def change_role(session: Session, account_id: str, *, old: str, new: str) -> bool:
    """Move an active account from one role to another; True for exactly one caller."""
    change = (
        sa.update(AccountRow)
        .where(
            AccountRow.account_id == account_id,
            AccountRow.status == "active",
            AccountRow.role == old,
        )
        .values(role=new)
    )
    return changed_one(session, change)


def with_roles(session: Session, roles: Sequence[str]) -> Sequence[AccountRow]:
    """Return the accounts of these roles that are not closed, oldest first."""
    query = (
        sa.select(AccountRow)
        .where(AccountRow.role.in_(roles), AccountRow.status != "closed")
        .order_by(AccountRow.created_at, AccountRow.account_id)
    )
    return session.scalars(query).all()


def open_invitations(session: Session, at: datetime) -> Sequence[InvitationRow]:
    """Return the invitations that still work, the newest first."""
    query = (
        sa.select(InvitationRow)
        .where(
            InvitationRow.used_at.is_(None),
            InvitationRow.revoked_at.is_(None),
            InvitationRow.expires_at > at,
        )
        .order_by(InvitationRow.created_at.desc(), InvitationRow.invitation_id)
    )
    return session.scalars(query).all()


def revoke_invitation(session: Session, invitation_id: str, at: datetime) -> bool:
    """Take back an invitation that still works; True for exactly one caller."""
    revoking = (
        sa.update(InvitationRow)
        .where(
            InvitationRow.invitation_id == invitation_id,
            InvitationRow.used_at.is_(None),
            InvitationRow.revoked_at.is_(None),
            InvitationRow.expires_at > at,
        )
        .values(revoked_at=at)
    )
    return changed_one(session, revoking)
