"""`/privacy/marketing`: no direct marketing at all, in one step, and the exclusion systems."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.vocabulary import ConsentChannel, Scope
from privacy.consent import words
from privacy.consent.marketing import Marketing
from privacy.consent.model import known_purpose
from privacy.consent.pages import person
from privacy.consent.service import Consents
from privacy.consent.suppression_store import (
    ALL_MARKETING,
    lists_naming,
    suppressions_of,
    wanted_of,
)
from privacy.http import current_actor, requires
from privacy.languages import page_language
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, consents: Consents, marketing: Marketing) -> Blueprint:
    """Return the page about direct marketing."""
    routes = Blueprint("marketing_pages", __name__)
    register = consents.register

    @routes.get("/privacy/marketing")
    @requires(Scope.SIGNED_IN)
    def show() -> str:
        """What direct marketing there is, and how to have none of it."""
        with runtime.snapshot() as session:
            states = consents.current(session, person())
            kept_out = {row.purpose: row.since for row in suppressions_of(session, person())}
            wanted = {row.purpose for row in wanted_of(session, person())}
            lists = lists_naming(session, person())
        return render_template(
            "marketing/marketing.html",
            purposes=[
                (each, words.in_language(each.title), states[each.id].objected_since)
                for each in marketing.purposes
            ],
            suppressed={
                purpose: words.day_words(since)
                for purpose, since in kept_out.items()
                if purpose != ALL_MARKETING
            },
            wanted=wanted,
            lists=lists,
            none_since=words.day_words(kept_out[ALL_MARKETING])
            if ALL_MARKETING in kept_out
            else None,
        )

    @routes.post("/privacy/marketing")
    @requires(Scope.SIGNED_IN)
    def object_to_all() -> BaseResponse:
        """Object to all of it."""
        with runtime.unit_of_work(current_actor()) as uow:
            is_told = marketing.object_to_all(
                uow, person(), page_language(), channel=ConsentChannel.WEB
            )
            uow.commit()
        done = gettext("Ya no te enviaremos publicidad.")
        if is_told:
            done = gettext("Ya no te enviaremos publicidad. Te lo confirmamos por correo.")
        flash(done, "success")
        return redirect(url_for(".show"), 303)

    @routes.post("/privacy/marketing/wanted")
    @requires(Scope.SIGNED_IN)
    def want() -> BaseResponse:
        """Take back an objection to one purpose, which rests on no consent."""
        purpose = known_purpose(register, request.form.get("purpose", ""))
        with runtime.unit_of_work(current_actor()) as uow:
            consents.lift_objection(uow, person(), purpose.id)
            uow.commit()
        title = words.in_language(purpose.title)
        flash(gettext("Ya no te opones: %(title)s.", title=title), "success")
        return redirect(url_for(".show"), 303)

    return routes
