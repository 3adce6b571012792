"""The definitions of RFC 9162 s. 2.1 word for word, slow and independent of the code under test."""

from __future__ import annotations

from functools import cache
from hashlib import sha256


class NaiveTree:
    """MTH, PATH and PROOF over a fixed list of leaf inputs."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self._mth = cache(self._uncached)

    def root(self, size: int) -> bytes:
        return self._mth(0, size)

    def path(self, index: int, size: int) -> list[bytes]:
        return self._path(index, 0, size)

    def proof(self, old: int, size: int) -> list[bytes]:
        return self._subproof(old, 0, size, whole=True)

    def _uncached(self, start: int, end: int) -> bytes:
        if end == start:
            return sha256().digest()
        if end - start == 1:
            return sha256(b"\x00" + self.leaves[start]).digest()
        k = start + split(end - start)
        return sha256(b"\x01" + self._mth(start, k) + self._mth(k, end)).digest()

    def _path(self, m: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        k = split(end - start)
        if m < k:
            return [*self._path(m, start, start + k), self._mth(start + k, end)]
        return [*self._path(m - k, start + k, end), self._mth(start, start + k)]

    def _subproof(self, m: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if m == end - start:
            return [] if whole else [self._mth(start, end)]
        k = split(end - start)
        if m <= k:
            inner = self._subproof(m, start, start + k, whole=whole)
            return [*inner, self._mth(start + k, end)]
        inner = self._subproof(m - k, start + k, end, whole=False)
        return [*inner, self._mth(start, start + k)]


def split(width: int) -> int:
    """The largest power of two smaller than `width`."""
    k = 1
    while k * 2 < width:
        k *= 2
    return k


def numbered(count: int) -> list[bytes]:
    """Leaf i is the text of i."""
    return [str(i).encode() for i in range(count)]
