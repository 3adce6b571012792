"""Brute force slowed down: counters of attempts per account, per network address and per client.

An attempt is counted before it is looked at, in a transaction of its own, and taken back when it
succeeds: so guesses sent side by side, and guesses whose answer is never awaited, count as well,
and the count stands when the refusal is raised. The counters are rows: they survive a restart and
all processes share them. Source: OWASP ASVS 5.0 6.3.1, 2.4.1; NIST SP 800-63B-4 s. 3.2.2.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.accounts import store
from policies.errors import TooManyAttempts
from policies.throttling import LONGEST_WAIT, NEVER, allowed_at, is_closed
from privacy.actor import SYSTEM
from privacy.keys.blind_index import BlindIndex, IdentifierKind
from privacy.keys.keyring import Keyring, RootKey
from privacy.network import network_of
from privacy.unit_of_work import Runtime, UnitOfWork


class AttemptKind(StrEnum):
    """What is tried; each has its own counters."""

    PASSWORD = "password"  # noqa: S105 - a counter's name
    OTP = "otp"
    ADDRESS = "address"
    LETTER = "letter"
    SENDER = "sender"
    CLIENT = "client"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a kind of attempt is allowed beyond `policies.throttling`.

    Attributes:
        free: further failures that cost nothing.
        forgotten_after: without a failure for so long, counting begins anew; None never does.
        closes: whether the hundredth failure closes it until the authenticator is replaced.
    """

    free: int = 0
    forgotten_after: timedelta | None = None
    closes: bool = False


_SHARED: Final = Allowance(free=27, forgotten_after=timedelta(hours=1))  # an office, a campus

ALLOWANCES: Final = MappingProxyType(
    {
        AttemptKind.PASSWORD: Allowance(closes=True),
        AttemptKind.OTP: Allowance(closes=True),
        AttemptKind.ADDRESS: _SHARED,
        AttemptKind.LETTER: Allowance(forgotten_after=timedelta(hours=1)),
        AttemptKind.SENDER: _SHARED,
        AttemptKind.CLIENT: Allowance(forgotten_after=timedelta(hours=1)),
        AttemptKind.UNKNOWN: Allowance(forgotten_after=timedelta(hours=1)),
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One counter: a kind and whose it is, as a digest that names nobody."""

    kind: AttemptKind
    key_digest: str


class Attempts:
    """The counters of this deployment."""

    def __init__(self, runtime: Runtime, keyring: Keyring) -> None:
        self._runtime = runtime
        self._keyring = keyring
        self._blind_index = BlindIndex(keyring)

    def of_email(self, kind: AttemptKind, normalised: str) -> Attempt:
        """Return an address's counter; it exists alike where no account does."""
        return Attempt(kind, self._blind_index.of(IdentifierKind.EMAIL, normalised).hex())

    @staticmethod
    def of_account(kind: AttemptKind, account_id: str) -> Attempt:
        """Return an account's counter."""
        return Attempt(kind, account_id)

    def of_network(self, kind: AttemptKind, address: str | None) -> Attempt | None:
        """Return the counter of where a request comes from: an IPv4 address, an IPv6 /64.

        None where there is no address (a socket without one), and nothing is counted.
        """
        return None if address is None else self._keyed(kind, network_of(address))

    def of_client(self, client_id: str, address: str | None) -> Attempt:
        """Return the counter of an application's secret as tried from one network.

        Both together, so that a stranger's wrong guesses do not shut the application out.
        """
        network = "" if address is None else network_of(address)
        return self._keyed(AttemptKind.CLIENT, f"{client_id}@{network}")

    def begin(self, *attempts: Attempt | None) -> None:
        """Count one attempt on every counter, or refuse it where any one must wait.

        Commits in a transaction of its own, so call it while none is open. A refused attempt is
        not counted: whoever keeps knocking does not lengthen the wait.

        Raises:
            TooManyAttempts: says for how many seconds.
        """
        wanted = [attempt for attempt in attempts if attempt is not None]
        with self._runtime.unit_of_work(SYSTEM) as uow:
            rows = [(attempt, _locked(uow, attempt)) for attempt in wanted]
            for attempt, row in rows:
                _refuse_early(attempt, row, uow.now)
            for _attempt, row in rows:
                row.failures += 1
                row.last_failure_at = uow.now
            uow.commit()

    @staticmethod
    def succeeded(uow: UnitOfWork, *attempts: Attempt | None) -> None:
        """Take back what `begin` counted; joins the transaction of what was gained.

        A counter of one account or client starts again at nought; one that many people share
        only loses this one attempt.
        """
        for attempt in attempts:
            if attempt is None:
                continue
            row = store.lock_attempt(uow.session, attempt.kind.value, attempt.key_digest)
            if row is None:
                continue
            shared = ALLOWANCES[attempt.kind] is _SHARED
            row.failures = max(row.failures - 1, 0) if shared else 0

    @staticmethod
    def forget(uow: UnitOfWork, *attempts: Attempt) -> None:
        """Delete counters: an erased person's address leaves no trace; joins the transaction."""
        for attempt in attempts:
            store.delete_attempt(uow.session, attempt.kind.value, attempt.key_digest)

    def count_unknown(self) -> None:
        """Count one sign-in to an account that does not exist, for the operator; never refuses.

        A known account's failure is written to the log; this is as much work, so that the time
        of the answer does not tell them apart.
        """
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = _locked(uow, Attempt(AttemptKind.UNKNOWN, "all"))
            row.failures += 1
            row.last_failure_at = uow.now
            uow.commit()

    @staticmethod
    def failures(session: Session, attempt: Attempt) -> int:
        """Return how many attempts are counted at present."""
        row = session.get(store.AttemptRow, (attempt.kind.value, attempt.key_digest))
        return row.failures if row else 0

    def _keyed(self, kind: AttemptKind, text: str) -> Attempt:
        key = self._keyring.derive(RootKey.BLIND_INDEX, "attempt", "v1")
        return Attempt(kind, hmac.new(key, text.encode(), hashlib.sha256).hexdigest())


def _locked(uow: UnitOfWork, attempt: Attempt) -> store.AttemptRow:
    """Return the counter's row, made where it is missing, locked, and reset where forgotten."""
    kind, key = attempt.kind.value, attempt.key_digest
    row = store.lock_attempt(uow.session, kind, key)
    if row is None:
        row = store.AttemptRow(kind=kind, key_digest=key, failures=0, last_failure_at=uow.now)
        try:
            with uow.session.begin_nested():
                uow.session.add(row)
        except IntegrityError:  # another request made it at the same moment
            row = store.lock_attempt(uow.session, kind, key)
            if row is None:
                raise
    forgotten_after = ALLOWANCES[attempt.kind].forgotten_after
    if forgotten_after is not None and uow.now - row.last_failure_at >= forgotten_after:
        row.failures = 0
    return row


def _refuse_early(attempt: Attempt, row: store.AttemptRow, now: datetime) -> None:
    allowance = ALLOWANCES[attempt.kind]
    failures = max(row.failures - allowance.free, 0)
    if is_closed(failures) and not allowance.closes:
        until = row.last_failure_at + LONGEST_WAIT
    else:
        until = allowed_at(failures, row.last_failure_at)
    if now < until:
        wait = LONGEST_WAIT if until == NEVER else until - now
        raise TooManyAttempts(
            "too many attempts; wait before the next one",
            retry_after_seconds=math.ceil(wait.total_seconds()),
        )
