"""Tables of registrations on their way, accounts, invitations and attempt counters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.accounts import address_store  # noqa: F401 - where the migrations find its tables
from identity.accounts.one_time_proof import OneTimeProof
from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class PendingRegistration(OneTimeProof, Base):
    """Somebody says that an address is theirs; nobody is known by it until that is proven.

    `arrival` names what waits of an outside provider, instead of a password or a passkey.
    Operational: there is no person yet whom an audit entry could be about.
    """

    __tablename__ = "pending_registration"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    registration_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    email_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16), index=True)
    email_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    password_hash: Mapped[str | None] = mapped_column(sa.String(200))
    passkey_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    arrival: Mapped[str | None] = mapped_column(sa.String(64))
    password_attempts: Mapped[int] = mapped_column(default=0)
    language: Mapped[str] = mapped_column(sa.String(8))
    invitation_digest: Mapped[str | None] = mapped_column(sa.String(64))
    terms_version: Mapped[int | None]
    privacy_version: Mapped[int | None]
    notices_language: Mapped[str | None] = mapped_column(sa.String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


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
    closing_until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    undo_digest: Mapped[str | None] = mapped_column(sa.String(64), index=True, unique=True)


class InvitationRow(Base):
    """A one-time right to register with a role."""

    __tablename__ = "invitation"

    token_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    invitation_id: Mapped[str] = mapped_column(sa.String(32), unique=True)
    role: Mapped[str] = mapped_column(sa.String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AttemptRow(Base):
    """How often one thing was tried in vain, since it last succeeded."""

    __tablename__ = "attempt"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    key_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    failures: Mapped[int]
    last_failure_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SignInTryRow(Base):
    """One try of a password that has not succeeded, kept for an hour; names neither side."""

    __tablename__ = "sign_in_try"
    __table_args__ = (
        sa.Index(None, "account_digest", "at"),
        sa.Index(None, "network_digest", "at"),
        {"info": OPERATIONAL},
    )

    try_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_digest: Mapped[str] = mapped_column(sa.String(64))
    network_digest: Mapped[str] = mapped_column(sa.String(64))
    device_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


_OF_SUBJECT = sa.select(AccountRow).where(AccountRow.subject_id == sa.bindparam("of_subject"))
_ACCOUNT = cast("sa.Table", AccountRow.__table__)
_HOLD_STATUS = (  # built once: each exchange of a code asks it
    sa.select(_ACCOUNT.c.status)
    .where(_ACCOUNT.c.subject_id == sa.bindparam("of_subject"))
    .with_for_update()
)


def account_of_subject(session: Session, subject_id: str) -> AccountRow | None:
    """Return the person's account, closed or not."""
    return session.scalars(_OF_SUBJECT, {"of_subject": subject_id}).one_or_none()


def hold_status(session: Session, subject_id: str) -> str | None:
    """Return the status of the person's account, which nobody changes until the commit."""
    return session.scalar(_HOLD_STATUS, {"of_subject": subject_id})


def account_closing_by(session: Session, undo_digest: str) -> AccountRow | None:
    """Return the account whose closing this link takes back."""
    query = sa.select(AccountRow).where(AccountRow.undo_digest == undo_digest)
    return session.scalars(query).one_or_none()


def begin_closing(session: Session, account_id: str, *, until: datetime, undo_digest: str) -> bool:
    """Make an active account a closing one; True for exactly one caller."""
    closing = (
        sa.update(AccountRow)
        .where(AccountRow.account_id == account_id, AccountRow.status == "active")
        .values(status="closing", closing_until=until, undo_digest=undo_digest)
    )
    return changed_one(session, closing)


def undo_closing(session: Session, account_id: str, at: datetime) -> bool:
    """Make a closing account active while its grace lasts; True for exactly one caller."""
    undoing = (
        sa.update(AccountRow)
        .where(
            AccountRow.account_id == account_id,
            AccountRow.status == "closing",
            AccountRow.closing_until > at,
        )
        .values(status="active", closing_until=None, undo_digest=None)
    )
    return changed_one(session, undoing)


def end_grace(session: Session, account_id: str, at: datetime) -> bool:
    """Claim a closing account whose grace has ended; True for exactly one caller."""
    ending = (
        sa.update(AccountRow)
        .where(
            AccountRow.account_id == account_id,
            AccountRow.status == "closing",
            AccountRow.closing_until <= at,
        )
        .values(closing_until=None, undo_digest=None)
    )
    return changed_one(session, ending)


