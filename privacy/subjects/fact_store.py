"""The journal of what decisions read about people besides consent: what held when, and since when.

The tables that decisions read hold only what is so now. `person_fact` is never updated, by
trigger; its rows go when the term of the person's evidence of consent ends. Source: GDPR Art. 5(2).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.tables import Base, UtcDateTime
from privacy.unit_of_work import UnitOfWork


class FactKind(StrEnum):
    """What can be so or not of a person; each is read by decisions."""

    RESTRICTED = "restricted"
    LEAVING = "leaving"
    BLOCKED = "blocked"
    DECEASED = "deceased"
    MINOR = "minor"
    VERIFIED = "verified"
    OBJECTED = "objected"
    SUPPRESSED = "suppressed"
    MERGED = "merged"
    MOVED = "moved"
    ERASED = "erased"


class FactRow(Base):
    """From one instant on, something is so of a person, or is so no longer.

    Attributes:
        kind: a value of `FactKind`.
        purpose: whom it concerns; None where it concerns every purpose.
        on: whether it holds from then on.
        value_at: for `minor`, until when; for `suppressed`, since when the address is on the list;
            where it is not, since when the purpose is wanted in spite of an objection to all; for
            `objected`, where the person ended it earlier than it was written down: when.
        into: for `merged`, into whom; for `moved`, the id of the address that was this person's
            until a merge.
        at: from when on.
        recorded_at: when we wrote it down; not before `at` unless it was known beforehand.
    """

    __tablename__ = "person_fact"
    __table_args__ = (sa.Index(None, "subject_id", "kind"),)

    ordinal: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    subject_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("subject.subject_id"))
    kind: Mapped[str] = mapped_column(sa.String(16))
    purpose: Mapped[str | None] = mapped_column(sa.String(64))
    on: Mapped[bool] = mapped_column("holds")
    value_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    into: Mapped[str | None] = mapped_column("into_subject", sa.String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entry_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id")
    )


def note(
    uow: UnitOfWork,
    subject_id: str,
    kind: FactKind,
    on: bool,
    *,
    purpose: str | None = None,
    value_at: datetime | None = None,
    into: str | None = None,
    at: datetime | None = None,
    entry_id: str | None = None,
) -> None:
    """Note that something is so of a person from now on, or no longer; whoever changes it calls it.

    Joins the caller's transaction, whose event in the log says why.

    Args:
        uow: the caller's.
        subject_id: the person, under the id whose row changes.
        kind: what.
        on: whether it holds.
        purpose: whom it concerns; None: every purpose.
        value_at: see `FactRow`.
        into: see `FactRow`.
        at: aware; from when on. None: now.
        entry_id: the log's entry, where there is one of this very change.
    """
    uow.session.add(
        FactRow(
            subject_id=subject_id,
            kind=kind.value,
            purpose=purpose,
            on=on,
            value_at=value_at,
            into=into,
            at=at or uow.now,
            recorded_at=uow.now,
            entry_id=entry_id,
        )
    )


def facts_of(session: Session, subject_ids: Collection[str]) -> Sequence[FactRow]:
    """Return what was noted of these people, in the order in which it was."""
    query = sa.select(FactRow).where(FactRow.subject_id.in_(sorted(subject_ids)))
    return session.scalars(query.order_by(FactRow.ordinal)).all()


def delete_facts(session: Session, subject_id: str) -> None:
    """Delete what was noted of an erased person, once the term of the evidence has ended."""
    session.execute(sa.delete(FactRow).where(FactRow.subject_id == subject_id))
