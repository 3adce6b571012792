"""The desk's pages with which the DPO ends consents: one person's, or all of a collection.

Nothing ends before a page has said how many people it concerns.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, ngettext
from marshmallow import EXCLUDE, Schema, fields, pre_load, validate
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import Forbidden, InvalidInput, NotFound
from policies.register.model import NoticeRevision, Register
from policies.vocabulary import ConsentAction, Role, Scope
from privacy.consent import lifecycle_store, store
from privacy.consent.lifecycle import BY_CONTROLLER, MAX_REASON, Collection, Lifecycle
from privacy.consent.model import IN_FORCE, NothingToWithdraw
from privacy.consent.notice_html import notice_title
from privacy.consent.people_looks import note_look
from privacy.consent.service import purposes_by_basis
from privacy.consent.words import hour_words, title_of
from privacy.desk import DESK_SECTIONS, action_words
from privacy.http import InvalidFields, current_actor, load, requires
from privacy.languages import page_language
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

HOME = "/dpo/endings"
MAX_NAME = 200
#: The language that every notice has.
FALLBACK = "es"


class _Form(Schema):
    action = fields.Enum(ConsentAction, by_value=True, required=True)
    reason = fields.String(required=True, validate=validate.Length(min=1, max=MAX_REASON))

    @pre_load
    def _without_empty(self, data: dict[str, str], **_: object) -> dict[str, str]:
        return {name: value.strip() for name, value in data.items() if value.strip()}


class PersonForm(_Form):
    """One person's consent."""

    person = fields.String(required=True, validate=validate.Length(max=320))
    purpose = fields.String(required=True, validate=validate.Length(max=128))


class CollectionForm(_Form):
    """All consents under a notice revision, written `notice:version`; or one collector's."""

    revision = fields.String(
        required=True, validate=validate.Regexp(r"[a-z0-9.-]{1,64}:[0-9]{1,6}$")
    )
    recorded_by = fields.String(load_default=None, validate=validate.Length(max=MAX_NAME))


class EndingPages:
    """What the pages need.

    Args:
        runtime: the two doors.
        lifecycle: ends consents.
        subjects: finds people by address.
        pseudonyms: and by an application's name for them.
        register: names purposes and notices.
    """

    def __init__(
        self,
        runtime: Runtime,
        lifecycle: Lifecycle,
        subjects: Subjects,
        pseudonyms: Pseudonyms,
        register: Register,
    ) -> None:
        self.runtime = runtime
        self.lifecycle = lifecycle
        self.register = register
        self._subjects = subjects
        self._pseudonyms = pseudonyms

    def whose(self, text: str, purpose: str) -> str:
        """Return whom an address or a pseudonym finds, who has a consent in force; the look is kept.

        Raises:
            InvalidInput: it is neither.
            NotFound: nobody.
            NothingToWithdraw: no consent of theirs is in force.
        """
        with self.runtime.snapshot() as session:
            found = self._pseudonyms.issued_for(session, text)
            if found is None:
                found = self._subjects.find_by_email(session, text, field="person")
            person = None if found is None else self._subjects.current(session, found)
            consent = store.state_of(session, person, purpose).consent if person else None
        note_look(self.runtime, person, "ending")
        if person is None:
            raise NotFound("nobody is known by that", field="person")
        if consent is None or consent.action not in IN_FORCE:
            raise NothingToWithdraw("nothing to end", field="purpose")
        return person

    def size(self, session: Session, of: Collection) -> tuple[int, int]:
        """Return how many (people, consents) a collection is.

        Raises:
            NothingToWithdraw: none.
        """
        people, consents = self.lifecycle.count(session, of, self.runtime.clock())
        if not people:
            raise NothingToWithdraw("nothing to end", field="revision")
        return people, consents

    def show(
        self, typed: dict[str, str], errors: list[tuple[str, str]] | None = None, form: str = ""
    ) -> str:
        """Render the forms and the orders so far; `form` says to which the errors belong."""
        with self.runtime.snapshot() as session:
            orders = lifecycle_store.endings(session)
        decided, _ = purposes_by_basis(self.register)
        choose = ("", gettext("Elige una opción"))
        asked = dict.fromkeys(each.notice for each in decided)
        revisions = [
            (f"{each.notice}:{each.version}", _named(each))
            for notice in asked
            for each in reversed(self.register.notices[notice].revisions)
            if each.published
        ]
        return render_template(
            "consent/endings.html",
            desk_sections=DESK_SECTIONS,
            orders=orders,
            typed=typed,
            form=form,
            errors=errors,
            wrong=dict(errors or []),
            purposes=[choose, *((each.id, title_of(self.register, each.id)) for each in decided)],
            revisions=[choose, *revisions],
            actions=[choose, *_actions()],
            notice_words=self.notice_words,
            action_words=lambda action: action_words(ConsentAction(action)),
            hour_words=hour_words,
        )

    def notice_words(self, notice: str, version: int) -> str:
        """The title and version of a notice; its id where the register has it no more."""
        revision = self.register.revision_of(notice, version)
        return _named(revision) if revision else f"{notice}, {version}"


