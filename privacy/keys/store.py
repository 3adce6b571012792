"""Table of wrapped data keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.vocabulary import RetentionClass
from privacy.database import OPERATIONAL, Base, UtcDateTime


class DataKey(Base):
    """One data key (DEK): a person's for one retention class, or the deployment's.

    Creating one needs no audit entry (the entry it is made for is one); destroying one is part
    of a recorded erasure.
    """

    __tablename__ = "data_key"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    holder: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    retention: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(index=True)
    wrapped: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


_KEY = cast("sa.Table", DataKey.__table__)
# Built once: every value that is sealed or opened asks one of them.
_FIND = sa.select(_KEY).where(
    _KEY.c.holder == sa.bindparam("of_holder"), _KEY.c.retention == sa.bindparam("of_retention")
)
_HOLD = _FIND.with_for_update(read=True, key_share=True)


def find(
    session: Session, holder: str, retention: RetentionClass, *, hold: bool = False
) -> sa.Row[Any] | None:
    """Return the wrapped key of `holder` for one class, with the columns of `DataKey`.

    `hold` lets nobody destroy it until the transaction ends (PostgreSQL).
    """
    wanted = {"of_holder": holder, "of_retention": retention.value}
    return session.execute(_HOLD if hold else _FIND, wanted).one_or_none()


def add(session: Session, key: DataKey) -> bool:
    """Add a wrapped key; False where another transaction added one first."""
    try:
        with session.begin_nested():
            session.add(key)
    except IntegrityError:
        return False
    return True


def delete(session: Session, holder: str, retention: RetentionClass) -> bool:
    """Delete the wrapped key; tell whether there was one."""
    deleted = session.execute(
        sa.delete(DataKey).where(DataKey.holder == holder, DataKey.retention == retention.value)
    )
    return cast("sa.CursorResult[Any]", deleted).rowcount == 1


def of_epochs_before(session: Session, epoch: int, limit: int) -> list[DataKey]:
    """Return up to `limit` keys that are wrapped under an older epoch."""
    query = sa.select(DataKey).where(DataKey.epoch < epoch).limit(limit)
    return list(session.scalars(query))
