"""The composition root: settings, clock, randomness, and the capabilities that are wired.

The only module that reads the environment, the clock and the random source. Nobody imports it.
Each capability puts itself together in its own `assembly.py`; here stand their order, who hears
whom, and what is put in front of the whole.
"""

from __future__ import annotations

import gc
import os
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

import command_line
from deployment import Capabilities, Placet, begin_to_remember, set_up
from identity import assembly as identity_assembly
from identity import listening as identity_listening
from identity import routes as identity_routes
from identity.accounts.navigation import local_path
from identity.accounts.profile_stop import NoticesStop
from identity.administration import wiring as administration_wiring
from identity.credentials.lost_factor import KIND as FACTOR_RECOVERY
from identity.credentials.recovery import KIND as RECOVERY
from identity.provider import assembly as provider_assembly
from identity.provider import bearer
from identity.provider import wsgi as provider_wsgi
from identity.provider.applications import ClientApplications
from identity.provider.callers import Callers, askers
from identity.provider.logout import KIND as BACKCHANNEL_LOGOUT
from identity.risk.address_proof import KIND as ADDRESS_PROOF
from identity.sessions.failures import KIND as WRONG_PASSWORD
from identity.sso import assembly as sso_assembly
from identity.sso.account_source import IdentityData
from policies.register.loader import load as load_register
from privacy import documentation, health, mailbox
from privacy.audit import api as audit_api
from privacy.clock import Clock
from privacy.collection import assembly as collection_assembly
from privacy.consent import assembly as consent_assembly
from privacy.consent import shortcut as consent_shortcut
from privacy.consent.acknowledgement_check import cross_check as check_acknowledgements
from privacy.consent.cross_check import cross_check as check_consents
from privacy.consent.signal_pages import notice_signals
from privacy.database import Database, engine_options, orm, prepare_engine
from privacy.decisions import api as decisions_api
from privacy.decisions import assembly as decisions_assembly
from privacy.decisions import search_shortcut
from privacy.decisions import shortcut as decisions_shortcut
from privacy.decisions.preload import Preload
from privacy.delivery import deliver_post
from privacy.faults import Faults, NoFaults, faults_from
from privacy.http import authenticate_with, current_actor, init_http, only
from privacy.idempotency import Idempotency
from privacy.ids import Ids
from privacy.kernel import Kernel
from privacy.kernel import assemble as assemble_kernel
from privacy.keys.keyring import Keyring, RootKey
from privacy.languages import init_languages, page_language, query_in_any_language
from privacy.prepared import MAPPED_BYTES, Connections
from privacy.pseudonyms import api as pseudonyms_api
from privacy.pseudonyms.service import Pseudonyms
from privacy.reports import assembly as reports_assembly
from privacy.rights import assembly as rights_assembly
from privacy.rights.sources import ProfileSource
from privacy.settings import Settings, SettingsError, settings_from
from privacy.subjects.model import SubjectDeceased, SubjectErased, SubjectsMerged
from privacy.versions import Versions

__all__ = [
    "Placet",
    "SystemIds",
    "begin_to_remember",
    "create_app",
    "create_decisions_app",
    "main",
    "read_settings",
    "set_up",
    "system_clock",
]

