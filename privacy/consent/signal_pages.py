"""Global Privacy Control on our own pages: noticed once, said calmly, explained on one page."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, flash, jsonify, render_template, request
from flask import session as session_cookie
from flask_babel import gettext

from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.actor import ActorKind
from privacy.consent import words
from privacy.consent.pages import person
from privacy.consent.service import Consents
from privacy.consent.signal_model import HONOURED_SINCE, PORTAL, is_signal
from privacy.consent.signals import Signals
from privacy.http import current_actor, is_api, requires
from privacy.ids import secret_digest
from privacy.unit_of_work import Runtime

#: In the browser's own cookie: whose signal this browser's is. It spares the database a look at
#: each page, and lets another browser's silence mean nothing.
SEEN = "gpc-of"


def notice_signals(app: Flask, runtime: Runtime, signals: Signals) -> None:
    """Attach the seam: pages of a signed-in person note their browser's signal.

    Decisions and the JSON API never pass here; what a browser says there is the application's.
    """

    def notice() -> None:
        if request.endpoint in (None, "static") or is_api(request.path):
            return
        on, seen = is_signal(request.headers.get("Sec-GPC")), session_cookie.get(SEEN)
        if not on and seen is None:
            return
        actor = current_actor()
        if actor.kind is not ActorKind.PERSON or actor.subject_id is None:
            return
        mark = secret_digest(actor.subject_id)[:16]
        if on == (seen == mark):
            return
        if on:
            session_cookie[SEEN] = mark
        else:
            session_cookie.pop(SEEN)
        _note(runtime, signals, actor.subject_id, on=on)

    app.before_request(notice)


def _note(runtime: Runtime, signals: Signals, subject_id: str, *, on: bool) -> None:
    with runtime.snapshot() as session:
        if signals.is_on(session, subject_id, PORTAL) == on:
            return
    try:
        with runtime.unit_of_work(current_actor()) as uow:
            change = signals.note(uow, subject_id, PORTAL, on=on)
            uow.commit()
    except NotFound:  # erased at this moment: there is nobody to note it of
        return
    if change.objected:
        flash(
            gettext(
                "Tu navegador nos pide que no cedamos tus datos ni te sigamos (Global Privacy "
                "Control). Lo hemos anotado como oposición. Si quieres otra cosa, elígela en "
                "«Mi privacidad»."
            ),
            "info",
        )


def blueprint(runtime: Runtime, consents: Consents, signals: Signals) -> Blueprint:
    """Return the page about the signal, and what says that it is honoured."""
    routes = Blueprint("signal_pages", __name__)
    register = consents.register

    @routes.get("/privacy/signal")
    @requires(Scope.SIGNED_IN)
    def signal() -> str:
        """What the browser's signal did, and how to choose otherwise."""
        subject_id = person()
        with runtime.snapshot() as session:
            known = {each.source: each for each in signals.of_person(session, subject_id)}
            states = consents.current(session, subject_id)
        own = known.get(PORTAL)
        return render_template(
            "signals/signal.html",
            sent=is_signal(request.headers.get("Sec-GPC")),
            since=words.hour_words(own.since) if own and own.on else None,
            units=[
                (words.title_of(register, unit), states[unit].objected_since is not None)
                for unit in signals.units
            ],
        )

    @routes.get("/.well-known/gpc.json")
    @requires(Scope.PUBLIC)
    def gpc() -> Response:
        """Say that Global Privacy Control is honoured. Source: W3C GPC s. 4."""
        return jsonify(gpc=True, lastUpdate=HONOURED_SINCE.isoformat())

    return routes
