"""How often was asked: per person, application, purpose, day and outcome."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.database import OPERATIONAL, Base
from privacy.decisions.model import Outcome, Use
from privacy.subjects.store import SubjectRow, all_ids

Key = tuple[str, str, str, date, Outcome]
"""(subject id, domain, purpose, day, outcome)."""


class UseRow(Base):
    """A day's count; a log of each check would itself profile the person."""

    __tablename__ = "decision_use"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    subject_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    domain: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date, primary_key=True, index=True)
    outcome: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    count: Mapped[int] = mapped_column(sa.BigInteger)


class SpooledRow(Base):
    """A file of counts that is written; kept until the file is gone."""

    __tablename__ = "decision_use_spooled"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)


def note_spooled(session: Session, name: str, waiting: Collection[str]) -> bool:
    """Note that a file's counts are written in this transaction; tell whether they were not yet.

    Args:
        session: the caller's.
        name: of the file.
        waiting: the files that are still there.
    """
    noted = set(session.scalars(sa.select(SpooledRow.name)))
    gone = noted.difference(waiting)
    if gone:
        session.execute(sa.delete(SpooledRow).where(SpooledRow.name.in_(gone)))
    if name in noted:
        return False
    session.add(SpooledRow(name=name))
    return True


def hold_living(session: Session, subject_ids: Collection[str]) -> tuple[set[str], set[str]]:
    """Return who of these is not erased: whom we hold, and who is busy in another transaction.

    Nobody can erase whom we hold until the transaction ends. It waits for nobody.
    """
    living = sa.select(SubjectRow.subject_id).where(
        SubjectRow.subject_id.in_(subject_ids), SubjectRow.erased_at.is_(None)
    )
    lock = living.with_for_update(read=True, key_share=True, skip_locked=True)
    held = set(session.scalars(lock))
    return held, set(session.scalars(living)) - held


def add_counts(session: Session, counts: Mapping[Key, int]) -> None:
    """Add counts to what is stored; in one order, so that two processes never wait in a ring."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    table = cast("sa.Table", UseRow.__table__)
    insert = sqlite.insert(table) if is_sqlite else postgresql.insert(table)
    statement = insert.on_conflict_do_update(
        index_elements=["subject_id", "domain", "purpose", "day", "outcome"],
        set_={"count": table.c.count + insert.excluded.count},
    )
    names = ("subject_id", "domain", "purpose", "day", "outcome")
    session.execute(
        statement, [dict(zip(names, key, strict=True), count=counts[key]) for key in sorted(counts)]
    )


def of_subject(session: Session, subject_id: str) -> list[Use]:
    """Return a person's uses, newest day first."""
    key = (UseRow.domain, UseRow.purpose, UseRow.day, UseRow.outcome)
    query = (
        sa.select(*key, sa.func.sum(UseRow.count))
        .where(UseRow.subject_id.in_(all_ids(subject_id)))
        .group_by(*key)
        .order_by(UseRow.day.desc(), UseRow.domain, UseRow.purpose, UseRow.outcome.desc())
    )
    return [
        Use(domain, purpose, day, Outcome(outcome), int(count))
        for domain, purpose, day, outcome, count in session.execute(query)
    ]


def delete_before(session: Session, day: date) -> None:
    """Delete the counts of the days before."""
    session.execute(sa.delete(UseRow).where(UseRow.day < day))


def delete_of(session: Session, subject_id: str) -> None:
    """Delete a person's counts."""
    session.execute(sa.delete(UseRow).where(UseRow.subject_id == subject_id))
