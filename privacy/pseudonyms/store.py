"""Domains, and the plain (domain, pseudonym) -> subject index of application domains."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.database import Base, UtcDateTime


class DomainRow(Base):
    """A pseudonymisation domain; its number is part of its pseudonyms and never changes."""

    __tablename__ = "pseudonym_domain"

    domain_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(sa.String(200), unique=True)
    key_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PseudonymRow(Base):
    """A person's pseudonym in one domain; deleted with the person's profile."""

    __tablename__ = "pseudonym"
    __table_args__ = (sa.UniqueConstraint("domain_id", "subject_id"),)

    domain_id: Mapped[int] = mapped_column(
        sa.ForeignKey("pseudonym_domain.domain_id"), primary_key=True
    )
    value: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)


def domain_named(session: Session, name: str) -> DomainRow | None:
    """Return the domain of this name."""
    return session.scalars(sa.select(DomainRow).where(DomainRow.name == name)).one_or_none()


def value_for(session: Session, domain_id: int, subject_id: str) -> str | None:
    """Return the person's pseudonym in the domain, where one was issued."""
    query = sa.select(PseudonymRow.value).where(
        PseudonymRow.domain_id == domain_id, PseudonymRow.subject_id == subject_id
    )
    return session.scalar(query)


_SUBJECT_FOR = (  # built once: most calls of the JSON API ask it
    sa.select(PseudonymRow.subject_id)
    .join(DomainRow, DomainRow.domain_id == PseudonymRow.domain_id)
    .where(
        DomainRow.name == sa.bindparam("of_domain"), PseudonymRow.value == sa.bindparam("of_value")
    )
)


def subject_for(session: Session, domain_name: str, value: str) -> str | None:
    """Return whom `value` names in this domain and no other."""
    return session.scalar(_SUBJECT_FOR, {"of_domain": domain_name, "of_value": value})


def of_subject(session: Session, subject_id: str) -> list[tuple[str, str, datetime]]:
    """Return (domain name, pseudonym, issued at) for every domain that knows the person."""
    query = (
        sa.select(DomainRow.name, PseudonymRow.value, PseudonymRow.issued_at)
        .join(DomainRow, DomainRow.domain_id == PseudonymRow.domain_id)
        .where(PseudonymRow.subject_id == subject_id)
        .order_by(DomainRow.name)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def delete_of(session: Session, subject_id: str) -> None:
    """Forget the person in every domain."""
    session.execute(sa.delete(PseudonymRow).where(PseudonymRow.subject_id == subject_id))
