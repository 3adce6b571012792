"""Assessing a sign-in: the facts are gathered from what is kept, and `policies.risk` judges.

What was made of it is stored sealed under the person's own key, for the person and staff to read.
Source: OWASP ASVS 5.0 6.3.5, 16.3.1; GDPR Art. 5(1)(e), 15(1)(h).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from identity.accounts.attempts import Attempts
from identity.accounts.client import Client, short_address, short_user_agent
from identity.accounts.model import Account
from identity.accounts.service import Accounts
from identity.risk import store
from identity.risk.model import (
    FIRST_SIGN_IN_WITHIN,
    Assessment,
    Device,
    PastAssessment,
    SignInAssessed,
)
from identity.risk.places import Place, Places
from policies.risk import POLICY_VERSION, Observation, Outcome, Sighting, Signal, assess
from policies.vocabulary import RetentionClass
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.ids import new_id
from privacy.keys.sealing import KeyDestroyed, Sealer, place
from privacy.unit_of_work import UnitOfWork

EVERYTHING: Final = 100_000
HISTORY: Final = 100
"""So many earlier sign-ins say what is usual."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is sealed of an assessment."""

    signals: tuple[str, ...]
    score: int
    policy_version: int
    outcome: str
    methods: tuple[str, ...]
    device: str
    network: str
    country: str | None
    city: str | None
    latitude: float | None
    longitude: float | None

    def sighting(self, at: datetime) -> Sighting | None:
        """Return where this was; None where it is not known."""
        return _sighting(at, self.latitude, self.longitude)