def _named(revision: NoticeRevision) -> str:
    language = page_language() if page_language() in revision.texts else FALLBACK
    title = notice_title(revision, language)
    return str(gettext("%(title)s, versión %(version)s", title=title, version=revision.version))


def blueprint(pages: EndingPages) -> Blueprint:
    """Return the pages."""
    routes = Blueprint("ending_pages", __name__)
    runtime = pages.runtime

    @routes.get(HOME)
    @requires(Scope.DESK)
    def forms() -> str:
        """Ask what is to end, and show the orders so far."""
        _demand_dpo()
        return pages.show({})

    @routes.post(f"{HOME}/person")
    @requires(Scope.DESK)
    def end_person() -> str | BaseResponse | tuple[str, int]:
        """Ask for a confirmation, and with it end one person's consent."""
        _demand_dpo()
        typed = _typed(PersonForm)
        try:
            given = _read(PersonForm, typed)
            person = pages.whose(given["person"], given["purpose"])
        except (InvalidInput, NotFound, NothingToWithdraw) as refusal:
            return pages.show(typed, _errors(refusal), "person"), 422
        if "confirmed" not in request.form:
            title = title_of(pages.register, given["purpose"])
            return _confirm("person", typed, given, title, people=1, consents=1)
        with runtime.unit_of_work(current_actor()) as uow:
            pages.lifecycle.end(uow, person, given["purpose"], given["action"], given["reason"])
        flash(gettext("Hecho: el consentimiento ya no vale."), "success")
        return redirect(HOME, code=303)

    @routes.post(f"{HOME}/collection")
    @requires(Scope.DESK)
    def end_collection() -> str | BaseResponse | tuple[str, int]:
        """Ask for a confirmation, and with it order that all consents of a collection end."""
        _demand_dpo()
        typed = _typed(CollectionForm)
        try:
            given = _read(CollectionForm, typed)
            notice, version = given["revision"].rsplit(":", 1)
            of = Collection(notice, int(version), given["recorded_by"])
            with runtime.snapshot() as session:
                people, consents = pages.size(session, of)
        except (InvalidInput, NothingToWithdraw) as refusal:
            return pages.show(typed, _errors(refusal), "collection"), 422
        if "confirmed" not in request.form:
            title = pages.notice_words(notice, int(version))
            return _confirm("collection", typed, given, title, people=people, consents=consents)
        with runtime.unit_of_work(current_actor()) as uow:
            pages.lifecycle.order(uow, of, given["action"], given["reason"])
        flash(gettext("Ordenado. Abajo se ve cuántos han terminado ya."), "success")
        return redirect(HOME, code=303)

    return routes


def _demand_dpo() -> None:
    """Let the DPO pass: staff may look, but ends nobody's consent.

    Raises:
        Forbidden: the caller is not the DPO.
    """
    if current_actor().role is not Role.DPO:
        raise Forbidden("the data protection officer alone ends consents")


def _typed(form: type[Schema]) -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in form().fields}


def _read(form: type[Schema], typed: dict[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = load(form(unknown=EXCLUDE), typed)
    if given["action"] not in BY_CONTROLLER:
        raise InvalidFields([("action", "not this one")])
    return given


def _actions() -> list[tuple[str, str]]:
    return [
        (ConsentAction.REVOKED.value, gettext("Revocar: vale hasta ahora y no después")),
        (ConsentAction.INVALIDATED.value, gettext("Anular: se obtuvo mal y nunca valió")),
    ]


def _confirm(
    kind: str,
    typed: dict[str, str],
    given: dict[str, Any],
    title: str,
    *,
    people: int,
    consents: int,
) -> str:
    question = ngettext(
        "¿Poner fin a los consentimientos de %(num)s persona?",
        "¿Poner fin a los consentimientos de %(num)s personas?",
        people,
    )
    return render_template(
        "consent/ending_confirm.html",
        desk_sections=DESK_SECTIONS,
        address=f"{HOME}/{kind}",
        typed={name: value for name, value in typed.items() if value},
        question=question,
        consents=consents,
        title=title,
        action=action_words(given["action"]),
        reason=given["reason"],
        collector=given.get("recorded_by"),
    )


def _errors(refusal: InvalidInput | NotFound | NothingToWithdraw) -> list[tuple[str, str]]:
    words: dict[str, Any] = {
        "person": gettext("No consta nadie con esa dirección ni con ese seudónimo."),
        "purpose": gettext("No hay ningún consentimiento en vigor para esa finalidad."),
        "revision": gettext("No hay ningún consentimiento en vigor con ese aviso."),
        "recorded_by": gettext("Falta quién los recogió, en 200 caracteres como mucho."),
        "missing-person": gettext("Falta una dirección de correo o un seudónimo."),
        "missing-purpose": gettext("Falta elegir la finalidad."),
        "missing-revision": gettext("Falta elegir el aviso."),
        "action": gettext("Falta elegir qué hacer."),
        "reason": gettext("Falta el motivo, en 500 caracteres como mucho."),
    }
    wrong = {name for name, _ in getattr(refusal, "errors", ())}
    missing = [name for name in words if name in wrong]  # in the order of the form
    if missing:
        return [(name, str(words.get(f"missing-{name}", words[name]))) for name in missing]
    name = refusal.field or "person"
    return [(name, str(words[name]))]
