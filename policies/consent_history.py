"""What a person's words on one purpose amount to: a fold that no order of arrival changes.

An event counts from its `at`, not from when it reached us: a consent imported today and given two
years ago never overrules the withdrawal of last year.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from policies.deadlines import aware
from policies.decision import ConsentFact
from policies.vocabulary import ConsentAction

YES: Final = frozenset({ConsentAction.GIVEN, ConsentAction.RENEWED})
"""The actions after which a consent is in force. A request is neither a yes nor a no."""

_TICK: Final = timedelta(microseconds=1)
_NO_END: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Word:
    """One event of a person and a purpose, as the fold needs it.

    Attributes:
        event_id: what tells it apart from every other.
        fact: what it says, and from when on.
        recorded_at: aware; when we wrote it down.
        follows: the event that it ends, renews or confirms.
    """

    event_id: str
    fact: ConsentFact
    recorded_at: datetime
    follows: str | None = None

    def __post_init__(self) -> None:
        aware(self.recorded_at, "recorded_at")

    @property
    def ends_by_the_clock(self) -> bool:
        """Whether it only says that one consent's term has run out, and so concerns no other."""
        return self.fact.action is ConsentAction.EXPIRED and self.follows is not None


@dataclass(frozen=True, slots=True)
class Objected:
    """An objection, from when it was made until it was lifted or the person consented expressly.

    Attributes:
        since: aware.
        until: aware, half-open; None: it is in force.
    """

    since: datetime
    until: datetime | None = None


def is_yes(action: ConsentAction) -> bool:
    """Whether a consent is in force after it, if its other conditions hold."""
    return action in YES


def rank(word: Word) -> tuple[object, ...]:
    """What orders words: the greatest stands.

    The later one; at the same instant a no before any yes; then, of two consents, the one under
    the newer notice, the express one, the one that lasts longer: each was given. The id makes the
    order total, so that it never depends on which of two came first.
    """
    fact = word.fact
    return (
        fact.at,
        not is_yes(fact.action),
        fact.notice_version,
        fact.explicit,
        fact.expires_at or _NO_END,
        word.event_id,
    )


def standing(
    words: Iterable[Word], *, at: datetime | None = None, known_at: datetime | None = None
) -> Word | None:
    """Which word stands, or None where the person has said nothing.

    A request moves nothing. The end of a term that the clock brought stands only where the consent
    that it names would: had another consent come in between, there was no end to tell of.

    Args:
        words: of one person and one purpose, in any order.
        at: aware; words that hold from later on, and were not known by then, do not count.
        known_at: aware; words written down later do not count. None: all that is known today.

    Source: GDPR Art. 7(1), 7(3).
    """
    counted = [
        word
        for word in words
        if word.fact.action is not ConsentAction.REQUESTED
        and (at is None or min(word.fact.at, word.recorded_at) <= at)
        and (known_at is None or word.recorded_at <= known_at)
    ]
    said = [word for word in counted if not word.ends_by_the_clock]
    if not said:
        return None
    last = max(said, key=rank)
    ends = [word for word in counted if word.ends_by_the_clock and word.follows == last.event_id]
    return max(ends, key=rank) if ends and is_yes(last.fact.action) else last


def fold(
    words: Iterable[Word], *, at: datetime | None = None, known_at: datetime | None = None
) -> ConsentFact | None:
    """As `standing`, and return what it says."""
    last = standing(words, at=at, known_at=known_at)
    return last.fact if last else None


def objected_over(word: Word, objections: Iterable[Objected]) -> datetime | None:
    """From when on an objection has ended a consent for good; None where none has.

    It ends every consent that was said before the objection was over, whenever that one reached
    us: lifting an objection brings no consent back. The one that the person said expressly at its
    end, or later, holds.

    Args:
        word: a consent that stands.
        objections: every one of the person to the purpose, also those that are over.

    Source: GDPR Art. 21(1), 21(3); LOPDGDD Art. 23(4).
    """
    said = word.fact.at
    ended = [each.since for each in objections if each.until is None or said < each.until]
    return max(said, min(ended)) if ended and is_yes(word.fact.action) else None


def live_at(action: ConsentAction, now: datetime, last: ConsentFact | None) -> datetime:
    """From when on a word counts that is said here and now, after all that the person said before.

    It is `now`, unless a clock went back or another process's clock is ahead: then the person's
    newest word still counts, a no from the same instant on and a yes right after the no it follows.

    Args:
        action: what is said.
        now: aware.
        last: what stands for the person and the purpose.
    """
    if last is None:
        return aware(now, "now")
    no_before = is_yes(action) and not is_yes(last.action)
    return max(aware(now, "now"), last.at + _TICK if no_before else last.at)
