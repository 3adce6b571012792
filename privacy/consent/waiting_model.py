"""A question that is open to a person, as their privacy centre shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that is open.

    Attributes:
        who: who asks; None where nobody of ours knows.
        title: for what, in the person's language.
        since: when they asked; aware UTC.
        until: until when it can be answered so; aware UTC.
        answer_url: where it is answered.
        is_typed: they wrote down a yes that waits to be confirmed; otherwise they ask.
        by_letter: a letter with a link went to an address of the person's.
    """

    who: str | None
    title: str
    since: datetime
    until: datetime
    answer_url: str
    is_typed: bool = False
    by_letter: bool = False


QuestionsTo = Callable[[Session, str, datetime], list[Waiting]]
"""Returns what a person can answer: (a snapshot, the person, now)."""
