"""What the pages of accounts, credentials and second factors need of sessions, which lie above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from identity.accounts.client import Client
from identity.accounts.model import Account
from identity.accounts.origin import Origin


class Browser(Protocol):
    """The browser that sent this request; `identity.sessions` has the real one."""

    def client(self) -> Client:
        """Return the browser as it shows itself; the address only as trusted proxies give it."""
        ...

    def device_token(self) -> str | None:
        """Return the token of the browser's device cookie, or None."""
        ...

    def keep_device(self, token: str) -> None:
        """Put a device's token into the cookie of the answer to this request."""
        ...

    def sign_in(
        self, account: Account, methods: Sequence[str], origin: Origin | None = None
    ) -> None:
        """Begin a session for a person who has just proved who they are, in its own transaction.

        Args:
            account: whose session.
            methods: how it was proved, RFC 8176 values.
            origin: where the person came from, if from an outside provider.
        """
        ...

    def first_stop(self, account: Account) -> str | None:
        """Return where a person must go before anything else, or None."""
        ...

    def renew(self, methods: Sequence[str]) -> None:
        """Give the present session a new id and other methods: its privilege has changed."""
        ...
