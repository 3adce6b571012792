"""What survives an erasure, why, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from policies.deadlines import aware, months_after
from policies.vocabulary import RetentionClass

CONSENT_EVIDENCE_MONTHS: Final = 36
"""Proof that a processing was lawful outlives the profile as long as its lack may be punished.

Source: GDPR Art. 7(1), 17(3)(e); LOPDGDD Art. 72.1 (three years, very serious).
"""

RIGHTS_FILE_MONTHS: Final = 36
"""Proof that a request was answered; the burden is the controller's.

Source: GDPR Art. 17(3)(e); LOPDGDD Art. 12.4, 72.1 (three years, very serious).
"""

SECURITY_TRAIL_MONTHS: Final = 12
"""Sign-ins and attempts: our own choice, as no statute fixes a term for a company at large.

The longer end of the six months to one year that the French authority recommends for logs.
Source: GDPR Art. 5(1)(e), 17(1)(a), 32(1), recital 49; CNIL deliberation 2021-122.
"""

BLOCKED_CASE_MONTHS: Final = 36
"""Blocked data is kept for judges, prosecutors and authorities until liabilities prescribe.

Source: GDPR Art. 17(3)(b); LOPDGDD Art. 32.2, 72.1 (the longest of 72 to 74; a default).
"""


@dataclass(frozen=True, slots=True)
class Keep:
    """Until when a class is kept, and by what law.

    Attributes:
        until: UTC, half-open: at this instant it must no longer be readable.
        article: the law that keeps it, or that ends it at once.
    """

    until: datetime
    article: str


_TERMS: Final[Mapping[RetentionClass, tuple[int, str]]] = MappingProxyType(
    {
        RetentionClass.PROFILE: (0, "GDPR Art. 17(1)"),
        RetentionClass.CONSENT_EVIDENCE: (
            CONSENT_EVIDENCE_MONTHS,
            "GDPR Art. 17(3)(e); LOPDGDD Art. 72.1",
        ),
        RetentionClass.RIGHTS_FILE: (
            RIGHTS_FILE_MONTHS,
            "GDPR Art. 17(3)(e); LOPDGDD Art. 12.4, 72.1",
        ),
        RetentionClass.SECURITY_TRAIL: (SECURITY_TRAIL_MONTHS, "GDPR Art. 17(1)(a), 32(1)"),
        RetentionClass.BLOCKED_CASE: (
            BLOCKED_CASE_MONTHS,
            "GDPR Art. 17(3)(b); LOPDGDD Art. 32.2, 72.1",
        ),
    }
)


def kept_after_erasure(at: datetime) -> Mapping[RetentionClass, Keep]:
    """Until when each class of an erased person's data is kept.

    The profile's end is the erasure itself. Months are counted from the erasure in UTC.

    Args:
        at: aware; when the erasure took effect.

    Returns:
        One entry for each `RetentionClass`.

    Raises:
        ValueError: `at` is naive.

    Source: GDPR Art. 17(1), 17(3); LOPDGDD Art. 32.
    """
    aware(at, "at")
    return MappingProxyType(
        {
            kind: Keep(until=months_after(at, months, UTC), article=article)
            for kind, (months, article) in _TERMS.items()
        }
    )
