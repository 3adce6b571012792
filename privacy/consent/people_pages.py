"""`/dpo/people`: one person at the desk: death, restriction, guardians, attached evidence.

What somebody told staff is written down at `/dpo/word` (`representation_pages`), and guardians are
invited, proved and ended by `guardian_desk`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import Conflict, Forbidden, InvalidInput, NotFound
from policies.vocabulary import Role, Scope
from privacy.consent import people_words as words
from privacy.consent.attachment_model import MAX_BYTES, Upload
from privacy.consent.attachments import Attachments
from privacy.consent.guardian_model import Relation
from privacy.consent.guardians import Guardians
from privacy.consent.people_looks import note_look
from privacy.desk import DESK_SECTIONS
from privacy.http import current_actor, requires
from privacy.keys.blind_index import IdentifierKind
from privacy.languages import page_language
from privacy.mail import Postbox
from privacy.subjects import standing
from privacy.subjects.model import Subject
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime, UnitOfWork

MAX_REASON: Final = 500
#: A file of the greatest length, and the form around it.
FORM_BYTES: Final = MAX_BYTES + 64 * 1024

Errors = list[tuple[str | None, str]]
Answer = BaseResponse | tuple[str, int]


def typed_reason() -> str:
    """Return the reason that staff typed.

    Raises:
        InvalidInput: it is empty or too long; names the field.
    """
    reason = request.form.get("reason", "").strip()
    if not reason or len(reason) > MAX_REASON:
        raise InvalidInput(f"1 to {MAX_REASON} characters", field="reason")
    return reason


def upload_of(name: str = "evidence") -> Upload | None:
    """Return the file of a form; None where none was chosen."""
    file = request.files.get(name)
    if file is None or not file.filename:
        return None
    return Upload(file.filename, file.read(MAX_BYTES + 1))


@dataclass(frozen=True, slots=True)
class PeopleDesk:
    """The page of one person at the desk, and what its forms do."""

    runtime: Runtime
    subjects: Subjects
    attachments: Attachments
    guardians: Guardians
    postbox: Postbox

    def person(self, subject_id: str) -> str:
        """Return the page of one person.

        Raises:
            NotFound: there is no such person.
        """
        now = self.runtime.clock()
        note_look(self.runtime, subject_id, "person")
        with self.runtime.snapshot() as session:
            found, emails = self._found(session, subject_id)
            minor_until = self.subjects.minor_until(session, found.subject_id)
            guardianships = [
                (each, self.guardians.contact(session, each.guardianship_id))
                for each in Guardians.of_child(session, found.subject_id)
            ]
            attached = Attachments.of_person(session, found.subject_id)
        lift_from = found.lift_told_at + standing.LIFT_NOTICE if found.lift_told_at else None
        return render_template(
            "people/person.html",
            desk_sections=DESK_SECTIONS,
            person=found,
            emails=emails,
            minor_until=minor_until if minor_until and minor_until > now else None,
            guardianships=guardianships,
            attachments=attached,
            may_read=current_actor().role is Role.DPO,
            may_lift=lift_from is not None and now >= lift_from,
            lift_from=lift_from,
            relation_words=words.relation,
            guardianship_words=lambda each: words.guardianship(each, now),
            media_words=words.media,
        )

    def form(self, subject_id: str, act: str, errors: Errors | None = None) -> str:
        """Return the page that names what an act does, asks why, and does it with one button.

        Raises:
            NotFound: there is no such person.
        """
        note_look(self.runtime, subject_id, act)
        with self.runtime.snapshot() as session:
            found, emails = self._found(session, subject_id)
            is_told_by_mail = bool(emails) and bool(self.subjects.proved_email(session, subject_id))
        return render_template(
            "people/act.html",
            desk_sections=DESK_SECTIONS,
            act=act,
            words=words.act(act),
            person=found,
            emails=emails,
            is_told_by_mail=is_told_by_mail,
            relations=[(each.value, words.relation(each)) for each in Relation],
            typed=request.form,
            wrong={name: text for name, text in errors or [] if name},
            errors=errors or [],
        )

    def do(self, subject_id: str, name: str, act: Callable[[UnitOfWork], object]) -> Answer:
        """Do what a form asks and lead back to the person, or show what is wrong with it."""
        try:
            with self.runtime.unit_of_work(current_actor()) as uow:
                act(uow)
                uow.commit()
        except (InvalidInput, Conflict, Forbidden) as error:
            return self.form(subject_id, name, words.faults(error)), words.status(error)
        flash(words.done(name), "success")
        return redirect(url_for("people_desk.person", subject_id=subject_id), 303)

    def _found(self, session: Session, subject_id: str) -> tuple[Subject, list[str]]:
        found = self.subjects.standing(session, self.subjects.current(session, subject_id))
        if found is None:
            raise NotFound("there is no such person")
        return found, [] if found.erased else self.subjects.emails(session, found.subject_id)

    def announce(self, uow: UnitOfWork, subject_id: str, *, reason: str) -> None:
        """Tell the person that the restriction is to be lifted, by mail where we can.

        Raises:
            InvalidInput: no address is proved, and staff do not say how the person was told.
        """
        to = self.subjects.proved_email(uow.session, subject_id)
        told = "mail" if to else request.form.get("told", "").strip()
        if not told or len(told) > MAX_REASON:
            raise InvalidInput("say how the person was told", field="told")
        self.subjects.announce_lifting(uow, subject_id, reason=reason, told=told)
        if to:
            self.postbox.send(
                uow,
                to=to,
                letter="restriction-lifting",
                locale=page_language(),
                values={"reason": reason, "days": standing.LIFT_NOTICE.days},
            )


def blueprint(desk: PeopleDesk) -> Blueprint:
    """Return the pages of one person at the desk."""
    routes = Blueprint("people_desk", __name__)
    acts: Mapping[str, Callable[..., object]] = {
        "restrict": standing.restrict,
        "announce": desk.announce,
        "lift": standing.lift_restriction,
        "deceased": standing.mark_deceased,
        "alive": standing.correct_death,
    }
    names = ", ".join(acts)

    @routes.get("/dpo/people")
    @requires(Scope.DESK)
    def search() -> str:
        """Ask for an address or a number."""
        return _search("", [])

    @routes.post("/dpo/people")
    @requires(Scope.DESK)
    def find() -> Answer:
        """Lead to whom an address or a number finds; that it was looked for is recorded.

        What was typed never stands in an address line.
        """
        typed = request.form.get("person", "").strip()
        kind = IdentifierKind.EMAIL if "@" in typed else IdentifierKind.PHONE
        identifiers = desk.subjects.identifiers
        try:
            identifier = identifiers.read(kind, typed, field="person")
        except InvalidInput:
            return _search(typed, [("person", gettext("Escribe un correo o un teléfono."))]), 422
        with desk.runtime.snapshot() as session:
            found = identifiers.find(session, identifier)
            if found is not None:
                found = desk.subjects.current(session, found)
        note_look(desk.runtime, found, "search")
        if found is None:
            text = gettext("No hay nadie con ese correo ni ese teléfono en nuestros datos.")
            return _search(typed, [("person", text)]), 404
        return redirect(url_for(".person", subject_id=found), 303)

    @routes.get("/dpo/people/<subject_id>")
    @requires(Scope.DESK)
    def person(subject_id: str) -> str:
        """One person: how their data stands, and what can be done about it."""
        return desk.person(subject_id)

    @routes.get(f"/dpo/people/<subject_id>/<any({names}):act>")
    @requires(Scope.DESK)
    def ask(subject_id: str, act: str) -> str:
        """Ask why before a restriction, its end, or a death is noted."""
        return desk.form(subject_id, act)

    @routes.post(f"/dpo/people/<subject_id>/<any({names}):act>")
    @requires(Scope.DESK)
    def stand(subject_id: str, act: str) -> Answer:
        """Restrict, announce the end of a restriction, lift it; note a death, or correct one."""
        return desk.do(
            subject_id, act, lambda uow: acts[act](uow, subject_id, reason=typed_reason())
        )

    @routes.post("/dpo/attachments/<attachment_id>")
    @requires(Scope.DESK, page="/dpo/people")
    def attachment(attachment_id: str) -> BaseResponse:
        """Hand the data protection officer a copy of a file; that it was taken is recorded."""
        actor = current_actor()
        if actor.role is not Role.DPO:
            raise Forbidden("the data protection officer alone")
        try:
            with desk.runtime.unit_of_work(actor) as uow:
                found, upload = desk.attachments.take(uow, attachment_id)
        except NotFound:
            note_look(desk.runtime, None, "attachment")
            raise
        return send_file(
            BytesIO(upload.content),
            mimetype=found.media_type,
            as_attachment=True,
            download_name=upload.name,
        )

    return routes


def _search(typed: str, errors: Errors) -> str:
    return render_template(
        "people/search.html", desk_sections=DESK_SECTIONS, typed=typed, errors=errors
    )
