"""Tables of addresses that somebody says are theirs, and of changes that can be taken back."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.accounts.one_time_proof import OneTimeLink, OneTimeProof
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class AddressProofRow(OneTimeProof, Base):
    """Somebody says that an address is theirs; until it is proven it finds and grants nothing.

    Operational: what a proof changes is recorded when it is shown.
    """

    __tablename__ = "new_address"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    proof_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    kind: Mapped[str] = mapped_column(sa.String(16))
    value_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16), index=True)
    value_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AddressUndoRow(OneTimeLink, Base):
    """What an account's addresses were before a change; sealed under the person's profile key.

    One row for each letter that tells of it. Operational: the change itself is recorded.
    """

    __tablename__ = "address_undo"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    undo_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    before_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


def begun_since(session: Session, value_index: bytes, since: datetime) -> list[datetime]:
    """Return when proofs of an address were begun after an instant, oldest first."""
    query = (
        sa.select(AddressProofRow.created_at)
        .where(AddressProofRow.value_index == value_index, AddressProofRow.created_at > since)
        .order_by(AddressProofRow.created_at)
    )
    return list(session.scalars(query))


def void_undos_since(session: Session, account_id: str, since: datetime, at: datetime) -> None:
    """Void the ways back of this change and of every later one: they lead to what it took back."""
    session.execute(
        sa.update(AddressUndoRow)
        .where(
            AddressUndoRow.account_id == account_id,
            AddressUndoRow.created_at >= since,
            AddressUndoRow.used_at.is_(None),
        )
        .values(used_at=at)
        .execution_options(synchronize_session=False)
    )


def delete_proofs(session: Session, account_id: str) -> None:
    """Forget what an account still had to prove."""
    session.execute(sa.delete(AddressProofRow).where(AddressProofRow.account_id == account_id))


def delete_of(session: Session, account_id: str) -> None:
    """Forget everything of a closed account."""
    delete_proofs(session, account_id)
    session.execute(sa.delete(AddressUndoRow).where(AddressUndoRow.account_id == account_id))
