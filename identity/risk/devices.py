"""The browsers that people sign in with: found by a token, listed, trusted, forgotten.

The browser holds a random 256-bit token, which accounts used in one browser share; we hold its
SHA-256 beside each account. Where another account comes to it the token is renewed for all of them:
whoever used the browser before, and kept a copy, knows nobody by it who came later.
Source: OWASP ASVS 5.0 7.5.2; OWASP, Device Cookies.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from sqlalchemy.orm import Session

from identity.accounts.client import Client, short_address, short_user_agent
from identity.accounts.model import Account
from identity.accounts.service import Accounts
from identity.risk import store
from identity.risk.model import (
    DEVICE_KEPT,
    TRUST_LIFETIME,
    Device,
    DeviceDistrusted,
    DeviceRemembered,
    DeviceRevoked,
)
from policies.errors import NotFound
from privacy.ids import new_id, new_token, secret_digest
from privacy.unit_of_work import UnitOfWork

BATCH: Final = 100


class OfAccount(Protocol):
    """An event about an account, of whichever capability."""

    @property
    def subject_id(self) -> str | None:
        """The person."""
        ...

    @property
    def account_id(self) -> str:
        """The account."""
        ...


class Devices:
    """The known devices of this deployment."""

    @staticmethod
    def find(
        session: Session, account_id: str, token: str | None, *, now: datetime
    ) -> Device | None:
        """Return the account's device that holds this token, or None."""
        if token is None:
            return None
        row = store.device_by_token(session, account_id, secret_digest(token), now - DEVICE_KEPT)
        return _device(row) if row else None

    @staticmethod
    def remember(
        uow: UnitOfWork,
        account: Account,
        client: Client,
        *,
        token: str | None,
        trust: bool,
        signed_in: bool = True,
        by_mail: bool = False,
    ) -> tuple[str, Device]:
        """Make this browser a known device of the account, or note that it was seen again; joins.

        A token that the account does not know is replaced: nobody chooses the token of another.

        Args:
            uow: the transaction of what proved the person.
            account: whose.
            client: the browser.
            token: what the browser holds, or None.
            trust: the person calls it their own, for `TRUST_LIFETIME` from now; False leaves it
                as it was.
            signed_in: the person has signed in, and not only read a mailed code.
            by_mail: all that they signed in with came by mail: it shows the mailbox once more.

        Returns:
            The token that the browser is to hold, and the device.
        """
        row = token and store.lock_device(uow.session, account.account_id, secret_digest(token))
        if row and row.last_seen_at <= uow.now - DEVICE_KEPT:
            store.delete_device(uow.session, account.account_id, row.device_id)
            uow.session.expunge(row)
            row = None
        if not token or not row:
            before, token = token, new_token(uow.ids)
            if before:
                store.renew_token(uow.session, secret_digest(before), secret_digest(token))
            row = _add(uow, account, client, secret_digest(token))
        if signed_in:
            row.name = short_user_agent(client.user_agent)
            row.network = short_address(client.address)
            row.last_seen_at = uow.now
        if signed_in and not by_mail and row.signed_in_since is None:
            row.signed_in_since = uow.now
        if trust:
            row.trusted_until = uow.now + TRUST_LIFETIME
        return token, _device(row)

    @staticmethod
    def of_account(session: Session, account_id: str) -> list[Device]:
        """Return an account's devices, the last used first."""
        return [_device(row) for row in store.devices_of(session, account_id)]

    @staticmethod
    def revoke(uow: UnitOfWork, account: Account, device_id: str) -> None:
        """Forget one device, whose sessions end with it; commits.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        if not store.delete_device(uow.session, account.account_id, device_id):
            raise NotFound("there is no such device")
        uow.record(
            DeviceRevoked(
                subject_id=account.subject_id, account_id=account.account_id, device_id=device_id
            )
        )
        uow.commit()

    @staticmethod
    def distrust(uow: UnitOfWork, account: Account, device_id: str) -> None:
        """Trust one device no more; it stays known. Commits.

        Raises:
            NotFound: there is none, or it is somebody else's.
        """
        if not store.end_trust(uow.session, account.account_id, device_id):
            raise NotFound("there is no such device")
        uow.record(
            DeviceDistrusted(
                subject_id=account.subject_id, account_id=account.account_id, device_id=device_id
            )
        )
        uow.commit()

    @staticmethod
    def revoke_all(uow: UnitOfWork, account: Account) -> int:
        """Forget every device of an account; joins the transaction and returns how many."""
        return _forget_all(uow, account.subject_id, account.account_id)

    @staticmethod
    def on_account_shut(uow: UnitOfWork, event: OfAccount) -> None:
        """Forget the devices of an account that was closed, disabled or lost its factors."""
        _forget_all(uow, event.subject_id, event.account_id)
        store.delete_suspicion(uow.session, event.account_id)

    @staticmethod
    def on_password_set(uow: UnitOfWork, event: OfAccount) -> None:
        """Trust no browser of the account any more; they stay known."""
        store.end_trust(uow.session, event.account_id)

    def forget_unseen(self, uow: UnitOfWork) -> int:
        """Forget up to `BATCH` devices that nobody saw for `DEVICE_KEPT`; joins, says how many."""
        rows = store.unseen_devices(uow.session, uow.now - DEVICE_KEPT, BATCH)
        for row in rows:
            self.forget(uow, row.device_id)
        return len(rows)

    @staticmethod
    def forget(uow: UnitOfWork, device_id: str) -> None:
        """Forget a device that used up its tries or its time; joins the transaction."""
        row = uow.session.get(store.DeviceRow, device_id)
        if row is None:
            return
        account = Accounts.find(uow.session, row.account_id)
        if account and store.delete_device(uow.session, row.account_id, device_id):
            uow.record(
                DeviceRevoked(
                    subject_id=account.subject_id,
                    account_id=account.account_id,
                    device_id=device_id,
                )
            )


def _forget_all(uow: UnitOfWork, subject_id: str | None, account_id: str) -> int:
    forgotten = 0
    for row in store.devices_of(uow.session, account_id):
        if store.delete_device(uow.session, account_id, row.device_id):
            uow.record(
                DeviceRevoked(subject_id=subject_id, account_id=account_id, device_id=row.device_id)
            )
            forgotten += 1
    return forgotten


def _add(uow: UnitOfWork, account: Account, client: Client, digest: str) -> store.DeviceRow:
    row = store.DeviceRow(
        device_id=new_id(uow.ids),
        account_id=account.account_id,
        token_digest=digest,
        name=short_user_agent(client.user_agent),
        network=short_address(client.address),
        first_seen_at=uow.now,
        last_seen_at=uow.now,
        trusted_until=None,
    )
    uow.session.add(row)
    uow.session.flush()
    uow.record(
        DeviceRemembered(
            subject_id=account.subject_id, account_id=account.account_id, device_id=row.device_id
        )
    )
    return row


def _device(row: store.DeviceRow) -> Device:
    return Device(
        device_id=row.device_id,
        account_id=row.account_id,
        name=row.name,
        network=row.network,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        trusted_until=row.trusted_until,
        signed_in_since=row.signed_in_since,
    )
