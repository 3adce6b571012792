"""Queries of recoveries of lost second factors: each step is one conditional UPDATE."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from identity.accounts.mailbox_proof import MailboxProof
from identity.credentials.store import FactorRecoveryRow as Row
from identity.single_use import changed_one


def find(session: Session, recovery_id: str) -> Row | None:
    """Return a recovery as the database has it now."""
    return session.get(Row, recovery_id, populate_existing=True)


def by_token(session: Session, token_digest: str) -> Row | None:
    """Return the recovery whose present link this is."""
    return session.scalars(sa.select(Row).where(Row.token_digest == token_digest)).one_or_none()


def by_browser(session: Session, browser_digest: str) -> Row | None:
    """Return the recovery whose mailbox this browser proved."""
    query = sa.select(Row).where(Row.browser_digest == browser_digest)
    return session.scalars(query).one_or_none()


def waiting_of(session: Session, account_id: str, at: datetime) -> Row | None:
    """Return the account's recovery whose waiting time has begun, and that has not ended."""
    query = sa.select(Row).where(
        Row.account_id == account_id,
        Row.ready_at.is_not(None),
        Row.ended.is_(None),
        Row.expires_at > at,
    )
    return session.scalars(query).first()


def answer(session: Session, recovery_id: str, account_id: str, proof: MailboxProof) -> bool:
    """Bind a recovery to the account that it is for; True for exactly one caller."""
    binding = (
        sa.update(Row)
        .where(Row.recovery_id == recovery_id, Row.account_id.is_(None))
        .values(account_id=account_id, **_digests(proof))
    )
    return changed_one(session, binding)


def count_code_try(session: Session, recovery_id: str, most: int, at: datetime) -> bool:
    """Count one try at the mailed code; False where none is left or the code has expired."""
    count = (
        sa.update(Row)
        .where(
            Row.recovery_id == recovery_id,
            Row.ended.is_(None),
            Row.code_expires_at > at,
            Row.code_attempts < most,
        )
        .values(code_attempts=Row.code_attempts + 1)
    )
    return changed_one(session, count)


def prove_mailbox(
    session: Session, recovery_id: str, browser_digest: str, at: datetime, until: datetime
) -> bool:
    """Bind a recovery to the browser that proved the mailbox; True for exactly one caller."""
    proving = (
        sa.update(Row)
        .where(
            Row.recovery_id == recovery_id,
            Row.account_id.is_not(None),
            Row.browser_digest.is_(None),
            Row.ended.is_(None),
            Row.expires_at > at,
        )
        .values(browser_digest=browser_digest, code_expires_at=at, expires_at=until)
    )
    return changed_one(session, proving)


def count_proof_try(session: Session, recovery_id: str, most: int, at: datetime) -> bool:
    """Count one try at a further proof; False where none is left."""
    count = (
        sa.update(Row)
        .where(
            Row.recovery_id == recovery_id,
            Row.browser_digest.is_not(None),
            Row.ready_at.is_(None),
            Row.ended.is_(None),
            Row.expires_at > at,
            Row.proof_attempts < most,
        )
        .values(proof_attempts=Row.proof_attempts + 1)
    )
    return changed_one(session, count)


def begin_waiting(
    session: Session,
    recovery_id: str,
    *,
    proofs: str,
    at: datetime,
    ready_at: datetime,
    until: datetime,
) -> bool:
    """Begin the waiting time; True for exactly one caller."""
    beginning = (
        sa.update(Row)
        .where(
            Row.recovery_id == recovery_id,
            Row.browser_digest.is_not(None),
            Row.ready_at.is_(None),
            Row.ended.is_(None),
            Row.expires_at > at,
        )
        .values(proofs=proofs, ready_at=ready_at, expires_at=until)
    )
    return changed_one(session, beginning)


