"""The person's privacy centre: what was agreed to, the words, one step to change it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask import session as session_cookie
from flask_babel import gettext
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import NotFound
from policies.register.model import Purpose, Register
from policies.vocabulary import ConsentChannel, Scope
from privacy.consent import words
from privacy.consent.acknowledgements import Acknowledgement, Acknowledgements
from privacy.consent.model import (
    ConsentEvent,
    GuardianNeeded,
    NothingToWithdraw,
    StaleNotice,
    known_purpose,
)
from privacy.consent.notice_html import notice_title
from privacy.consent.schemas import DecisionForm
from privacy.consent.service import Consents, purposes_by_basis
from privacy.http import current_actor, load, requires
from privacy.unit_of_work import Runtime, UnitOfWork

#: Where the session cookie keeps what has just been done, until the page has said it.
DONE = "consent-done"

#: What takes back a change at once. A withdrawn or refused consent is given again only on its
#: card, beside its notice: a consent is never one careless click on a banner.
UNDO = {"grant": "withdraw", "object": "lift-objection", "lift-objection": "object"}


def person() -> str:
    """Return the signed-in person's subject id.

    Raises:
        NotFound: the account is of no person whose data we hold.
    """
    subject_id = current_actor().subject_id
    if subject_id is None:
        raise NotFound("this account has no privacy centre")
    return subject_id


def blueprint(runtime: Runtime, consents: Consents) -> Blueprint:
    """Return the pages of the privacy centre."""
    routes = Blueprint("consent_pages", __name__)
    register = consents.register

    def centre_page(errors: list[tuple[str, str]] | None = None) -> str:
        subject_id = person()
        now = runtime.clock()
        with runtime.snapshot() as session:
            states = consents.current(session, subject_id)
            minor = consents.is_minor(session, subject_id, now)

        def cards(purposes: list[Purpose]) -> list[words.Card]:
            made = (
                words.card_of(
                    register,
                    purpose,
                    states[purpose.id],
                    now,
                    action_url=url_for(
                        ".decide", language=words.notice_language(purpose, register)
                    ),
                )
                for purpose in purposes
            )
            return [card for card in made if card]

        decided, others = purposes_by_basis(register)
        return render_template(
            "consent/centre.html",
            decided=cards(decided),
            others=cards(others),
            errors=errors,
            done=session_cookie.pop(DONE, None),
            guardian_words=words.guardian_words(register) if minor else None,
        )

    @routes.get("/privacy")
    @requires(Scope.SIGNED_IN)
    def centre() -> str:
        """Everything the company does with the person's data, purpose by purpose."""
        return centre_page()

    @routes.post("/privacy/consents")
    @requires(Scope.SIGNED_IN)
    def decide() -> BaseResponse | tuple[str, int]:
        """Change one purpose."""
        subject_id = person()
        form: dict[str, Any] = load(
            DecisionForm(), {**request.args.to_dict(), **request.form.to_dict()}
        )
        purpose, action = known_purpose(register, form["purpose"]), form["action"]
        title = words.in_language(purpose.title)
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                _apply(consents, uow, subject_id, purpose, form)
        except StaleNotice:
            message = gettext(
                "El aviso de «%(title)s» ha cambiado y no hemos guardado nada. "
                "Léelo de nuevo y decide.",
                title=title,
            )
            return centre_page(errors=[(purpose.id, message)]), 409
        except GuardianNeeded:
            return centre_page(errors=[(purpose.id, words.guardian_words(register))]), 409
        except NothingToWithdraw:
            text = gettext("No había nada que retirar: %(title)s.", title=title)
            session_cookie[DONE] = {"purpose": purpose.id, "kind": "info", "text": text}
        else:
            session_cookie[DONE] = _done(purpose, action, title, form)
        return redirect(url_for(".centre", _anchor="done"), code=303)

    @routes.get("/privacy/history")
    @requires(Scope.SIGNED_IN)
    def history() -> str:
        """Everything the person said, newest first."""
        with runtime.snapshot() as session:
            events = consents.history(session, person())
            states = consents.current(session, person())
            acknowledged = Acknowledgements.of_person(session, person())
        objections = [
            (words.title_of(register, state.purpose), words.hour_words(state.objected_since))
            for state in states.values()
            if state.objected_since
        ]
        entries = [_entry(event) for event in reversed(events)]
        return render_template(
            "consent/history.html",
            entries=entries,
            objections=objections,
            acknowledged=[_acknowledged(register, each) for each in reversed(acknowledged)],
        )

    def _entry(event: ConsentEvent) -> tuple[str, str, Markup]:
        title = words.title_of(register, event.purpose)
        address = url_for("consent_receipts.receipt", event_id=event.event_id)
        how = gettext(
            "%(channel)s, con la versión %(version)s del aviso",
            channel=words.channel_words(event.channel),
            version=event.notice_version,
        )
        if event.carries:
            how = gettext("Al unir tus direcciones en una cuenta sigue valiendo lo que ya dijiste")
        detail = Markup(
            '{}. <a class="nowrap" href="{}">{}<span class="visually-hidden">: {}</span></a>'
        ).format(
            how,
            address,
            gettext("Ver el recibo"),
            title,
        )
        return words.hour_words(event.at), words.event_words(event.action, title), detail

    return routes


def _acknowledged(register: Register, made: Acknowledgement) -> tuple[str, str, Markup]:
    revision = register.revision_of(made.notice, made.version)
    name = notice_title(revision, made.language) if revision else made.notice
    detail = Markup('<a href="{}">{}<span class="visually-hidden">: {}</span></a>').format(
        url_for("notice_pages.notice_version", notice_id=made.notice, version=made.version),
        gettext("Leer la versión %(version)s", version=made.version),
        name,
    )
    return words.hour_words(made.at), words.acknowledged_words(made.manner, name), detail


def _apply(
    consents: Consents,
    uow: UnitOfWork,
    subject_id: str,
    purpose: Purpose,
    form: dict[str, Any],
) -> None:
    version, language, channel = form["notice_version"], form["language"], ConsentChannel.WEB
    match form["action"]:
        case "grant":
            consents.give(
                uow,
                subject_id,
                purpose.id,
                notice_version=version,
                language=language,
                channel=channel,
                explicit=True,  # the button of this one purpose, beside its notice
            )
        case "refuse":
            consents.refuse(
                uow,
                subject_id,
                purpose.id,
                notice_version=version,
                language=language,
                channel=channel,
            )
        case "withdraw":
            consents.withdraw(
                uow,
                subject_id,
                purpose.id,
                notice_version=version,
                language=language,
                channel=channel,
            )
        case "object":
            consents.object_to(uow, subject_id, purpose.id, channel=channel)
            uow.commit()
        case _:
            consents.lift_objection(uow, subject_id, purpose.id)
            uow.commit()


def _done(purpose: Purpose, action: str, title: str, form: dict[str, Any]) -> dict[str, Any]:
    """What the page says above the card that has changed, once."""
    message: dict[str, Any] = {
        "purpose": purpose.id,
        "kind": "success",
        "text": words.done_words(action, title),
    }
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
