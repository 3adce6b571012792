"""Tables of browser sessions, and of sign-ins that wait for one more proof."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.single_use import changed_one
from privacy.tables import OPERATIONAL, Base, UtcDateTime


class SessionRow(Base):
    """One browser session.

    Operational: its last use changes all the time. Its beginning and its end are events.
    """

    __tablename__ = "session"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    session_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    subject_id: Mapped[str] = mapped_column(sa.String(32))
    role: Mapped[str] = mapped_column(sa.String(16))
    methods: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    authenticated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    user_agent: Mapped[str] = mapped_column(sa.String(64))
    address: Mapped[str] = mapped_column(sa.String(64))
    device_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    limited_to: Mapped[str | None] = mapped_column(sa.String(64))
    step_up_tries: Mapped[int] = mapped_column(default=0, server_default="0")
    family_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    identity_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    upstream_session: Mapped[str | None] = mapped_column(sa.String(64), index=True)


class WaitingSignIn(Base):
    """A sign-in whose password was right and that waits for one more proof.

    `step` is a `Step`; `code_digest` is that of the mailed code, where one was mailed.
    """

    __tablename__ = "sign_in_second_step"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    step_digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(
        sa.String(32), sa.ForeignKey("account.account_id"), index=True
    )
    tries: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    step: Mapped[str] = mapped_column(sa.String(16), server_default="second-factor")
    methods: Mapped[str] = mapped_column(sa.String(64), server_default="pwd")
    may_trust: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    assessment_id: Mapped[str | None] = mapped_column(sa.String(32))
    code_digest: Mapped[str | None] = mapped_column(sa.String(64))
    identity_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)
    upstream_session: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    arrival: Mapped[str | None] = mapped_column(sa.String(64))


def _living(seen_after: datetime, made_after: datetime) -> sa.Select[SessionRow]:
    return sa.select(SessionRow).where(
        SessionRow.ended_at.is_(None),
        SessionRow.last_seen_at > seen_after,
        SessionRow.created_at > made_after,
    )


def living(
    session: Session, digest: str, *, seen_after: datetime, made_after: datetime
) -> SessionRow | None:
    """Return the session of this digest if it has neither ended nor reached a limit."""
    query = _living(seen_after, made_after).where(SessionRow.session_digest == digest)
    return session.scalars(query).one_or_none()


def living_of(
    session: Session, account_id: str, *, seen_after: datetime, made_after: datetime
) -> Sequence[SessionRow]:
    """Return an account's living sessions, the last used first."""
    query = _living(seen_after, made_after).where(SessionRow.account_id == account_id)
    return session.scalars(
        query.order_by(SessionRow.last_seen_at.desc(), SessionRow.session_digest)
    ).all()


def living_families(*, seen_after: datetime, made_after: datetime) -> sa.Select[str | None]:
    """Return the query for the families that have a session which is alive."""
    return sa.select(SessionRow.family_id).where(
        SessionRow.family_id.is_not(None),
        SessionRow.ended_at.is_(None),
        SessionRow.last_seen_at > seen_after,
        SessionRow.created_at > made_after,
    )


def end(session: Session, account_id: str, digest: str, at: datetime) -> bool:
    """End one of an account's sessions; False where it had ended or is not the account's."""
    ending = (
        sa.update(SessionRow)
        .where(
            SessionRow.session_digest == digest,
            SessionRow.account_id == account_id,
            SessionRow.ended_at.is_(None),
        )
        .values(ended_at=at)
    )
    return changed_one(session, ending)


def end_replaced(session: Session, digest: str, at: datetime) -> bool:
    """End the session that a browser had, whose ever, since another begins in it; as `end`."""
    ending = (
        sa.update(SessionRow)
        .where(SessionRow.session_digest == digest, SessionRow.ended_at.is_(None))
        .values(ended_at=at)
    )
    return changed_one(session, ending)


def end_all(session: Session, account_id: str, at: datetime, *, but: str | None = None) -> int:
    """End an account's sessions but one, and return how many ended."""
    ending = (
        sa.update(SessionRow)
        .where(SessionRow.account_id == account_id, SessionRow.ended_at.is_(None))
        .values(ended_at=at)
        .execution_options(synchronize_session=False)
    )
    if but is not None:
        ending = ending.where(SessionRow.session_digest != but)
    return cast("sa.CursorResult[Any]", session.execute(ending)).rowcount


def accounts_with_sessions(session: Session) -> Sequence[str]:
    """Return the accounts that have a session which was not ended, in one order."""
    query = sa.select(SessionRow.account_id).where(SessionRow.ended_at.is_(None)).distinct()
    return session.scalars(query.order_by(SessionRow.account_id)).all()


