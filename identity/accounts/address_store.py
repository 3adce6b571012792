"""Tables of addresses that somebody says are theirs, and of changes that can be taken back."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.single_use import changed_one
from privacy.database import OPERATIONAL, Base, UtcDateTime


class AddressProofRow(Base):
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
    token_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    code_digest: Mapped[str] = mapped_column(sa.String(64))
    code_attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    code_expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AddressUndoRow(Base):
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
    token_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def proof_by_token(session: Session, token_digest: str) -> AddressProofRow | None:
    """Return the proof whose link this is."""
    query = sa.select(AddressProofRow).where(AddressProofRow.token_digest == token_digest)
    return session.scalars(query).one_or_none()


def count_code_try(session: Session, proof_id: str, most: int, at: datetime) -> bool:
    """Count one try at the code; False where none is left or the code has expired."""
    count = (
        sa.update(AddressProofRow)
        .where(
            AddressProofRow.proof_id == proof_id,
            AddressProofRow.used_at.is_(None),
            AddressProofRow.code_expires_at > at,
            AddressProofRow.code_attempts < most,
        )
        .values(code_attempts=AddressProofRow.code_attempts + 1)
    )
    return changed_one(session, count)


def claim_proof(session: Session, proof_id: str, at: datetime) -> bool:
    """Use a proof up; True for exactly one caller."""
    claim = (
        sa.update(AddressProofRow)
        .where(
            AddressProofRow.proof_id == proof_id,
            AddressProofRow.used_at.is_(None),
            AddressProofRow.expires_at > at,
        )
        .values(used_at=at)
    )
    return changed_one(session, claim)


def begun_since(session: Session, value_index: bytes, since: datetime) -> list[datetime]:
    """Return when proofs of an address were begun after an instant, oldest first."""
    query = (
        sa.select(AddressProofRow.created_at)
        .where(AddressProofRow.value_index == value_index, AddressProofRow.created_at > since)
        .order_by(AddressProofRow.created_at)
    )
    return list(session.scalars(query))


def undo_by_token(session: Session, token_digest: str) -> AddressUndoRow | None:
    """Return the change whose link this is."""
    query = sa.select(AddressUndoRow).where(AddressUndoRow.token_digest == token_digest)
    return session.scalars(query).one_or_none()


def claim_undo(session: Session, undo_id: str, at: datetime) -> bool:
    """Use a way back up; True for exactly one caller."""
    claim = (
        sa.update(AddressUndoRow)
        .where(
            AddressUndoRow.undo_id == undo_id,
            AddressUndoRow.used_at.is_(None),
            AddressUndoRow.expires_at > at,
        )
        .values(used_at=at)
    )
    return changed_one(session, claim)


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
