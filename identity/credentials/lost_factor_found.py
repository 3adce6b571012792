"""A recovery of a lost factor, found by what a browser or a mail holds, for each of its steps."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from identity.accounts.mailbox_proof import MAX_CODE_TRIES, code_matches
from identity.accounts.model import Account, LinkNotValid, WrongCode
from identity.accounts.service import Accounts
from identity.credentials import lost_factor_store as store
from identity.credentials.store import FactorRecoveryRow
from policies.errors import NotFound
from privacy.actor import Actor
from privacy.ids import secret_digest
from privacy.unit_of_work import Runtime, UnitOfWork


def of_browser(session: Session, secret: str, now: datetime) -> FactorRecoveryRow:
    """Return the recovery that the browser with this secret goes on with.

    Raises:
        LinkNotValid: it has ended or expired at `now`, aware UTC, or never was.
    """
    row = store.by_browser(session, secret_digest(secret))
    if row is None or row.ended or row.expires_at <= now:
        raise LinkNotValid("the recovery is not valid any more")
    return row


def held(uow: UnitOfWork, accounts: Accounts, recovery_id: str) -> Account:
    """Return the recovery's account, held until the commit, so that steps wait their turn.

    Raises:
        LinkNotValid: the recovery has no account, or it is gone.
    """
    row = store.find(uow.session, recovery_id)
    if row is None or row.account_id is None:
        raise LinkNotValid("the recovery is not valid any more")
    try:
        return accounts.lock(uow, row.account_id)
    except NotFound:
        raise LinkNotValid("the recovery is not valid any more") from None


def try_code(runtime: Runtime, actor: Actor, recovery_id: str, code: str) -> None:
    """Count a try of the mailed code, then compare; in a transaction of its own.

    Raises:
        LinkNotValid: no try is left, or the code was used or has expired.
        WrongCode: a try is used up.
    """
    with runtime.unit_of_work(actor) as uow:
        if not store.count_code_try(uow.session, recovery_id, MAX_CODE_TRIES, uow.now):
            raise LinkNotValid("no try is left")
        row = store.find(uow.session, recovery_id)
        digest = row.code_digest if row else ""
        uow.commit()
    if not code_matches(recovery_id, code, digest):
        raise WrongCode
