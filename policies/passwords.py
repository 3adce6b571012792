"""Which passwords are accepted, and the one form in which they are hashed."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Container
from enum import StrEnum
from itertools import pairwise
from typing import Final

from policies.errors import DomainError, InvalidInput

MIN_LENGTH_ALONE: Final = 15
"""Code points where the password is the only factor. Source: NIST SP 800-63B-4 s. 3.1.1.2."""

MIN_LENGTH_WITH_SECOND_FACTOR: Final = 8
"""Code points where a second factor is enforced. Source: NIST SP 800-63B-4 s. 3.1.1.2."""

MAX_BYTES: Final = 1024
"""UTF-8 bytes as sent: bounds the work, and lets at least 256 code points of any script pass.

Source: OWASP ASVS 5.0 6.2.9 (at least 64 characters accepted).
"""

MIN_DISTINCT: Final = 5
"""Fewer different code points than this is a repetition that every guesser tries."""

MIN_CONTEXT_WORD: Final = 4
"""Shorter names stand inside too many honest words to mean anything."""


class Weakness(StrEnum):
    """What makes a password unacceptable; the value goes on the wire."""

    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    COMMON = "common"
    CONTAINS_CONTEXT = "contains-context"
    TOO_UNIFORM = "too-uniform"


_DETAIL: Final = {
    Weakness.TOO_SHORT: "The password is too short.",
    Weakness.TOO_LONG: f"The password is longer than {MAX_BYTES} bytes.",
    Weakness.COMMON: "The password is on the list of common or leaked passwords.",
    Weakness.CONTAINS_CONTEXT: "Without the person's or the service's name too little is left.",
    Weakness.TOO_UNIFORM: "The password repeats a few characters or follows a sequence.",
}


class WeakPassword(DomainError):
    """The chosen password is not accepted. Source: NIST SP 800-63B-4 s. 3.1.1.2.

    Attributes:
        reason: why; the refusal must say so.
        minimum: code points that this account's password must have.
    """

    code = "weak-password"

    def __init__(self, reason: Weakness, minimum: int = MIN_LENGTH_ALONE) -> None:
        super().__init__(_DETAIL[reason], field="password")
        self.reason = reason
        self.minimum = minimum


def normalise(password: str) -> str:
    """The form that is measured, compared and hashed: Unicode NFKC, nothing trimmed or folded.

    The same keys give the same password on every keyboard and system. Call it both when a
    password is set and when it is checked, on at most `MAX_BYTES` of input.

    Raises:
        InvalidInput: it is not Unicode text (a lone surrogate).

    Source: NIST SP 800-63B s. 3.1.1.2 (NFKC or NFKD, before hashing); UAX #15.
    """
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The password is not valid Unicode.", field="password") from error
    return unicodedata.normalize("NFKC", password)


def check(
    password: str,
    *,
    second_factor_enforced: bool,
    context_words: Collection[str],
    blocked: Container[str],
) -> None:
    """Accept a password to be set, or say what is wrong with it.

    There are no rules of composition: any length, list and repetition apart, any text will do.
    Words that a guesser knows (the person's, the service's) may be used, but count for nothing:
    what is left without them must be long enough alone.

    Args:
        password: as the person sent it.
        second_factor_enforced: this account cannot sign in with the password alone.
        context_words: product, names, the local part of the address; any case.
        blocked: common and leaked passwords, normalised and case-folded; compared whole.

    Raises:
        WeakPassword: with the first reason found, in the order of `Weakness`.
        InvalidInput: it is not Unicode text.

    Source: NIST SP 800-63B-4 s. 3.1.1.2; OWASP ASVS 5.0 6.2.1 to 6.2.12.
    """
    minimum = minimum_length(second_factor_enforced=second_factor_enforced)
    if is_too_long(password):
        raise WeakPassword(Weakness.TOO_LONG, minimum)
    normal = normalise(password)
    if _length(password, normal) < minimum:
        raise WeakPassword(Weakness.TOO_SHORT, minimum)
    folded = normal.casefold()
    if normal in blocked or folded in blocked:
        raise WeakPassword(Weakness.COMMON, minimum)
    rest = _without(folded, context_words)
    if rest != folded and len(rest) < minimum:
        raise WeakPassword(Weakness.CONTAINS_CONTEXT, minimum)
    if _is_uniform(folded):
        raise WeakPassword(Weakness.TOO_UNIFORM, minimum)


def minimum_length(*, second_factor_enforced: bool) -> int:
    """How many code points a password must have. Source: NIST SP 800-63B-4 s. 3.1.1.2."""
    return MIN_LENGTH_WITH_SECOND_FACTOR if second_factor_enforced else MIN_LENGTH_ALONE


def is_long_enough_alone(password: str) -> bool:
    """Whether it has the length that a password without a second factor must have.

    Raises:
        InvalidInput: it is not Unicode text.
    """
    return _length(password, normalise(password)) >= MIN_LENGTH_ALONE


def is_too_long(password: str) -> bool:
    """Whether it exceeds `MAX_BYTES`: refuse it before any work, at sign-in too."""
    return len(password) > MAX_BYTES or len(password.encode(errors="surrogatepass")) > MAX_BYTES


def _length(password: str, normal: str) -> int:
    # A ligature may normalise to many code points; the person chose only one.
    return min(len(password), len(normal))


def _without(folded: str, words: Collection[str]) -> str:
    known = {normalise(word).casefold() for word in words}
    for word in sorted(known, key=len, reverse=True):
        if len(word) >= MIN_CONTEXT_WORD:
            folded = folded.replace(word, "")
    return folded


def _is_uniform(folded: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in pairwise(folded)}
    return len(set(folded)) < MIN_DISTINCT or len(steps) == 1
