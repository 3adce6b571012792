"""Table of wrapped data keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from policies.vocabulary import RetentionClass
from privacy.bulk import Insert
from privacy.tables import OPERATIONAL, Base, UtcDateTime


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
_FIND_MANY = sa.select(_KEY).where(
    _KEY.c.holder.in_(sa.bindparam("of_holders", expanding=True)),
    _KEY.c.retention == sa.bindparam("of_retention"),
)
_HOLD_MANY = _FIND_MANY.order_by(_KEY.c.holder).with_for_update(read=True, key_share=True)
_MOVE: Final = sa.update(_KEY).where(
    _KEY.c.holder == sa.bindparam("of_holder"), _KEY.c.retention == sa.bindparam("of_retention")
)
#: The same words on both databases.
_ADD_MISSING: Final = {
    name: insert(_KEY).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_ADD_NEW: Final = Insert(_KEY, [column.name for column in _KEY.columns])
#: Holders named in one statement.
_PAGE: Final = 500


def find(
    session: Session, holder: str, retention: RetentionClass, *, hold: bool = False
) -> sa.Row[Any] | None:
    """Return the wrapped key of `holder` for one class, with the columns of `DataKey`.

    `hold` lets nobody destroy it until the transaction ends (PostgreSQL).
    """
    wanted = {"of_holder": holder, "of_retention": retention.value}
    return session.execute(_HOLD if hold else _FIND, wanted).one_or_none()


def find_many(
    session: Session, holders: Sequence[str], retention: RetentionClass, *, hold: bool = True
) -> dict[str, sa.Row[Any]]:
    """Return the wrapped keys of those holders who have one; `hold` as in `find`."""
    found: dict[str, sa.Row[Any]] = {}
    query = _HOLD_MANY if hold else _FIND_MANY
    for start in range(0, len(holders), _PAGE):
        wanted = {"of_holders": holders[start : start + _PAGE], "of_retention": retention.value}
        found.update({row.holder: row for row in session.execute(query, wanted)})
    return found


def add_new(session: Session, keys: Sequence[Mapping[str, object]]) -> None:
    """Add wrapped keys of holders whom this transaction made, so that nobody else adds theirs."""
    _ADD_NEW.run(session, keys)


def add_many(session: Session, keys: Sequence[Mapping[str, object]]) -> int:
    """Add wrapped keys by their columns, but for those that another transaction added first.

    Returns:
        How many were added.
    """
    added = session.execute(_ADD_MISSING[session.get_bind().dialect.name], keys)
    return cast("sa.CursorResult[Any]", added).rowcount


def delete(session: Session, holder: str, retention: RetentionClass) -> bool:
    """Delete the wrapped key; tell whether there was one."""
    deleted = session.execute(
        sa.delete(DataKey).where(DataKey.holder == holder, DataKey.retention == retention.value)
    )
    return cast("sa.CursorResult[Any]", deleted).rowcount == 1


def count_by_epoch(session: Session) -> dict[int, int]:
    """Return how many keys are wrapped under each epoch that wraps any."""
    query = sa.select(_KEY.c.epoch, sa.func.count()).group_by(_KEY.c.epoch)
    return dict(session.execute(query).all())


def of_epochs(session: Session, epochs: Collection[int], limit: int) -> Sequence[sa.Row[Any]]:
    """Return up to `limit` keys that are wrapped under one of some epochs, held to be moved.

    It waits for nobody, so that it never waits in a ring: one that somebody is deleting is left out.
    """
    query = sa.select(_KEY).where(_KEY.c.epoch.in_(epochs)).limit(limit)
    return session.execute(query.with_for_update(key_share=True, skip_locked=True)).all()


def move(session: Session, keys: Sequence[Mapping[str, object]]) -> None:
    """Write the new `epoch` and `wrapped` of held keys, named by `of_holder`, `of_retention`."""
    session.execute(_MOVE, keys)


def hold_all(session: Session) -> None:
    """Wait for everybody who is adding keys, and let nobody add any until the transaction ends.

    On SQLite whoever writes is alone already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("LOCK TABLE data_key IN SHARE ROW EXCLUSIVE MODE"))
