"""What is written down of a proof that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from identity.accounts.attempts import Attempts
from identity.accounts.client import Client, short_address, short_user_agent
from identity.accounts.model import Account
from identity.accounts.service import Accounts
from identity.sessions.model import SignInFailed
from privacy.actor import ANONYMOUS, SYSTEM, Actor
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.outbox import Outbox
from privacy.unit_of_work import Runtime

#: The outbox's rows that ask the worker whose account a wrong password was tried at.
KIND: Final = "wrong-password"


class WrongPasswords:
    """Writes down wrong passwords so that the time of the answer does not tell whose they were.

    The web process does the same work for every address: one sealed row. The worker looks whether
    there is an account, within a second, and writes the event. Source: OWASP ASVS 5.0 6.3.8.
    """

    def __init__(
        self, runtime: Runtime, accounts: Accounts, attempts: Attempts, outbox: Outbox
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._attempts = attempts
        self._outbox = outbox

    def note(self, address: str, client: Client) -> None:
        """Keep that a wrong password was tried at a normalised address; commits."""
        with self._runtime.unit_of_work(SYSTEM) as uow:
            seen = _evidence(client) | {"tried_at": rfc3339(uow.now)}
            self._outbox.put(uow, KIND, {"email": address, "evidence": seen})
            uow.commit()

    def write(self, message: Mapping[str, Json]) -> None:
        """Write the event where the address has an account; the outbox's deliverer."""
        evidence = message["evidence"]
        with self._runtime.snapshot() as session:
            account = self._accounts.at_address(session, str(message["email"]))
        if account is None:
            self._attempts.count_unknown()
        elif isinstance(evidence, dict):
            _record(self._runtime, ANONYMOUS, account, "password", evidence)


def record_failure(
    runtime: Runtime,
    actor: Actor,
    account: Account,
    factor: str,
    client: Client,
    *,
    reason: str | None = None,
) -> None:
    """Write that somebody failed to prove to be this person, in a transaction of its own.

    Args:
        runtime: the doors to the database.
        actor: who asks.
        account: whose.
        factor: as `SignInFailed` names it.
        client: the browser; only its network is kept.
        reason: why it failed, where the proof itself was right.
    """
    evidence = _evidence(client)
    if reason is not None:
        evidence["reason"] = reason
    _record(runtime, actor, account, factor, evidence)


def _evidence(client: Client) -> dict[str, Json]:
    return {
        "network": short_address(client.address),
        "user_agent": short_user_agent(client.user_agent),
    }


def _record(
    runtime: Runtime, actor: Actor, account: Account, factor: str, evidence: Mapping[str, Json]
) -> None:
    with runtime.unit_of_work(actor) as uow:
        event = SignInFailed(
            subject_id=account.subject_id, account_id=account.account_id, factor=factor
        )
        uow.record(event, evidence)
        uow.commit()
