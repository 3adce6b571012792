"""The application of a decision worker: access evaluations alone, from memory where that is confirmed.

It is put together by itself: without pages and accounts it starts sooner and takes less memory.
"""

from __future__ import annotations

import gc
import sys

from flask import Flask

import serving
from foundation import begin, behind_proxies, system_clock
from identity.provider import bearer
from identity.provider.applications import ClientApplications
from identity.provider.callers import Callers, askers
from privacy import health
from privacy.clock import Clock
from privacy.consent import assembly as consent_assembly
from privacy.decisions import api as decisions_api
from privacy.decisions import assembly as decisions_assembly
from privacy.decisions import search_shortcut
from privacy.decisions import shortcut as decisions_shortcut
from privacy.decisions.assembly import DecisionServices
from privacy.decisions.preload import Preload
from privacy.faults import NoFaults
from privacy.http import authenticate_with, init_http, only
from privacy.idempotency import Idempotency
from privacy.ids import Ids
from privacy.kernel import Kernel
from privacy.keys.keyring import RootKey
from privacy.languages import init_languages
from privacy.prepared import Connections
from privacy.settings import Settings

#: A tenth of Python's own: for so long an answer waits for what a decision worker does besides.
GIL_SECONDS = 0.0005
#: So many objects more before any of them are looked through: a batch makes and drops thousands.
GARBAGE = 50_000


def create_app(
    settings: Settings | None = None, clock: Clock = system_clock, ids: Ids | None = None
) -> Flask:
    """Wire a decision worker and return its WSGI application; its preload has not begun.

    Args, Raises: as `app.create_app`.
    """
    app, kernel = begin(settings, clock, ids, NoFaults())
    runtime, register, sealer = kernel.runtime, kernel.register, kernel.sealer
    consents = consent_assembly.assemble(kernel).consents
    decisions = decisions_assembly.assemble(kernel, consents, ClientApplications(register))
    init_languages(app, register.controller.time_zone)
    init_http(app)
    authenticate_with(app, bearer=bearer.authenticator(runtime, register))
    for routes in (
        *decisions_assembly.api_blueprints(kernel, decisions),
        health.blueprint(runtime, register, kernel.base_url),
    ):
        app.register_blueprint(routes)
    Idempotency(runtime, sealer, kernel.keyring.derive(RootKey.COOKIE, "idempotency")).guard(app)
    # It reads each person once: mapping the file would only fill its memory.
    connections = Connections(runtime.database.engine, mapped=0)
    callers = Callers(connections, runtime.database.versions, register)
    put_before(app, kernel, decisions, connections, callers, remembers=True)
    behind_proxies(app, kernel.settings)
    app.extensions["placet.decisions"] = decisions
    only(app, (decisions_api.ROOT, decisions_api.METADATA, "/healthz"))
    return app


def put_before(
    app: Flask,
    kernel: Kernel,
    decisions: DecisionServices,
    connections: Connections,
    callers: Callers,
    *,
    remembers: bool,
) -> None:
    """Put the shortcuts of questions and searches before an application.

    Args:
        app: whose routes take what is unusual.
        kernel: what it stands on.
        decisions: its services.
        connections: to read by.
        callers: who calls.
        remembers: it answers from memory, where that can be confirmed.
    """
    runtime, register = kernel.runtime, kernel.register
    search_shortcut.put_before(app, clock=runtime.clock, callers=callers, pages=decisions.people)
    app.extensions["placet.preload"] = decisions_shortcut.put_before(
        app,
        runtime=runtime,
        connections=connections,
        callers=callers,
        decisions=decisions.decisions,
        uses=decisions.uses,
        search=decisions.search,
        audience=lambda: askers(runtime, register),
        base_url=kernel.base_url,
        remembers=remembers,
    )


def create_worker_app() -> Flask:
    """Return the application of a decision worker's process, from the environment, as it goes on loading."""
    app = serving.started(create_app)
    preload: Preload | None = app.extensions["placet.preload"]
    if preload is not None:
        sys.setswitchinterval(GIL_SECONDS)
        gc.set_threshold(GARBAGE)
        gc.freeze()  # what is there now stays: nobody waits while all of it is looked through
        preload.start()
    return app
