"""Proving that one reads a mailbox: a link to press a button on, or a short code to type.

Both are one-time and kept only as digests. The code is bound to the row that asked for it, and so
to the browser that holds the row's id. A mailed code proves an address; it is no second factor.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from privacy.ids import Ids, new_code, new_token, secret_digest

CODE_LIFETIME: Final = timedelta(minutes=10)
"""Source: OWASP ASVS 5.0 6.5.5 (out-of-band codes live at most 10 minutes)."""

MAX_CODE_TRIES: Final = 5
"""Five guesses at 26 bits. Source: OWASP ASVS 5.0 6.6.3."""


@dataclass(frozen=True, slots=True)
class MailboxProof:
    """What is mailed, and what is kept of it.

    Attributes:
        token: 256 bits for the link.
        code: eight digits to type.
        token_digest: what is stored of the token, 64 hexadecimal digits.
        code_digest: what is stored of the code, bound to the row.
    """

    token: str = field(repr=False)
    code: str = field(repr=False)
    token_digest: str
    code_digest: str


def new_proof(ids: Ids, row_id: str) -> MailboxProof:
    """Return a fresh link token and code for the row of this id."""
    token, code = new_token(ids), new_code(ids)
    return MailboxProof(
        token=token,
        code=code,
        token_digest=secret_digest(token),
        code_digest=_code_digest(row_id, code),
    )


def code_matches(row_id: str, typed: str, code_digest: str) -> bool:
    """Tell whether what was typed is the row's code; spaces and hyphens do not count."""
    plain = "".join(typed.split()).replace("-", "")
    return hmac.compare_digest(_code_digest(row_id, plain), code_digest)


def _code_digest(row_id: str, code: str) -> str:
    return secret_digest(f"{row_id}:{code}")
