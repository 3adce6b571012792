"""`/privacy/waiting/<request>`: what waits to be confirmed, answered signed in and without the letter.

Source: GDPR Art. 7(2), 12(2).
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import InvalidInput
from policies.vocabulary import Scope
from privacy.consent import words
from privacy.consent.double_opt_in import ConfirmationNotValid, DoubleOptIn
from privacy.consent.notice_html import render_notice
from privacy.consent.pages import person
from privacy.consent.service import Consents
from privacy.consent.waiting_model import QuestionsTo
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE: Final = "/privacy/waiting"
GONE: Final = 410
ANSWERS: Final = frozenset({"yes", "no"})


def blueprint(
    runtime: Runtime, consents: Consents, double_opt_in: DoubleOptIn, questions: QuestionsTo
) -> Blueprint:
    """Return the page and its buttons.

    Args:
        runtime: the doors.
        consents: what people said.
        double_opt_in: what waits to be confirmed.
        questions: what is open to a person, and who asks.
    """
    routes = Blueprint("consent_waiting", __name__)
    register = consents.register

    def gone() -> BaseResponse:
        return make_response(render_template("consent/waiting_gone.html"), GONE)

    @routes.get(f"{PAGE}/<string(maxlength=32):event_id>")
    @requires(Scope.SIGNED_IN)
    def waiting(event_id: str) -> BaseResponse:
        """Who wrote down a yes, for what, in which words; nothing changes before a button."""
        now, here = runtime.clock(), f"{PAGE}/{event_id}"
        try:
            with runtime.snapshot() as session:
                asked = double_opt_in.of_person(session, person(), event_id, now)
                listed = questions(session, person(), now)
                has_address = double_opt_in.has_address(session, person(), asked)
        except ConfirmationNotValid:
            return gone()
        purpose = asked.purpose
        return make_response(
            render_template(
                "consent/waiting.html",
                here=here,
                who=next((each.who for each in listed if each.answer_url == here), None),
                since=words.day_words(asked.request.at),
                until=words.day_words(asked.until),
                title=words.in_language(purpose.title),
                summary=words.in_language(purpose.summary),
                frequency=words.in_language(purpose.frequency) if purpose.frequency else None,
                recipients=[register.recipients[each].name for each in purpose.recipients],
                months=purpose.validity_months,
                explicit=asked.explicit,
                notice_html=render_notice(asked.shown.text, below=2),
                language=asked.shown.language,
                by_letter=asked.by_letter,
                has_address=has_address,
            )
        )

    @routes.post(f"{PAGE}/<string(maxlength=32):event_id>")
    @requires(Scope.SIGNED_IN)
    def answer(event_id: str) -> BaseResponse:
        """Record the answer as the person's own word."""
        said = request.form.get("answer")
        if said not in ANSWERS:
            raise InvalidInput("yes or no", field="answer")
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                event = double_opt_in.answer(uow, person(), event_id, given=said == "yes")
        except ConfirmationNotValid:
            return gone()
        title = words.in_language(register.purposes[event.purpose].title)
        flash(words.done_words("grant" if said == "yes" else "refuse", title), "success")
        return redirect(url_for("consent_pages.centre"), code=303)

    @routes.post(f"{PAGE}/<string(maxlength=32):event_id>/letter")
    @requires(Scope.SIGNED_IN)
    def letter(event_id: str) -> BaseResponse:
        """Send the letter with the link once more; only where an address is kept, as the page says."""
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                is_sent = double_opt_in.write_again(uow, person(), event_id)
        except ConfirmationNotValid:
            return gone()
        if is_sent:
            flash(
                gettext("El correo va de camino. Si había un enlace de antes, ya no sirve."),
                "success",
            )
        else:
            flash(gettext("Hoy no podemos enviarte más correos de estos. Decide aquí."), "info")
        return redirect(url_for(".waiting", event_id=event_id), code=303)

    return routes
