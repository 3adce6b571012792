"""`/privacy/children` and `/privacy/guardian`: a child's guardian decides for them.

The child invites; the guardian accepts with an account of their own, and then decides purpose by
purpose with the same cards as everybody, until the birthday.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import Conflict, DomainError, Forbidden, InvalidInput
from policies.vocabulary import ConsentAction, LegalBasis, Scope
from privacy.consent import people_words, words
from privacy.consent.guardian_model import Guardianship, GuardianshipEnd, NotAMinor, Relation
from privacy.consent.guardian_words import speak
from privacy.consent.guardians import Guardians
from privacy.consent.model import NothingToWithdraw, StaleNotice, consent_purpose
from privacy.consent.pages import person
from privacy.consent.schemas import DecisionForm
from privacy.consent.service import Consents
from privacy.http import current_actor, load, requires
from privacy.languages import page_language
from privacy.unit_of_work import Runtime

#: What a child's card can send, and what it says.
SAYS: Final = {
    "grant": ConsentAction.GIVEN,
    "refuse": ConsentAction.REFUSED,
    "withdraw": ConsentAction.WITHDRAWN,
}

Answer = BaseResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class GuardianPages:
    """The pages, and what they work with."""

    runtime: Runtime
    consents: Consents
    guardians: Guardians

    def own(self, error: DomainError | None = None) -> str:
        """Return the page where a minor sees and invites who decides for them."""
        now = self.runtime.clock()
        with self.runtime.snapshot() as session:
            minor = self.consents.is_minor(session, person(), now)
            found = [
                (each, self.guardians.contact(session, each.guardianship_id))
                for each in Guardians.of_child(session, person())
            ]
        wrong = people_words.fault(error) if error else None
        return render_template(
            "guardians/own.html",
            minor=minor,
            guardianships=found,
            relation_words=people_words.relation,
            guardianship_words=lambda each: people_words.guardianship(each, now),
            typed=request.form,
            wrong=wrong,
            errors=[("email", wrong)] if wrong else [],
        )

    def invitation(self, token: str, errors: list[tuple[str | None, str]]) -> str:
        """Return the page behind the mailed link; nothing changes before its button."""
        with self.runtime.snapshot() as session:
            found = Guardians.behind_link(session, token, self.runtime.clock())
            child = self.guardians.child_name(session, found.child_id)
        return render_template(
            "guardians/accept.html",
            token=token,
            child=child,
            age=self.consents.register.controller.age_of_consent,
            relations=[(each.value, people_words.relation(each)) for each in Relation],
            typed=request.form,
            errors=errors,
            wrong={name: text for name, text in errors if name},
        )

    def child(self, guardianship_id: str, errors: list[tuple[str, str]] | None = None) -> str:
        """Return a child's cards: what needs consent, as it stands.

        Raises:
            NotFound: it is no child of this person's, or no longer.
        """
        now, register = self.runtime.clock(), self.consents.register
        with self.runtime.snapshot() as session:
            found, name = self._child(session, guardianship_id)
            states = self.consents.current(session, found.child_id)
            until = self.guardians.until(session, found.child_id)
        cards = [
            words.card_of(
                register,
                purpose,
                states[purpose.id],
                now,
                action_url=url_for(
                    ".decide",
                    guardianship_id=guardianship_id,
                    language=words.notice_language(purpose, register),
                ),
            )
            for purpose in register.purposes.values()
            if purpose.legal_basis is LegalBasis.CONSENT
        ]
        return render_template(
            "guardians/child.html",
            guardianship=found,
            child=name,
            until=words.day_words(until) if until else None,
            cards=[
                replace(card, history_url=None, receipt_url=None, can_renew=False)
                for card in cards
                if card
            ],
            errors=errors or [],
        )

    def decide(self, guardianship_id: str) -> Answer:
        """Record what the guardian says of one purpose."""
        form: dict[str, Any] = load(
            DecisionForm(), {**request.args.to_dict(), **request.form.to_dict()}
        )
        said = SAYS.get(form["action"])
        if said is None:
            raise InvalidInput("grant, refuse or withdraw", field="action")
        purpose = consent_purpose(self.consents.register, form["purpose"])
        title = words.in_language(purpose.title)
        try:
            with self.runtime.unit_of_work(current_actor()) as uow:
                found, _name = self._child(uow.session, guardianship_id)
                speak(
                    self.consents,
                    uow,
                    found,
                    said,
                    purpose.id,
                    notice_version=form["notice_version"],
                    language=form["language"],
                )
                uow.commit()
        except StaleNotice:
            message = gettext(
                "El aviso de «%(title)s» ha cambiado y no hemos guardado nada. "
                "Léelo de nuevo y decide.",
                title=title,
            )
            return self.child(guardianship_id, [(purpose.id, message)]), 409
        except NothingToWithdraw:
            flash(gettext("No había nada que retirar: %(title)s.", title=title), "info")
        else:
            flash(words.done_words(form["action"], title), "success")
        return redirect(url_for(".child", guardianship_id=guardianship_id), 303)

    def _child(self, session: Session, guardianship_id: str) -> tuple[Guardianship, str]:
        return self.guardians.of_guardian(session, person(), guardianship_id, self.runtime.clock())


def blueprint(pages: GuardianPages) -> Blueprint:
    """Return the pages of children and their guardians."""
    routes = Blueprint("guardian_pages", __name__)
    runtime, guardians = pages.runtime, pages.guardians

    @routes.get("/privacy/guardian")
    @requires(Scope.SIGNED_IN)
    def own() -> str:
        """Who decides for a minor."""
        return pages.own()

    @routes.post("/privacy/guardian")
    @requires(Scope.SIGNED_IN)
    def invite() -> Answer:
        """Invite a parent or guardian by mail."""
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                email = request.form.get("email", "").strip()
                guardians.invite(uow, person(), email, page_language())
                uow.commit()
        except (InvalidInput, Conflict) as error:
            return pages.own(error), people_words.status(error)
        flash(gettext("La invitación sale por correo."), "success")
        return redirect(url_for(".own"), 303)

    @routes.get("/privacy/guardian/<token>")
    @requires(Scope.SIGNED_IN)
    def invitation(token: str) -> str:
        """What a mailed invitation asks."""
        return pages.invitation(token, [])

    @routes.post("/privacy/guardian/<token>")
    @requires(Scope.SIGNED_IN)
    def accept(token: str) -> Answer:
        """Accept an invitation, once, as the signed-in person."""
        relation = request.form.get("relation", "")
        if relation not in list(Relation):
            text = gettext("Elige qué eres para el menor.")
            return pages.invitation(token, [("relation", text)]), 422
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                found = guardians.accept(uow, token, person(), Relation(relation))
                uow.commit()
        except (Forbidden, NotAMinor) as error:
            return pages.invitation(token, [(None, people_words.fault(error))]), 409
        return redirect(url_for(".child", guardianship_id=found.guardianship_id), 303)

    @routes.get("/privacy/children")
    @requires(Scope.SIGNED_IN)
    def children() -> str:
        """For whom this person decides."""
        with runtime.snapshot() as session:
            found = guardians.children_of(session, person(), runtime.clock())
        return render_template("guardians/children.html", children=found)

    @routes.get("/privacy/children/<guardianship_id>")
    @requires(Scope.SIGNED_IN)
    def child(guardianship_id: str) -> str:
        """What needs consent for one child, as it stands."""
        return pages.child(guardianship_id)

    @routes.post("/privacy/children/<guardianship_id>")
    @requires(Scope.SIGNED_IN)
    def decide(guardianship_id: str) -> Answer:
        """Change one purpose for one child."""
        return pages.decide(guardianship_id)

    @routes.post("/privacy/children/<guardianship_id>/end")
    @requires(Scope.SIGNED_IN)
    def end(guardianship_id: str) -> BaseResponse:
        """Stop being a child's guardian here."""
        with runtime.unit_of_work(current_actor()) as uow:
            guardians.of_guardian(uow.session, person(), guardianship_id, uow.now)
            guardians.end(uow, guardianship_id, GuardianshipEnd.GUARDIAN)
            uow.commit()
        flash(gettext("Ya no decides por este menor."), "success")
        return redirect(url_for(".children"), 303)

    return routes