ROOT = Path(__file__).resolve().parent
#: A tenth of Python's own: for so long an answer waits for what a decision worker does besides.
GIL_SECONDS = 0.0005


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
    _configure(app, settings, keyring)
    orm.init_app(app)
    with app.app_context():
        engine = orm.engine
    prepare_engine(engine)
    database = Database(engine, _versions(settings, ids), must_mark=bool(settings.versions))

    wired = _assemble(
        assemble_kernel(
            settings=settings,
            register=register,
            keyring=keyring,
            database=database,
            clock=clock,
            ids=ids,
            faults=faults,
        )
    )
    idempotency = Idempotency(
        wired.kernel.runtime, wired.kernel.sealer, keyring.derive(RootKey.COOKIE, "idempotency")
    )
    app.extensions["placet"] = Placet.of(
        wired, idempotency, (check_consents, check_acknowledgements)
    )
    _listen(wired)
    _deliver(app, wired)
    init_languages(app, register.controller.time_zone)
    init_http(app)
    authenticate_with(
        app,
        bearer=bearer.authenticator(wired.kernel.runtime, register),
        session=wired.identity.browser.authenticate,
        step_up=wired.identity.browser.step_up,
    )
    notice_signals(app, wired.kernel.runtime, wired.consent.people.signals)
    _add_routes(app, wired)
    idempotency.guard(app)
    _add_template_values(app, wired.kernel)
    # What remembers reads each person once: mapping the file would only fill its memory.
    connections = Connections(engine, mapped=0 if remembers else MAPPED_BYTES)
    _put_before(app, wired, connections, remembers=remembers)
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
        gc.freeze()  # what is there now stays: nobody waits while all of it is looked through
        preload.start()
    return app


def _configure(app: Flask, settings: Settings, keyring: Keyring) -> None:
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


def _versions(settings: Settings, ids: Ids) -> Versions | None:
    """Open the file of versions; None where there is none, or no folder for it yet."""
    path = settings.versions
    return Versions(path, ids) if path and path.parent.is_dir() else None


def _assemble(kernel: Kernel) -> Capabilities:
    """Put the capabilities together, each over those before it."""
    applications = ClientApplications(kernel.register)
    consent = consent_assembly.assemble(kernel)
    consents = consent.consents
    decisions = decisions_assembly.assemble(kernel, consents, applications)
    collection = collection_assembly.assemble(kernel, consents, decisions.decisions, applications)
    upstreams = sso_assembly.configured(kernel)
    identity = identity_assembly.assemble(
        kernel,
        acknowledgements=consent.acknowledgements,
        provider_titles={provider.id: provider.title for provider in upstreams.all()},
        first_stops=[NoticesStop(kernel.runtime, consent.acknowledgements).first_stop],
    )
    provider = provider_assembly.assemble(kernel, consents, decisions.decisions, identity.sessions)
    rights = rights_assembly.assemble(
        kernel,
        consents,
        [
            ProfileSource(kernel.subjects, kernel.pseudonyms),
            identity.account_data,
            IdentityData(identity.accounts, identity.identities),
            consents,
            collection.attribute_requests,
            decisions.access_requests,
            provider.grants,
            decisions.uses,
            *consent.people.sources,
        ],
    )
    return Capabilities(
        kernel=kernel,
        consent=consent,
        decisions=decisions,
        collection=collection,
        identity=identity,
        sso=sso_assembly.assemble(kernel, upstreams, identity),
        administration=administration_wiring.administer(identity),
        provider=provider,
        rights=rights,
    )


def _listen(wired: Capabilities) -> None:
    """Let each hear what it must act on in the same transaction, in this order."""
    runtime, people = wired.kernel.runtime, wired.consent.people
    identity_listening.listen(runtime, wired.identity)
    provider_assembly.listen(runtime, wired.provider)
    runtime.subscribe(SubjectDeceased, wired.administration.on_subject_deceased)
    runtime.subscribe(SubjectsMerged, Pseudonyms.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, wired.consent.consents.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, wired.collection.attribute_requests.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, wired.decisions.access_requests.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, people.guardianships.on_subjects_merged)
    runtime.subscribe(SubjectsMerged, people.double_opt_in.on_subjects_merged)
    runtime.subscribe(SubjectErased, people.double_opt_in.forget)
    runtime.subscribe(SubjectsMerged, wired.rights.files.on_subjects_merged)


