"""Tables of second factors, recovery codes, passkeys and their ceremonies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class EnrolmentRow(Base):
    """A secret that was shown and not yet confirmed by a code; it opens nothing."""

    __tablename__ = "totp_enrolment"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    secret_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class TotpRow(Base):
    """An account's TOTP secret, sealed, and the last time step whose code was accepted."""

    __tablename__ = "totp"

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    secret_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    last_step: Mapped[int] = mapped_column(sa.BigInteger)
    enrolled_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RecoveryCodeRow(Base):
    """One of an account's recovery codes, by digest."""

    __tablename__ = "totp_recovery_code"

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    code_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CeremonyRow(Base):
    """A challenge that waits for a passkey's answer.

    Operational: it says of nobody that anything happened.
    """

    __tablename__ = "webauthn_ceremony"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    ceremony_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    challenge: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    kind: Mapped[str] = mapped_column(sa.String(16))
    account_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    user_handle: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UserHandleRow(Base):
    """The random name by which authenticators know an account."""

    __tablename__ = "webauthn_user"

    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), primary_key=True
    )
    user_handle: Mapped[bytes] = mapped_column(sa.LargeBinary(32), unique=True)


class PasskeyRow(Base):
    """A passkey: its public half, and what it last said of itself.

    `flagged_count` is the counter that was too low, to go on from if the person confirms the key.
    """

    __tablename__ = "passkey"

    passkey_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    credential_id: Mapped[bytes] = mapped_column(sa.LargeBinary(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    name_sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    aaguid: Mapped[str] = mapped_column(sa.String(36))
    transports: Mapped[str] = mapped_column(sa.String(100))
    backup_eligible: Mapped[bool]
    backed_up: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    flagged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    flagged_count: Mapped[int | None] = mapped_column(sa.BigInteger)


def passkeys_of(session: Session, account_id: str) -> Sequence[PasskeyRow]:
    """Return an account's passkeys, suspended ones too, in the order they were added."""
    query = sa.select(PasskeyRow).where(PasskeyRow.account_id == account_id)
    return session.scalars(query.order_by(PasskeyRow.created_at, PasskeyRow.passkey_id)).all()


def passkey_of_credential(session: Session, credential_id: bytes) -> PasskeyRow | None:
    """Return the passkey of a credential id, whoever has it."""
    query = sa.select(PasskeyRow).where(PasskeyRow.credential_id == credential_id)
    return session.scalars(query).one_or_none()


def lock_passkey(session: Session, passkey_id: str, account_id: str) -> PasskeyRow | None:
    """Return one of the account's passkeys, locked until the transaction ends."""
    query = (
        sa.select(PasskeyRow)
        .where(PasskeyRow.passkey_id == passkey_id, PasskeyRow.account_id == account_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one_or_none()


def has_open_passkey(session: Session, account_id: str) -> bool:
    """Tell whether the account has a passkey that is not suspended."""
    query = sa.select(PasskeyRow.passkey_id).where(
        PasskeyRow.account_id == account_id, PasskeyRow.flagged_at.is_(None)
    )
    return session.scalars(query.limit(1)).one_or_none() is not None


def has_passkey(session: Session, account_id: str) -> bool:
    """Tell whether the account has a passkey, suspended or not."""
    query = sa.select(PasskeyRow.passkey_id).where(PasskeyRow.account_id == account_id)
    return session.scalars(query.limit(1)).one_or_none() is not None


def claim_ceremony(session: Session, ceremony_digest: str, at: datetime) -> bool:
    """Use a ceremony up; True for exactly one caller."""
    claim = (
        sa.update(CeremonyRow)
        .where(
            CeremonyRow.ceremony_digest == ceremony_digest,
            CeremonyRow.used_at.is_(None),
            CeremonyRow.expires_at > at,
        )
        .values(used_at=at)
    )
    return changed_one(session, claim)


def claim_step(session: Session, account_id: str, step: int) -> bool:
    """Use a time step up; True for exactly one caller, and never for an older step."""
    claim = (
        sa.update(TotpRow)
        .where(TotpRow.account_id == account_id, TotpRow.last_step < step)
        .values(last_step=step)
    )
    return changed_one(session, claim)


def claim_recovery_code(session: Session, account_id: str, digest: str, at: datetime) -> bool:
    """Use a recovery code up; True for exactly one caller."""
    claim = (
        sa.update(RecoveryCodeRow)
        .where(
            RecoveryCodeRow.account_id == account_id,
            RecoveryCodeRow.code_digest == digest,
            RecoveryCodeRow.used_at.is_(None),
        )
        .values(used_at=at)
    )
    return changed_one(session, claim)


def add_recovery_codes(session: Session, account_id: str, digests: Sequence[str]) -> None:
    """Replace an account's recovery codes."""
    session.execute(sa.delete(RecoveryCodeRow).where(RecoveryCodeRow.account_id == account_id))
    session.add_all(RecoveryCodeRow(account_id=account_id, code_digest=d) for d in digests)


def unused_recovery_codes(session: Session, account_id: str) -> int:
    """Return how many recovery codes are left."""
    query = sa.select(sa.func.count()).where(
        RecoveryCodeRow.account_id == account_id, RecoveryCodeRow.used_at.is_(None)
    )
    return session.scalar(query) or 0


def delete_recovery_codes(session: Session, account_id: str) -> None:
    """Forget an account's recovery codes."""
    _delete(session, RecoveryCodeRow, account_id)


def delete_of(session: Session, account_id: str) -> None:
    """Forget everything of an account's."""
    tables = (EnrolmentRow, TotpRow, RecoveryCodeRow, CeremonyRow, PasskeyRow, UserHandleRow)
    for table in tables:
        _delete(session, table, account_id)


def _delete(session: Session, table: type[Base], account_id: str) -> None:
    of_account = table.__table__.c.account_id == account_id
    session.execute(sa.delete(table).where(of_account).execution_options(synchronize_session=False))
