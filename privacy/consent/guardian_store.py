"""Tables and queries of guardianship: who may consent for a child.

Source: GDPR Art. 8; LOPDGDD Art. 7(2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.consent.guardian_model import Guardianship, GuardianshipEnd, Relation
from privacy.subjects.store import SubjectRow
from privacy.tables import DECIDES, Base, UtcDateTime


class GuardianshipRow(Base):
    """A parent or guardian of a child: invited, in force once accepted, until it ends.

    The birthday ends it by the clock, whether or not the worker has noted it.

    Attributes:
        guardian_id: the guardian; None while nobody has accepted, and where the proof was shown
            at the desk by somebody without an account.
        relation: what the guardian is to the child; a value of `Relation`.
        contact_sealed: the address that was invited, under the child's key of consent evidence.
        language: of the mails about it.
        token_digest: of the mailed link; None once it was used.
        attachment: SHA-256 in hex of the proof shown at the desk.
        noted_for: under which id of the child it was noted, where that one was merged since.
    """

    __tablename__ = "guardianship"
    __table_args__ = {"info": DECIDES}  # noqa: RUF012 - SQLAlchemy's own form

    guardianship_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    child_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    guardian_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    relation: Mapped[str | None] = mapped_column(sa.String(16))
    contact_sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    language: Mapped[str] = mapped_column(sa.String(16))
    token_digest: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    invited_at: Mapped[datetime] = mapped_column(UtcDateTime)
    invited_by: Mapped[str] = mapped_column(sa.String(200))
    invitation_ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attachment: Mapped[str | None] = mapped_column(sa.String(64))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end: Mapped[str | None] = mapped_column(sa.String(16))
    entry_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id")
    )
    noted_for: Mapped[str | None] = mapped_column(sa.String(32))


_PAGE: Final = 500
_GUARDIANSHIP = cast("sa.Table", GuardianshipRow.__table__)


def has_guardian(subject: sa.Table) -> sa.Exists:
    """Return, for a larger statement, whether a guardianship over the person is in force."""
    return (
        sa.exists()
        .where(
            _GUARDIANSHIP.c.child_id == subject.c.subject_id,
            _GUARDIANSHIP.c.accepted_at.is_not(None),
            _GUARDIANSHIP.c.ended_at.is_(None),
        )
        .correlate(subject)
    )


class GuardianWordRow(Base):
    """Which guardian said a consent event: it ends where the desk finds that they were none.

    What was said at the desk may rest on more than one.
    """

    __tablename__ = "guardian_word"

    event_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    guardianship_id: Mapped[str] = mapped_column(
        sa.String(32),
        sa.ForeignKey("guardianship.guardianship_id"),
        primary_key=True,
        index=True,
    )


def to_guardianship(row: GuardianshipRow) -> Guardianship:
    """The guardianship that a row holds."""
    return Guardianship(
        guardianship_id=row.guardianship_id,
        child_id=row.child_id,
        guardian_id=row.guardian_id,
        relation=Relation(row.relation) if row.relation else None,
        invited_at=row.invited_at,
        invited_by=row.invited_by,
        invitation_ends_at=row.invitation_ends_at,
        accepted_at=row.accepted_at,
        ended_at=row.ended_at,
        end=GuardianshipEnd(row.end) if row.end else None,
        attachment=row.attachment,
    )


def row_of(session: Session, guardianship_id: str, *, lock: bool = False) -> GuardianshipRow | None:
    """Return a guardianship; `lock` keeps others from changing it meanwhile."""
    return session.get(
        GuardianshipRow, guardianship_id, with_for_update=lock, populate_existing=True
    )


def row_with_token(session: Session, digest: str) -> GuardianshipRow | None:
    """Return the invitation with this mailed link."""
    query = sa.select(GuardianshipRow).where(GuardianshipRow.token_digest == digest)
    return session.scalars(query).one_or_none()


def spend_token(session: Session, digest: str, guardian_id: str, now: datetime) -> bool:
    """Let the first who comes accept an invitation; tell whether it was this caller."""
    row = GuardianshipRow
    accepted = session.execute(
        sa.update(row)
        .where(
            row.token_digest == digest,
            row.accepted_at.is_(None),
            row.ended_at.is_(None),
            row.invitation_ends_at > now,
        )
        .values(token_digest=None, accepted_at=now, guardian_id=guardian_id)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", accepted).rowcount == 1


def of_child(session: Session, child_id: str) -> Sequence[GuardianshipRow]:
    """Return a child's guardianships and invitations, oldest first."""
    query = (
        sa.select(GuardianshipRow)
        .where(GuardianshipRow.child_id == child_id)
        .order_by(GuardianshipRow.invited_at, GuardianshipRow.guardianship_id)
    )
    return session.scalars(query).all()


