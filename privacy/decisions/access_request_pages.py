"""`/privacy/asked/<token>`: who asks, for what, in which words; yes and no weigh the same."""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import InvalidInput, NotFound
from policies.vocabulary import Scope
from privacy.consent import words
from privacy.consent.model import GuardianNeeded, StaleNotice, State
from privacy.consent.notice_html import render_notice
from privacy.consent.pages import person
from privacy.consent.service import Consents
from privacy.decisions.access_request_model import AccessRequest, AskState
from privacy.decisions.access_requests import AccessRequests
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE: Final = "/privacy/asked"
ANSWERS: Final = frozenset({"yes", "no", "never"})


def blueprint(runtime: Runtime, consents: Consents, requests: AccessRequests) -> Blueprint:
    """Return the page of an ask."""
    routes = Blueprint("decisions_access_request_pages", __name__)
    register = consents.register

    def find(token: str) -> AccessRequest:
        with runtime.snapshot() as session:
            return requests.of_person(session, person(), token)

    def page(found: AccessRequest, token: str, wrong: str | None = None) -> Response:
        state = found.state(runtime.clock())
        with runtime.snapshot() as session:
            asking = requests.asking(session, found)
            back = _with_outcome(requests.way_back(session, found), state)
            said = consents.current(session, found.subject_id).get(found.unit)
        purpose = register.purpose(found.unit)
        if asking is None or purpose is None:
            raise NotFound("nobody is behind the question any more")
        card = words.card_of(
            register,
            purpose,
            said or State(purpose=found.unit),
            runtime.clock(),
            action_url=f"{PAGE}/{token}",
        )
        notice = register.notice_of(found.unit)
        if card is None or notice is None:
            raise NotFound("the purpose is not in force any more")
        language = words.notice_language(purpose, register)
        rendered = render_template(
            "decisions/asked.html",
            asking=asking,
            card=card,
            language=language,
            notice_html=render_notice(notice.texts[language], below=2),
            state=state.value,
            back=back,
            errors=[(None, wrong)] if wrong else [],
        )
        shown = current_app.make_response((rendered, 409 if wrong else 200))
        if "done" in request.args and found.answered_at is not None and back:
            shown.headers["Refresh"] = f"0;url={back}"
        return shown

    @routes.get(f"{PAGE}/<string(maxlength=64):token>")
    @requires(Scope.SIGNED_IN)
    def ask(token: str) -> Response:
        """Who asks, for what, in which words; or, once answered, the way back.

        Whoever has just answered is still in that form's navigation, which our content security
        policy (`form-action 'self'`) lets go nowhere else; a page that goes on by itself ends it.
        """
        return page(find(token), token)

    @routes.post(f"{PAGE}/<string(maxlength=64):token>")
    @requires(Scope.SIGNED_IN)
    def answer(token: str) -> BaseResponse:
        """Record the answer; where nothing could be recorded, the page again with why.

        Whoever sends the form twice sees what became of it the first time.
        """
        found = find(token)
        said, version = request.form.get("answer"), request.form.get("notice_version", "")
        if said not in ANSWERS or not version.isascii() or not version.isdecimal():
            raise InvalidInput("the form is not the one that was shown", field="answer")
        if found.state(runtime.clock()) is AskState.OPEN:
            try:
                with suppress(NotFound), runtime.unit_of_work(current_actor()) as uow:
                    requests.answer(
                        uow,
                        person(),
                        token,
                        given=said == "yes",
                        never=said == "never",
                        notice_version=int(version[:9]),
                        language=request.form.get("language", ""),
                    )
            except StaleNotice:
                return page(
                    found,
                    token,
                    gettext("El aviso ha cambiado mientras lo leías. Léelo otra vez y decide."),
                )
            except GuardianNeeded:
                return page(found, token, words.guardian_words(register))
        return redirect(url_for(".ask", token=token, done=1), code=303)

    return routes


def _with_outcome(return_to: str | None, state: AskState) -> str | None:
    """The application's address with how it went, and nothing else of the person."""
    if return_to is None:
        return None
    parts = urlsplit(return_to)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "status"]
    return parts._replace(query=urlencode([*query, ("status", state.value)])).geturl()
