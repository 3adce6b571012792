"""What a mailed link or code opens once: the columns of its row, and how it is found and used up.

A row class has these columns besides its own and a primary key of one column. What is mailed is
kept as digests alone (`mailbox_proof`). Each step is one conditional UPDATE: of any number of
callers side by side exactly one is the first.
Source: OWASP ASVS 5.0 6.5.1, 6.5.2, 6.5.5, 6.6.2, 6.6.3.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from identity.accounts.mailbox_proof import MAX_CODE_TRIES, MailboxProof, code_matches
from identity.accounts.model import LinkNotValid, WrongCode
from identity.single_use import changed_one
from privacy.actor import Actor
from privacy.ids import secret_digest
from privacy.tables import UtcDateTime
from privacy.unit_of_work import Runtime


class OneTimeLink:
    """Columns of what a mailed link opens once."""

    token_digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class OneTimeProof(OneTimeLink):
    """Columns of what a mailed code opens as well, for a shorter time."""

    code_digest: Mapped[str] = mapped_column(sa.String(64))
    code_attempts: Mapped[int] = mapped_column(default=0)
    code_expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProofAnsweredLater(OneTimeProof):
    """Columns of a proof that is kept before anybody looks whether there is an account.

    Until `answer` binds it to one, nobody has its link or its code, and it leads nowhere.
    """

    account_id: Mapped[str | None] = mapped_column(sa.String(32), index=True)


Link = TypeVar("Link", bound=OneTimeLink)


def behind_link(session: Session, table: type[Link], token: str, now: datetime) -> Link:
    """Return the row whose mailed link this is; changes nothing.

    Raises:
        LinkNotValid: it was used, is void, has expired at `now`, aware UTC, or never was.
    """
    query = sa.select(table).where(table.token_digest == secret_digest(token))
    row = session.scalars(query).one_or_none()
    if row is None or row.used_at is not None or row.expires_at <= now:
        raise LinkNotValid("the link is not valid")
    return row


def count_code_try(session: Session, table: type[OneTimeProof], row_id: str, at: datetime) -> bool:
    """Count one try at the code; False where none is left, or it was used or has expired."""
    count = (
        sa.update(table)
        .where(
            _key(table) == row_id,
            table.used_at.is_(None),
            table.code_expires_at > at,
            table.code_attempts < MAX_CODE_TRIES,
        )
        .values(code_attempts=table.code_attempts + 1)
    )
    return changed_one(session, count)


def try_code(
    runtime: Runtime, actor: Actor, table: type[OneTimeProof], row_id: str, code: str
) -> None:
    """Count a try at the code in a transaction of its own, then compare; it is not used up yet.

    The count stands when the code is refused. Call it while no transaction is open.

    Raises:
        LinkNotValid: no try is left, or the code was used or has expired.
        WrongCode: a try is used up.
    """
    with runtime.unit_of_work(actor) as uow:
        if not count_code_try(uow.session, table, row_id, uow.now):
            raise LinkNotValid("no try is left")
        digest = uow.session.get_one(table, row_id).code_digest
        uow.commit()
    if not code_matches(row_id, code, digest):
        raise WrongCode


def answer(
    session: Session,
    table: type[ProofAnsweredLater],
    row_id: str,
    account_id: str,
    proof: MailboxProof,
) -> bool:
    """Bind a proof to the account that it is for; True for exactly one caller."""
    binding = (
        sa.update(table)
        .where(_key(table) == row_id, table.account_id.is_(None), table.used_at.is_(None))
        .values(
            account_id=account_id, token_digest=proof.token_digest, code_digest=proof.code_digest
        )
    )
    return changed_one(session, binding)


def claim(session: Session, table: type[OneTimeLink], row_id: str, at: datetime) -> bool:
    """Use a row up; True for exactly one caller, and for none once it has expired."""
    using = (
        sa.update(table)
        .where(_key(table) == row_id, table.used_at.is_(None), table.expires_at > at)
        .values(used_at=at)
    )
    return changed_one(session, using)


def _key(table: type[OneTimeLink]) -> sa.ColumnElement[Any]:
    keys: tuple[sa.ColumnElement[Any], ...] = sa.inspect(table).primary_key
    return keys[0]
