"""The composition root: settings, clock, randomness, wiring and the command line.

The only module that reads the environment, the clock and the random source. Nobody imports it.
"""

from __future__ import annotations

import logging
import os
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import click
from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

import demo
import serving
from identity.accounts import commands as accounts_commands
from identity.accounts.address_model import AddressChangeUndone
from identity.accounts.attempts import Attempts
from identity.accounts.closing import ClosingTask
from identity.accounts.model import AccountClosed, AccountDisabled, ClosingBegun
from identity.accounts.navigation import local_path
from identity.accounts.profile_stop import NoticesStop
from identity.accounts.service import Accounts
from identity.administration import commands as administration_commands
from identity.administration import wiring as administration_wiring
from identity.administration.service import Administration
from identity.administration.wiring import administer
from identity.assembly import Identity, assemble, blueprints
from identity.credentials.lost_factor import KIND as FACTOR_RECOVERY
from identity.credentials.model import FactorRecoveryCompleted, PasswordSet
from identity.credentials.recovery import KIND as RECOVERY
from identity.provider import api as provider_api
from identity.provider import bearer, client_pages, logout_pages
from identity.provider import commands as provider_commands
from identity.provider import consent_pages as provider_consent_pages
from identity.provider import grant_pages as provider_grant_pages
from identity.provider import pages as provider_pages
from identity.provider import pushed_api as provider_pushed_api
from identity.provider import wsgi as provider_wsgi
from identity.provider.applications import ClientApplications
from identity.provider.callers import Callers, askers
from identity.provider.claims import Held, ReleasedClaims
from identity.provider.client_gate import ClientGate
from identity.provider.clients import Clients
from identity.provider.detours import Detours, WayCookie
from identity.provider.grant_model import GrantEnded
from identity.provider.grants import Grants
from identity.provider.housekeeping import Housekeeping as ProviderHousekeeping
from identity.provider.logout import KIND as BACKCHANNEL_LOGOUT
from identity.provider.logout import Logouts
from identity.provider.pushed import PushedRequests, Requests
from identity.provider.service import Provider
from identity.risk.address_proof import KIND as ADDRESS_PROOF
from identity.sessions.failures import KIND as WRONG_PASSWORD
from identity.sessions.model import SessionEnded
from identity.sso import assembly as sso_assembly
from identity.sso.account_source import IdentityData
from identity.sso.assembly import Sso
from identity.sso.configuration import load as load_providers
from identity.sso.upstream import Upstreams
from policies.register.loader import load as load_register
from policies.register.model import Register
from privacy import documentation, health, mailbox
from privacy.actor import SYSTEM
from privacy.audit import api as audit_api
from privacy.audit import commands as audit_commands
from privacy.audit.log import AuditLog
from privacy.audit.sequencer import Sequencer, create_log_key, keep_in, read_signer, read_verifier
from privacy.audit.verification import CrossCheck
from privacy.clock import Clock
from privacy.collection import api as collection_api
from privacy.collection import pages as collection_pages
from privacy.collection import profile_pages
from privacy.collection.housekeeping import Housekeeping as CollectionHousekeeping
from privacy.collection.profile import Profiles
from privacy.collection.service import AttributeRequests
from privacy.consent import api as consent_api
from privacy.consent import commands as consent_commands
from privacy.consent import ending_pages, exclusion_commands, people_assembly
from privacy.consent import import_commands as consent_import_commands
from privacy.consent import notice_pages as consent_notice_pages
from privacy.consent import pages as consent_pages
from privacy.consent import portal_history as consent_portal_history
from privacy.consent import receipt_api as consent_receipt_api
from privacy.consent import receipt_pages as consent_receipt_pages
from privacy.consent import receipt_schema_pages as consent_receipt_schema_pages
from privacy.consent import shortcut as consent_shortcut
from privacy.consent.acknowledgement_check import cross_check as check_acknowledgements
from privacy.consent.acknowledgements import Acknowledgements
from privacy.consent.applications import ApplicationConsents
from privacy.consent.cross_check import cross_check as check_consents
from privacy.consent.exclusions import Exclusions
from privacy.consent.exports import ConsentExports
from privacy.consent.imports import ConsentImports
from privacy.consent.lifecycle import Housekeeping as LifecycleHousekeeping
from privacy.consent.lifecycle import Lifecycle
from privacy.consent.model import ConsentInvalidated, ConsentRevoked, ConsentWithdrawn
from privacy.consent.people_assembly import Birthdays, People
from privacy.consent.receipts import Receipts
from privacy.consent.reminders import Reminders
from privacy.consent.service import Consents
from privacy.consent.signal_pages import notice_signals
from privacy.consent.usual_words import UsualWords
from privacy.database import Database, engine_options, migrate, orm, prepare_engine
from privacy.decisions import (
    access_request_api,
    access_request_pages,
    moment_pages,
    whatif_commands,
    whatif_pages,
)
from privacy.decisions import api as decisions_api
from privacy.decisions import commands as decisions_commands
from privacy.decisions import download_pages as decisions_download_pages
from privacy.decisions import pages as decisions_pages
from privacy.decisions import search_api as decisions_search_api
from privacy.decisions import shortcut as decisions_shortcut
from privacy.decisions.access_requests import AccessRequests
from privacy.decisions.evidence import DecisionEvidence
from privacy.decisions.past import PastDecisions
from privacy.decisions.preload import Preload
from privacy.decisions.search_tokens import PageTokens
from privacy.decisions.service import Decisions
from privacy.decisions.use_spool import UseSpool
from privacy.decisions.uses import UseCounter
from privacy.faults import Faults, NoFaults, faults_from
from privacy.heartbeat import Heartbeat
from privacy.http import authenticate_with, current_actor, init_http, only
from privacy.idempotency import Idempotency
from privacy.ids import Ids
from privacy.keys import commands as keys_commands
from privacy.keys.blind_index import BlindIndex
from privacy.keys.keyring import Keyring, RootKey
from privacy.keys.rotation import KeyRotation
from privacy.keys.sealing import Sealer
from privacy.keys.signing import KeyUse, SigningKeys
from privacy.languages import init_languages, page_language, query_in_any_language
from privacy.mail import KIND as MAIL
from privacy.mail import Postbox, folder_transport, letter_sender, smtp_transport
from privacy.outbound import Outbound
from privacy.outbox import Outbox
from privacy.prepared import Connections
from privacy.pseudonyms import api as pseudonyms_api
from privacy.pseudonyms.service import Pseudonyms
from privacy.reports import api as reports_api
from privacy.reports import pages as reports_pages
from privacy.reports.service import ConsentReports
from privacy.rights import api as rights_api
from privacy.rights import desk_pages as rights_desk
from privacy.rights import pages as rights_pages
from privacy.rights.calendar import holidays_of, holidays_when_asked
from privacy.rights.cases import Cases
from privacy.rights.commands import deadline
from privacy.rights.erasure import Eraser
from privacy.rights.files import Files, RequestsSource
from privacy.rights.housekeeping import Housekeeping as RightsHousekeeping
from privacy.rights.letters import Letters
from privacy.rights.limits import Limits
from privacy.rights.service import Rights
from privacy.rights.sources import PersonalDataSource, ProfileSource, Sources
from privacy.settings import Settings, SettingsError, settings_from
from privacy.sms import KIND as SMS
from privacy.sms import http_gateway, mailbox_gateway, text_sender
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.model import SubjectDeceased, SubjectErased, SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime
from privacy.versions import Versions
from privacy.versions_store import name_host

