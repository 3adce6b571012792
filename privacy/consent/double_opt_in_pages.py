"""`/privacy/confirm/<token>`: the page behind the mailed link; its button is the consent.

Opening it changes nothing: mail programs and their guards open links, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from policies.vocabulary import Scope
from privacy.consent import words
from privacy.consent.double_opt_in import Asked, ConfirmationNotValid, DoubleOptIn
from privacy.consent.model import GuardianNeeded
from privacy.consent.notice_html import render_notice
from privacy.consent.service import Consents
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

GONE = 410
CONFLICT = 409


def blueprint(runtime: Runtime, consents: Consents, double_opt_in: DoubleOptIn) -> Blueprint:
    """Return the page and its button."""
    routes = Blueprint("consent_double_opt_in", __name__)
    register = consents.register

    def behind(token: str) -> list[Asked]:
        with runtime.snapshot() as session:
            return double_opt_in.behind_link(session, token, runtime.clock())

    def left(token: str) -> Sequence[Asked]:
        try:
            return behind(token)
        except ConfirmationNotValid:
            return ()

    def gone() -> BaseResponse:
        return make_response(render_template("consent/confirm_gone.html"), GONE)

    def minor() -> BaseResponse:
        return make_response(render_template("consent/confirm_minor.html"), CONFLICT)

    @routes.get("/privacy/confirm/<string(maxlength=64):token>")
    @requires(Scope.PUBLIC)
    def ask(token: str) -> BaseResponse:
        """Show what would be confirmed, and its words; nothing changes before the button."""
        try:
            waiting = behind(token)
        except ConfirmationNotValid:
            return gone()
        except GuardianNeeded:
            return minor()
        unit = request.args.get("unit")
        asked = next((each for each in waiting if each.purpose.id == unit), waiting[0])
        frequency = asked.purpose.frequency
        return make_response(
            render_template(
                "consent/confirm.html",
                token=token,
                unit=asked.purpose.id,
                others=_others(each for each in waiting if each is not asked),
                title=words.in_language(asked.purpose.title),
                summary=words.in_language(asked.purpose.summary),
                frequency=words.in_language(frequency) if frequency else None,
                recipients=[register.recipients[each].name for each in asked.purpose.recipients],
                months=asked.purpose.validity_months,
                explicit=asked.explicit,
                notice_html=render_notice(asked.shown.text, below=2),
                language=asked.shown.language,
            )
        )

    @routes.post("/privacy/confirm/<string(maxlength=64):token>")
    @requires(Scope.PUBLIC)
    def confirm(token: str) -> BaseResponse:
        """Take the button as the consent."""
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                event = double_opt_in.confirm(uow, token, request.form.get("unit"))
        except ConfirmationNotValid:
            return gone()
        except GuardianNeeded:
            return minor()
        return make_response(
            render_template(
                "consent/confirmed.html",
                token=token,
                others=_others(left(token)),
                title=words.in_language(register.purposes[event.purpose].title),
                until=words.day_words(event.expires_at) if event.expires_at else None,
            )
        )

    return routes


def _others(waiting: Iterable[Asked]) -> list[tuple[str, str]]:
    """What else the link can confirm: (unit, title)."""
    return [(each.purpose.id, words.in_language(each.purpose.title)) for each in waiting]
