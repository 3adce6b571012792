"""Tables and queries of what was published: exact wordings, and registers with their rules.

Nothing of it is ever altered, by trigger: evidence reproduces it whatever becomes of the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.consent.model import Shown
from privacy.tables import Base, UtcDateTime

ID = sa.String(32)
NAME = sa.String(64)
DIGEST = sa.String(64)
LANGUAGE = sa.String(16)


class NoticeTextRow(Base):
    """A published wording, so that evidence reproduces it whatever becomes of the files."""

    __tablename__ = "notice_text"

    notice: Mapped[str] = mapped_column(NAME, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    language: Mapped[str] = mapped_column(LANGUAGE, primary_key=True)
    text: Mapped[str] = mapped_column(sa.Text)
    digest: Mapped[str] = mapped_column(DIGEST)
    material: Mapped[bool]
    published_on: Mapped[date] = mapped_column(sa.Date)


class RegisterRevisionRow(Base):
    """A revision of the register that was in force."""

    __tablename__ = "register_revision"

    digest: Mapped[str] = mapped_column(DIGEST, primary_key=True)
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: JSON: unit -> `PurposeRule`, as decisions read it; NULL where it was published before.
    rules: Mapped[str | None] = mapped_column(sa.Text)


class InForceRow(Base):
    """From when on a revision of the register was in force, until the next row's. Never updated."""

    __tablename__ = "register_in_force"

    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    digest: Mapped[str] = mapped_column(DIGEST, sa.ForeignKey("register_revision.digest"))
    since: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    entry_id: Mapped[str | None] = mapped_column(ID, sa.ForeignKey("audit_entry.entry_id"))


def kept_words(session: Session, notice: str, version: int) -> dict[str, NoticeTextRow]:
    """Return a published revision's wordings by language; empty where it was never published."""
    query = sa.select(NoticeTextRow).where(
        NoticeTextRow.notice == notice, NoticeTextRow.version == version
    )
    return {row.language: row for row in session.scalars(query)}


def shown_in(session: Session, notice: str, version: int, language: str) -> Shown:
    """Return the exact words of a published revision.

    Raises:
        LookupError: they were never published, which the foreign key of an event rules out.
    """
    row = session.get(NoticeTextRow, (notice, version, language))
    if row is None:
        raise LookupError(f"{notice} {version} was never published in {language}")
    return Shown(row.notice, row.version, row.digest, row.language, row.text)


_REVISION = sa.select(RegisterRevisionRow.digest).where(
    RegisterRevisionRow.digest == sa.bindparam("of_digest")
)


def register_is_published(session: Session, digest: str) -> bool:
    """Tell whether this revision of the register was published."""
    return session.scalar(_REVISION, {"of_digest": digest}) is not None


def publish_register(
    session: Session, digest: str, words: Sequence[NoticeTextRow], at: datetime, rules: str
) -> None:
    """Keep a revision of the register, its rules and the wordings that are new with it."""
    session.add(RegisterRevisionRow(digest=digest, published_at=at, rules=rules))
    session.add_all(words)
    session.flush()


def note_in_force(session: Session, digest: str, since: datetime, entry_id: str) -> None:
    """Note that a revision is the one in force from now on."""
    session.add(InForceRow(digest=digest, since=since, entry_id=entry_id))
    session.flush()


def revision_in_force(session: Session, at: datetime | None = None) -> str | None:
    """Return the digest of the register that was in force at a moment; None before the first.

    Args:
        session: the caller's.
        at: aware; None: now.
    """
    query = sa.select(InForceRow.digest).order_by(InForceRow.ordinal.desc()).limit(1)
    return session.scalar(query if at is None else query.where(InForceRow.since <= at))


def rules_of(session: Session, digest: str) -> str | None:
    """Return the rules that were kept of a revision of the register."""
    query = sa.select(RegisterRevisionRow.rules).where(RegisterRevisionRow.digest == digest)
    return session.scalar(query)


def all_rules(session: Session) -> Sequence[str]:
    """Return the rules of every revision of which they were kept."""
    rules = RegisterRevisionRow.rules
    return [each for each in session.scalars(sa.select(rules).where(rules.is_not(None))) if each]


def keep_rules(session: Session, digest: str, rules: str) -> None:
    """Keep the rules of a revision, where they were not."""
    session.execute(
        sa.update(RegisterRevisionRow)
        .where(RegisterRevisionRow.digest == digest, RegisterRevisionRow.rules.is_(None))
        .values(rules=rules)
    )
