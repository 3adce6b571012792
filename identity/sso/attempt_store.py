"""Tables of people who are away at a provider, and of logout tokens that were seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class AttemptRow(Base):
    """One way to a provider and back; neither `state` nor the browser's cookie can be read from it.

    Operational: it says of nobody that anything happened.
    """

    __tablename__ = "sso_attempt"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    state_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    browser_digest: Mapped[str] = mapped_column(sa.String(64))
    provider: Mapped[str] = mapped_column(sa.String(32))
    purpose: Mapped[str] = mapped_column(sa.String(16))
    # Not a foreign key: the row outlives nobody by more than its ten minutes.
    account_id: Mapped[str | None] = mapped_column(sa.String(32))
    next: Mapped[str] = mapped_column(sa.Text)
    handle_digest: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    answer_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LogoutTokenRow(Base):
    """A logout token that was acted upon: its `jti` counts once."""

    __tablename__ = "sso_logout_token"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    provider: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    jti_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


def of_handle(session: Session, handle_digest: str) -> AttemptRow | None:
    """Return the attempt whose answer is kept under this handle."""
    query = sa.select(AttemptRow).where(AttemptRow.handle_digest == handle_digest)
    return session.scalars(query).first()


def claim(session: Session, state_digest: str, now: datetime) -> bool:
    """Use an attempt up, and drop what was kept for it; of any number at once one gets True."""
    return changed_one(
        session,
        sa.update(AttemptRow)
        .where(
            AttemptRow.state_digest == state_digest,
            AttemptRow.used_at.is_(None),
            AttemptRow.expires_at > now,
        )
        .values(used_at=now, answer_sealed=None),
    )


def park(
    session: Session, state_digest: str, handle_digest: str, sealed: bytes, now: datetime
) -> bool:
    """Keep an answer for an attempt that has none yet; of any number at once one gets True."""
    return changed_one(
        session,
        sa.update(AttemptRow)
        .where(
            AttemptRow.state_digest == state_digest,
            AttemptRow.handle_digest.is_(None),
            AttemptRow.used_at.is_(None),
            AttemptRow.expires_at > now,
        )
        .values(handle_digest=handle_digest, answer_sealed=sealed),
    )


def add_logout(session: Session, row: LogoutTokenRow) -> bool:
    """Note a logout token; False where it was seen before."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True


def delete_expired(session: Session, now: datetime) -> int:
    """Delete what has run out and return how many rows went."""
    count = 0
    for table in (AttemptRow, LogoutTokenRow):
        gone = session.execute(sa.delete(table).where(table.expires_at <= now))
        count += cast("sa.CursorResult[Any]", gone).rowcount
    return count
