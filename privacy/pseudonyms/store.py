"""Domains, and the plain (domain, pseudonym) -> subject index of application domains."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.pseudonyms.model import Alias
from privacy.subjects.store import SubjectRow, all_ids
from privacy.tables import DECIDES, Base, UtcDateTime


class DomainRow(Base):
    """A pseudonymisation domain; its number is part of its pseudonyms and never changes."""

    __tablename__ = "pseudonym_domain"

    domain_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(sa.String(200), unique=True)
    key_version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    aliases: Mapped[int] = mapped_column(server_default="0", default=0)


class PseudonymRow(Base):
    """A person's pseudonym in one domain; deleted with the person's profile.

    A row that names a merged subject is an alias: it leads to the survivor.
    """

    __tablename__ = "pseudonym"
    __table_args__ = (
        sa.UniqueConstraint("domain_id", "subject_id"),
        # Everything that tells whom a pseudonym names: no look at the table itself.
        sa.Index("ix_pseudonym_names", "domain_id", "value", "subject_id"),
        {"info": DECIDES},
    )

    domain_id: Mapped[int] = mapped_column(
        sa.ForeignKey("pseudonym_domain.domain_id"), primary_key=True
    )
    value: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AliasRow(Base):
    """What a domain is told: of two pseudonyms of one person, which stays.

    Attributes:
        ordinal: counted in each domain of its own, without a gap, so that a reader who asks for
            what came after one misses nothing and learns nothing of other domains.
    """

    __tablename__ = "pseudonym_alias"

    domain_id: Mapped[int] = mapped_column(
        sa.ForeignKey("pseudonym_domain.domain_id"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    old: Mapped[str] = mapped_column(sa.String(64))
    new: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


def domain_named(session: Session, name: str) -> DomainRow | None:
    """Return the domain of this name."""
    return session.scalars(sa.select(DomainRow).where(DomainRow.name == name)).one_or_none()


def value_in(session: Session, domain: str, subject_id: str) -> str | None:
    """Return the person's pseudonym in the domain of this name, where one was issued."""
    return session.scalar(_VALUE_IN, {"of_domain": domain, "of_subject": subject_id})


def value_of(
    domain: sa.ColumnElement[str], subject_id: sa.ColumnElement[str]
) -> sa.ScalarSelect[str]:
    """Return, for a larger statement, the pseudonym of a person in the domain of a name."""
    # Tables, not classes: a larger statement of tables stays one, which the ORM leaves alone.
    pseudonym, known, person = (
        cast("sa.Table", row.__table__).c for row in (PseudonymRow, DomainRow, SubjectRow)
    )
    current = sa.func.coalesce(person.merged_into, person.subject_id)
    return (
        sa.select(pseudonym.value)
        .where(
            known.domain_id == pseudonym.domain_id,
            pseudonym.subject_id == current,
            known.name == domain,
            person.subject_id == subject_id,
        )
        .scalar_subquery()
    )


def subjects_for(session: Session, domain: str, values: Collection[str]) -> dict[str, str]:
    """Return pseudonym -> whom it names by now, for those that name somebody in this domain."""
    found: dict[str, str] = {}
    listed = sorted(values)
    for start in range(0, len(listed), _PAGE):
        wanted = {"of_domain": domain, "of_values": listed[start : start + _PAGE]}
        found.update({row[0]: row[1] for row in session.execute(_SUBJECTS_FOR, wanted)})
    return found


def value_for(session: Session, domain_id: int, subject_id: str) -> str | None:
    """Return the person's pseudonym in the domain, where one was issued."""
    query = (
        sa.select(PseudonymRow.value)
        .join(SubjectRow, PseudonymRow.subject_id == _CURRENT)
        .where(SubjectRow.subject_id == subject_id, PseudonymRow.domain_id == domain_id)
    )
    return session.scalar(query)


_CURRENT = sa.func.coalesce(SubjectRow.merged_into, SubjectRow.subject_id)
_VALUE_IN = (  # built once: each token exchange and introspection asks it
    sa.select(PseudonymRow.value)
    .join(DomainRow, DomainRow.domain_id == PseudonymRow.domain_id)
    .join(SubjectRow, PseudonymRow.subject_id == _CURRENT)
    .where(
        DomainRow.name == sa.bindparam("of_domain"),
        SubjectRow.subject_id == sa.bindparam("of_subject"),
    )
)
_SUBJECT_FOR = (  # built once: most calls of the JSON API ask it
    sa.select(_CURRENT)
    .select_from(PseudonymRow)
    .join(DomainRow, DomainRow.domain_id == PseudonymRow.domain_id)
    .join(SubjectRow, SubjectRow.subject_id == PseudonymRow.subject_id)
    .where(
        DomainRow.name == sa.bindparam("of_domain"), PseudonymRow.value == sa.bindparam("of_value")
    )
)

