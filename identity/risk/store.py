"""Tables of known devices, assessments of sign-ins, proofs of the address and notices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.accounts.one_time_proof import ProofAnsweredLater
from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class DeviceRow(Base):
    """A browser that an account was signed in with; a revoked one has no row."""

    __tablename__ = "device"
    __table_args__ = (sa.UniqueConstraint("account_id", "token_digest"),)

    device_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("account.account_id"))
    token_digest: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(sa.String(64))
    network: Mapped[str] = mapped_column(sa.String(64))
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    trusted_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    signed_in_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AssessmentRow(Base):
    """What was made of a sign-in; all that is personal is sealed under the person's key.

    Operational: each is recorded as an event, and the worker only shortens and deletes.
    """

    __tablename__ = "risk_assessment"
    __table_args__ = (
        sa.Index(None, "account_id", "at", "assessment_id"),
        {"info": OPERATIONAL},
    )

    assessment_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("account.account_id"))
    subject_id: Mapped[str] = mapped_column(sa.String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    address_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    address_until: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AddressProofRow(ProofAnsweredLater, Base):
    """Somebody wants to try an attacked account's password; without an account it leads nowhere.

    Operational: the request for a known account is recorded as an event.
    """

    __tablename__ = "address_proof"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    proof_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)


class SuspicionRow(Base):
    """When a person was last told, and of what, that strangers try their account."""

    __tablename__ = "risk_suspicion"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    what: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    told_at: Mapped[datetime] = mapped_column(UtcDateTime)


def device_by_token(
    session: Session, account_id: str, token_digest: str, seen_after: datetime
) -> DeviceRow | None:
    """Return an account's device by the token that its browser holds."""
    query = sa.select(DeviceRow).where(
        DeviceRow.account_id == account_id,
        DeviceRow.token_digest == token_digest,
        DeviceRow.last_seen_at > seen_after,
    )
    return session.scalars(query).one_or_none()


def lock_device(session: Session, account_id: str, token_digest: str) -> DeviceRow | None:
    """Return an account's device by token, however old, locked until the transaction ends."""
    query = (
        sa.select(DeviceRow)
        .where(DeviceRow.account_id == account_id, DeviceRow.token_digest == token_digest)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()


def renew_token(session: Session, old_digest: str, new_digest: str) -> None:
    """Have every account's device in one browser be found by another token from now on."""
    session.execute(
        sa.update(DeviceRow)
        .where(DeviceRow.token_digest == old_digest)
        .values(token_digest=new_digest)
        .execution_options(synchronize_session=False)
    )


def devices_of(session: Session, account_id: str) -> Sequence[DeviceRow]:
    """Return an account's devices, the last used first."""
    query = (
        sa.select(DeviceRow)
        .where(DeviceRow.account_id == account_id)
        .order_by(DeviceRow.last_seen_at.desc(), DeviceRow.device_id)
    )
    return session.scalars(query).all()


def delete_device(session: Session, account_id: str, device_id: str) -> bool:
    """Forget one device of an account; True for exactly one caller."""
    return (
        _delete(
            session, DeviceRow, DeviceRow.account_id == account_id, DeviceRow.device_id == device_id
        )
        == 1
    )


def end_trust(session: Session, account_id: str, device_id: str | None = None) -> int:
    """Trust no device of an account any more, or not this one; return how many there are."""
    ending = sa.update(DeviceRow).where(DeviceRow.account_id == account_id)
    if device_id is not None:
        ending = ending.where(DeviceRow.device_id == device_id)
    quiet = ending.values(trusted_until=None).execution_options(synchronize_session=False)
    return cast("sa.CursorResult[Any]", session.execute(quiet)).rowcount


def unseen_devices(session: Session, seen_until: datetime, limit: int) -> Sequence[DeviceRow]:
    """Return devices that were not seen after an instant."""
    query = (
        sa.select(DeviceRow)
        .where(DeviceRow.last_seen_at <= seen_until)
        .order_by(DeviceRow.last_seen_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return session.scalars(query).all()


def assessments_of(
    session: Session,
    account_id: str,
    limit: int,
    *,
    before: AssessmentRow | None = None,
    completed: bool = False,
) -> Sequence[AssessmentRow]:
    """Return an account's assessments, newest first.

    Args:
        session: a snapshot or the caller's transaction.
        account_id: whose.
        limit: how many at most.
        before: only those older than this one.
        completed: only those after which the person got in.
    """
    query = (
        sa.select(AssessmentRow)
        .where(AssessmentRow.account_id == account_id)
        .order_by(AssessmentRow.at.desc(), AssessmentRow.assessment_id.desc())
        .limit(limit)
    )
    if completed:
        query = query.where(AssessmentRow.completed_at.is_not(None))
    if before is not None:
        older = sa.and_(
            AssessmentRow.at == before.at, AssessmentRow.assessment_id < before.assessment_id
        )
        query = query.where(sa.or_(AssessmentRow.at < before.at, older))
    return session.scalars(query).all()


def complete_assessment(
    session: Session, account_id: str, assessment_id: str, at: datetime
) -> bool:
    """Note that the person got in; True the first time."""
    completing = (
        sa.update(AssessmentRow)
        .where(
            AssessmentRow.assessment_id == assessment_id,
            AssessmentRow.account_id == account_id,
            AssessmentRow.completed_at.is_(None),
        )
        .values(completed_at=at)
    )
    return changed_one(session, completing)


def forget_addresses(session: Session, at: datetime) -> int:
    """Delete the full network addresses whose time is over; return how many."""
    shorten = (
        sa.update(AssessmentRow)
        .where(AssessmentRow.address_until <= at)
        .values(address_sealed=None, address_until=None)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", session.execute(shorten)).rowcount


def delete_assessments(session: Session, made_until: datetime) -> int:
    """Delete assessments made up to an instant; return how many."""
    return _delete(session, AssessmentRow, AssessmentRow.at <= made_until)


def delete_expired_proofs(session: Session, at: datetime) -> int:
    """Delete address proofs that can no longer be used; return how many."""
    return _delete(session, AddressProofRow, AddressProofRow.expires_at <= at)


def may_tell(
    session: Session, account_id: str, what: str, at: datetime, told_until: datetime
) -> bool:
    """Note that a person is told at `at`, unless they were after `told_until`; True to tell."""
    again = (
        sa.update(SuspicionRow)
        .where(
            SuspicionRow.account_id == account_id,
            SuspicionRow.what == what,
            SuspicionRow.told_at <= told_until,
        )
        .values(told_at=at)
    )
    if changed_one(session, again):
        return True
    if session.get(SuspicionRow, (account_id, what)) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(SuspicionRow(account_id=account_id, what=what, told_at=at))
    except IntegrityError:  # another request tells at the same moment
        return False
    return True


def delete_suspicion(session: Session, account_id: str) -> None:
    """Forget when a person was told."""
    _delete(session, SuspicionRow, SuspicionRow.account_id == account_id)


def _delete(session: Session, table: type[Base], *conditions: sa.ColumnElement[bool]) -> int:
    deletion = sa.delete(table).where(*conditions)
    quiet = deletion.execution_options(synchronize_session=False)
    return cast("sa.CursorResult[Any]", session.execute(quiet)).rowcount
