"""Randomness as an argument: who needs an id, a token or a code is given an `Ids`."""

from __future__ import annotations

import base64
import hashlib
from typing import Protocol

TOKEN_BYTES = 32
CODE_DIGITS = 8


class Ids(Protocol):
    """The source of randomness; `app.py` wires the system's, tests a counted one."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` bytes that nobody can guess."""
        ...


def new_id(ids: Ids) -> str:
    """Return a 128-bit id as 32 lower-case hexadecimal digits."""
    return ids.random_bytes(16).hex()


def new_token(ids: Ids) -> str:
    """Return a 256-bit bearer secret as 43 base64url characters without padding."""
    return base64.urlsafe_b64encode(ids.random_bytes(TOKEN_BYTES)).rstrip(b"=").decode()


def new_code(ids: Ids) -> str:
    """Return a code to type: eight decimal digits (26 bits).

    Source: OWASP ASVS 5.0 6.5.4 (at least 20 bits for codes with limited attempts).
    """
    # 64 bits reduced modulo 10**8: the bias is below 2**-37.
    return f"{int.from_bytes(ids.random_bytes(8)) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def secret_digest(secret: str) -> str:
    """Return what is stored of a high-entropy secret: its SHA-256 in hexadecimal.

    Only for secrets of 128 bits or more, or codes bound to a random row id and few attempts.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