def touch(session: Session, digest: str, at: datetime) -> None:
    """Note that a session was used."""
    session.execute(
        sa.update(SessionRow)
        .where(SessionRow.session_digest == digest, SessionRow.last_seen_at < at)
        .values(last_seen_at=at)
        .execution_options(synchronize_session=False)
    )


def end_all_of_device(session: Session, account_id: str, device_id: str, at: datetime) -> int:
    """End the sessions that began in one browser, and return how many ended."""
    ending = (
        sa.update(SessionRow)
        .where(
            SessionRow.account_id == account_id,
            SessionRow.device_id == device_id,
            SessionRow.ended_at.is_(None),
        )
        .values(ended_at=at)
        .execution_options(synchronize_session=False)
    )
    return cast("sa.CursorResult[Any]", session.execute(ending)).rowcount


def end_of_origin(
    session: Session,
    at: datetime,
    *,
    identity_id: str | None,
    upstream_session: str | None,
    but: str | None = None,
) -> dict[tuple[str, str], int]:
    """End what began at an outside provider: sessions, and sign-ins that wait.

    Args:
        session: the caller's transaction.
        at: now.
        identity_id: by this identity; None: by any.
        upstream_session: in this session of the provider's; None: in any.
        but: digest of the one session that stays.

    Returns:
        How many sessions ended, by account id and subject id.
    """
    if identity_id is None and upstream_session is None:
        return {}

    def narrow(statement: Any, table: type[SessionRow | WaitingSignIn]) -> Any:  # noqa: ANN401 - two kinds of statement
        if identity_id is not None:
            statement = statement.where(table.identity_id == identity_id)
        if upstream_session is not None:
            statement = statement.where(table.upstream_session == upstream_session)
        return statement.where(table.ended_at.is_(None))

    session.execute(
        narrow(sa.update(WaitingSignIn), WaitingSignIn)
        .values(ended_at=at)
        .execution_options(synchronize_session=False)
    )
    ended: dict[tuple[str, str], int] = {}
    living_rows = narrow(sa.select(SessionRow).order_by(SessionRow.session_digest), SessionRow)
    for row in session.scalars(living_rows).all():
        if row.session_digest != but and end(session, row.account_id, row.session_digest, at):
            whose = row.account_id, row.subject_id
            ended[whose] = ended.get(whose, 0) + 1
    return ended


def count_step_up_try(session: Session, digest: str, most: int) -> bool:
    """Count one try at proving more in a living session; False where none is left."""
    count = (
        sa.update(SessionRow)
        .where(
            SessionRow.session_digest == digest,
            SessionRow.ended_at.is_(None),
            SessionRow.step_up_tries < most,
        )
        .values(step_up_tries=SessionRow.step_up_tries + 1)
    )
    return changed_one(session, count)


def count_try(session: Session, digest: str, most: int, at: datetime) -> bool:
    """Count one try at a waiting sign-in; False where none is left or it has expired."""
    count = (
        sa.update(WaitingSignIn)
        .where(
            WaitingSignIn.step_digest == digest,
            WaitingSignIn.ended_at.is_(None),
            WaitingSignIn.expires_at > at,
            WaitingSignIn.tries < most,
        )
        .values(tries=WaitingSignIn.tries + 1)
    )
    return changed_one(session, count)


def claim_waiting(session: Session, digest: str, at: datetime) -> bool:
    """Use a waiting sign-in up; True for exactly one caller."""
    ending = (
        sa.update(WaitingSignIn)
        .where(
            WaitingSignIn.step_digest == digest,
            WaitingSignIn.ended_at.is_(None),
            WaitingSignIn.expires_at > at,
        )
        .values(ended_at=at)
    )
    return changed_one(session, ending)


def codes_waiting(session: Session, account_id: str, at: datetime) -> int:
    """Return how many mailed codes of an account have not expired, used or not."""
    query = sa.select(sa.func.count()).where(
        WaitingSignIn.account_id == account_id,
        WaitingSignIn.code_digest.is_not(None),
        WaitingSignIn.expires_at > at,
    )
    return session.scalar(query) or 0


def end_waiting_of(session: Session, account_id: str, at: datetime) -> None:
    """End every sign-in of an account that waits."""
    session.execute(
        sa.update(WaitingSignIn)
        .where(WaitingSignIn.account_id == account_id, WaitingSignIn.ended_at.is_(None))
        .values(ended_at=at)
        .execution_options(synchronize_session=False)
    )


def delete_of(session: Session, account_id: str) -> None:
    """Forget an account's sessions and waiting sign-ins."""
    for table in (SessionRow, WaitingSignIn):
        session.execute(
            sa.delete(table)
            .where(table.account_id == account_id)
            .execution_options(synchronize_session=False)
        )
