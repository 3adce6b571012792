"""Beginning, emptying and destroying epochs of key-encryption keys (KEK). docs/decisions/0004.

An epoch begins; the data keys of the older ones are wrapped under it; an old one that wraps nothing
is destroyed, and with it what copies of the database from before the re-wrapping hold. When, the
operator decides, who alone knows how long those copies are wanted. Source: GDPR Art. 17, 32(1)(a);
NIST SP 800-57 part 1 rev. 5 s. 5.3, 8.3.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from sqlalchemy.orm import Session

from policies.vocabulary import EventTag, RetentionClass
from privacy.actor import SYSTEM
from privacy.clock import rfc3339
from privacy.events import Event
from privacy.keys import store
from privacy.keys.keyring import Keyring
from privacy.keys.sealing import Sealer
from privacy.unit_of_work import Runtime

#: Keys in one transaction: some ten milliseconds, so that nobody notices waiting for the writer.
BATCH: Final = 500
#: So long after the next epoch began, an old one is not destroyed. A process that looked up the
#: current epoch a moment before then has long written the key that it wrapped under the old one.
SETTLED_AFTER: Final = timedelta(minutes=10)


class EpochRefused(Exception):
    """It would lose keys, or stop those who seal; the message tells the operator what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCreated(Event):
    """An epoch of key-encryption keys began."""

    tag: ClassVar[EventTag] = EventTag.KEYS_EPOCH_CREATED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDestroyed(Event):
    """An old epoch's key-encryption key was destroyed."""

    tag: ClassVar[EventTag] = EventTag.KEYS_EPOCH_DESTROYED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    epoch: int


class EpochState(StrEnum):
    """What becomes of an epoch's key."""

    CURRENT = "current"
    OLD = "old"
    #: It has no key any more, and wraps keys nevertheless: a copy of the database was put back.
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch.

    Attributes:
        number: counts from 1.
        state: whether new data keys are wrapped under it.
        since: when its file was made, aware UTC; None where there is none.
        data_keys: so many keys of people and of the deployment are wrapped under it.
    """

    number: int
    state: EpochState
    since: datetime | None
    data_keys: int


@dataclass(frozen=True, slots=True)
class Rewrapping:
    """What a re-wrapping did.

    Attributes:
        moved: so many keys are wrapped under the current epoch now.
        left: so many still under an older one that exists.
        broken: so many of `left` do not open under the key they name.
    """

    moved: int
    left: int
    broken: int


class Epochs:
    """The epochs of one deployment; what it changes, it commits itself."""

    def __init__(self, runtime: Runtime, keyring: Keyring, sealer: Sealer) -> None:
        self._runtime = runtime
        self._keyring = keyring
        self._sealer = sealer

    def all(self) -> list[Epoch]:
        """Return the epochs that have a key or wrap one, oldest first."""
        with self._runtime.snapshot() as session:
            counts = store.count_by_epoch(session)
        present, current = self._keyring.epochs(), self._keyring.current_epoch()
        found = []
        for number in sorted({*present, *counts}):
            state = EpochState.CURRENT if number == current else EpochState.OLD
            since = self._keyring.began(number) if number in present else None
            if since is None:
                state = EpochState.MISSING
            found.append(Epoch(number, state, since, counts.get(number, 0)))
        return found

    def begin(self) -> int:
        """Begin the next epoch and return its number; new data keys are wrapped under it at once.

        The entry comes first: where the file cannot be made after it, the log tells of an epoch
        that the next try begins, and no epoch begins untold.

        Raises:
            EpochRefused: the file would belong to somebody else than those who have to read it.
        """
        if not self._keyring.is_own():
            raise EpochRefused(
                "the key files belong to another user, who could not read a new one;"
                " run the command as that user"
            )
        with self._runtime.unit_of_work(SYSTEM) as uow:
            wrapping = store.count_by_epoch(uow.session)
            epoch = max(*self._keyring.epochs(), *wrapping, 0) + 1  # none is ever used again
            uow.record(EpochCreated(epoch=epoch))
            uow.commit()
        self._keyring.create_epoch(self._runtime.ids, epoch)
        return epoch

    def left(self) -> int:
        """Return how many keys `rewrap` would find."""
        return sum(each.data_keys for each in self.all() if each.state is EpochState.OLD)

    def rewrap(self, tell: Callable[[int], None], *, batch: int = BATCH) -> Rewrapping:
        """Wrap the data keys of older epochs under the current one.

        Each batch is a transaction: broken off anywhere, the next call goes on. Nothing is sealed
        anew, and nobody who seals or opens meanwhile waits for more than a batch.

        Args:
            tell: is given after each batch how many keys it moved.
            batch: at most so many keys in one transaction.
        """
        moved, broken = 0, set[tuple[str, str]]()
        while True:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                done = self._sealer.rewrap(uow.session, batch, passing=broken)
                uow.commit()
            broken |= done.broken
            if not done.moved:  # what is left is broken, or somebody is deleting it
                return Rewrapping(moved, self.left(), len(broken))
            moved += done.moved
            tell(done.moved)

    def demand_idle(self, epoch: int) -> None:
        """Raise what speaks against destroying an epoch.

        Raises:
            EpochRefused: it has no key, is current or was a moment ago, or wraps keys.
        """
        with self._runtime.snapshot() as session:
            self._demand_idle(session, epoch)

    def destroy(self, epoch: int) -> None:
        """Destroy an old epoch's key; what copies of the database hold under it is lost for good.

        The entry comes first: where the file survives a crash after it, the same call destroys it.

        Raises:
            EpochRefused: as by `demand_idle`; looked at again while nobody can add a key.
        """
        with self._runtime.unit_of_work(SYSTEM) as uow:
            store.hold_all(uow.session)
            self._demand_idle(uow.session, epoch)
            uow.record(EpochDestroyed(epoch=epoch))
            uow.commit()
        self._keyring.destroy_epoch(epoch)

    def _demand_idle(self, session: Session, epoch: int) -> None:
        present = self._keyring.epochs()
        if epoch not in present:
            raise EpochRefused(f"there is no epoch {epoch}")
        if epoch == present[-1]:
            raise EpochRefused(
                f"epoch {epoch} is the current one, which new data keys are wrapped under;"
                " begin the next with `placet keys epoch rotate`"
            )
        if wrapping := store.count_by_epoch(session).get(epoch, 0):
            raise EpochRefused(
                f"data keys wrapped under epoch {epoch}: {wrapping}, which would be lost;"
                " run `placet keys epoch rewrap` first"
            )
        settled = self._keyring.began(present[present.index(epoch) + 1]) + SETTLED_AFTER
        if self._runtime.clock() < settled:
            raise EpochRefused(
                f"epoch {epoch} was the current one until a moment ago, and somebody may be wrapping"
                f" a key under it yet; try again from {rfc3339(settled)}"
            )