def grace_ended(session: Session, at: datetime, limit: int) -> Sequence[AccountRow]:
    """Return closing accounts whose grace has ended, the longest ago first."""
    query = (
        sa.select(AccountRow)
        .where(AccountRow.status == "closing", AccountRow.closing_until <= at)
        .order_by(AccountRow.closing_until, AccountRow.account_id)
        .limit(limit)
    )
    return session.scalars(query).all()


def lock_administrators(session: Session) -> Sequence[str]:
    """Return ids of the active administrators, locked in one order until the transaction ends.

    Whoever takes the role or the account from one of them waits here for who came first, and then
    sees who is left.
    """
    query = (
        sa.select(AccountRow.account_id)
        .where(AccountRow.role == "administrator", AccountRow.status == "active")
        .order_by(AccountRow.account_id)
        .with_for_update()
    )
    return session.scalars(query).all()


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
            InvitationRow.revoked_at.is_(None),
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


_ATTEMPT = cast("sa.Table", AttemptRow.__table__)
_FAILURES = sa.select(_ATTEMPT.c.failures).where(  # built once: each call of a client asks it
    _ATTEMPT.c.kind == sa.bindparam("of_kind"), _ATTEMPT.c.key_digest == sa.bindparam("of_digest")
)


def failures(session: Session, kind: str, key_digest: str) -> int:
    """Return what a counter stands at; nought where there is none."""
    session.flush()  # what this transaction has counted counts
    return session.scalar(_FAILURES, {"of_kind": kind, "of_digest": key_digest}) or 0


def lock_attempt(session: Session, kind: str, key_digest: str) -> AttemptRow | None:
    """Return a counter, locked until the transaction ends."""
    query = (
        sa.select(AttemptRow)
        .where(AttemptRow.kind == kind, AttemptRow.key_digest == key_digest)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()


def tries_of_strangers(session: Session, account_digests: Sequence[str], since: datetime) -> int:
    """Return how often an account was tried from unknown devices after `since`."""
    return _count_tries(
        session,
        SignInTryRow.account_digest.in_(account_digests),
        SignInTryRow.device_id.is_(None),
        SignInTryRow.at > since,
    )


def tries_of_device(session: Session, device_id: str, since: datetime) -> int:
    """Return how often a known device tried after `since`."""
    return _count_tries(session, SignInTryRow.device_id == device_id, SignInTryRow.at > since)


def tries_since(session: Session, since: datetime) -> int:
    """Return how often any account was tried after `since`."""
    return _count_tries(session, SignInTryRow.at > since)


def accounts_tried(
    session: Session, network_digest: str, since: datetime, *, but: Sequence[str] = ()
) -> dict[str, datetime]:
    """Return accounts that unknown devices of a network tried after `since`, and when last."""
    query = (
        sa.select(SignInTryRow.account_digest, sa.func.max(SignInTryRow.at))
        .where(
            SignInTryRow.network_digest == network_digest,
            SignInTryRow.at > since,
            SignInTryRow.device_id.is_(None),
            SignInTryRow.account_digest.not_in(but),
        )
        .group_by(SignInTryRow.account_digest)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def delete_try(session: Session, try_id: str) -> None:
    """Take back a try that succeeded."""
    session.execute(
        sa.delete(SignInTryRow)
        .where(SignInTryRow.try_id == try_id)
        .execution_options(synchronize_session=False)
    )


def _count_tries(session: Session, *conditions: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(SignInTryRow).where(*conditions)
    return session.scalar(query) or 0


def delete_tries_of(session: Session, account_digest: str) -> None:
    """Delete the tries of one account."""
    deletion = sa.delete(SignInTryRow).where(SignInTryRow.account_digest == account_digest)
    session.execute(deletion.execution_options(synchronize_session=False))


def delete_tries(session: Session, until: datetime) -> int:
    """Delete tries up to an instant; return how many."""
    deletion = sa.delete(SignInTryRow).where(SignInTryRow.at <= until)
    quiet = deletion.execution_options(synchronize_session=False)
    return cast("sa.CursorResult[Any]", session.execute(quiet)).rowcount
