"""Randomness as an argument: who needs an id, a token or a code is given an `Ids`."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

TOKEN_BYTES = 32
CODE_DIGITS = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Ids(Protocol):
    """The source of randomness; `app.py` wires the system's, tests a counted one."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` bytes that nobody can guess."""
        ...


def new_id(ids: Ids) -> str:
    """Return a 128-bit id as 32 lower-case hexadecimal digits."""
    return ids.random_bytes(16).hex()


def neighbouring_ids(ids: Ids, count: int) -> list[str]:
    """Return ids for rows that are written at once, ascending, with the same first 32 bits.

    They stand side by side in every index: ids from all over touch a page of each for every row,
    once a table has millions. Each has 96 random bits of its own, and none tells the time: so this is
    for people too, and in bulk it costs a sixth of `new_ordered_id`, which is for single rows.
    """
    common, own = ids.random_bytes(4), ids.random_bytes(12 * count)
    return sorted((common + own[start : start + 12]).hex() for start in range(0, 12 * count, 12))


def new_ordered_id(ids: Ids, at: datetime) -> str:
    """Return an id as `new_id` that begins with the time: 32 lower-case hexadecimal digits.

    Ids of neighbouring times lie side by side in every index. 74 bits are random. Whoever reads it
    reads the time as well, so it is only for what is told to nobody but those who are told the time
    beside it; never for a pseudonym, nor for what two applications are told. Order decides nothing.

    Args:
        ids: randomness.
        at: aware; kept to the millisecond.

    Source: RFC 9562 s. 5.7 (version 7).
    """
    random = int.from_bytes(ids.random_bytes(10)) & 0x0FFF_3FFF_FFFF_FFFF_FFFF
    time = (at - _EPOCH) // _MILLISECOND
    return f"{time << 80 | random | 0x7000_8000_0000_0000_0000:032x}"


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
