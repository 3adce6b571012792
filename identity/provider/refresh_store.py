"""Refresh tokens and the families they form. Secrets are kept as SHA-256 alone.

Whoever issues in a family or ends it holds the family's row first, so neither misses the other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.tables import Base, UtcDateTime


class FamilyRow(Base):
    """What one sign-in with `offline_access` yielded: a chain of refresh tokens with one end."""

    __tablename__ = "oauth_refresh_family"

    family_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), index=True
    )
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    scope: Mapped[str] = mapped_column(sa.Text)
    claims: Mapped[str] = mapped_column(sa.Text)
    audience: Mapped[str | None] = mapped_column(sa.Text)
    code_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    auth_time: Mapped[datetime] = mapped_column(UtcDateTime)
    methods: Mapped[str] = mapped_column(sa.String(200))
    sid: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RefreshTokenRow(Base):
    """One refresh token of a family; a used one is kept, so that a second use is recognised.

    `used_scope` and `used_audience` are what the access token got that its use yielded.
    """

    __tablename__ = "oauth_refresh_token"

    token_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    family_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_refresh_family.family_id"), index=True
    )
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_scope: Mapped[str | None] = mapped_column(sa.Text)
    used_audience: Mapped[str | None] = mapped_column(sa.Text)


def find(session: Session, digest: str, client_id: str) -> tuple[RefreshTokenRow, FamilyRow] | None:
    """Return this client's refresh token and its family, whatever their state."""
    query = (
        sa.select(RefreshTokenRow, FamilyRow)
        .join(FamilyRow, FamilyRow.family_id == RefreshTokenRow.family_id)
        .where(RefreshTokenRow.token_digest == digest, FamilyRow.client_id == client_id)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


def hold(session: Session, row: RefreshTokenRow, family: FamilyRow) -> bool:
    """Read both again, and let nobody use or end the family until the commit.

    Returns:
        False where they are gone: the person was erased.
    """
    held = sa.select(FamilyRow).where(FamilyRow.family_id == family.family_id).with_for_update()
    fresh = held.execution_options(populate_existing=True)
    if session.scalars(fresh).one_or_none() is None:
        return False
    session.refresh(row)
    return True


def claim(session: Session, digest: str, *, scope: str, audience: str | None, at: datetime) -> bool:
    """Use up a refresh token if nobody has and its time has not run out; one conditional UPDATE."""
    statement = (
        sa.update(RefreshTokenRow)
        .where(
            RefreshTokenRow.token_digest == digest,
            RefreshTokenRow.used_at.is_(None),
            RefreshTokenRow.expires_at > at,
        )
        .values(used_at=at, used_scope=scope, used_audience=audience)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", session.execute(statement)).rowcount == 1


def is_unused(session: Session, digest: str) -> bool:
    """Tell whether there is such a refresh token and nobody has used it."""
    query = sa.select(sa.func.count()).where(
        RefreshTokenRow.token_digest == digest, RefreshTokenRow.used_at.is_(None)
    )
    return session.scalars(query).one() == 1


def end_families(
    session: Session, at: datetime, *which: sa.ColumnElement[bool]
) -> frozenset[tuple[str, str]]:
    """End the living families that these conditions name; return each one's client and person.

    They are held in one order, so that two who end the same ones never wait for each other.
    """
    living = (FamilyRow.revoked_at.is_(None), FamilyRow.expires_at > at)
    held = session.execute(
        sa.select(FamilyRow.family_id, FamilyRow.client_id, FamilyRow.subject_id)
        .where(*which, *living)
        .order_by(FamilyRow.family_id)
        .with_for_update()
    ).all()
    if held:
        named = FamilyRow.family_id.in_([row.family_id for row in held])
        ending = sa.update(FamilyRow).where(named).values(revoked_at=at)
        session.execute(ending.execution_options(synchronize_session=False))
    return frozenset((row.client_id, row.subject_id) for row in held)


def forget(session: Session, *which: sa.ColumnElement[bool]) -> int:
    """Delete the families that these conditions name, with their refresh tokens; how many."""
    named = sa.select(FamilyRow.family_id).where(*which)
    quiet = {"synchronize_session": False}
    tokens = sa.delete(RefreshTokenRow).where(RefreshTokenRow.family_id.in_(named))
    session.execute(tokens, execution_options=quiet)
    families = sa.delete(FamilyRow).where(*which)
    return cast("sa.CursorResult[Any]", session.execute(families, execution_options=quiet)).rowcount
