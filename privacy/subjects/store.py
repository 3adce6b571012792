"""Tables of subjects, what finds them, and their profile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.database import Base, UtcDateTime


class SubjectRow(Base):
    """One person. `sid_sealed` holds the secret that pseudonyms are computed over."""

    __tablename__ = "subject"

    subject_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    sid_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    restricted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    blocked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class IdentifierRow(Base):
    """What finds a subject: a blind index, and the value itself only where it is needed."""

    __tablename__ = "subject_identifier"
    __table_args__ = (sa.UniqueConstraint("kind", "index_version", "blind_index"),)

    identifier_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    kind: Mapped[str] = mapped_column(sa.String(16))
    index_version: Mapped[int]
    blind_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16))
    sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AttributeRow(Base):
    """One profile field, sealed under the person's profile key."""

    __tablename__ = "subject_attribute"

    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), primary_key=True
    )
    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


def hold(session: Session, subject_id: str) -> bool:
    """Let nobody erase the person until the transaction ends (PostgreSQL; SQLite has one writer).

    Returns:
        Whether there is such a person, not erased.
    """
    query = (
        sa.select(SubjectRow.subject_id)
        .where(SubjectRow.subject_id == subject_id, SubjectRow.erased_at.is_(None))
        .with_for_update()
    )
    return session.scalar(query) is not None


def identifier_by_index(
    session: Session, kind: str, version: int, blind_index: bytes
) -> IdentifierRow | None:
    """Return the identifier with this blind index."""
    query = sa.select(IdentifierRow).where(
        IdentifierRow.kind == kind,
        IdentifierRow.index_version == version,
        IdentifierRow.blind_index == blind_index,
    )
    return session.scalars(query).one_or_none()


def identifiers_of(session: Session, subject_id: str) -> Sequence[IdentifierRow]:
    """Return a person's identifiers, oldest first."""
    query = (
        sa.select(IdentifierRow)
        .where(IdentifierRow.subject_id == subject_id)
        .order_by(IdentifierRow.created_at, IdentifierRow.identifier_id)
    )
    return session.scalars(query).all()


def attributes_of(session: Session, subject_id: str) -> Sequence[AttributeRow]:
    """Return a person's profile fields."""
    query = sa.select(AttributeRow).where(AttributeRow.subject_id == subject_id)
    return session.scalars(query).all()


def delete_profile(session: Session, subject_id: str) -> None:
    """Delete identifiers and profile fields; the subject row stays as the mark of the erasure."""
    for table in (AttributeRow, IdentifierRow):
        session.execute(sa.delete(table).where(table.subject_id == subject_id))
