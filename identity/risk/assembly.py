"""The guard of the accounts put together: devices, assessments, proofs of the address, activity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Blueprint

from identity.accounts.attempts import Attempts
from identity.accounts.browser import Browser
from identity.accounts.model import AccountClosed
from identity.accounts.notices import SecurityNotices
from identity.accounts.service import Accounts
from identity.risk import pages, words
from identity.risk.activity import Activity
from identity.risk.address_proof import AddressProofs
from identity.risk.devices import Devices
from identity.risk.housekeeping import Housekeeping
from identity.risk.places import Places
from identity.risk.service import Risk
from identity.risk.suspicion import Suspicion
from privacy.audit.log import AuditLog
from privacy.keys.sealing import Sealer
from privacy.mail import Postbox
from privacy.outbox import Outbox
from privacy.unit_of_work import Runtime


@dataclass(frozen=True, slots=True)
class Guard:
    """The services of risk, wired."""

    devices: Devices
    risk: Risk
    proofs: AddressProofs
    activity: Activity
    suspicion: Suspicion
    housekeeping: Housekeeping


def assemble(
    *,
    runtime: Runtime,
    sealer: Sealer,
    log: AuditLog,
    accounts: Accounts,
    attempts: Attempts,
    notices: SecurityNotices,
    postbox: Postbox,
    outbox: Outbox,
    base_url: str,
    city_database: Path | None,
    time_zone: str,
    address_days: int,
) -> Guard:
    """Wire the services; whoever has events of vain tries subscribes `suspicion` to them.

    Args:
        runtime: the doors to the database.
        sealer: seals what is personal.
        log: the person's activity is read from it.
        accounts: the accounts.
        attempts: counts vain tries.
        notices: tell people.
        postbox: takes letters.
        outbox: takes what the worker does.
        base_url: where mailed links lead.
        city_database: the operator's file, or None.
        time_zone: the controller's, an IANA name.
        address_days: for so long a full network address is kept.

    Raises:
        SettingsError: the city database cannot be read.
    """
    places = Places(city_database)
    devices = Devices()
    attempts.forget_devices_with(devices.forget)
    runtime.subscribe(AccountClosed, devices.on_account_shut)
    return Guard(
        devices=devices,
        risk=Risk(
            sealer=sealer,
            accounts=accounts,
            attempts=attempts,
            places=places,
            zone=ZoneInfo(time_zone),
            address_days=address_days,
        ),
        proofs=AddressProofs(
            runtime=runtime,
            accounts=accounts,
            devices=devices,
            postbox=postbox,
            outbox=outbox,
            base_url=base_url,
        ),
        activity=Activity(log, places, words.SHOWN),
        suspicion=Suspicion(attempts, accounts, notices),
        housekeeping=Housekeeping(runtime, devices),
    )


def blueprint(guard: Guard, *, runtime: Runtime, attempts: Attempts, browser: Browser) -> Blueprint:
    """Return the pages of the guard."""
    return pages.blueprint(
        pages.RiskPages(runtime, guard.risk, guard.activity, guard.proofs, attempts, browser)
    )