ROOT = Path(__file__).resolve().parent
WORKER_PAUSE_SECONDS = 0.2
#: A tenth of Python's own: for so long an answer waits for what a decision worker does besides.
GIL_SECONDS = 0.0005

log = logging.getLogger("placet")


class SystemIds:
    """The operating system's random source."""

    def random_bytes(self, count: int) -> bytes:
        """Return `count` bytes from the kernel."""
        return os.urandom(count)


def system_clock() -> datetime:
    """Return the present instant, aware UTC."""
    return datetime.now(UTC)


def read_settings(environ: Mapping[str, str], root: Path = ROOT) -> Settings:
    """Return the settings from `PLACET_*` variables, then `instance/config.toml`, then defaults.

    Raises:
        SettingsError: a name is unknown or a value is wrong; the message names it.
    """
    instance = Path(environ.get("PLACET_INSTANCE", root / "instance")).resolve()
    values: dict[str, str] = {}
    config = instance / "config.toml"
    if config.exists():
        try:
            content = tomllib.loads(config.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{config.name}: {error}") from None
        values = {f"PLACET_{name.upper()}": str(value) for name, value in content.items()}
    values |= {k: v for k, v in environ.items() if k.startswith("PLACET_")}
    return settings_from(values, instance, processors=os.cpu_count() or 1)


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


def _versions(settings: Settings, ids: Ids) -> Versions | None:
    """Open the file of versions; None where there is none, or no folder for it yet."""
    path = settings.versions
    return Versions(path, ids) if path and path.parent.is_dir() else None


def create_app(
    settings: Settings | None = None,
    clock: Clock = system_clock,
    ids: Ids | None = None,
    faults: Faults | None = None,
    *,
    remembers: bool = False,
) -> Flask:
    """Wire a deployment and return its WSGI application.

    Args:
        settings: None reads them from the environment.
        clock: gives the present instant, aware UTC.
        ids: the random source.
        faults: where tests let the process die.
        remembers: it answers decisions from memory, where that can be confirmed.

    Raises:
        SettingsError: a setting is wrong.
        RegisterError: the register is wrong; names every file, entry and field.
    """
    settings = settings or read_settings(os.environ)
    ids = ids or SystemIds()
    faults = faults or faults_from(os.environ)
    register = load_register(settings.register)
    keyring = Keyring(settings.instance / "keys")
    keyring.create_missing(ids)

    app = Flask(__name__, template_folder="templates", static_folder="static")
    app.config.update(
        SECRET_KEY=keyring.root(RootKey.COOKIE),
        SESSION_COOKIE_NAME="__Host-placet" if settings.https else "placet",
        SESSION_COOKIE_SECURE=settings.https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=settings.body_limit_bytes,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        PLACET_BASE_URL=settings.base_url,
        PLACET_HTTPS=settings.https,
        PLACET_DEMO=settings.demo,
    )
    orm.init_app(app)
    with app.app_context():
        engine = orm.engine
    prepare_engine(engine)

    sealer = Sealer(keyring, ids)
    audit_log = AuditLog(sealer, keyring.root(RootKey.LOG_INTAKE))
    runtime = Runtime(
        database=Database(engine, _versions(settings, ids), must_mark=bool(settings.versions)),
        clock=clock,
        ids=ids,
        recorder=audit_log,
        faults=faults,
    )
    outbox = Outbox(sealer)
    outbound = Outbound(settings.outbound_allow)
    subjects = Subjects(
        sealer,
        BlindIndex(keyring),
        region=register.controller.country,
        age_of_consent=register.controller.age_of_consent,
        time_zone=register.controller.time_zone,
    )
    pseudonyms = Pseudonyms(keyring, subjects)
    arrivals = Arrivals(sealer, subjects.identifiers)
    signing_keys = SigningKeys(sealer, clock)
    consents = Consents(register)
    acknowledgements = Acknowledgements(register, consents)
    spool = UseSpool(settings.instance / "uses", ids)
    uses = UseCounter(runtime, register.controller.time_zone, spool, to_spool=remembers)
    postbox = Postbox(outbox)
    decisions = Decisions(consents, uses, pseudonyms.of_event)
    applications = ClientApplications(register)
    grants = Grants(subjects=subjects, consents=consents, decisions=decisions)
    access_requests = AccessRequests(
        consents=consents,
        decisions=decisions,
        pseudonyms=pseudonyms,
        applications=applications,
    )
    attribute_requests = AttributeRequests(
        register,
        subjects=subjects,
        consents=consents,
        decisions=decisions,
        pseudonyms=pseudonyms,
        applications=applications,
    )
    attempts = Attempts(runtime, keyring)
    upstreams = Upstreams(
        load_providers(settings.providers),
        runtime=runtime,
        sealer=sealer,
        key=keyring.derive(RootKey.COOKIE, "upstreams"),
        outbound=outbound,
        base_url=settings.base_url,
    )
    identity = assemble(
        settings=settings,
        register=register,
        runtime=runtime,
        keyring=keyring,
        sealer=sealer,
        log=audit_log,
        subjects=subjects,
        postbox=postbox,
        outbox=outbox,
        attempts=attempts,
        acknowledgements=acknowledgements,
        provider_titles={provider.id: provider.title for provider in upstreams.all()},
        first_stops=[NoticesStop(runtime, acknowledgements).first_stop],
    )
    people = people_assembly.assemble(
        runtime=runtime,
        sealer=sealer,
        subjects=subjects,
        consents=consents,
        postbox=postbox,
        base_url=settings.base_url,
    )
    rights, eraser = _rights(
        settings,
        register,
        keyring,
        sealer,
        subjects,
        consents,
        postbox,
        [
            ProfileSource(subjects, pseudonyms),
            identity.account_data,
            IdentityData(identity.accounts, identity.identities),
            consents,
            attribute_requests,
            access_requests,
            grants,
            uses,
            *people.sources,
        ],
    )
    clients, pushed = Clients(register, pseudonyms), PushedRequests(sealer)
    placet = Placet(
        settings=settings,
        register=register,
        runtime=runtime,
        keyring=keyring,
        sealer=sealer,
        log=audit_log,
        cross_checks=(check_consents, check_acknowledgements),
        outbox=outbox,
        postbox=postbox,
        subjects=subjects,
        pseudonyms=pseudonyms,
        signing_keys=signing_keys,
        consents=consents,
        acknowledgements=acknowledgements,
        application_consents=ApplicationConsents(
            consents, subjects, pseudonyms, people.double_opt_in
        ),
        people=people,
        idempotency=Idempotency(runtime, sealer, keyring.derive(RootKey.COOKIE, "idempotency")),
        usual_words=UsualWords(
            register, consents.recording, subjects.identifiers, arrivals, pseudonyms
        ),
        imports=ConsentImports(
            runtime, register, consents.recording, subjects.identifiers, arrivals, pseudonyms
        ),
        receipts=Receipts(register, signing_keys, settings.base_url),
        uses=uses,
        decisions=decisions,
        attribute_requests=attribute_requests,
        access_requests=access_requests,
        profiles=Profiles(
            register, subjects=subjects, decisions=decisions, applications=applications
        ),
        rights=rights,
        eraser=eraser,
        attempts=attempts,
        identity=identity,
        sso=sso_assembly.assemble(
            upstreams, identity, runtime=runtime, register=register, subjects=subjects
        ),
        administration=administer(identity),
        clients=clients,
        pushed=pushed,
        requests=Requests(
            runtime=runtime,
            clients=clients,
            pushed=pushed,
            signing_keys=signing_keys,
            issuer=settings.base_url,
        ),
        detours=Detours(
            keyring.derive(RootKey.COOKIE, "authorize"),
            clock,
            WayCookie(ids, https=settings.https),
        ),
        provider=Provider(
            settings.base_url,
            pseudonyms,
            signing_keys,
            keyring.derive(RootKey.COOKIE, "refresh"),
        ),
        grants=grants,
        released_claims=ReleasedClaims(
            register, subjects=subjects, decisions=decisions, pseudonyms=pseudonyms
        ),
        logouts=Logouts(
            runtime=runtime,
            issuer=settings.base_url,
            pseudonyms=pseudonyms,
            signing_keys=signing_keys,
            sessions=identity.sessions,
            outbox=outbox,
            outbound=outbound,
        ),
    )
    app.extensions["placet"] = placet
    connections = Connections(engine)
    authenticate_with(
        app,
        bearer=bearer.authenticator(runtime, register),
        session=identity.browser.authenticate,
        step_up=identity.browser.step_up,
    )
    logouts = placet.logouts
    runtime.subscribe(SessionEnded, logouts.on_session_ended)
    runtime.subscribe(AccountDisabled, logouts.on_account_shut)
    runtime.subscribe(ClosingBegun, logouts.on_account_shut)
    runtime.subscribe(AccountClosed, logouts.on_account_shut)
    runtime.subscribe(GrantEnded, logouts.on_grant_ended)
    runtime.subscribe(SubjectDeceased, placet.administration.on_subject_deceased)
    runtime.subscribe(SubjectErased, logouts.forget)
    runtime.subscribe(SubjectErased, Provider.forget)
    runtime.subscribe(SubjectErased, grants.forget)
    for ended in (ConsentWithdrawn, ConsentRevoked, ConsentInvalidated):
        runtime.subscribe(ended, grants.on_withdrawn)
    runtime.subscribe(SubjectsMerged, grants.on_subjects_merged)
    runtime.subscribe(AccountDisabled, Provider.on_account_shut)
    runtime.subscribe(ClosingBegun, Provider.on_account_shut)
    runtime.subscribe(PasswordSet, Provider.on_access_recovered)
    runtime.subscribe(FactorRecoveryCompleted, Provider.on_access_recovered)
    runtime.subscribe(AddressChangeUndone, Provider.on_access_recovered)
    runtime.subscribe(SubjectsMerged, Pseudonyms.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, consents.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, attribute_requests.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, access_requests.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, people.guardianships.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, people.double_opt_in.on_subjects_merged)
    runtime.subscribe(SubjectErased, people.double_opt_in.forget)
    runtime.subscribe(SubjectsMerged, Files(sealer).on_subjects_merged)
    transport = (
        folder_transport(settings.instance / "mailbox", clock, ids)
        if settings.demo
        else smtp_transport(settings.mail)
    )
    outbox.deliver_with(RECOVERY, identity.recovery.answer)
    outbox.deliver_with(WRONG_PASSWORD, identity.wrong_passwords.write)
    outbox.deliver_with(FACTOR_RECOVERY, identity.lost_factor.answer)
    outbox.deliver_with(ADDRESS_PROOF, identity.guard.proofs.answer)
    outbox.deliver_with(BACKCHANNEL_LOGOUT, placet.logouts.send)
    outbox.deliver_with(MAIL, letter_sender(app, settings.mail.sender, transport, clock))
    gateway = http_gateway(settings.sms)
    if settings.demo and not settings.sms.url:
        gateway = mailbox_gateway(settings.mail.sender, transport, clock)
    outbox.deliver_with(SMS, text_sender(app, gateway))

    init_languages(app, register.controller.time_zone)
    init_http(app)
    notice_signals(app, runtime, people.signals)
    _add_routes(app, placet)
    placet.idempotency.guard(app)
    _add_template_values(app, placet)
    callers = Callers(connections, runtime.database.versions, register)
    consent_shortcut.put_before(app, runtime=runtime, caller=callers, words=placet.usual_words)
    provider_wsgi.put_before(app, runtime, attempts, signing_keys, settings.base_url)
    app.extensions["placet.preload"] = decisions_shortcut.put_before(
        app,
        runtime=runtime,
        connections=connections,
        caller=callers,
        decisions=decisions,
        uses=uses,
        audience=lambda: askers(runtime, register),
        base_url=settings.base_url,
        remembers=remembers,
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Werkzeug's way
    return app


def create_decisions_app() -> Flask:
    """Return the application of a decision worker, from the environment.

    It answers access evaluations alone, from memory where that can be confirmed.
    """
    app = create_app(faults=NoFaults(), remembers=True)
    only(app, (decisions_api.ROOT, decisions_api.METADATA, "/healthz"))
    preload: Preload | None = app.extensions["placet.preload"]
    if preload is not None:
        sys.setswitchinterval(GIL_SECONDS)
        preload.start()
    return app


def _rights(  # everything a person's rights touch
    settings: Settings,
    register: Register,
    keyring: Keyring,
    sealer: Sealer,
    subjects: Subjects,
    consents: Consents,
    postbox: Postbox,
    holders: Sequence[PersonalDataSource],
) -> tuple[Rights, Eraser]:
    """Wire the rights over every holder of personal data, the profile first."""
    files = Files(sealer)
    sources = Sources([*holders, RequestsSource(files)])
    eraser = Eraser(subjects, sources, sealer)
    cases = Cases(
        register=register,
        holidays=holidays_when_asked(register.controller.region),
        subjects=subjects,
        consents=consents,
        eraser=eraser,
        files=files,
    )
    rights = Rights(
        register=register,
        subjects=subjects,
        sources=sources,
        eraser=eraser,
        cases=cases,
        files=files,
        letters=Letters(postbox, register, settings.base_url),
        limits=Limits(keyring.derive(RootKey.BLIND_INDEX, "rights-attempts")),
    )
    return rights, eraser


def _add_routes(app: Flask, placet: Placet) -> None:
    if placet.settings.demo:
        app.register_blueprint(mailbox.blueprint(placet.settings.instance / "mailbox"))
    app.register_blueprint(
        audit_api.blueprint(placet.runtime, lambda: read_verifier(placet.keys_folder))
    )
    app.register_blueprint(pseudonyms_api.blueprint(placet.runtime, placet.pseudonyms))
    app.register_blueprint(
        consent_api.blueprint(placet.runtime, placet.consents, placet.application_consents)
    )
    app.register_blueprint(
        consent_pages.blueprint(placet.runtime, placet.consents, placet.people.marketing)
    )
    app.register_blueprint(consent_portal_history.blueprint(placet.runtime, placet.consents))
    app.register_blueprint(
        consent_receipt_api.blueprint(
            placet.runtime, placet.consents, placet.application_consents, placet.receipts
        )
    )
    app.register_blueprint(
        consent_receipt_pages.blueprint(placet.runtime, placet.consents, placet.receipts)
    )
    app.register_blueprint(consent_receipt_schema_pages.blueprint())
    app.register_blueprint(
        consent_notice_pages.blueprint(
            placet.runtime, placet.consents, placet.acknowledgements, local_path
        )
    )
    app.register_blueprint(
        ending_pages.blueprint(
            ending_pages.EndingPages(
                placet.runtime,
                Lifecycle(placet.consents),
                placet.subjects,
                placet.pseudonyms,
                placet.register,
            )
        )
    )
    app.register_blueprint(
        moment_pages.blueprint(placet.runtime, _past_decisions(placet), placet.register)
    )
    app.register_blueprint(
        whatif_pages.blueprint(
            whatif_pages.RegisterPages(
                placet.runtime, placet.register, placet.settings.instance / "registers"
            )
        )
    )
    app.register_blueprint(
        decisions_api.blueprint(
            placet.runtime,
            placet.decisions,
            DecisionEvidence(placet.signing_keys, placet.settings.base_url),
            placet.settings.base_url,
        )
    )
    app.register_blueprint(
        decisions_search_api.blueprint(placet.runtime, placet.decisions, PageTokens(placet.keyring))
    )
    app.register_blueprint(
        access_request_api.blueprint(
            placet.runtime, placet.access_requests, placet.settings.base_url
        )
    )
    app.register_blueprint(
        access_request_pages.blueprint(placet.runtime, placet.consents, placet.access_requests)
    )
    app.register_blueprint(
        decisions_pages.blueprint(
            placet.runtime, placet.register, placet.uses, _application_name(placet)
        )
    )
    app.register_blueprint(
        decisions_download_pages.blueprint(
            placet.runtime,
            decisions_download_pages.Download(
                placet.consents,
                placet.receipts,
                placet.uses,
                lambda: read_verifier(placet.keys_folder).vkey,
            ),
        )
    )
    app.register_blueprint(
        provider_api.blueprint(
            placet.runtime,
            placet.clients,
            placet.provider,
            placet.attempts,
            placet.released_claims,
        )
    )
    app.register_blueprint(
        provider_consent_pages.blueprint(
            provider_consent_pages.ConsentPages(
                runtime=placet.runtime,
                register=placet.register,
                understood=placet.requests.understood,
                grants=placet.grants,
                held=Held(placet.subjects),
                detours=placet.detours,
                key=placet.keyring.derive(RootKey.COOKIE, "consent-page"),
            )
        )
    )
    app.register_blueprint(
        provider_grant_pages.blueprint(
            provider_grant_pages.GrantPages(placet.runtime, placet.register, placet.grants)
        )
    )
    app.register_blueprint(
        rights_pages.blueprint(placet.runtime, placet.rights, placet.subjects, placet.register)
    )
    app.register_blueprint(
        rights_desk.blueprint(placet.runtime, placet.rights, placet.subjects, placet.register)
    )
    app.register_blueprint(rights_api.blueprint(placet.runtime, placet.rights, placet.pseudonyms))
    app.register_blueprint(
        collection_api.blueprint(
            placet.runtime, placet.attribute_requests, placet.settings.base_url
        )
    )
    app.register_blueprint(
        collection_pages.blueprint(
            placet.runtime, placet.register, placet.profiles, placet.attribute_requests
        )
    )
    app.register_blueprint(
        profile_pages.blueprint(
            placet.runtime,
            placet.profiles,
            placet.attribute_requests,
            placet.register.controller.age_of_consent,
        )
    )
    for pages in blueprints(
        placet.identity,
        runtime=placet.runtime,
        subjects=placet.subjects,
        issuer=placet.register.controller.name,
        time_zone=placet.register.controller.time_zone,
        texts_are_sent=placet.settings.demo or bool(placet.settings.sms.url),
        hint_of=placet.requests.login_hint,
    ):
        app.register_blueprint(pages)
    for pages in sso_assembly.blueprints(
        placet.sso,
        placet.identity,
        runtime=placet.runtime,
        register=placet.register,
        https=placet.settings.https,
    ):
        app.register_blueprint(pages)
    app.register_blueprint(
        administration_wiring.blueprint(
            placet.identity,
            placet.administration,
            runtime=placet.runtime,
            log=placet.log,
            settings=placet.settings,
        )
    )
    app.register_blueprint(
        client_pages.blueprint(
            client_pages.ClientPages(
                placet.runtime, placet.clients, placet.logouts.results, placet.register
            )
        )
    )
    for pages in people_assembly.blueprints(
        placet.people,
        runtime=placet.runtime,
        subjects=placet.subjects,
        consents=placet.consents,
        applications=placet.application_consents,
        postbox=placet.postbox,
        base_url=placet.settings.base_url,
    ):
        app.register_blueprint(pages)
    app.register_blueprint(documentation.blueprint(placet.settings.base_url))
    app.register_blueprint(
        health.blueprint(placet.runtime, placet.register, placet.settings.base_url)
    )
    app.register_blueprint(reports_api.blueprint(placet.runtime, _reports(placet)))
    app.register_blueprint(
        reports_pages.blueprint(placet.runtime, _reports(placet), placet.register)
    )
    app.register_blueprint(
        logout_pages.blueprint(
            logout_pages.LogoutPages(
                placet.runtime,
                placet.clients,
                placet.provider,
                placet.logouts,
                placet.identity.sessions,
            )
        )
    )
    gate = ClientGate(placet.runtime, placet.clients, placet.attempts, placet.settings.base_url)
    app.register_blueprint(provider_pushed_api.blueprint(placet.runtime, gate, placet.requests))
    app.register_blueprint(
        provider_pages.blueprint(
            provider_pages.AuthorizePages(
                runtime=placet.runtime,
                provider=placet.provider,
                requests=placet.requests,
                pushed=placet.pushed,
                detours=placet.detours,
                accounts=placet.identity.accounts,
                step_up=placet.identity.step_up,
                grants=placet.grants,
                logouts=placet.logouts,
            )
        )
    )


def _past_decisions(placet: Placet) -> PastDecisions:
    return PastDecisions(placet.consents, placet.subjects, placet.pseudonyms)


def _reports(placet: Placet) -> ConsentReports:
    return ConsentReports(
        placet.register, placet.log, placet.subjects, lambda: read_verifier(placet.keys_folder)
    )


def _application_name(placet: Placet) -> Callable[[str], str]:
    """Return what tells people which application a pseudonymisation domain belongs to."""

    def name(domain: str) -> str:
        with placet.runtime.snapshot() as session:
            clients = placet.clients.all(session)
        return ", ".join(c.name for c in clients if c.sector == domain) or domain

    return name


def _add_template_values(app: Flask, placet: Placet) -> None:
    @app.context_processor
    def values() -> dict[str, object]:
        onward = (local_path(request.args.get("next")) if request else None) or ""
        return {
            "locale": page_language(),
            "actor": current_actor(),
            "controller_name": placet.register.controller.name,
            "controller_email": placet.register.controller.privacy_email,
            "demo": placet.settings.demo,
            "current_path": request.path if request else "/",
            # A way on that is none of ours is repeated on no page.
            "kept_query": query_in_any_language(without=() if onward else ("next",)),
            "onward": onward,
        }


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


def _app(environ: Mapping[str, str] = os.environ, faults: Faults | None = None) -> Flask:
    try:
        return create_app(read_settings(environ), faults=faults or NoFaults())
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Placet: consent and privacy governance."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)


@main.command()
def setup() -> None:
    """Create keys and database where they are missing, and bring the database up to date."""
    set_up(_app())
    click.echo("ready")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on.")
@click.option(
    "--decisions-port",
    type=int,
    help="Port of the processes that answer access evaluations alone; the next one if not said, "
    "0 for none.",
)
def serve(host: str, port: int, decisions_port: int | None) -> None:
    """Run the web server, the decision workers and the worker until SIGTERM or Ctrl-C."""
    app = _app()
    set_up(app)
    placet: Placet = app.extensions["placet"]
    begin_to_remember(placet)
    stop = serving.Stop()
    stop.listen()
    decisions_port = port + 1 if decisions_port is None else decisions_port
    commands = [serving.web_command(placet.settings, host, port), serving.worker_command()]
    if decisions_port and placet.settings.decision_workers:
        commands.append(serving.decisions_command(placet.settings, host, decisions_port))
    raise SystemExit(serving.supervise(commands, stop))


@main.command("demo")
@click.option("--port", default=8000, show_default=True, help="Placet's port.")
@click.option("--shop-port", default=8001, show_default=True, help="The shop's port.")
def demo_(port: int, shop_port: int) -> None:
    """Run Placet and the example shop on this machine, to be tried, until Ctrl-C."""
    try:
        environment = demo.environment(read_settings(os.environ), os.environ, port)
        demo.demand_free(port, "--port")
        demo.demand_free(shop_port, "--shop-port")
    except (SettingsError, demo.DemoRefused) as error:
        raise click.ClickException(str(error)) from None
    stop = serving.Stop()
    stop.listen()
    app = _app(environment)
    set_up(app)
    placet: Placet = app.extensions["placet"]
    instance, base_url = placet.settings.instance, placet.settings.base_url
    shop_url = f"http://localhost:{shop_port}"
    shop = demo.open_shop(placet.runtime, placet.clients, instance, shop_url)
    environment |= shop.environment(issuer=base_url, url=shop_url, instance=instance)
    invitation = demo.invite_first_dpo(placet.runtime, base_url)
    placet.runtime.database.engine.dispose()

    def announce() -> bool:
        if not (demo.answers(f"{base_url}/healthz") and demo.answers(shop_url)):
            return False
        click.echo(demo.welcome(base_url, shop_url, invitation))
        return True

    commands = [
        serving.web_command(placet.settings, "127.0.0.1", port),
        serving.worker_command(),
        demo.shop_command(shop_port),
    ]
    code = serving.supervise(commands, stop, environment=environment, announce=announce)
    raise SystemExit(code)


@main.command()
def worker() -> None:
    """Run the worker alone: places log entries, signs checkpoints, sends mail."""
    app = _app(faults=faults_from(os.environ, worker=True))
    placet: Placet = app.extensions["placet"]
    sequencer = placet.sequencer()
    rights_housekeeping = RightsHousekeeping(placet.runtime, placet.rights, placet.eraser)
    closings = ClosingTask(
        placet.runtime, placet.identity.closing, placet.rights.erase_at_end_of_grace
    )
    collection_housekeeping = CollectionHousekeeping(
        placet.runtime, placet.attribute_requests, placet.access_requests
    )
    lifecycle = LifecycleHousekeeping(placet.runtime, Lifecycle(placet.consents))
    reminders = Reminders(
        placet.runtime,
        placet.consents,
        placet.subjects,
        placet.postbox,
        placet.settings.base_url,
    )
    key_rotation = KeyRotation(
        placet.runtime, placet.signing_keys, lifetime=timedelta(days=placet.settings.key_days)
    )
    stop = serving.Stop()
    stop.listen()
    with app.app_context():
        serving.work(
            {
                "heartbeat": Heartbeat(placet.runtime).beat,
                "sequencer": sequencer.run_due,
                "outbox": lambda: placet.outbox.deliver_due(placet.runtime),
                "uses": placet.uses.run_due,
                "rights": rights_housekeeping.run_due,
                "collection": collection_housekeeping.run_due,
                "idempotency": placet.idempotency.run_due,
                "birthdays": Birthdays(placet.runtime, placet.people.guardians).run_due,
                "consents": lifecycle.run_due,
                "reminders": reminders.run_due,
                "identity": placet.identity.housekeeping.run_due,
                "upstreams": placet.sso.upstreams.run_due,
                "arrivals": placet.sso.housekeeping.run_due,
                "provider": ProviderHousekeeping(placet.runtime).run_due,
                "factor-recovery": placet.identity.lost_factor_tasks.run_due,
                "risk": placet.identity.guard.housekeeping.run_due,
                "closings": closings.run_due,
                "logouts": placet.logouts.run_due,
                "keys": key_rotation.run_due,
            },
            stop,
            WORKER_PAUSE_SECONDS,
        )


def _audited() -> audit_commands.Deployment:
    placet: Placet = _app().extensions["placet"]
    return audit_commands.Deployment(
        runtime=placet.runtime,
        log=placet.log,
        keys_folder=placet.keys_folder,
        kept_checkpoint=placet.kept_checkpoint,
        cross_checks=placet.cross_checks,
    )


def _bulk() -> consent_import_commands.Bulk:
    placet: Placet = _app(faults=faults_from(os.environ)).extensions["placet"]
    return consent_import_commands.Bulk(
        placet.imports, ConsentExports(placet.runtime), system_clock
    )


def _exclusions() -> tuple[Runtime, Exclusions]:
    placet: Placet = _app().extensions["placet"]
    return placet.runtime, placet.people.exclusions


def _clients() -> tuple[Runtime, Clients, provider_commands.Results]:
    placet: Placet = _app().extensions["placet"]
    return placet.runtime, placet.clients, placet.logouts.results


def _signing_keys() -> tuple[Runtime, SigningKeys]:
    placet: Placet = _app().extensions["placet"]
    return placet.runtime, placet.signing_keys


def _administration() -> tuple[Runtime, Accounts, Administration]:
    placet: Placet = _app().extensions["placet"]
    return placet.runtime, placet.identity.accounts, placet.administration


def _inviter() -> tuple[Runtime, str]:
    placet: Placet = _app().extensions["placet"]
    return placet.runtime, placet.settings.base_url


def _past() -> tuple[Runtime, PastDecisions, str]:
    placet: Placet = _app().extensions["placet"]
    return placet.runtime, _past_decisions(placet), placet.register.controller.time_zone


def _runtime() -> Runtime:
    placet: Placet = _app().extensions["placet"]
    return placet.runtime


def _publish(path: Path) -> bool:
    app = create_app(replace(read_settings(os.environ), register=path))
    set_up(app, publish=False)
    placet: Placet = app.extensions["placet"]
    with placet.runtime.unit_of_work(SYSTEM) as uow:
        return placet.consents.publish(uow)


_registers = consent_commands.register_commands(
    lambda: read_settings(os.environ).register, system_clock, _publish
)
_registers.add_command(whatif_commands.diff_command(_runtime))
main.add_command(_registers)
main.add_command(decisions_commands.consent_commands(_past))
main.add_command(audit_commands.group(_audited))
main.add_command(deadline)
main.add_command(provider_commands.group(_clients))
main.add_command(keys_commands.group(_signing_keys))
main.add_command(exclusion_commands.group(_exclusions))
main.add_command(consent_import_commands.group(_bulk))
main.add_command(accounts_commands.command(_inviter))
main.add_command(administration_commands.group(_administration))


if __name__ == "__main__":
    main()
