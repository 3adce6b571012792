"""Tables of second factors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.single_use import changed_one
from privacy.database import OPERATIONAL, Base, UtcDateTime


class EnrolmentRow(Base):
    """A secret that was shown and not yet confirmed by a code; it opens nothing."""

    __tablename__ = "totp_enrolment"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    secret_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class TotpRow(Base):
    """An account's TOTP secret, sealed, and the last time step whose code was accepted."""

    __tablename__ = "totp"

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    secret_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    last_step: Mapped[int] = mapped_column(sa.BigInteger)
    enrolled_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RecoveryCodeRow(Base):
    """One of an account's recovery codes, by digest."""

    __tablename__ = "totp_recovery_code"

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    code_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def claim_step(session: Session, account_id: str, step: int) -> bool:
    """Use a time step up; True for exactly one caller, and never for an older step."""
    claim = (
        sa.update(TotpRow)
        .where(TotpRow.account_id == account_id, TotpRow.last_step < step)
        .values(last_step=step)
    )
    return changed_one(session, claim)


def claim_recovery_code(session: Session, account_id: str, digest: str, at: datetime) -> bool:
    """Use a recovery code up; True for exactly one caller."""
    claim = (
        sa.update(RecoveryCodeRow)
        .where(
            RecoveryCodeRow.account_id == account_id,
            RecoveryCodeRow.code_digest == digest,
            RecoveryCodeRow.used_at.is_(None),
        )
        .values(used_at=at)
    )
    return changed_one(session, claim)


def add_recovery_codes(session: Session, account_id: str, digests: Sequence[str]) -> None:
    """Replace an account's recovery codes."""
    session.execute(sa.delete(RecoveryCodeRow).where(RecoveryCodeRow.account_id == account_id))
    session.add_all(RecoveryCodeRow(account_id=account_id, code_digest=d) for d in digests)


def unused_recovery_codes(session: Session, account_id: str) -> int:
    """Return how many recovery codes are left."""
    query = sa.select(sa.func.count()).where(
        RecoveryCodeRow.account_id == account_id, RecoveryCodeRow.used_at.is_(None)
    )
    return session.scalar(query) or 0


def delete_of(session: Session, account_id: str) -> None:
    """Forget an account's second factor."""
    for table in (EnrolmentRow, TotpRow, RecoveryCodeRow):
        session.execute(
            sa.delete(table)
            .where(table.account_id == account_id)
            .execution_options(synchronize_session=False)
        )