def _deliver(app: Flask, wired: Capabilities) -> None:
    """Say who does what the outbox holds."""
    outbox, identity = wired.kernel.outbox, wired.identity
    outbox.deliver_with(RECOVERY, identity.recovery.answer)
    outbox.deliver_with(WRONG_PASSWORD, identity.wrong_passwords.write)
    outbox.deliver_with(FACTOR_RECOVERY, identity.lost_factor.answer)
    outbox.deliver_with(ADDRESS_PROOF, identity.guard.proofs.answer)
    outbox.deliver_with(BACKCHANNEL_LOGOUT, wired.provider.logouts.send)
    deliver_post(app, wired.kernel)


def _add_routes(app: Flask, wired: Capabilities) -> None:
    kernel, identity, provider = wired.kernel, wired.identity, wired.provider
    runtime, settings = kernel.runtime, kernel.settings
    if settings.demo:
        app.register_blueprint(mailbox.blueprint(settings.instance / "mailbox"))
    for routes in (
        audit_api.blueprint(runtime, kernel.log_verifier),
        pseudonyms_api.blueprint(runtime, kernel.pseudonyms),
        *consent_assembly.blueprints(
            kernel,
            wired.consent,
            local_path=local_path,
            questions=decisions_assembly.open_questions(wired.decisions, wired.consent),
        ),
        *decisions_assembly.blueprints(
            kernel,
            wired.decisions,
            wired.consent,
            application_name=provider_assembly.application_name(runtime, provider.clients),
        ),
        *provider_assembly.blueprints(kernel, provider, identity),
        *rights_assembly.blueprints(kernel, wired.rights),
        *collection_assembly.blueprints(kernel, wired.collection),
        *identity_routes.blueprints(kernel, identity, hint_of=provider.requests.login_hint),
        *sso_assembly.blueprints(kernel, wired.sso, identity),
        administration_wiring.blueprint(
            identity,
            wired.administration,
            runtime=runtime,
            log=kernel.log,
            settings=settings,
        ),
        documentation.blueprint(kernel.base_url),
        health.blueprint(runtime, kernel.register, kernel.base_url),
        *reports_assembly.blueprints(kernel),
    ):
        app.register_blueprint(routes)


def _add_template_values(app: Flask, kernel: Kernel) -> None:
    controller = kernel.register.controller

    @app.context_processor
    def values() -> dict[str, object]:
        onward = (local_path(request.args.get("next")) if request else None) or ""
        return {
            "locale": page_language(),
            "actor": current_actor(),
            "controller_name": controller.name,
            "controller_email": controller.privacy_email,
            "demo": kernel.settings.demo,
            "current_path": request.path if request else "/",
            # A way on that is none of ours is repeated on no page.
            "kept_query": query_in_any_language(without=() if onward else ("next",)),
            "onward": onward,
        }


def _put_before(
    app: Flask, wired: Capabilities, connections: Connections, *, remembers: bool
) -> None:
    """Put the shortcuts of the hottest paths, and the proxies, in front of the application."""
    kernel = wired.kernel
    runtime, register = kernel.runtime, kernel.register
    callers = Callers(connections, runtime.database.versions, register)
    consent_shortcut.put_before(
        app, runtime=runtime, caller=callers, words=wired.consent.usual_words
    )
    provider_wsgi.put_before(
        app, runtime, wired.identity.attempts, kernel.signing_keys, kernel.base_url
    )
    search_shortcut.put_before(
        app, clock=runtime.clock, caller=callers, pages=wired.decisions.people
    )
    app.extensions["placet.preload"] = decisions_shortcut.put_before(
        app,
        runtime=runtime,
        connections=connections,
        caller=callers,
        decisions=wired.decisions.decisions,
        uses=wired.decisions.uses,
        audience=lambda: askers(runtime, register),
        base_url=kernel.base_url,
        remembers=remembers,
    )
    if kernel.settings.trusted_proxies:
        hops = kernel.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]  # Werkzeug's way


main = command_line.group(command_line.Root(os.environ, system_clock, read_settings, create_app))


if __name__ == "__main__":
    main()
