"""The composition root: all capabilities wired over their foundation. No other module imports it.

Each capability puts itself together in its own `assembly.py`; here stand their order, who hears
whom, and what is put in front of the whole.
"""

from __future__ import annotations

import gc
import os

from flask import Flask, request

import command_line
import decision_worker
import serving
from deployment import Capabilities, Placet, begin_to_remember, set_up
from foundation import SystemIds, begin, behind_proxies, read_settings, system_clock
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
from identity.provider.callers import Callers
from identity.provider.logout import KIND as BACKCHANNEL_LOGOUT
from identity.risk.address_proof import KIND as ADDRESS_PROOF
from identity.sessions.failures import KIND as WRONG_PASSWORD
from identity.sso import assembly as sso_assembly
from identity.sso.account_source import IdentityData
from privacy import documentation, health, mailbox
from privacy.audit import api as audit_api
from privacy.clock import Clock
from privacy.collection import assembly as collection_assembly
from privacy.consent import assembly as consent_assembly
from privacy.consent import shortcut as consent_shortcut
from privacy.consent.acknowledgement_check import cross_check as check_acknowledgements
from privacy.consent.cross_check import cross_check as check_consents
from privacy.consent.signal_pages import notice_signals
from privacy.decisions import assembly as decisions_assembly
from privacy.delivery import deliver_post
from privacy.faults import Faults
from privacy.http import authenticate_with, current_actor, init_http
from privacy.idempotency import Idempotency
from privacy.ids import Ids
from privacy.kernel import Kernel
from privacy.keys.keyring import RootKey
from privacy.languages import init_languages, page_language, query_in_any_language
from privacy.prepared import MAPPED_BYTES, Connections
from privacy.pseudonyms import api as pseudonyms_api
from privacy.pseudonyms.service import Pseudonyms
from privacy.reports import assembly as reports_assembly
from privacy.rights import assembly as rights_assembly
from privacy.rights.sources import ProfileSource
from privacy.settings import Settings
from privacy.slow_bodies import SlowBodies
from privacy.subjects.model import SubjectDeceased, SubjectErased, SubjectsMerged

__all__ = [
    "Placet",
    "SystemIds",
    "begin_to_remember",
    "create_app",
    "main",
    "read_settings",
    "set_up",
    "system_clock",
]


def create_app(
    settings: Settings | None = None,
    clock: Clock = system_clock,
    ids: Ids | None = None,
    faults: Faults | None = None,
) -> Flask:
    """Wire a deployment and return its WSGI application.

    Args:
        settings: None reads them from the environment.
        clock: gives the present instant, aware UTC.
        ids: the random source.
        faults: where tests let the process die.

    Raises:
        SettingsError: a setting is wrong.
        RegisterError: the register is wrong; names every file, entry and field.
    """
    app, kernel = begin(settings, clock, ids, faults)
    register, keyring = kernel.register, kernel.keyring
    wired = _assemble(kernel)
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
    _put_before(app, wired)
    return app


def create_web_app() -> Flask:
    """Return the application of a web process, from the environment."""
    return serving.started(create_app)


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


def _put_before(app: Flask, wired: Capabilities) -> None:
    """Put the shortcuts of the hottest paths, and the proxies, in front of the application."""
    kernel = wired.kernel
    runtime = kernel.runtime
    connections = Connections(runtime.database.engine, mapped=MAPPED_BYTES)
    callers = Callers(connections, runtime.database.versions, kernel.register)
    consent_shortcut.put_before(
        app, runtime=runtime, caller=callers, words=wired.consent.usual_words
    )
    provider_wsgi.put_before(
        app, runtime, wired.identity.attempts, kernel.signing_keys, kernel.base_url
    )
    decision_worker.put_before(app, kernel, wired.decisions, connections, callers, remembers=False)
    if kernel.settings.slow_bodies:
        app.wsgi_app = SlowBodies(app.wsgi_app, kernel.settings.threads, runtime.clock)  # type: ignore[method-assign]  # Flask's documented way
    behind_proxies(app, kernel.settings)


gc.freeze()  # what was loaded stays: no search for garbage looks through it, nor the one at the end
main = command_line.group(command_line.Root(os.environ, system_clock, read_settings, create_app))


if __name__ == "__main__":
    main()
