"""Brute force slowed down: counters per account, per network, per known device and per client.

An attempt is counted before it is looked at, in a transaction of its own, and taken back when it
succeeds: so guesses sent side by side, and guesses whose answer is never awaited, count as well,
and the count stands when the refusal is raised. The counters are rows: they survive a restart and
all processes share them. Source: OWASP ASVS 5.0 6.3.1, 2.4.1; NIST SP 800-63B-4 s. 3.2.2.

A browser that the person used before has a counter of its own: strangers who guess at an account
never lock its owner out. Source: OWASP, Slow Down Online Guessing Attacks with Device Cookies.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.accounts import store
from identity.accounts.client import Client
from policies.errors import DomainError, TooManyAttempts
from policies.risk import LATELY
from policies.throttling import LONGEST_WAIT, NEVER, allowed_at, is_closed
from privacy.actor import SYSTEM
from privacy.ids import new_id
from privacy.keys.blind_index import BlindIndex, IdentifierKind
from privacy.keys.keyring import Keyring, RootKey
from privacy.network import network_of
from privacy.unit_of_work import Runtime, UnitOfWork


class AttemptKind(StrEnum):
    """What is tried; each has its own counters."""

    PASSWORD = "password"  # noqa: S105 - a counter's name
    OTP = "otp"
    DEVICE = "device"
    TRY = "try"
    ADDRESS = "address"
    LETTER = "letter"
    SENDER = "sender"
    CLIENT = "client"
    UPSTREAM = "upstream"
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
        AttemptKind.DEVICE: Allowance(closes=True),
        AttemptKind.ADDRESS: _SHARED,
        AttemptKind.LETTER: Allowance(forgotten_after=timedelta(hours=1)),
        AttemptKind.SENDER: _SHARED,
        AttemptKind.UPSTREAM: _SHARED,
        AttemptKind.CLIENT: Allowance(forgotten_after=timedelta(hours=1)),
        AttemptKind.UNKNOWN: Allowance(forgotten_after=timedelta(hours=1)),
    }
)


SPRAYED_ACCOUNTS: Final = 20
"""A network that has failed on so many accounts within `LATELY` waits long between two tries."""

STORM_WINDOW: Final = timedelta(minutes=1)
"""What "everywhere, at present" means."""


class AddressProofNeeded(DomainError):
    """Strangers have used up this account's tries: a new browser proves the mailbox first.

    It is said alike where there is no such account. Source: NIST SP 800-63B-4 s. 3.2.2.
    """

    code = "address-proof-needed"

    def __init__(self) -> None:
        super().__init__("prove the address in this browser before the next try")


class KnownDevice(Protocol):
    """A browser that belongs to the account; `identity.risk` has the real one."""

    @property
    def device_id(self) -> str:
        """Its id."""
        ...


@dataclass(frozen=True, slots=True)
class Lately:
    """Vain tries of passwords, as `policies.risk` asks for them.

    Attributes:
        failures: within `LATELY`, from this known device, or from strangers on this account.
        other_accounts: how many others strangers tried from this network within `LATELY`.
        everywhere: within `STORM_WINDOW`, on all accounts.
    """

    failures: int
    other_accounts: int
    everywhere: int


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
        self._forget_device: Callable[[UnitOfWork, str], None] = lambda _uow, _device_id: None

    def forget_devices_with(self, forget: Callable[[UnitOfWork, str], None]) -> None:
        """Have a device that used up its tries forgotten by `forget`, in the transaction."""
        self._forget_device = forget

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

    @staticmethod
    def of_device(device_id: str) -> Attempt:
        """Return the counter of one known device of one account."""
        return Attempt(AttemptKind.DEVICE, device_id)

    def begin_sign_in(
        self, address: str, client: Client, device: KnownDevice | None
    ) -> tuple[Attempt, ...]:
        """Count one try of a password, or refuse it; commits, so call it outside a transaction.

        A known device of the account is counted on its own. Any other browser is counted on the
        account, on its network, and held against the other accounts tried from that network.

        Args:
            address: normalised; whether there is an account makes no difference.
            client: the browser.
            device: the account's device that this browser is, or None.

        Returns:
            What `succeeded` takes back.

        Raises:
            TooManyAttempts: says for how many seconds.
            AddressProofNeeded: the account's tries by strangers are used up.
        """
        counters: list[Attempt | None]
        if device is not None:
            own = self.of_device(device.device_id)
            if self._forgets(device, own):
                return self.begin_sign_in(address, client, None)
            counters = [own]
        else:
            counters = [
                self.of_email(AttemptKind.PASSWORD, address),
                self.of_network(AttemptKind.ADDRESS, client.address),
            ]
        wanted = [counter for counter in counters if counter is not None]
        with self._runtime.unit_of_work(SYSTEM) as uow:
            rows = [(counter, _locked(uow, counter)) for counter in wanted]
            if device is None and is_closed(rows[0][1].failures):
                raise AddressProofNeeded
            if device is None:
                self._refuse_spraying(uow, client)
            for counter, row in rows:
                _refuse_early(counter, row, uow.now)
            for _counter, row in rows:
                row.failures += 1
                row.last_failure_at = uow.now
            trace = Attempt(AttemptKind.TRY, new_id(uow.ids))
            uow.session.add(
                store.SignInTryRow(
                    try_id=trace.key_digest,
                    account_digest=self.of_email(AttemptKind.PASSWORD, address).key_digest,
                    network_digest=self.network_digest(client.address),
                    device_id=None if device is None else device.device_id,
                    at=uow.now,
                )
            )
            uow.commit()
        return (*wanted, trace)

    def begin_code(self, account_id: str, device: KnownDevice | None) -> Attempt:
        """Count one try of a code of the second factor, or refuse it; commits likewise.

        Whoever has the password and guesses at codes closes them for strangers, and never for a
        known device of the account, which is counted on its own.

        Args:
            account_id: whose.
            device: the account's device that this browser is, or None.

        Returns:
            What `succeeded` takes back.

        Raises:
            TooManyAttempts: says for how many seconds.
            AddressProofNeeded: the account's tries by strangers are used up.
        """
        if device is not None:
            counter = self.of_account(AttemptKind.OTP, device.device_id)
            if not self._forgets(device, counter):
                self.begin(counter)
                return counter
        counter = self.of_account(AttemptKind.OTP, account_id)
        with self._runtime.snapshot() as session:
            closed = is_closed(self.failures(session, counter))
        if closed:
            raise AddressProofNeeded
        self.begin(counter)
        return counter

    def lately(
        self,
        session: Session,
        *,
        addresses: Sequence[str],
        client: Client,
        device: KnownDevice | None,
        now: datetime,
    ) -> Lately:
        """Return what was tried in vain a short while ago; see `Lately`.

        Args:
            session: a snapshot or the caller's transaction.
            addresses: all of the account's, normalised.
            client: the browser that signs in.
            device: the account's device that this browser is, or None.
            now: aware.
        """
        own = [self.of_email(AttemptKind.PASSWORD, each).key_digest for each in addresses]
        network = self.network_digest(client.address)
        since = now - LATELY
        if device is None:
            failures = store.tries_of_strangers(session, own, since)
        else:
            failures = store.tries_of_device(session, device.device_id, since)
        others = store.accounts_tried(session, network, since, but=own) if network else ()
        everywhere = store.tries_since(session, now - STORM_WINDOW)
        return Lately(failures, len(others), everywhere)

    def network_digest(self, address: str | None) -> str:
        """Return a keyed digest that tells one network from another and names none; or ""."""
        found = self.of_network(AttemptKind.ADDRESS, address)
        return found.key_digest if found else ""

    def _forgets(self, device: KnownDevice, counter: Attempt) -> bool:
        """Forget a device that has used up its tries; tell whether it was so. Commits."""
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = store.lock_attempt(uow.session, counter.kind.value, counter.key_digest)
            if row is None or not is_closed(row.failures):
                return False
            self._forget_device(uow, device.device_id)
            self.forget(uow, counter)
            uow.commit()
        return True

    def _refuse_spraying(self, uow: UnitOfWork, client: Client) -> None:
        """Let a network that tries account after account wait as long as anybody ever waits."""
        network = self.network_digest(client.address)
        if not network:
            return
        tried = store.accounts_tried(uow.session, network, uow.now - LATELY)
        if len(tried) >= SPRAYED_ACCOUNTS:
            _refuse_until(max(tried.values()) + LONGEST_WAIT, uow.now)

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
            if attempt.kind is AttemptKind.TRY:
                store.delete_try(uow.session, attempt.key_digest)
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

    def forget_tries(self, uow: UnitOfWork, address: str) -> None:
        """Delete what `begin_sign_in` noted of an address; joins the transaction."""
        digest = self.of_email(AttemptKind.PASSWORD, address).key_digest
        store.delete_tries_of(uow.session, digest)

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
        return store.failures(session, attempt.kind.value, attempt.key_digest)

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
    _refuse_until(until, now)


def _refuse_until(until: datetime, now: datetime) -> None:
    if now < until:
        wait = LONGEST_WAIT if until == NEVER else until - now
        raise TooManyAttempts(
            "too many attempts; wait before the next one",
            retry_after_seconds=math.ceil(wait.total_seconds()),
        )
