"""Challenges that wait for a passkey's answer, each for five minutes and one answer."""

from __future__ import annotations

from identity.accounts.model import Account
from identity.mfa import store
from identity.mfa.model import CEREMONY_LIFETIME, Ceremony, CeremonyEnded, CeremonyKind
from privacy.ids import new_token, secret_digest
from privacy.unit_of_work import UnitOfWork


def begin(
    uow: UnitOfWork,
    options: str,
    challenge: bytes,
    kind: CeremonyKind,
    account: Account | None,
    handle: bytes | None = None,
) -> Ceremony:
    """Keep a challenge until it is answered; commits.

    Args:
        uow: the unit of work.
        options: for the browser, JSON; they hold the challenge.
        challenge: 32 random bytes.
        kind: what the ceremony is for.
        account: whom it is bound to; None for nobody known yet.
        handle: the random name of the account, where a passkey is to be made for it.
    """
    ceremony_id = new_token(uow.ids)
    uow.session.add(
        store.CeremonyRow(
            ceremony_digest=secret_digest(ceremony_id),
            challenge=challenge,
            kind=kind.value,
            account_id=account.account_id if account else None,
            user_handle=handle,
            expires_at=uow.now + CEREMONY_LIFETIME,
        )
    )
    uow.commit()
    return Ceremony(ceremony_id, options)


def waiting(
    uow: UnitOfWork, ceremony_id: str, account: Account | None, *kinds: CeremonyKind
) -> store.CeremonyRow:
    """Return a ceremony that may still be answered, and for this account.

    Raises:
        CeremonyEnded: it may not.
    """
    row = uow.session.get(store.CeremonyRow, secret_digest(ceremony_id))
    if (
        row is None
        or row.used_at is not None
        or row.expires_at <= uow.now
        or row.kind not in kinds
        or row.account_id != (account.account_id if account else None)
    ):
        raise CeremonyEnded("the ceremony was used, has expired or was another one")
    return row


def claim(uow: UnitOfWork, ceremony_id: str) -> None:
    """Use a ceremony up; joins the transaction of what it buys.

    Raises:
        CeremonyEnded: another request was first.
    """
    if not store.claim_ceremony(uow.session, secret_digest(ceremony_id), uow.now):
        raise CeremonyEnded("the ceremony was used at this moment")
