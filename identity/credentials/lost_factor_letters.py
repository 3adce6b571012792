"""The letters of a lost second factor's recovery, and the link in them that cancels it."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from identity.accounts.mailbox_proof import MailboxProof
from identity.accounts.model import Account
from identity.accounts.service import Accounts
from privacy.events import Json
from privacy.languages import locale_of
from privacy.mail import Postbox
from privacy.unit_of_work import UnitOfWork

ASK: Final = "factor-recovery"
WAITS: Final = "factor-recovery-waits"
READY: Final = "factor-recovery-ready"
CODE: Final = "factor-recovery-code"


class LostFactorLetters:
    """Queues the letters in the caller's transaction.

    Args:
        postbox: takes them.
        accounts: knows the addresses.
        key: 32 bytes; marks the links that cancel, so that each letter can carry the same one and
            nothing of it is stored.
        base_url: of this deployment.
        time_zone: of the controller, for dates in words.
    """

    def __init__(
        self, postbox: Postbox, accounts: Accounts, *, key: bytes, base_url: str, time_zone: str
    ) -> None:
        self._postbox = postbox
        self._accounts = accounts
        self._key = key
        self._base_url = base_url
        self._zone = ZoneInfo(time_zone)

    def ask(
        self, uow: UnitOfWork, account: Account, proof: MailboxProof, *, by_staff: bool
    ) -> None:
        """Ask whoever reads the address to prove the mailbox.

        Where staff started it there is no browser that could take the code: the link alone.
        """
        values: dict[str, Json] = {
            "by_staff": by_staff,
            "action_url": f"{self._base_url}/recover/factor/link/{proof.token}",
        }
        if not by_staff:
            values["code"] = proof.code
        self._send(uow, account, self._primary(uow, account), ASK, values)

    def waits(
        self,
        uow: UnitOfWork,
        account: Account,
        recovery_id: str,
        ready_at: datetime,
        *,
        reminder: bool,
    ) -> None:
        """Tell every address until when it can be cancelled, and how."""
        until = format_datetime(
            ready_at, "long", tzinfo=self._zone, locale=locale_of(account.language)
        )
        mark = self._cancel_mark(recovery_id)
        values: dict[str, Json] = {
            "until": until,
            "reminder": reminder,
            "action_url": f"{self._base_url}/recover/factor/cancel/{recovery_id}/{mark}",
        }
        for address in self._accounts.addresses_of(uow.session, account):
            self._send(uow, account, address, WAITS, values)

    def ready(self, uow: UnitOfWork, account: Account, proof: MailboxProof) -> None:
        """Send the link that completes it."""
        url = f"{self._base_url}/recover/factor/finish/{proof.token}"
        self._send(uow, account, self._primary(uow, account), READY, {"action_url": url})

    def code(self, uow: UnitOfWork, account: Account, proof: MailboxProof) -> None:
        """Send the code that is typed behind that link."""
        self._send(uow, account, self._primary(uow, account), CODE, {"code": proof.code})

    def is_cancel_mark(self, recovery_id: str, mark: str) -> bool:
        """Tell whether a link that cancels this recovery is ours."""
        return hmac.compare_digest(self._cancel_mark(recovery_id).encode(), mark.encode())

    def _cancel_mark(self, recovery_id: str) -> str:
        digest = hmac.digest(self._key, recovery_id.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _primary(self, uow: UnitOfWork, account: Account) -> str:
        return self._accounts.email_of(uow.session, account)

    def _send(
        self, uow: UnitOfWork, account: Account, to: str, letter: str, values: dict[str, Json]
    ) -> None:
        self._postbox.send(uow, to=to, letter=letter, locale=account.language, values=values)
