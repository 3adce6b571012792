"""The person's privacy centre: what was agreed to, the words, one step to change it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask import session as session_cookie
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import NotFound
from policies.register.model import Purpose
from policies.vocabulary import Scope
from privacy.consent import words
from privacy.consent.group_words import cards
from privacy.consent.marketing import Marketing
from privacy.consent.model import (
    GuardianNeeded,
    NothingToWithdraw,
    StaleNotice,
    UnknownPurpose,
    known_purpose,
)
from privacy.consent.portal_answers import answer, answer_for_all
from privacy.consent.schemas import DecisionForm, GroupForm
from privacy.consent.service import Consents, purposes_by_basis
from privacy.consent.waiting_model import QuestionsTo
from privacy.http import current_actor, load, requires
from privacy.unit_of_work import Runtime

#: Where the session cookie keeps what has just been done, until the page has said it.
DONE = "consent-done"

#: What takes back a change at once. A withdrawn or refused consent is given again only on its
#: card, beside its notice: a consent is never one careless click on a banner.
UNDO = {"grant": "withdraw", "object": "lift-objection", "lift-objection": "object"}


#: A page that says why nothing was recorded, with its status.
Refused = tuple[str, int]


def person() -> str:
    """Return the signed-in person's subject id.

    Raises:
        NotFound: the account is of no person whose data we hold.
    """
    subject_id = current_actor().subject_id
    if subject_id is None:
        raise NotFound("this account has no privacy centre")
    return subject_id


class _Centre:
    """The page of the privacy centre."""

    def __init__(self, runtime: Runtime, consents: Consents, questions: QuestionsTo) -> None:
        self._runtime = runtime
        self._consents = consents
        self._questions = questions

    def page(self, errors: list[tuple[str, str]] | None = None) -> str:
        """Everything about the person, with what a form of it got wrong."""
        subject_id, now, register = person(), self._runtime.clock(), self._consents.register
        with self._runtime.snapshot() as session:
            states = self._consents.current(session, subject_id)
            minor = self._consents.is_minor(session, subject_id, now)
            waiting = self._questions(session, subject_id, now)
        decided, others = purposes_by_basis(register)
        return render_template(
            "consent/centre.html",
            decided=cards(register, decided, states, now, addresses=_addresses),
            others=cards(register, others, states, now, addresses=_addresses),
            waiting=waiting,
            day_words=words.day_words,
            errors=errors,
            done=session_cookie.pop(DONE, None),
            guardian_words=words.guardian_words(register) if minor else None,
        )

    def refused(self, name: str, title: str, error: StaleNotice | GuardianNeeded) -> Refused:
        """The page again, with why nothing was recorded."""
        if isinstance(error, StaleNotice):
            return self.page(errors=[(name, _stale_words(title))]), 409
        return self.page(errors=[(name, words.guardian_words(self._consents.register))]), 409


def _addresses(language: str) -> tuple[str, str]:
    """Where the form of one purpose goes, and that of a group, whose notice is in a language."""
    return (
        url_for("consent_pages.decide", language=language),
        url_for("consent_pages.decide_all", language=language),
    )


def blueprint(
    runtime: Runtime, consents: Consents, marketing: Marketing, questions: QuestionsTo
) -> Blueprint:
    """Return the pages of the privacy centre.

    Args:
        runtime: the doors.
        consents: what people said.
        marketing: objections to it.
        questions: what is open to a person.
    """
    routes = Blueprint("consent_pages", __name__)
    register = consents.register
    whole = _Centre(runtime, consents, questions)

    @routes.get("/privacy")
    @requires(Scope.SIGNED_IN)
    def centre() -> str:
        """Everything the company does with the person's data, purpose by purpose."""
        return whole.page()

    @routes.post("/privacy/consents")
    @requires(Scope.SIGNED_IN)
    def decide() -> BaseResponse | Refused:
        """Change one purpose."""
        subject_id = person()
        form = _form(DecisionForm())
        purpose, action = known_purpose(register, form["purpose"]), form["action"]
        title = words.in_language(purpose.title)
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                if action == "object" and purpose.direct_marketing:
                    marketing.answer(uow, subject_id, purpose, words.language())
                answer(consents, uow, subject_id, purpose, form)
        except (StaleNotice, GuardianNeeded) as error:
            return whole.refused(purpose.id, title, error)
        except NothingToWithdraw:
            text = gettext("No había nada que retirar: %(title)s.", title=title)
            session_cookie[DONE] = {"purpose": purpose.id, "kind": "info", "text": text}
        else:
            session_cookie[DONE] = _done(purpose, action, title, form)
        return redirect(url_for(".centre", _anchor="done"), code=303)

    @routes.post("/privacy/consents/all")
    @requires(Scope.SIGNED_IN)
    def decide_all() -> BaseResponse | Refused:
        """Answer for every channel or partner of a purpose: an event for each, all or none."""
        subject_id = person()
        form = _form(GroupForm())
        group = register.groups.get(form["purpose"])
        if group is None:
            raise UnknownPurpose("the register has no such purpose", field="purpose")
        title = words.in_language(group.title)
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                changed = answer_for_all(consents, uow, subject_id, group.units, form)
        except (StaleNotice, GuardianNeeded) as error:
            return whole.refused(group.id, title, error)
        text = words.done_words(form["action"], title)
        if not changed:
            text = gettext("No había nada que cambiar: %(title)s.", title=title)
        kind = "success" if changed else "info"
        session_cookie[DONE] = {"purpose": group.id, "kind": kind, "text": text}
        return redirect(url_for(".centre", _anchor="done"), code=303)

    return routes


def _form(schema: DecisionForm) -> dict[str, Any]:
    loaded: dict[str, Any] = load(schema, {**request.args.to_dict(), **request.form.to_dict()})
    return loaded


def _stale_words(title: str) -> str:
    return str(
        gettext(
            "El aviso de «%(title)s» ha cambiado y no hemos guardado nada. Léelo de nuevo y decide.",
            title=title,
        )
    )


def _done(purpose: Purpose, action: str, title: str, form: dict[str, Any]) -> dict[str, Any]:
    """What the page says above the card that has changed, once."""
    message: dict[str, Any] = {
        "purpose": purpose.id,
        "kind": "success",
        "text": words.done_words(action, title),
    }
    if action == "object" and purpose.direct_marketing:
        message["text"] += " " + words.exclusion_words()
    if action in UNDO:
        message |= {
            "undo_url": url_for(".decide", language=form["language"]),
            "undo_label": gettext("Deshacer"),
            "undo_fields": {
                "purpose": purpose.id,
                "action": UNDO[action],
                "notice_version": str(form["notice_version"]),
            },
        }
    return message
