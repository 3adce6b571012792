"""Tables of who is signed in where, and of what applications were told when it ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.provider.grant_store import GrantRow
from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class SignInRow(Base):
    """One browser session signed in to one client; `sid` is its name for that client alone."""

    __tablename__ = "oauth_sign_in"
    __table_args__ = (
        sa.UniqueConstraint("session_family", "client_id"),
        {"info": OPERATIONAL},
    )

    sid: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    session_family: Mapped[str] = mapped_column(sa.String(32), index=True)
    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), index=True
    )
    subject_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("subject.subject_id"), index=True
    )
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)


class LogoutMessageRow(Base):
    """One logout token on its way to a client, and what became of it."""

    __tablename__ = "oauth_logout_message"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    message_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("oauth_client.client_id"), index=True
    )
    cause: Mapped[str] = mapped_column(sa.String(32))
    state: Mapped[str] = mapped_column(sa.String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    last_result: Mapped[str | None] = mapped_column(sa.String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def sign_in(session: Session, family: str, client_id: str) -> SignInRow | None:
    """Return the sign-in of a session to a client, ended or not."""
    query = sa.select(SignInRow).where(
        SignInRow.session_family == family, SignInRow.client_id == client_id
    )
    return session.scalars(query).one_or_none()


def open_sign_ins(
    session: Session,
    *,
    subject_id: str | None = None,
    client_id: str | None = None,
    living_families: sa.Select[str | None] | None = None,
    limit: int | None = None,
) -> Sequence[SignInRow]:
    """Return sign-ins that have not ended, in one order.

    Args:
        session: the database.
        subject_id: of this person alone.
        client_id: to this client alone.
        living_families: names the sessions that are alive; their sign-ins are left out.
        limit: how many at most.
    """
    query = sa.select(SignInRow).where(SignInRow.ended_at.is_(None))
    if subject_id is not None:
        query = query.where(SignInRow.subject_id == subject_id)
    if client_id is not None:
        query = query.where(SignInRow.client_id == client_id)
    if living_families is not None:
        query = query.where(SignInRow.session_family.not_in(living_families))
    return session.scalars(query.order_by(SignInRow.sid).limit(limit)).all()


def end_sign_in(session: Session, sid: str, at: datetime) -> bool:
    """End a sign-in; True for exactly one caller."""
    ending = (
        sa.update(SignInRow)
        .where(SignInRow.sid == sid, SignInRow.ended_at.is_(None))
        .values(ended_at=at)
    )
    return changed_one(session, ending)


def clients_of(session: Session, subject_id: str) -> Sequence[str]:
    """Return the clients that a person has gone on into, in one order."""
    query = sa.select(GrantRow.client_id).where(GrantRow.subject_id == subject_id)
    return session.scalars(query.order_by(GrantRow.client_id)).all()


def clients_ended_at(session: Session, subject_id: str, at: datetime) -> Sequence[str]:
    """Return the clients of a person's sign-ins that ended at this very instant."""
    return session.scalars(
        sa.select(SignInRow.client_id).where(
            SignInRow.subject_id == subject_id, SignInRow.ended_at == at
        )
    ).all()


def messages(session: Session, client_id: str, limit: int) -> Sequence[LogoutMessageRow]:
    """Return what a client was told, the newest first."""
    query = sa.select(LogoutMessageRow).where(LogoutMessageRow.client_id == client_id)
    newest = query.order_by(LogoutMessageRow.created_at.desc(), LogoutMessageRow.message_id)
    return session.scalars(newest.limit(limit)).all()


def lost_messages(session: Session, before: datetime) -> Sequence[LogoutMessageRow]:
    """Return the messages that have waited since before this instant."""
    query = sa.select(LogoutMessageRow).where(
        LogoutMessageRow.state == "waiting", LogoutMessageRow.created_at < before
    )
    return session.scalars(query.with_for_update(skip_locked=True)).all()


def forget(session: Session, subject_id: str) -> None:
    """Delete where a person was signed in."""
    session.execute(sa.delete(SignInRow).where(SignInRow.subject_id == subject_id))


def delete_old(session: Session, *, messages_before: datetime, sign_ins_before: datetime) -> None:
    """Delete messages and ended sign-ins of before these instants."""
    for old in (
        sa.delete(LogoutMessageRow).where(LogoutMessageRow.created_at < messages_before),
        sa.delete(SignInRow).where(SignInRow.ended_at < sign_ins_before),
    ):
        session.execute(old.execution_options(synchronize_session=False))
