"""Tables of subjects, what finds them, and their profile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from privacy.tables import DECIDES, Base, UtcDateTime


class SubjectRow(Base):
    """One person. `sid_sealed` holds the secret that pseudonyms are computed over.

    A row that was merged into another is that one's alias: nothing is written under it any more.
    """

    __tablename__ = "subject"
    __table_args__ = {"info": DECIDES}  # noqa: RUF012 - SQLAlchemy's own form

    subject_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    sid_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    restricted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    blocked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deceased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    leaving_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When the person was told that the restriction is to be lifted. Source: GDPR Art. 18(3).
    lift_told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    merged_into: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    merged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: From this instant on the person consents alone, and what they consented to before is none.
    #: NULL for whom we first knew of age, and where no age is known.
    minor_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


#: The columns of `subject` that are empty for nearly everybody; a decision reads each of them.
NOTABLE: Final = (
    "merged_into",
    "restricted_at",
    "leaving_at",
    "blocked_at",
    "minor_until",
    "deceased_at",
    "erased_at",
)


def is_notable(subject: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return, for a larger statement, whether anything of `NOTABLE` is noted of the person.

    In the words of the index that holds those people alone, so that databases answer by it.
    """
    return sa.or_(*(subject.c[name].is_not(None) for name in NOTABLE))


_IS_MERGED = SubjectRow.merged_at.is_not(None)
sa.Index(
    "ix_subject_merged_at",
    SubjectRow.merged_at,
    sqlite_where=_IS_MERGED,
    postgresql_where=_IS_MERGED,
)

#: Unique, as SQLite then takes it rather than the primary key's.
_ONLY_NOTABLE = is_notable(cast("sa.Table", SubjectRow.__table__))
sa.Index(
    "ix_subject_notable",
    SubjectRow.subject_id,
    unique=True,
    sqlite_where=_ONLY_NOTABLE,
    postgresql_where=_ONLY_NOTABLE,
)


class IdentifierRow(Base):
    """What finds a subject: a blind index, and the value itself only where it is needed."""

    __tablename__ = "subject_identifier"
    __table_args__ = (
        sa.UniqueConstraint("kind", "index_version", "blind_index"),
        sa.Index(
            "ix_subject_identifier_proved",
            "subject_id",
            sqlite_where=sa.text("verified_at IS NOT NULL"),
            postgresql_where=sa.text("verified_at IS NOT NULL"),
        ),
        {"info": DECIDES},
    )

    identifier_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    kind: Mapped[str] = mapped_column(sa.String(16))
    index_version: Mapped[int]
    blind_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16))
    sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    preferred_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
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
        Whether there is such a person, not erased and no alias of another.
    """
    return hold_current(session, subject_id) == subject_id


_SUBJECT = cast("sa.Table", SubjectRow.__table__)
_HOLD = (  # built once: each exchange of a code and each grant asks it
    sa.select(_SUBJECT.c.subject_id, _SUBJECT.c.merged_into)
    .where(_SUBJECT.c.subject_id == sa.bindparam("of_subject"), _SUBJECT.c.erased_at.is_(None))
    .with_for_update()
)


def hold_current(session: Session, subject_id: str) -> str | None:
    """As `hold`, and return who it is by now: where merged meanwhile, the survivor, held instead.

    Returns:
        The subject id to write under; None where there is no such person, or an erased one.
    """
    row = session.execute(_HOLD, {"of_subject": subject_id}).one_or_none()
    if row is None or row.merged_into is None:
        return row.subject_id if row else None
    return hold_current(session, row.merged_into)


def current(session: Session, subject_id: str) -> str:
    """Return the id of the person whom an id names: itself, or the one it was merged into."""
    query = sa.select(SubjectRow.merged_into).where(SubjectRow.subject_id == subject_id)
    return session.scalar(query) or subject_id


def aliases_of(session: Session, subject_id: str) -> Sequence[SubjectRow]:
    """Return the rows that were merged into this one, oldest merge first."""
    query = (
        sa.select(SubjectRow)
        .where(SubjectRow.merged_into == subject_id)
        .order_by(SubjectRow.merged_at, SubjectRow.subject_id)
    )
    return session.scalars(query).all()


def all_ids(subject_id: str) -> sa.Select[str]:
    """Return the query of every id that one person's data stands under: theirs and the aliases'.

    Any of them may be given.
    """
    person = (
        sa.select(sa.func.coalesce(SubjectRow.merged_into, SubjectRow.subject_id))
        .where(SubjectRow.subject_id == subject_id)
        .scalar_subquery()
    )
    every = aliased(SubjectRow)
    return sa.select(every.subject_id).where(
        sa.or_(every.subject_id == person, every.merged_into == person)
    )


def identifier_by_index(
    session: Session, kind: str, version: int, blind_index: bytes
) -> IdentifierRow | None:
    """Return the identifier with this blind index."""
    query = sa.select(IdentifierRow).where(
        IdentifierRow.kind == kind,
        IdentifierRow.index_version == version,
        IdentifierRow.blind_index == blind_index,
    )
    # A merge may have moved it since this session saw it last.
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


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
