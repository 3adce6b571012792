"""HMAC-SHA256 of many messages that begin alike, at a fraction of the cost of each by itself."""

from __future__ import annotations

import hashlib
from typing import Final

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(each ^ 0x36 for each in range(256))
_OUTER: Final = bytes(each ^ 0x5C for each in range(256))


class KeyedHash:
    """HMAC-SHA256 under one key, of messages with one beginning. Source: RFC 2104 s. 2, 4."""

    def __init__(self, key: bytes, beginning: bytes) -> None:
        """Hash what is the same in all of them.

        Args:
            key: at most 64 bytes; a longer one would have to be hashed first.
            beginning: of every message.
        """
        if len(key) > _BLOCK_BYTES:
            raise ValueError("the key is longer than a block")
        block = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER) + beginning)
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def hex(self, rest: bytes) -> str:
        """Return the code of the message that goes on so, 64 hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.hexdigest()