def due_reminders(session: Session, ready_until: datetime, most: int) -> Sequence[Row]:
    """Return recoveries whose waiting time ends soon and whose people were not reminded."""
    query = sa.select(Row).where(
        Row.ready_at <= ready_until,
        Row.reminded_at.is_(None),
        Row.offered_at.is_(None),
        Row.ended.is_(None),
    )
    return session.scalars(query.order_by(Row.ready_at).limit(most)).all()


def due_offers(session: Session, at: datetime, most: int) -> Sequence[Row]:
    """Return recoveries whose waiting time is over and whose people do not know it."""
    query = sa.select(Row).where(Row.ready_at <= at, Row.offered_at.is_(None), Row.ended.is_(None))
    return session.scalars(query.order_by(Row.ready_at).limit(most)).all()


def expired(session: Session, at: datetime, most: int) -> Sequence[Row]:
    """Return recoveries whose time is over, ended or not."""
    return session.scalars(sa.select(Row).where(Row.expires_at <= at).limit(most)).all()


def remind(session: Session, recovery_id: str, at: datetime) -> bool:
    """Note that the people were reminded; True for exactly one caller."""
    noting = (
        sa.update(Row)
        .where(Row.recovery_id == recovery_id, Row.reminded_at.is_(None), Row.ended.is_(None))
        .values(reminded_at=at)
    )
    return changed_one(session, noting)


def offer(
    session: Session, recovery_id: str, proof: MailboxProof, at: datetime, until: datetime
) -> bool:
    """Make the link that completes a recovery; True for exactly one caller."""
    offering = (
        sa.update(Row)
        .where(
            Row.recovery_id == recovery_id,
            Row.ready_at <= at,
            Row.offered_at.is_(None),
            Row.ended.is_(None),
        )
        .values(offered_at=at, expires_at=until, code_expires_at=at, **_digests(proof))
    )
    return changed_one(session, offering)


def renew_code(
    session: Session, recovery_id: str, proof: MailboxProof, at: datetime, until: datetime
) -> bool:
    """Make a code for the link that completes a recovery, in place of an earlier one."""
    renewing = (
        sa.update(Row)
        .where(
            Row.recovery_id == recovery_id,
            Row.offered_at.is_not(None),
            Row.ended.is_(None),
            Row.expires_at > at,
        )
        .values(code_digest=proof.code_digest, code_attempts=0, code_expires_at=until)
    )
    return changed_one(session, renewing)


def complete(session: Session, recovery_id: str, at: datetime, ended: str) -> bool:
    """Use an offered recovery up; True for exactly one caller."""
    completing = (
        sa.update(Row)
        .where(
            Row.recovery_id == recovery_id,
            Row.ready_at <= at,
            Row.offered_at.is_not(None),
            Row.ended.is_(None),
            Row.expires_at > at,
        )
        .values(ended=ended, expires_at=at)
    )
    return changed_one(session, completing)


def cancel(session: Session, recovery_id: str, at: datetime, ended: str) -> bool:
    """End a recovery whose waiting time has begun; True for exactly one caller."""
    cancelling = (
        sa.update(Row)
        .where(Row.recovery_id == recovery_id, Row.ready_at.is_not(None), Row.ended.is_(None))
        .values(ended=ended, expires_at=at)
    )
    return changed_one(session, cancelling)


def end_others(session: Session, account_id: str, but: str, at: datetime, ended: str) -> None:
    """End every other recovery of an account."""
    session.execute(
        sa.update(Row)
        .where(Row.account_id == account_id, Row.recovery_id != but, Row.ended.is_(None))
        .values(ended=ended, expires_at=at)
        .execution_options(synchronize_session=False)
    )


def delete(session: Session, recovery_id: str) -> None:
    """Forget a recovery."""
    session.execute(
        sa.delete(Row)
        .where(Row.recovery_id == recovery_id)
        .execution_options(synchronize_session=False)
    )


def _digests(proof: MailboxProof) -> dict[str, Any]:
    return {"token_digest": proof.token_digest, "code_digest": proof.code_digest}
