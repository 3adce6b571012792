"""Where the next page of a search begins: a token that only the same caller can use for the same."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from typing import Final

from privacy.decisions.model import Question
from privacy.keys.keyring import Keyring, RootKey

_MAC_BYTES: Final = 16


class PageTokens:
    """Writes and reads page tokens; nothing is kept for them."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def write(self, question: Question, last: str | None) -> str:
        """Return the token of the page after a pseudonym; "" where there is none.

        Args:
            question: the search, with who asks.
            last: the pseudonym.
        """
        if last is None:
            return ""
        return base64.urlsafe_b64encode(self._mac(question, last) + last.encode()).decode()

    def read(self, question: Question, token: str) -> str | None:
        """Return the pseudonym after which the page begins; None where the token is not ours.

        Args:
            question: the search, with who asks.
            token: as the caller sent it; "" begins.
        """
        if not token:
            return ""
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            last = raw[_MAC_BYTES:].decode("ascii")
        except (UnicodeError, binascii.Error):
            return None
        is_ours = hmac.compare_digest(raw[:_MAC_BYTES], self._mac(question, last))
        return last if is_ours and last else None

    def _mac(self, question: Question, last: str) -> bytes:
        key = self._keyring.derive(RootKey.PSEUDONYM, "search-page", "hmac-sha256", "v1")
        search = [
            question.subject_type,
            question.subject_id,
            question.action,
            question.resource_type,
            question.channel,
            question.partner,
            question.categories,
            sorted(question.supported_obligations or ()),
            question.supported_obligations is None,
            last,
        ]
        return hmac.digest(key, json.dumps(search).encode(), "sha256")[:_MAC_BYTES]