class Risk:
    """The assessments of this deployment.

    Args:
        sealer: seals what is kept.
        accounts: knows an account's addresses, on which vain tries are counted.
        attempts: counts vain tries.
        places: where network addresses are.
        zone: the controller's, in which hours are hours of the day.
        address_days: for so long the full network address is kept; from the register.
    """

    def __init__(
        self,
        *,
        sealer: Sealer,
        accounts: Accounts,
        attempts: Attempts,
        places: Places,
        zone: ZoneInfo,
        address_days: int,
    ) -> None:
        self._sealer = sealer
        self._accounts = accounts
        self._attempts = attempts
        self._places = places
        self._zone = zone
        self._address_kept = timedelta(days=address_days)

    @property
    def sees_travel(self) -> bool:
        """Tell whether impossible travel is looked at; it needs the operator's city database."""
        return self._places.knows_cities

    @property
    def address_days(self) -> int:
        """For how many days a full network address is kept."""
        return self._address_kept.days

    def assess(
        self,
        uow: UnitOfWork,
        *,
        account: Account,
        client: Client,
        methods: Sequence[str],
        device: Device | None,
        breached_password: bool,
    ) -> Assessment:
        """Judge a sign-in and keep what was made of it; joins the transaction.

        It teaches nothing until `complete` says that the person got in: whoever knows the
        password alone does not make their own country a usual one.

        Args:
            uow: the transaction of the sign-in.
            account: whose.
            client: the browser.
            methods: what was shown so far, RFC 8176 values.
            device: the account's device that this browser is, or None.
            breached_password: it is known from a breach.
        """
        here = self._places.find(client.address)
        verdict = assess(
            self._observe(uow, account, client, here, device, breached=breached_password)
        )
        kept = _Kept(
            signals=tuple(signal.value for signal in verdict.signals),
            score=verdict.score,
            policy_version=POLICY_VERSION,
            outcome=verdict.outcome.value,
            methods=tuple(methods),
            device=short_user_agent(client.user_agent),
            network=short_address(client.address),
            country=here.country,
            city=here.city,
            latitude=here.latitude,
            longitude=here.longitude,
        )
        assessment_id = new_id(uow.ids)
        keeps_address = bool(kept.network) and bool(self._address_kept)
        uow.session.add(
            store.AssessmentRow(
                assessment_id=assessment_id,
                account_id=account.account_id,
                subject_id=account.subject_id,
                at=uow.now,
                sealed=self._seal(uow, account, "sealed", assessment_id, json.dumps(asdict(kept))),
                address_sealed=self._seal(
                    uow, account, "address_sealed", assessment_id, client.address or ""
                )
                if keeps_address
                else None,
                address_until=uow.now + self._address_kept if keeps_address else None,
            )
        )
        uow.session.flush()
        uow.record(
            SignInAssessed(
                subject_id=account.subject_id,
                account_id=account.account_id,
                assessment_id=assessment_id,
            ),
            {
                "signals": list(kept.signals),
                "score": kept.score,
                "policy_version": kept.policy_version,
                "outcome": kept.outcome,
                "methods": list(kept.methods),
                "device": kept.device,
                "network": kept.network,
                "country": kept.country,
            },
        )
        return Assessment(
            assessment_id, verdict.outcome, verdict.score, verdict.signals, POLICY_VERSION
        )

    @staticmethod
    def complete(uow: UnitOfWork, account: Account, assessment_id: str) -> None:
        """Note that the person got in, so that this sign-in counts as usual; joins."""
        store.complete_assessment(uow.session, account.account_id, assessment_id, uow.now)

    def explain(
        self, session: Session, account_id: str, limit: int, before: str | None = None
    ) -> list[PastAssessment]:
        """Return what was made of an account's sign-ins, newest first.

        Args:
            session: a snapshot or the caller's transaction.
            account_id: whose.
            limit: how many at most.
            before: the last assessment of the page before; None begins with the newest.
        """
        mark = session.get(store.AssessmentRow, before) if before else None
        if mark is not None and mark.account_id != account_id:
            mark = None
        rows = store.assessments_of(session, account_id, limit, before=mark)
        return [self._past(session, row, kept) for row, kept in self._opened(session, rows)]

    def held_of(self, session: Session, account_id: str) -> list[Json]:
        """Return all that is kept of an account's sign-ins, oldest first, for its person to have.

        Source: GDPR Art. 15(1), (1)(h), 20.
        """
        rows = store.assessments_of(session, account_id, EVERYTHING)
        return [
            {
                "at": rfc3339(row.at),
                **asdict(kept),
                "signals": list(kept.signals),
                "methods": list(kept.methods),
                "address": self._address(session, row),
                "completed": row.completed_at is not None,
            }
            for row, kept in reversed(self._opened(session, rows))
        ]

    def _observe(
        self,
        uow: UnitOfWork,
        account: Account,
        client: Client,
        here: Place,
        device: Device | None,
        *,
        breached: bool,
    ) -> Observation:
        """Gather the facts, the history in one pass."""
        rows = store.assessments_of(uow.session, account.account_id, HISTORY, completed=True)
        countries, networks, last = set[str](), set[str](), None
        hours = Counter(self._hour(row.at) for row in rows)
        for row, kept in self._opened(uow.session, rows):
            if kept.country:
                countries.add(kept.country)
            networks.add(kept.network)
            last = last or kept.sighting(row.at)
        if device is not None:
            networks.add(device.network)
        lately = self._attempts.lately(
            uow.session,
            addresses=self._accounts.addresses_of(uow.session, account),
            client=client,
            device=device,
            now=uow.now,
        )
        return Observation(
            first_sign_in=not rows
            and uow.now - account.created_at < FIRST_SIGN_IN_WITHIN
            and not store.devices_of(uow.session, account.account_id),
            device_known=device is not None,
            country=here.country,
            countries_seen=countries,
            network=short_address(client.address),
            networks_seen=networks - {""},
            last=last,
            here=_sighting(uow.now, here.latitude, here.longitude),
            failures_lately=lately.failures,
            other_accounts=lately.other_accounts,
            failures_everywhere=lately.everywhere,
            hour=self._hour(uow.now),
            hours_seen=[hours[hour] for hour in range(24)],
            breached=breached,
        )

    def _hour(self, at: datetime) -> int:
        return at.astimezone(self._zone).hour

    def _seal(
        self, uow: UnitOfWork, account: Account, column: str, assessment_id: str, plain: str
    ) -> bytes:
        return self._sealer.seal(
            uow.session,
            account.subject_id,
            RetentionClass.SECURITY_TRAIL,
            place("risk_assessment", column, assessment_id),
            plain.encode(),
            at=uow.now,
        )

    def _open(self, session: Session, row: store.AssessmentRow, column: str, sealed: bytes) -> str:
        return self._sealer.open(
            session,
            row.subject_id,
            RetentionClass.SECURITY_TRAIL,
            place("risk_assessment", column, row.assessment_id),
            sealed,
        ).decode()

    def _opened(
        self, session: Session, rows: Iterable[store.AssessmentRow]
    ) -> list[tuple[store.AssessmentRow, _Kept]]:
        """Return rows with what they seal; nothing once the person's security trail has ended."""
        opened = []
        for row in rows:
            try:
                content = json.loads(self._open(session, row, "sealed", row.sealed))
            except KeyDestroyed:
                return []
            content["signals"] = tuple(content["signals"])
            content["methods"] = tuple(content["methods"])
            opened.append((row, _Kept(**content)))
        return opened

    def _address(self, session: Session, row: store.AssessmentRow) -> str | None:
        """Return the full network address; None once its time is over."""
        sealed = row.address_sealed
        return None if sealed is None else self._open(session, row, "address_sealed", sealed)

    def _past(self, session: Session, row: store.AssessmentRow, kept: _Kept) -> PastAssessment:
        return PastAssessment(
            assessment_id=row.assessment_id,
            at=row.at,
            outcome=Outcome(kept.outcome),
            score=kept.score,
            signals=tuple(signal for signal in Signal if signal.value in kept.signals),
            policy_version=kept.policy_version,
            methods=kept.methods,
            device=kept.device,
            network=kept.network,
            country=kept.country,
            city=kept.city,
            address=self._address(session, row),
            completed=row.completed_at is not None,
        )


def _sighting(at: datetime, latitude: float | None, longitude: float | None) -> Sighting | None:
    if latitude is None or longitude is None:
        return None
    return Sighting(at, latitude, longitude)
