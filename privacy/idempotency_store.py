"""Table of answers that are given again: what a client was told under an idempotency key."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.tables import OPERATIONAL, Base, UtcDateTime


class AnswerRow(Base):
    """The first answer to a key of a client's; it stands in the transaction of what it answers.

    Neither the key nor the request is kept, only keyed hashes of them: both may name a person.
    """

    __tablename__ = "idempotency"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    key_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


def find(session: Session, key_digest: str, at: datetime) -> AnswerRow | None:
    """Return what was answered to a key, unless that is forgotten by now."""
    query = sa.select(AnswerRow).where(
        AnswerRow.key_digest == key_digest, AnswerRow.expires_at > at
    )
    return session.scalars(query).one_or_none()


def keep(session: Session, at: datetime, row: AnswerRow) -> None:
    """Keep an answer, in the place of one that has run out."""
    run_out = (AnswerRow.key_digest == row.key_digest, AnswerRow.expires_at <= at)
    session.execute(sa.delete(AnswerRow).where(*run_out))
    session.add(row)


def claim(session: Session, key_digest: str) -> bool:
    """Let nobody else work under a key until the transaction ends; False: somebody does.

    SQLite has one writer at a time, who has it to themselves anyway.
    """
    if session.get_bind().dialect.name == "sqlite":
        return True
    number = int.from_bytes(bytes.fromhex(key_digest[:16]), signed=True)
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(number))))


def forget(session: Session, at: datetime) -> int:
    """Delete what has run out; return how many there were."""
    deleted = session.execute(sa.delete(AnswerRow).where(AnswerRow.expires_at <= at))
    return cast("sa.CursorResult[Any]", deleted).rowcount
