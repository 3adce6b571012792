"""How often the public form may be used, per address written to and per network."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from policies.errors import TooManyAttempts
from privacy.rights import store

WINDOW: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=2)
"""Counters are deleted after this; longer than any window."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many in one window."""

    name: str
    most: int


PER_ADDRESS: Final = Limit("address", 3)
"""So that nobody's mailbox is filled through us."""

PER_NETWORK: Final = Limit("network", 20)
"""An office or a mobile network is many people behind one address."""

PER_PERSON: Final = Limit("person", 10)
"""Signed in: nobody needs more in an hour, and each request is a file for the desk."""


class Limits:
    """Counts attempts under keyed digests: the table names no address and no person."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def take(self, session: Session, limit: Limit, who: str, now: datetime) -> None:
        """Count one attempt in the hour that `now` belongs to.

        Raises:
            TooManyAttempts: the hour's allowance is used up; nothing was counted.
        """
        start = _hour(now)
        if not store.count_attempt(session, self._digest(limit.name, who), start, limit.most):
            left = start + WINDOW - now
            raise TooManyAttempts(
                "too many requests in this hour", retry_after_seconds=int(left.total_seconds()) + 1
            )

    def take_code(self, session: Session, request_id: str, since: datetime, most: int) -> bool:
        """Count one typed code of a request; False once `most` were typed since `since`."""
        return store.count_attempt(session, self._digest("code", request_id), since, most)

    def _digest(self, name: str, who: str) -> str:
        return hmac.digest(self._key, f"{name}|{who}".encode(), hashlib.sha256).hex()


def _hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
