"""Tables of registrations on their way, accounts, invitations and attempt counters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.single_use import changed_one
from privacy.database import OPERATIONAL, Base, UtcDateTime


class PendingRegistration(Base):
    """Somebody says that an address is theirs; nobody is known by it until that is proven.

    Operational: there is no person yet whom an audit entry could be about.
    """

    __tablename__ = "pending_registration"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    registration_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    email_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16), index=True)
    email_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    password_hash: Mapped[str] = mapped_column(sa.String(200))
    token_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    code_digest: Mapped[str] = mapped_column(sa.String(64))
    code_attempts: Mapped[int] = mapped_column(default=0)
    password_attempts: Mapped[int] = mapped_column(default=0)
    language: Mapped[str] = mapped_column(sa.String(8))
    invitation_digest: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    code_expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AccountRow(Base):
    """A person's way in; one person has one."""

    __tablename__ = "account"

    account_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), unique=True
    )
    role: Mapped[str] = mapped_column(sa.String(16))
    status: Mapped[str] = mapped_column(sa.String(16))
    language: Mapped[str] = mapped_column(sa.String(8))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class InvitationRow(Base):
    """A one-time right to register with a role."""

    __tablename__ = "invitation"

    token_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    invitation_id: Mapped[str] = mapped_column(sa.String(32), unique=True)
    role: Mapped[str] = mapped_column(sa.String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AttemptRow(Base):
    """How often one thing was tried in vain, since it last succeeded."""

    __tablename__ = "attempt"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    key_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    failures: Mapped[int]
    last_failure_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


def account_of_subject(session: Session, subject_id: str) -> AccountRow | None:
    """Return the person's account, closed or not."""
    query = sa.select(AccountRow).where(AccountRow.subject_id == subject_id)
    return session.scalars(query).one_or_none()


def pending_by_token(session: Session, token_digest: str) -> PendingRegistration | None:
    """Return the registration whose link this is."""
    query = sa.select(PendingRegistration).where(PendingRegistration.token_digest == token_digest)
    return session.scalars(query).one_or_none()


def lock_pendings(session: Session, email_index: bytes) -> Sequence[PendingRegistration]:
    """Return every registration for an address, locked in one order so that none deadlock."""
    query = (
        sa.select(PendingRegistration)
        .where(PendingRegistration.email_index == email_index)
        .order_by(PendingRegistration.registration_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).all()


def claim_pending(session: Session, registration_id: str, at: datetime) -> bool:
    """Use a registration up; True for exactly one caller."""
    claim = (
        sa.update(PendingRegistration)
        .where(
            PendingRegistration.registration_id == registration_id,
            PendingRegistration.used_at.is_(None),
            PendingRegistration.expires_at > at,
        )
        .values(used_at=at)
    )
    return changed_one(session, claim)


def count_code_try(session: Session, registration_id: str, most: int, at: datetime) -> bool:
    """Count one try at the code; False where none is left or the code has expired."""
    count = (
        sa.update(PendingRegistration)
        .where(
            PendingRegistration.registration_id == registration_id,
            PendingRegistration.code_expires_at > at,
            PendingRegistration.code_attempts < most,
        )
        .values(code_attempts=PendingRegistration.code_attempts + 1)
    )
    return changed_one(session, count)


def count_password_try(session: Session, registration_id: str, most: int, at: datetime) -> bool:
    """Count one try at the password beside the link; False where none is left."""
    count = (
        sa.update(PendingRegistration)
        .where(
            PendingRegistration.registration_id == registration_id,
            PendingRegistration.expires_at > at,
            PendingRegistration.password_attempts < most,
        )
        .values(password_attempts=PendingRegistration.password_attempts + 1)
    )
    return changed_one(session, count)


def delete_pendings(session: Session, email_index: bytes) -> None:
    """Forget every registration for an address."""
    session.execute(
        sa.delete(PendingRegistration)
        .where(PendingRegistration.email_index == email_index)
        .execution_options(synchronize_session=False)
    )


def claim_invitation(session: Session, token_digest: str, at: datetime) -> bool:
    """Use an invitation up; True for exactly one caller."""
    claim = (
        sa.update(InvitationRow)
        .where(
            InvitationRow.token_digest == token_digest,
            InvitationRow.used_at.is_(None),
            InvitationRow.expires_at > at,
        )
        .values(used_at=at)
    )
    return changed_one(session, claim)


def delete_attempt(session: Session, kind: str, key_digest: str) -> None:
    """Forget a counter."""
    session.execute(
        sa.delete(AttemptRow)
        .where(AttemptRow.kind == kind, AttemptRow.key_digest == key_digest)
        .execution_options(synchronize_session=False)
    )


def lock_attempt(session: Session, kind: str, key_digest: str) -> AttemptRow | None:
    """Return a counter, locked until the transaction ends."""
    query = (
        sa.select(AttemptRow)
        .where(AttemptRow.kind == kind, AttemptRow.key_digest == key_digest)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()