def of_guardian(session: Session, guardian_id: str) -> Sequence[GuardianshipRow]:
    """Return the guardianships of a guardian, oldest first."""
    query = (
        sa.select(GuardianshipRow)
        .where(GuardianshipRow.guardian_id == guardian_id)
        .order_by(GuardianshipRow.accepted_at, GuardianshipRow.guardianship_id)
    )
    return session.scalars(query).all()


def ended_by_clock(session: Session, now: datetime, limit: int) -> Sequence[GuardianshipRow]:
    """Return guardianships and invitations that have ended, and nobody noted it.

    By a birthday, by an age put right, or because nobody accepted the invitation in time.
    """
    query = (
        sa.select(GuardianshipRow)
        .join(SubjectRow, SubjectRow.subject_id == GuardianshipRow.child_id)
        .where(
            GuardianshipRow.ended_at.is_(None),
            sa.or_(
                SubjectRow.minor_until.is_(None),
                SubjectRow.minor_until <= now,
                sa.and_(
                    GuardianshipRow.accepted_at.is_(None), GuardianshipRow.invitation_ends_at <= now
                ),
            ),
        )
        .order_by(GuardianshipRow.guardianship_id)
        .limit(limit)
        .with_for_update(of=GuardianshipRow, skip_locked=True)
    )
    return session.scalars(query.execution_options(populate_existing=True)).all()


def note_word(session: Session, event_id: str, guardianship_id: str) -> None:
    """Note that a consent event rests on a guardianship."""
    session.add(GuardianWordRow(event_id=event_id, guardianship_id=guardianship_id))
    session.flush()


def words_of(session: Session, guardianship_id: str) -> frozenset[str]:
    """Return the ids of the consent events that a guardian said in a guardianship."""
    query = sa.select(GuardianWordRow.event_id).where(
        GuardianWordRow.guardianship_id == guardianship_id
    )
    return frozenset(session.scalars(query))


def is_guarded(session: Session, child_id: str, at: datetime) -> bool:
    """Tell whether a guardianship over the person was in force at an instant."""
    row = GuardianshipRow
    query = sa.select(row.guardianship_id).where(
        row.child_id == child_id,
        row.accepted_at <= at,
        sa.or_(row.ended_at.is_(None), row.ended_at > at),
    )
    return session.scalar(query.limit(1)) is not None


def in_force_at(
    session: Session, child_ids: Collection[str], at: datetime
) -> Sequence[GuardianshipRow]:
    """Return the guardianships over any of these ids that were in force at an instant."""
    row = GuardianshipRow
    query = sa.select(row).where(
        row.child_id.in_(sorted(child_ids)),
        row.accepted_at <= at,
        sa.or_(row.ended_at.is_(None), row.ended_at > at),
    )
    return session.scalars(query).all()


def in_force_of(session: Session, child_ids: Collection[str]) -> dict[str, list[str]]:
    """Return, by child, the ids of the guardianships that nobody has ended; for many children."""
    found: dict[str, list[str]] = defaultdict(list)
    listed = sorted(child_ids)
    for start in range(0, len(listed), _PAGE):
        query = sa.select(GuardianshipRow.child_id, GuardianshipRow.guardianship_id).where(
            GuardianshipRow.child_id.in_(listed[start : start + _PAGE]),
            GuardianshipRow.accepted_at.is_not(None),
            GuardianshipRow.ended_at.is_(None),
        )
        for row in session.execute(query):
            found[row.child_id].append(row.guardianship_id)
    return found


def move(session: Session, *, source: str, target: str) -> None:
    """Let the guardianships of one subject be another's: two subjects are one person."""
    row = GuardianshipRow
    session.execute(
        sa.update(row)
        .where(row.child_id == source)
        .values(child_id=target, noted_for=sa.func.coalesce(row.noted_for, row.child_id))
    )
    session.execute(sa.update(row).where(row.guardian_id == source).values(guardian_id=target))


def delete_guardianships(session: Session, child_id: str) -> None:
    """Delete a child's guardianships, once the term of the evidence has ended."""
    mine = sa.select(GuardianshipRow.guardianship_id).where(GuardianshipRow.child_id == child_id)
    session.execute(sa.delete(GuardianWordRow).where(GuardianWordRow.guardianship_id.in_(mine)))
    session.execute(sa.delete(GuardianshipRow).where(GuardianshipRow.child_id == child_id))
