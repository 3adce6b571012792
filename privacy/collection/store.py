"""Tables of requests for attributes.

Operational: making and answering one is recorded by its use case, and the worker deletes the spent
ones without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.vocabulary import Attribute
from privacy.collection.model import AskedField, AttributeRequest, FieldAnswer
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class RequestRow(Base):
    """An application asks a person."""

    __tablename__ = "attribute_request"
    __table_args__ = (sa.Index(None, "subject_id", "client_id"), {"info": OPERATIONAL})

    request_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    subject_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("subject.subject_id"))
    client_id: Mapped[str] = mapped_column(sa.String(200))
    collection_point: Mapped[str] = mapped_column(sa.String(64))
    return_to: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FieldRow(Base):
    """One attribute of a request, in the order of the form."""

    __tablename__ = "attribute_request_field"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    request_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("attribute_request.request_id"), primary_key=True
    )
    attribute: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    position: Mapped[int]
    required: Mapped[bool]
    answer: Mapped[str | None] = mapped_column(sa.String(8))


def add(session: Session, request: AttributeRequest) -> None:
    """Keep a new request."""
    session.add(
        RequestRow(
            request_id=request.request_id,
            subject_id=request.subject_id,
            client_id=request.client_id,
            collection_point=request.collection_point,
            return_to=request.return_to,
            created_at=request.created_at,
            expires_at=request.expires_at,
        )
    )
    session.flush()
    session.add_all(
        FieldRow(
            request_id=request.request_id,
            attribute=field.attribute.value,
            position=position,
            required=field.required,
        )
        for position, field in enumerate(request.fields)
    )
    session.flush()


def find(session: Session, request_id: str) -> AttributeRequest | None:
    """Return a request by its id."""
    row = session.get(RequestRow, request_id, populate_existing=True)
    return _request(session, row) if row else None


def of_subject(session: Session, subject_id: str) -> list[AttributeRequest]:
    """Return a person's requests, oldest first."""
    query = (
        sa.select(RequestRow)
        .where(RequestRow.subject_id == subject_id)
        .order_by(RequestRow.created_at, RequestRow.request_id)
    )
    return [_request(session, row) for row in session.scalars(query).all()]


def count_open(session: Session, subject_id: str, client_id: str, at: datetime) -> int:
    """Return how many requests of an application wait for a person."""
    query = (
        sa.select(sa.func.count())
        .select_from(RequestRow)
        .where(
            RequestRow.subject_id == subject_id,
            RequestRow.client_id == client_id,
            RequestRow.answered_at.is_(None),
            RequestRow.expires_at > at,
        )
    )
    return session.scalar(query) or 0


def refused_since(
    session: Session, subject_id: str, client_id: str, since: datetime
) -> set[Attribute]:
    """Return what a person has not given an application since an instant."""
    query = (
        sa.select(FieldRow.attribute)
        .join(RequestRow, RequestRow.request_id == FieldRow.request_id)
        .where(
            RequestRow.subject_id == subject_id,
            RequestRow.client_id == client_id,
            RequestRow.answered_at > since,
            FieldRow.answer == FieldAnswer.REFUSED.value,
        )
    )
    return {Attribute(name) for name in session.scalars(query)}


def close(session: Session, request_id: str, given: Iterable[Attribute], at: datetime) -> bool:
    """Keep a person's answer; False where it was answered before or has expired."""
    claim = (
        sa.update(RequestRow)
        .where(
            RequestRow.request_id == request_id,
            RequestRow.answered_at.is_(None),
            RequestRow.expires_at > at,
        )
        .values(answered_at=at)
    )
    if cast("sa.CursorResult[Any]", session.execute(claim)).rowcount != 1:
        return False
    names = {each.value for each in given}
    answer = sa.case(
        (FieldRow.attribute.in_(names), FieldAnswer.GIVEN.value), else_=FieldAnswer.REFUSED.value
    )
    session.execute(
        sa.update(FieldRow)
        .where(FieldRow.request_id == request_id)
        .values(answer=answer)
        .execution_options(synchronize_session=False)
    )
    return True


def move(session: Session, source: str, target: str) -> None:
    """Let the requests to one subject be another's: they are one person."""
    session.execute(
        sa.update(RequestRow)
        .where(RequestRow.subject_id == source)
        .values(subject_id=target)
        .execution_options(synchronize_session=False)
    )


def delete_of(session: Session, subject_id: str) -> None:
    """Delete a person's requests."""
    _delete(session, RequestRow.subject_id == subject_id)


def delete_expired(session: Session, before: datetime) -> int:
    """Delete the requests that ran out before an instant; return how many."""
    return _delete(session, RequestRow.expires_at <= before)


def _delete(session: Session, where: sa.ColumnElement[bool]) -> int:
    wanted = sa.select(RequestRow.request_id).where(where)
    quiet = {"synchronize_session": False}
    session.execute(
        sa.delete(FieldRow).where(FieldRow.request_id.in_(wanted)).execution_options(**quiet)
    )
    done = session.execute(sa.delete(RequestRow).where(where).execution_options(**quiet))
    return cast("sa.CursorResult[Any]", done).rowcount


def _request(session: Session, row: RequestRow) -> AttributeRequest:
    query = (
        sa.select(FieldRow)
        .where(FieldRow.request_id == row.request_id)
        .order_by(FieldRow.position)
        .execution_options(populate_existing=True)
    )
    found: Sequence[FieldRow] = session.scalars(query).all()
    return AttributeRequest(
        request_id=row.request_id,
        subject_id=row.subject_id,
        client_id=row.client_id,
        collection_point=row.collection_point,
        return_to=row.return_to,
        fields=tuple(
            AskedField(
                Attribute(field.attribute),
                field.required,
                FieldAnswer(field.answer) if field.answer else None,
            )
            for field in found
        ),
        created_at=row.created_at,
        expires_at=row.expires_at,
        answered_at=row.answered_at,
    )