#: People named in one statement.
_PAGE: Final = 500
_PSEUDONYM, _DOMAIN, _SUBJECT = (
    cast("sa.Table", row.__table__) for row in (PseudonymRow, DomainRow, SubjectRow)
)
_SUBJECTS_FOR = (
    sa.select(_PSEUDONYM.c.value, sa.func.coalesce(_SUBJECT.c.merged_into, _SUBJECT.c.subject_id))
    .join(_DOMAIN, _DOMAIN.c.domain_id == _PSEUDONYM.c.domain_id)
    .join(_SUBJECT, _SUBJECT.c.subject_id == _PSEUDONYM.c.subject_id)
    .where(
        _DOMAIN.c.name == sa.bindparam("of_domain"),
        _PSEUDONYM.c.value.in_(sa.bindparam("of_values", expanding=True)),
    )
)


@cache
def next_values() -> sa.Select[str]:
    """Return the query of a domain's next pseudonyms: `of_domain`, `of_after`, `of_limit`."""
    domain_id = (
        sa.select(_DOMAIN.c.domain_id)
        .where(_DOMAIN.c.name == sa.bindparam("of_domain"))
        .scalar_subquery()
    )
    return (
        sa.select(_PSEUDONYM.c.value)
        .where(_PSEUDONYM.c.domain_id == domain_id, _PSEUDONYM.c.value > sa.bindparam("of_after"))
        .order_by(_PSEUDONYM.c.value)
        .limit(sa.bindparam("of_limit", type_=sa.Integer))
    )


def subject_for(session: Session, domain_name: str, value: str) -> str | None:
    """Return whom `value` names in this domain and no other."""
    return session.scalar(_SUBJECT_FOR, {"of_domain": domain_name, "of_value": value})


def issued_for(session: Session, value: str) -> str | None:
    """Return the id that a pseudonym of any domain was issued for, merged since or not."""
    query = sa.select(PseudonymRow.subject_id).where(PseudonymRow.value == value)
    return session.scalars(query.limit(1)).first()


def of_subject(session: Session, subject_id: str) -> list[tuple[str, str, datetime]]:
    """Return (domain name, pseudonym, issued at) for every domain that knows the person.

    With the aliases, which still answer.
    """
    query = (
        sa.select(DomainRow.name, PseudonymRow.value, PseudonymRow.issued_at)
        .join(DomainRow, DomainRow.domain_id == PseudonymRow.domain_id)
        .where(PseudonymRow.subject_id.in_(all_ids(subject_id)))
        .order_by(DomainRow.name, PseudonymRow.issued_at, PseudonymRow.value)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def delete_of(session: Session, subject_id: str) -> None:
    """Forget the person in every domain."""
    for table in (AliasRow, PseudonymRow):
        session.execute(sa.delete(table).where(table.subject_id == subject_id))


def rows_of(session: Session, subject_id: str) -> Sequence[PseudonymRow]:
    """Return the pseudonyms under one id alone, by domain."""
    query = (
        sa.select(PseudonymRow)
        .where(PseudonymRow.subject_id == subject_id)
        .order_by(PseudonymRow.domain_id)
    )
    return session.scalars(query).all()


def hold_domain(session: Session, domain_id: int) -> DomainRow:
    """Return a domain and let nobody else count its aliases until the transaction ends."""
    return session.get_one(
        DomainRow, domain_id, with_for_update={"key_share": True}, populate_existing=True
    )


def aliases_after(session: Session, domain_name: str, ordinal: int, limit: int) -> list[Alias]:
    """Return what a domain is told after an ordinal, oldest first."""
    query = (
        sa.select(AliasRow)
        .join(DomainRow, DomainRow.domain_id == AliasRow.domain_id)
        .where(DomainRow.name == domain_name, AliasRow.ordinal > ordinal)
        .order_by(AliasRow.ordinal)
        .limit(limit)
    )
    return [Alias(row.ordinal, row.old, row.new, row.at) for row in session.scalars(query)]
