"""Tables of passwords, and of recoveries on their way; `lost_factor_store` has queries of the last."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.accounts.one_time_proof import ProofAnsweredLater
from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class PasswordRow(Base):
    """The Argon2id hash of an account's password.

    Attributes:
        long_enough_alone: it may be the only factor; NULL is of a time when every password had to.
        set_by_mail: whoever set it last had shown nothing but the mailbox.
        change_demanded_at: since when the account must set another before anything else.
    """

    __tablename__ = "credential_password"

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    hash: Mapped[str] = mapped_column(sa.String(200))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    long_enough_alone: Mapped[bool | None]
    set_by_mail: Mapped[bool | None]
    change_demanded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RecoveryRow(ProofAnsweredLater, Base):
    """Somebody asked for a new password by mail; without an account it leads nowhere.

    Operational: the request for a known account is recorded as an event.
    """

    __tablename__ = "password_recovery"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    recovery_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FactorRecoveryRow(Base):
    """Somebody says that an account's last second factor is lost.

    Operational: each stage of a known account's is recorded as an event.

    Attributes:
        token_digest, code_digest: of the present letter; another stage has another one.
        browser_digest: of the secret that the browser holds which proved the mailbox.
        proofs: what else was shown, values of `policies.recovery.Proof` with spaces between.
        ready_at: when the waiting time ends; NULL before it begins.
        expires_at: when the present stage ends unused.
        ended: a `RecoveryEnd`, or NULL.
    """

    __tablename__ = "factor_recovery"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    recovery_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    token_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    code_digest: Mapped[str] = mapped_column(sa.String(64))
    code_attempts: Mapped[int] = mapped_column(default=0)
    code_expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    browser_digest: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    proofs: Mapped[str] = mapped_column(sa.String(64), default="")
    proof_attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    offered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended: Mapped[str | None] = mapped_column(sa.String(16))


def void_recoveries(session: Session, account_id: str, at: datetime) -> None:
    """End every recovery of an account that is still on its way."""
    session.execute(
        sa.update(RecoveryRow)
        .where(RecoveryRow.account_id == account_id, RecoveryRow.used_at.is_(None))
        .values(used_at=at)
        .execution_options(synchronize_session=False)
    )


def demand_change(session: Session, account_id: str, at: datetime) -> bool:
    """Note that a password must be changed; False where it was noted before or there is none."""
    row = session.get(PasswordRow, account_id, with_for_update=True, populate_existing=True)
    if row is None or row.change_demanded_at is not None:
        return False
    row.change_demanded_at = at
    return True


def replace_hash(session: Session, account_id: str, old: str, new: str) -> bool:
    """Store the same password's hash at a new cost, unless the password changed meanwhile."""
    swap = (
        sa.update(PasswordRow)
        .where(PasswordRow.account_id == account_id, PasswordRow.hash == old)
        .values(hash=new)
    )
    return changed_one(session, swap)


def delete_of(session: Session, account_id: str) -> None:
    """Forget an account's password and recoveries."""
    for table in (PasswordRow, RecoveryRow, FactorRecoveryRow):
        session.execute(
            sa.delete(table)
            .where(table.account_id == account_id)
            .execution_options(synchronize_session=False)
        )
