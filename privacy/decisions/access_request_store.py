"""The table of asks: which application asked whom for which consent, and what became of it.

Operational: making and answering one is recorded by its use case, and the worker deletes the spent
ones without a word.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.vocabulary import ConsentAction
from privacy.consent.store import EventRow
from privacy.decisions.access_request_model import AccessRequest
from privacy.subjects.store import all_ids
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class AccessRequestRow(Base):
    """An application asks a person for a consent; the link's secret is kept as its digest."""

    __tablename__ = "access_request"
    __table_args__ = (sa.Index(None, "subject_id", "unit"), {"info": OPERATIONAL})

    request_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    token_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    subject_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("subject.subject_id"))
    unit: Mapped[str] = mapped_column(sa.String(64))
    client_id: Mapped[str] = mapped_column(sa.String(200))
    return_to: Mapped[str | None] = mapped_column(sa.Text)
    evidence_id: Mapped[str] = mapped_column(sa.String(160))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    given: Mapped[bool] = mapped_column(default=False)
    never: Mapped[bool] = mapped_column(default=False)


def add(session: Session, request: AccessRequest, token_digest: str) -> None:
    """Keep a new ask."""
    session.add(
        AccessRequestRow(
            request_id=request.request_id,
            token_digest=token_digest,
            subject_id=request.subject_id,
            unit=request.unit,
            client_id=request.client_id,
            return_to=request.return_to,
            evidence_id=request.evidence_id,
            asked_at=request.asked_at,
            expires_at=request.expires_at,
        )
    )
    session.flush()


def with_token(session: Session, token_digest: str) -> AccessRequest | None:
    """Return the ask behind a link."""
    query = sa.select(AccessRequestRow).where(AccessRequestRow.token_digest == token_digest)
    row = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    return _request(row) if row else None


def with_id(session: Session, request_id: str) -> AccessRequest | None:
    """Return the ask of this id."""
    row = session.get(AccessRequestRow, request_id, populate_existing=True)
    return _request(row) if row else None


def of_subject(session: Session, subject_id: str) -> list[AccessRequest]:
    """Return a person's asks, oldest first."""
    query = (
        sa.select(AccessRequestRow)
        .where(AccessRequestRow.subject_id == subject_id)
        .order_by(AccessRequestRow.asked_at, AccessRequestRow.request_id)
    )
    return [_request(row) for row in session.scalars(query)]


def said_yes_since(session: Session, subject_id: str, unit: str, since: datetime) -> bool:
    """Tell whether the person has consented to a purpose after an instant."""
    query = sa.select(EventRow.event_id).where(
        EventRow.subject_id.in_(all_ids(subject_id)),
        EventRow.purpose == unit,
        EventRow.action == ConsentAction.GIVEN.value,
        EventRow.at > since,
    )
    return session.scalars(query.limit(1)).first() is not None


def close(session: Session, request_id: str, at: datetime, *, given: bool, never: bool) -> bool:
    """Keep a person's answer; False where it was answered before or has expired."""
    claim = (
        sa.update(AccessRequestRow)
        .where(
            AccessRequestRow.request_id == request_id,
            AccessRequestRow.answered_at.is_(None),
            AccessRequestRow.expires_at > at,
        )
        .values(answered_at=at, given=given, never=never)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", session.execute(claim)).rowcount == 1


def move(session: Session, source: str, target: str) -> None:
    """Let the asks to one subject be another's: they are one person."""
    session.execute(
        sa.update(AccessRequestRow)
        .where(AccessRequestRow.subject_id == source)
        .values(subject_id=target)
        .execution_options(synchronize_session=False)
    )


def delete_of(session: Session, subject_id: str) -> None:
    """Delete a person's asks."""
    session.execute(sa.delete(AccessRequestRow).where(AccessRequestRow.subject_id == subject_id))


def delete_expired(session: Session, before: datetime) -> int:
    """Delete what ran out before an instant, but for what says never again; return how many."""
    spent = sa.delete(AccessRequestRow).where(
        AccessRequestRow.expires_at <= before, AccessRequestRow.never.is_(False)
    )
    return cast("sa.CursorResult[Any]", session.execute(spent)).rowcount


def _request(row: AccessRequestRow) -> AccessRequest:
    return AccessRequest(
        request_id=row.request_id,
        subject_id=row.subject_id,
        unit=row.unit,
        client_id=row.client_id,
        return_to=row.return_to,
        evidence_id=row.evidence_id,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        answered_at=row.answered_at,
        given=row.given,
        never=row.never,
    )
