"""A deployment as it was wired: its services by name, what it needs to serve, the worker's tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask

from identity.accounts.attempts import Attempts
from identity.accounts.closing import ClosingTask
from identity.administration.service import Administration
from identity.assembly import Identity
from identity.provider.assembly import ProviderServices
from identity.provider.claims import ReleasedClaims
from identity.provider.clients import Clients
from identity.provider.detours import Detours
from identity.provider.grants import Grants
from identity.provider.housekeeping import Housekeeping as ProviderHousekeeping
from identity.provider.logout import Logouts
from identity.provider.pushed import PushedRequests, Requests
from identity.provider.service import Provider
from identity.sso.assembly import Sso
from policies.register.model import Register
from privacy.actor import SYSTEM
from privacy.audit.log import AuditLog
from privacy.audit.sequencer import Sequencer, create_log_key, keep_in, read_signer
from privacy.audit.verification import CrossCheck
from privacy.collection.assembly import CollectionServices
from privacy.collection.housekeeping import Housekeeping as CollectionHousekeeping
from privacy.collection.profile import Profiles
from privacy.collection.service import AttributeRequests
from privacy.consent.acknowledgements import Acknowledgements
from privacy.consent.applications import ApplicationConsents
from privacy.consent.assembly import ConsentServices
from privacy.consent.imports import ConsentImports
from privacy.consent.lifecycle import Housekeeping as LifecycleHousekeeping
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.people_assembly import Birthdays, People
from privacy.consent.receipts import Receipts
from privacy.consent.reminders import Reminders
from privacy.consent.service import Consents
from privacy.consent.usual_words import UsualWords
from privacy.decisions.access_requests import AccessRequests
from privacy.decisions.assembly import DecisionServices
from privacy.decisions.past import PastDecisions
from privacy.decisions.service import Decisions
from privacy.decisions.uses import UseCounter
from privacy.heartbeat import Heartbeat
from privacy.idempotency import Idempotency
from privacy.kernel import Kernel
from privacy.keys.keyring import Keyring
from privacy.keys.rotation import KeyRotation
from privacy.keys.sealing import Sealer
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.mail import Postbox
from privacy.migration import migrate
from privacy.outbox import Outbox
from privacy.pseudonyms.service import Pseudonyms
from privacy.rights.assembly import RightsServices
from privacy.rights.calendar import holidays_of
from privacy.rights.erasure import Eraser
from privacy.rights.housekeeping import Housekeeping as RightsHousekeeping
from privacy.rights.service import Rights
from privacy.settings import Settings
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime
from privacy.versions_store import name_host


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Every capability, as its own `assembly` put it together, over one kernel."""

    kernel: Kernel
    consent: ConsentServices
    decisions: DecisionServices
    collection: CollectionServices
    identity: Identity
    sso: Sso
    administration: Administration
    provider: ProviderServices
    rights: RightsServices


@dataclass(frozen=True, slots=True)
class Placet:
    """Everything that was wired, for commands and tests."""

    settings: Settings
    register: Register
    runtime: Runtime
    keyring: Keyring
    sealer: Sealer
    log: AuditLog
    cross_checks: tuple[CrossCheck, ...]
    outbox: Outbox
    postbox: Postbox
    subjects: Subjects
    pseudonyms: Pseudonyms
    signing_keys: SigningKeys
    consents: Consents
    acknowledgements: Acknowledgements
    application_consents: ApplicationConsents
    people: People
    usual_words: UsualWords
    imports: ConsentImports
    idempotency: Idempotency
    receipts: Receipts
    uses: UseCounter
    decisions: Decisions
    past_decisions: PastDecisions
    attribute_requests: AttributeRequests
    access_requests: AccessRequests
    profiles: Profiles
    rights: Rights
    eraser: Eraser
    attempts: Attempts
    identity: Identity
    sso: Sso
    administration: Administration
    clients: Clients
    provider: Provider
    pushed: PushedRequests
    requests: Requests
    detours: Detours
    grants: Grants
    released_claims: ReleasedClaims
    logouts: Logouts

    @classmethod
    def of(
        cls, wired: Capabilities, idempotency: Idempotency, cross_checks: tuple[CrossCheck, ...]
    ) -> Placet:
        """Return the services of all capabilities side by side."""
        kernel, consent, decisions = wired.kernel, wired.consent, wired.decisions
        provider = wired.provider
        return cls(
            settings=kernel.settings,
            register=kernel.register,
            runtime=kernel.runtime,
            keyring=kernel.keyring,
            sealer=kernel.sealer,
            log=kernel.log,
            cross_checks=cross_checks,
            outbox=kernel.outbox,
            postbox=kernel.postbox,
            subjects=kernel.subjects,
            pseudonyms=kernel.pseudonyms,
            signing_keys=kernel.signing_keys,
            consents=consent.consents,
            acknowledgements=consent.acknowledgements,
            application_consents=consent.applications,
            people=consent.people,
            usual_words=consent.usual_words,
            imports=consent.imports,
            idempotency=idempotency,
            receipts=consent.receipts,
            uses=decisions.uses,
            decisions=decisions.decisions,
            past_decisions=decisions.past,
            attribute_requests=wired.collection.attribute_requests,
            access_requests=decisions.access_requests,
            profiles=wired.collection.profiles,
            rights=wired.rights.rights,
            eraser=wired.rights.eraser,
            attempts=wired.identity.attempts,
            identity=wired.identity,
            sso=wired.sso,
            administration=wired.administration,
            clients=provider.clients,
            provider=provider.provider,
            pushed=provider.pushed,
            requests=provider.requests,
            detours=provider.detours,
            grants=provider.grants,
            released_claims=provider.released_claims,
            logouts=provider.logouts,
        )

    @property
    def keys_folder(self) -> Path:
        """Where the key files are."""
        return self.settings.instance / "keys"

    def sequencer(self) -> Sequencer:
        """Return the log's sequencer; reads the log's signing key, so only the worker calls it."""
        return Sequencer(
            self.runtime, self.log, read_signer(self.keys_folder), keep_in(self.kept_checkpoint)
        )

    @property
    def kept_checkpoint(self) -> Path:
        """Where the worker keeps the newest checkpoint, outside the database."""
        return self.settings.instance / "checkpoint"


