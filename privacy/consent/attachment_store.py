"""The table of attached evidence: files sealed under the person's key of consent evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, defer, mapped_column

from privacy.subjects.store import all_ids
from privacy.tables import Base, UtcDateTime


class AttachmentRow(Base):
    """A file that proves what somebody said; its content is never changed.

    Attributes:
        digest: SHA-256 in hex of the file; the events that rest on it name it.
        name_sealed: the file's own name, which may tell whose it is.
        said_by: who brought it where that was a guardian or a representative, a value of `SaidBy`:
            it holds their data as well. None: the person, or staff.
    """

    __tablename__ = "consent_attachment"

    attachment_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    digest: Mapped[str] = mapped_column(sa.String(64))
    media_type: Mapped[str] = mapped_column(sa.String(32))
    size_bytes: Mapped[int]
    name_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    added_by: Mapped[str] = mapped_column(sa.String(200))
    entry_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("audit_entry.entry_id"))
    said_by: Mapped[str | None] = mapped_column(sa.String(16))


def rows_of(session: Session, subject_id: str) -> Sequence[AttachmentRow]:
    """Return a person's attachments without their content, oldest first."""
    query = (
        sa.select(AttachmentRow)
        .where(AttachmentRow.subject_id.in_(all_ids(subject_id)))
        .order_by(AttachmentRow.added_at, AttachmentRow.attachment_id)
    )
    return session.scalars(query.options(defer(AttachmentRow.sealed))).all()


def row_of(session: Session, attachment_id: str) -> AttachmentRow | None:
    """Return an attachment with its content."""
    return session.get(AttachmentRow, attachment_id)


def delete_attachments(session: Session, subject_id: str) -> None:
    """Delete a person's attachments, once the term of the evidence has ended."""
    session.execute(sa.delete(AttachmentRow).where(AttachmentRow.subject_id == subject_id))
