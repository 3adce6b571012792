"""The strict text encodings that the log's formats share: exactly one text stands for one value."""

from __future__ import annotations

import base64
import re

HASH_BYTES = 32
MAX_UINT64 = 2**64 - 1

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")


class FormatError(ValueError):
    """A text or some bytes do not have the agreed form. The message quotes none of the input."""


def b64(data: bytes) -> str:
    """What `data` is in standard base64 with padding. Source: RFC 4648 s. 4."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str, length: int | None = None) -> bytes:
    """Which bytes a standard base64 text stands for, and no other text does.

    Args:
        text: base64 with padding.
        length: how many bytes are due, or None for any number.

    Raises:
        FormatError: not base64, not the canonical one (stray bits, characters), another length.
    """
    try:
        data = base64.b64decode(text)
    except ValueError:
        raise FormatError("not base64") from None
    return _checked(data, canonical=b64(data) == text, length=length)


def b64url(data: bytes) -> str:
    """What `data` is in base64url without padding. Source: RFC 7515 s. 2."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str, length: int | None = None) -> bytes:
    """Which bytes a base64url text without padding stands for, and no other text does.

    Raises:
        FormatError: not base64url, not the canonical one, or another length than asked for.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise FormatError("not base64url") from None
    return _checked(data, canonical=b64url(data) == text, length=length)


def _checked(data: bytes, *, canonical: bool, length: int | None) -> bytes:
    if not canonical:
        raise FormatError("not the canonical base64")
    if length is not None and len(data) != length:
        raise FormatError(f"{len(data)} bytes where {length} are due")
    return data


def parse_decimal(text: str) -> int:
    """Which number below 2^64 an ASCII decimal without leading zeroes stands for.

    Raises:
        FormatError: a sign, a leading zero, another character, or a number of 2^64 and above.
    """
    if not _DECIMAL.fullmatch(text) or (number := int(text)) > MAX_UINT64:
        raise FormatError("not a decimal number below 2^64 without leading zeroes")
    return number
