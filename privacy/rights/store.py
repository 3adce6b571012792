"""Tables of rights requests and of the counters that slow their abuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.deadlines import Deadline
from policies.vocabulary import RetentionClass, Right, RightsState
from privacy.keys.store import DataKey
from privacy.rights.model import RightsChannel, RightsRequest
from privacy.subjects.store import SubjectRow, hold_current
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class RequestRow(Base):
    """One request. The sealed columns are opened by `files.py` alone."""

    __tablename__ = "rights_request"
    __table_args__ = (sa.Index(None, "state", "due_at"),)

    request_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    reference: Mapped[str] = mapped_column(sa.String(16), unique=True)
    right: Mapped[str] = mapped_column(sa.String(32))
    state: Mapped[str] = mapped_column(sa.String(16))
    channel: Mapped[str] = mapped_column(sa.String(16))
    language: Mapped[str] = mapped_column(sa.String(8))
    subject_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    filed_by: Mapped[str | None] = mapped_column(sa.String(200))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_nominal: Mapped[date] = mapped_column(sa.Date)
    due_effective: Mapped[date] = mapped_column(sa.Date)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    contact_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    message_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    detail_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    outcome_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    token_digest: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    code_digest: Mapped[str | None] = mapped_column(sa.String(64))
    proof_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    grant_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AttemptRow(Base):
    """How often something was tried in one window of time; the key names nobody."""

    __tablename__ = "rights_attempt"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    key: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    window_start: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    count: Mapped[int]


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which requests the desk shows; None does not filter.

    Attributes:
        overdue: only open requests whose last day is past.
    """

    right: Right | None = None
    state: RightsState | None = None
    overdue: bool = False
    reference: str | None = None


def from_row(row: RequestRow) -> RightsRequest:
    """Return the standing that a row holds."""
    return RightsRequest(
        request_id=row.request_id,
        reference=row.reference,
        right=Right(row.right),
        state=RightsState(row.state),
        channel=RightsChannel(row.channel),
        language=row.language,
        received_at=row.received_at,
        due=Deadline(nominal=row.due_nominal, effective=row.due_effective, ends_at=row.due_at),
        subject_id=row.subject_id,
        filed_by=row.filed_by,
        verified_at=row.verified_at,
        closed_at=row.closed_at,
        grant_until=row.grant_until,
    )


def add(session: Session, request: RightsRequest) -> RequestRow:
    """Add a request and return its row, whose sealed columns are still empty.

    Raises:
        IntegrityError: the reference is taken; nothing was added.
    """
    row = RequestRow(
        request_id=request.request_id,
        reference=request.reference,
        right=request.right.value,
        state=request.state.value,
        channel=request.channel.value,
        language=request.language,
        subject_id=request.subject_id,
        filed_by=request.filed_by,
        received_at=request.received_at,
        verified_at=request.verified_at,
        closed_at=request.closed_at,
        due_nominal=request.due.nominal,
        due_effective=request.due.effective,
        due_at=request.due.ends_at,
        grant_until=request.grant_until,
    )
    with session.begin_nested():
        session.add(row)
    return row


def move(session: Session, before: RightsRequest, after: RightsRequest) -> bool:
    """Move a request to its next state; False where somebody else moved it first."""
    return _changed(
        session,
        sa.update(RequestRow)
        .where(RequestRow.request_id == before.request_id, RequestRow.state == before.state.value)
        .values(
            state=after.state.value,
            subject_id=after.subject_id,
            verified_at=after.verified_at,
            closed_at=after.closed_at,
            grant_until=after.grant_until,
        ),
    )


def spend_proof(session: Session, request_id: str, at: datetime) -> bool:
    """Use up the link and the code of a request, both at once; False where that came too late."""
    return _changed(
        session,
        sa.update(RequestRow)
        .where(
            RequestRow.request_id == request_id,
            RequestRow.token_digest.is_not(None),
            RequestRow.proof_expires_at > at,
        )
        .values(token_digest=None, code_digest=None, proof_expires_at=None),
    )


def _changed(session: Session, statement: sa.Update) -> bool:
    return cast("sa.CursorResult[Any]", session.execute(statement)).rowcount == 1


def row_of(session: Session, request_id: str, *, lock: bool = False) -> RequestRow | None:
    """Return the row of this id; `lock` holds it until the transaction ends (PostgreSQL)."""
    return session.get(
        RequestRow,
        request_id,
        with_for_update=True if lock else None,
        populate_existing=lock,
    )


