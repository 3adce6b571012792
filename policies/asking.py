"""When asking the person could change a denial, and may be done: nobody is nagged.

Source: GDPR Art. 4(11), 7(1), 7(4), 21(3), recitals 32, 42 (a refusal without detriment); AEPD cookie
guide (2024) 3.2.7 (who refused is not asked again for a reasonable time).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from policies.deadlines import months_after
from policies.decision import ConsentFact
from policies.vocabulary import DecisionReason

NO_RESTS_MONTHS: Final = 12
"""For so long a no, or a consent taken back, is not asked about again."""

MAX_ASKS: Final = 3
"""In any `ASKS_WINDOW` a person is asked this often at most, by all applications together."""

ASKS_WINDOW: Final = timedelta(days=30)

ASK_OPEN: Final = timedelta(days=7)
"""For so long the person may answer; until then nobody asks about the same purpose again."""

ASKING_MAY_CHANGE: Final = frozenset(
    {
        DecisionReason.NO_CONSENT,
        DecisionReason.CONSENT_EXPIRED,
        DecisionReason.CONSENT_INVALIDATED,
        DecisionReason.NOTICE_CHANGED,
    }
)
"""There is no valid answer, or no longer one to today's words."""

SAID_NO: Final = frozenset({DecisionReason.CONSENT_REFUSED, DecisionReason.CONSENT_WITHDRAWN})
"""The person did answer: they are asked again once that no has rested."""


def may_ask(reasons: Iterable[DecisionReason], consent: ConsentFact | None, at: datetime) -> bool:
    """Whether a denial is of the kind that asking the person could change, and may.

    One reason of another kind (objected, suppressed, restricted, blocked, deceased, a minor, an
    address that nobody proved, a consent that the company itself revoked) rules it out.

    Args:
        reasons: every reason of the denial; empty for none.
        consent: the last word on it.
        at: aware.
    """
    given = frozenset(reasons)
    if not given or not given <= ASKING_MAY_CHANGE | SAID_NO:
        return False
    if given & SAID_NO:
        return consent is not None and at >= rests_until(consent)
    return True


def rests_until(consent: ConsentFact) -> datetime:
    """When a no has rested: UTC, half-open; from then on the person may be asked again."""
    return months_after(consent.at, NO_RESTS_MONTHS, UTC)