def set_up(app: Flask, *, publish: bool = True) -> None:
    """Bring a deployment to where it can serve: database, keys, register. Idempotent."""
    placet: Placet = app.extensions["placet"]
    holidays_of(placet.register.controller.region)  # a region without a calendar is told now
    migrate(placet.settings.database_url)
    origin = f"{urlsplit(placet.settings.base_url).netloc}/audit"
    create_log_key(placet.keys_folder, origin, placet.runtime.ids)
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        for use in KeyUse:
            placet.signing_keys.ensure(uow, use)
        uow.commit()
    if publish:
        with placet.runtime.unit_of_work(SYSTEM) as uow:
            placet.consents.publish(uow)


def begin_to_remember(placet: Placet) -> None:
    """Let nothing count that processes remembered before, and say from which host facts change."""
    database = placet.runtime.database
    with database.nobody_writes() as connection:
        if database.versions is not None:
            database.versions.renew(placet.runtime.ids)
        named = database.versions if not database.is_sqlite else None
        name_host(connection, named.epoch if named else None)


def worker_tasks(placet: Placet) -> Mapping[str, Callable[[], int]]:
    """Return what the worker does again and again, in this order; reads the log's signing key."""
    runtime, identity = placet.runtime, placet.identity
    sequencer = placet.sequencer()
    rights_housekeeping = RightsHousekeeping(runtime, placet.rights, placet.eraser)
    closings = ClosingTask(runtime, identity.closing, placet.rights.erase_at_end_of_grace)
    collection_housekeeping = CollectionHousekeeping(
        runtime, placet.attribute_requests, placet.access_requests
    )
    lifecycle = LifecycleHousekeeping(runtime, Lifecycle(placet.consents))
    reminders = Reminders(
        runtime, placet.consents, placet.subjects, placet.postbox, placet.settings.base_url
    )
    key_rotation = KeyRotation(
        runtime, placet.signing_keys, lifetime=timedelta(days=placet.settings.key_days)
    )
    return {
        "heartbeat": Heartbeat(runtime).beat,
        "sequencer": sequencer.run_due,
        "outbox": lambda: placet.outbox.deliver_due(runtime),
        "uses": placet.uses.run_due,
        "rights": rights_housekeeping.run_due,
        "collection": collection_housekeeping.run_due,
        "idempotency": placet.idempotency.run_due,
        "birthdays": Birthdays(runtime, placet.people.guardians).run_due,
        "consents": lifecycle.run_due,
        "reminders": reminders.run_due,
        "identity": identity.housekeeping.run_due,
        "upstreams": placet.sso.upstreams.run_due,
        "arrivals": placet.sso.housekeeping.run_due,
        "provider": ProviderHousekeeping(runtime).run_due,
        "factor-recovery": identity.lost_factor_tasks.run_due,
        "risk": identity.guard.housekeeping.run_due,
        "closings": closings.run_due,
        "logouts": placet.logouts.run_due,
        "keys": key_rotation.run_due,
    }