def hold_person_of(session: Session, request_id: str) -> None:
    """Hold whose request it is: person first, then request, as a merge and an erasure do."""
    subject_id = session.scalar(
        sa.select(RequestRow.subject_id).where(RequestRow.request_id == request_id)
    )
    if subject_id is not None:
        hold_current(session, subject_id)


def row_referred(session: Session, reference: str) -> RequestRow | None:
    """Return the row of this reference."""
    query = sa.select(RequestRow).where(RequestRow.reference == reference)
    return session.scalars(query).one_or_none()


def row_with_token(session: Session, digest: str) -> RequestRow | None:
    """Return the row whose link has this digest."""
    query = sa.select(RequestRow).where(RequestRow.token_digest == digest)
    return session.scalars(query).one_or_none()


def rows_of_subject(
    session: Session, subject_id: str, *, lock: bool = False
) -> Sequence[RequestRow]:
    """Return a person's requests, newest first; `lock` holds them as `row_of` does."""
    query = (
        sa.select(RequestRow)
        .where(RequestRow.subject_id == subject_id)
        .order_by(RequestRow.received_at.desc(), RequestRow.request_id)
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalars(query).all()


def unproved_before(session: Session, at: datetime, limit: int) -> Sequence[RequestRow]:
    """Return requests whose link has expired unused."""
    query = (
        sa.select(RequestRow)
        .where(RequestRow.state == RightsState.UNVERIFIED.value, RequestRow.proof_expires_at <= at)
        .order_by(RequestRow.proof_expires_at)
        .limit(limit)
    )
    return session.scalars(query).all()


def queue(
    session: Session, wanted: QueueFilter, now: datetime, *, offset: int, limit: int
) -> tuple[list[RightsRequest], int]:
    """Return a page of the desk's queue, most urgent first, and how many match in all."""
    query = sa.select(RequestRow)
    if wanted.right:
        query = query.where(RequestRow.right == wanted.right.value)
    if wanted.state:
        query = query.where(RequestRow.state == wanted.state.value)
    if wanted.overdue:
        query = query.where(RequestRow.state == RightsState.OPEN.value, RequestRow.due_at <= now)
    if wanted.reference:
        query = query.where(RequestRow.reference == wanted.reference)
    total = session.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
    page = query.order_by(RequestRow.due_at, RequestRow.reference).offset(offset).limit(limit)
    return [from_row(row) for row in session.scalars(page)], total


def open_counts(session: Session, now: datetime, soon: timedelta) -> tuple[int, int, int]:
    """Return how many requests are open, how many of them due within `soon`, how many late."""
    due = RequestRow.due_at
    row = session.execute(
        sa.select(
            sa.func.count(),
            sa.func.count(sa.case((sa.and_(due > now, due <= now + soon), 1))),
            sa.func.count(sa.case((due <= now, 1))),
        ).where(RequestRow.state == RightsState.OPEN.value)
    ).one()
    return row[0], row[1], row[2]


def lock_subject(session: Session, subject_id: str) -> None:
    """Wait until nobody else is erasing this person (PostgreSQL; SQLite has one writer)."""
    query = sa.select(SubjectRow).where(SubjectRow.subject_id == subject_id).with_for_update()
    session.execute(query.execution_options(populate_existing=True))


def erased_with_key(
    session: Session, retention: RetentionClass, limit: int
) -> list[tuple[str, datetime]]:
    """Return (person, when erased) of erased people whose key of a class is still there."""
    query = (
        sa.select(SubjectRow.subject_id, SubjectRow.erased_at)
        .join(DataKey, DataKey.holder == SubjectRow.subject_id)
        .where(SubjectRow.erased_at.is_not(None), DataKey.retention == retention.value)
        .order_by(SubjectRow.erased_at, SubjectRow.subject_id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(query) if row[1]]


def count_attempt(session: Session, key: str, window_start: datetime, most: int) -> bool:
    """Count one more attempt; False, and nothing is counted, where `most` were made already."""
    more = (
        sa.update(AttemptRow)
        .where(
            AttemptRow.key == key,
            AttemptRow.window_start == window_start,
            AttemptRow.count < most,
        )
        .values(count=AttemptRow.count + 1)
    )
    if _changed(session, more):
        return True
    try:
        with session.begin_nested():
            session.execute(
                sa.insert(AttemptRow).values(key=key, window_start=window_start, count=1)
            )
    except IntegrityError:  # the window is full, or somebody opened it at the same moment
        return _changed(session, more)
    return True


def forget_attempts(session: Session, before: datetime) -> None:
    """Delete the counters of windows that began before."""
    session.execute(sa.delete(AttemptRow).where(AttemptRow.window_start < before))
