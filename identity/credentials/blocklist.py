"""Which passwords are common or leaked: our own list, and the operator's, all read without a network.

Source: OWASP ASVS 5.0 6.2.4, 6.2.12; NIST SP 800-63B-4 s. 3.1.1.2. docs/passwords.md tells where the
lists come from and how to make them anew.
"""

from __future__ import annotations

import hashlib
import mmap
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Container, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from policies.passwords import MIN_LENGTH_ALONE, MIN_LENGTH_WITH_SECOND_FACTOR, normalise
from privacy.settings import SettingsError

DIGEST_BYTES: Final = 6
"""Kept of each SHA-256. With 110,000 entries a password that is in no list is taken for one of them
once in 2.6 thousand million; one that is listed is always found."""

SHORT_ENTRIES: Final = 100_000
"""How many of the most common passwords too short to be used alone are kept, for accounts with a
second factor; of those long enough alone, all."""

MAX_TEXT_BYTES: Final = 64 * 1024 * 1024
"""A list of plain passwords is held in memory; longer ones come as a file of SHA-1."""

_FOLDER: Final = Path(__file__).parent
_SHIPPED: Final = _FOLDER / "common_passwords.bin"
_PHRASES: Final = _FOLDER / "common_phrases.txt"
_JOINS: Final = ("", " ", "-", "_", ".")
_SETTING: Final = "PLACET_PASSWORD_BLOCKLIST"
_SHA1_LINE: Final = re.compile(rb"[0-9A-Fa-f]{40}(?::\d+)?\r?\n?")
_SAMPLES: Final = 1000


def folded(password: str) -> str:
    """Return the form in which lists are compared: NFKC, then case-folded."""
    return normalise(password).casefold()


def digest(password: str) -> bytes:
    """Return what a list keeps of a folded password."""
    return hashlib.sha256(password.encode()).digest()[:DIGEST_BYTES]


def encode(most_common_first: Iterable[str]) -> bytes:
    """Return the list file of these passwords: their digests, sorted, without anything between."""
    kept: set[bytes] = set()
    short: set[bytes] = set()
    for password in most_common_first:
        plain = folded(password)
        if len(plain) >= MIN_LENGTH_ALONE:
            kept.add(digest(plain))
        elif len(plain) >= MIN_LENGTH_WITH_SECOND_FACTOR and len(short) < SHORT_ENTRIES:
            short.add(digest(plain))
    return b"".join(sorted(kept | short))


class DigestList(Container[str]):
    """A list file, looked up where it lies."""

    def __init__(self, path: Path) -> None:
        self._bytes = _mapped(path)

    def __len__(self) -> int:
        return len(self._bytes) // DIGEST_BYTES

    def __getitem__(self, index: int) -> bytes:
        return self._bytes[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]

    def __contains__(self, password: object) -> bool:
        if not isinstance(password, str):
            return False
        wanted = digest(password)
        place = bisect_left(self, wanted)
        return place < len(self) and self[place] == wanted


class Sha1File(Container[str]):
    """A file of SHA-1 in order, one a line, each perhaps followed by `:count`; of any size.

    That is the form in which leaked passwords are published ("ordered by hash").
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            SettingsError: a line is no SHA-1, or the lines are not in order, as far as samples tell.
        """
        self._bytes = _mapped(path)
        size, before = len(self._bytes), b""
        for sample in range(_SAMPLES + 1):
            line = self._line_at(size * sample // _SAMPLES)
            if line is None:
                break
            if not _SHA1_LINE.fullmatch(line):
                raise SettingsError(f"{_SETTING}: a line of {path} is not a SHA-1")
            if line[:40].upper() < before:
                raise SettingsError(f"{_SETTING}: the SHA-1 in {path} are not in order")
            before = line[:40].upper()

    def __contains__(self, password: object) -> bool:
        if not isinstance(password, str):
            return False
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        low, high = 0, len(self._bytes)
        while low < high:  # the first line beginning at `low` or later that is not before `wanted`
            middle = (low + high) // 2
            line = self._line_at(middle)
            if line is not None and line[:40].upper() < wanted:
                low = middle + 1
            else:
                high = middle
        line = self._line_at(low)
        return line is not None and line[:40].upper() == wanted

    def _line_at(self, offset: int) -> bytes | None:
        """Return the first line that begins at `offset` or after it; None after the last."""
        start = offset if offset == 0 else self._bytes.find(b"\n", offset - 1) + 1
        if (offset and start == 0) or start >= len(self._bytes):
            return None
        end = self._bytes.find(b"\n", start)
        return self._bytes[start : end + 1] if end >= 0 else self._bytes[start:]


class Blocklist(Container[str]):
    """Every list of this deployment at once."""

    def __init__(self, lists: Collection[Container[str]]) -> None:
        self._lists = tuple(lists)

    def __contains__(self, password: object) -> bool:
        return any(password in each for each in self._lists)


def load(path: Path | None) -> Blocklist:
    """Return our own lists and, where there is one, the operator's.

    Args:
        path: text, one password a line, or a file of SHA-1 in order.

    Raises:
        SettingsError: the operator's file cannot be read or is neither.
    """
    own = (_shipped(), _phrases())
    if path is None:
        return Blocklist(own)
    try:
        with path.open("rb") as file:
            first = file.readline(200)
        if not first:
            raise SettingsError(f"{_SETTING}: {path} is empty")
        if _SHA1_LINE.fullmatch(first):
            return Blocklist((*own, Sha1File(path)))
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise SettingsError(
                f"{_SETTING}: {path} is over {MAX_TEXT_BYTES >> 20} MiB; give a file of SHA-1 in order"
            )
        text = path.read_bytes().decode()
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{_SETTING}: {path} is not UTF-8") from None
    listed = frozenset(folded(line) for line in text.splitlines() if line)
    return Blocklist((*own, listed))


@cache
def _shipped() -> DigestList:
    return DigestList(_SHIPPED)


@cache
def _phrases() -> frozenset[str]:
    lines = _PHRASES.read_text(encoding="utf-8").splitlines()
    phrases = [folded(line) for line in lines if line and not line.startswith("#")]
    forms = {form for phrase in phrases for form in (phrase, _without_accents(phrase))}
    return frozenset(form.replace(" ", join) for form in forms for join in _JOINS)


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return "".join(each for each in parts if not unicodedata.combining(each))


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
