"""Replacing the keys that sign tokens by age. Source: NIST SP 800-57 part 1 rev. 5 s. 5.3."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from privacy.actor import SYSTEM
from privacy.keys.signing import PUBLISHED_BEFORE, KeyUse, SigningKeys
from privacy.unit_of_work import Runtime

EVERY: Final = timedelta(minutes=10)


class KeyRotation:
    """A task of the worker's.

    Args:
        runtime: the doors to the database.
        keys: what it looks after.
        lifetime: so long one key signs tokens. Receipts' keys are replaced by the operator alone:
            each of them has to be published for good.
    """

    def __init__(self, runtime: Runtime, keys: SigningKeys, *, lifetime: timedelta) -> None:
        self._runtime = runtime
        self._keys = keys
        self._lifetime = lifetime
        self._next: datetime | None = None

    def run_due(self) -> int:
        """Publish the next key in time, and destroy what signs no more; return how many changed."""
        now = self._runtime.clock()
        if self._next is not None and now < self._next:
            return 0
        self._next = now + EVERY
        with self._runtime.snapshot() as session:
            keys = self._keys.all(session)
        newest = next(k for k in keys if k.use == KeyUse.OPENID and k.retired_at is None)
        due = now >= newest.signs_from + self._lifetime - PUBLISHED_BEFORE
        if not due and not any(key.is_spent(now) for key in keys):
            return 0
        with self._runtime.unit_of_work(SYSTEM) as uow:
            changed = self._keys.destroy_retired(uow)
            if due and self._keys.rotate(uow, KeyUse.OPENID) != newest.kid:
                changed += 1
            uow.commit()
        return changed
