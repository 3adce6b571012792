"""Tables of pushed authorization requests and of client assertions that were seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.tables import OPERATIONAL, Base, UtcDateTime


class PushedRow(Base):
    """One pushed authorization request; its parameters are sealed. Source: RFC 9126."""

    __tablename__ = "oauth_pushed_request"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    request_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), index=True
    )
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AssertionRow(Base):
    """A client assertion that was accepted: its `jti` counts once. Source: RFC 7523 s. 3."""

    __tablename__ = "oauth_client_assertion"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), primary_key=True
    )
    jti_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


def find(session: Session, digest: str, client_id: str, at: datetime) -> PushedRow | None:
    """Return this client's pushed request while it waits to be answered."""
    query = sa.select(PushedRow).where(*_waiting(digest, client_id, at))
    return session.scalars(query).one_or_none()


def claim(session: Session, digest: str, client_id: str, at: datetime) -> bool:
    """Use up a pushed request that waits, and tell whether it did.

    One conditional UPDATE: of several transactions that answer the same request, one may.
    """
    claiming = (
        sa.update(PushedRow)
        .where(*_waiting(digest, client_id, at))
        .values(used_at=at)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", session.execute(claiming)).rowcount == 1


def _waiting(digest: str, client_id: str, at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        PushedRow.request_digest == digest,
        PushedRow.client_id == client_id,
        PushedRow.used_at.is_(None),
        PushedRow.expires_at > at,
    )
