"""What each revision of the register said of its purposes, kept for receipts."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.register.model import Register
from privacy.consent.receipt_description import Description, describe, dump, load
from privacy.tables import Base


class PurposeDescriptionRow(Base):
    """A purpose as one revision of the register described it. Written once, with the revision."""

    __tablename__ = "purpose_description"

    register_revision: Mapped[str] = mapped_column(
        sa.String(64), sa.ForeignKey("register_revision.digest"), primary_key=True
    )
    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    content: Mapped[str] = mapped_column(sa.Text)


def keep_descriptions(session: Session, register: Register) -> None:
    """Keep what a register says of its purposes; called where its revision is published."""
    session.add_all(
        PurposeDescriptionRow(
            register_revision=register.revision,
            purpose=purpose.id,
            content=dump(describe(register, purpose)),
        )
        for purpose in register.purposes.values()
    )
    session.flush()


def kept_description(session: Session, revision: str, purpose: str) -> Description | None:
    """Return what a revision said of a purpose; None where nothing was kept."""
    row = session.get(PurposeDescriptionRow, (revision, purpose))
    return load(row.content) if row else None
