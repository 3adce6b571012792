"""How many letters of one kind an address gets, whoever has it written to and in whose name.

Only keyed hashes of addresses are kept, and only while they count.
Source: GDPR Art. 5(1)(c), 5(1)(e).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.keys.blind_index import INDEX_VERSION
from privacy.tables import OPERATIONAL, Base, UtcDateTime
from privacy.unit_of_work import UnitOfWork


class LetterCountRow(Base):
    """An address has had letters of a kind, by its keyed hash alone.

    Operational: what each letter was about has its own entry.

    Attributes:
        sent: how many, each without a pause after the one before.
        last_at: when the last one was written; aware UTC.
    """

    __tablename__ = "letter_count"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    letter: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    index_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blind_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16), primary_key=True)
    sent: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


_COUNT = cast("sa.Table", LetterCountRow.__table__)
_INSERT: Final[Mapping[str, Callable[[sa.Table], sqlite.Insert | postgresql.Insert]]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def count_letter(
    session: Session,
    letter: str,
    blind_index: bytes,
    *,
    at_most: int,
    within: timedelta,
    now: datetime,
) -> bool:
    """Count a letter that is about to be written; False, and nothing changes: there were enough.

    However many write at once, no stretch of `within` sees more of them than `at_most`: it is one
    statement. Joins the caller's transaction, which writes the letter.

    Args:
        session: the caller's.
        letter: which kind; at most 32 characters.
        blind_index: of the address.
        at_most: so many of the kind go to one address before a pause.
        within: how long the pause is.
        now: aware UTC.
    """
    adding = _INSERT[session.get_bind().dialect.name](_COUNT).values(
        letter=letter, index_version=INDEX_VERSION, blind_index=blind_index, sent=1, last_at=now
    )
    is_over = _COUNT.c.last_at <= now - within
    counted = adding.on_conflict_do_update(
        index_elements=["letter", "index_version", "blind_index"],
        set_={"sent": sa.case((is_over, 1), else_=_COUNT.c.sent + 1), "last_at": now},
        where=sa.or_(is_over, _COUNT.c.sent < at_most),
    )
    return session.execute(counted.returning(_COUNT.c.sent)).first() is not None


def forget_letters(uow: UnitOfWork, within: timedelta) -> None:
    """Delete the counts that moved last longer ago, and commit. A worker's use case.

    A transaction of its own: it waits for whoever counts, and nobody who counts waits for more.
    """
    uow.session.execute(sa.delete(_COUNT).where(_COUNT.c.last_at <= uow.now - within))
    uow.commit()
