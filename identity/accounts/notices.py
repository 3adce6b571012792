"""Telling a person, at every address of theirs, what happened to the ways into the account.

Source: OWASP ASVS 5.0 6.3.5, 6.3.7; NIST SP 800-63B-4 s. 4.6.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from identity.accounts.model import Account
from identity.accounts.service import Accounts
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.mail import Postbox
from privacy.unit_of_work import UnitOfWork

LETTER: Final = "security-notice"


class Notice(StrEnum):
    """What is told; `notice_words.words_of` has the words of each."""

    NEW_DEVICE = "new-device"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - a notice's name
    SECOND_FACTOR_ADDED = "second-factor-added"
    SECOND_FACTOR_REMOVED = "second-factor-removed"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_REMOVED = "passkey-removed"
    PASSKEY_FLAGGED = "passkey-flagged"
    IDENTITY_LINKED = "identity-linked"
    IDENTITY_UNLINKED = "identity-unlinked"
    RECOVERY_CODES_REPLACED = "recovery-codes-replaced"
    RECOVERY_CODE_USED = "recovery-code-used"
    ADDRESS_CHANGED = "address-changed"
    SUSPICIOUS_ATTEMPTS = "suspicious-attempts"
    PASSWORD_KNOWN = "password-known"  # noqa: S105 - a notice's name
    SESSIONS_ENDED_BY_STAFF = "sessions-ended-by-staff"
    RESET_STARTED_BY_STAFF = "reset-started-by-staff"
    FACTOR_RECOVERY_STARTED_BY_STAFF = "factor-recovery-started-by-staff"
    FACTOR_RECOVERY_CANCELLED = "factor-recovery-cancelled"
    FACTOR_RECOVERY_COMPLETED = "factor-recovery-completed"
    ROLE_CHANGED = "role-changed"
    ACCOUNT_DISABLED = "account-disabled"
    ACCOUNT_ENABLED = "account-enabled"


class SecurityNotices:
    """Writes the letter `security-notice`."""

    def __init__(self, postbox: Postbox, accounts: Accounts) -> None:
        self._postbox = postbox
        self._accounts = accounts

    def tell(
        self,
        uow: UnitOfWork,
        account: Account,
        what: Notice,
        details: Mapping[str, str] | None = None,
        *,
        also: Collection[str] = (),
    ) -> None:
        """Mail every proven address of the account; joins the transaction.

        Args:
            uow: the transaction of what is told.
            account: whose.
            what: happened.
            details: what the words name, each optional: `device` (browser and system), `network`
                (truncated), `name` (of a passkey), `left` (recovery codes), `address`, `role`.
            also: further addresses, which were the account's until now.
        """
        values: dict[str, Json] = {
            "what": what.value,
            "details": dict(details or {}),
            "at": rfc3339(uow.now),
        }
        for address in dict.fromkeys([*self._accounts.addresses_of(uow.session, account), *also]):
            self._postbox.send(
                uow, to=address, letter=LETTER, locale=account.language, values=values
            )
