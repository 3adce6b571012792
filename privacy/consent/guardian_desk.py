"""What the desk does about a child's guardians, from the child's page under `/dpo/people`."""

from __future__ import annotations

from flask import Blueprint, request

from policies.errors import InvalidInput, NotFound
from policies.vocabulary import Scope
from privacy.consent.guardian_model import GuardianshipEnd, Relation
from privacy.consent.guardians import Guardians
from privacy.consent.people_pages import (
    FORM_BYTES,
    MAX_REASON,
    Answer,
    PeopleDesk,
    typed_reason,
    upload_of,
)
from privacy.http import requires, takes_up_to
from privacy.languages import page_language
from privacy.unit_of_work import UnitOfWork


def blueprint(desk: PeopleDesk) -> Blueprint:
    """Return the forms' targets."""
    routes = Blueprint("guardian_desk", __name__)

    @routes.get("/dpo/people/<subject_id>/guardians/<any(invite, prove):act>")
    @requires(Scope.DESK)
    def ask(subject_id: str, act: str) -> str:
        """Ask whom to invite, or who has shown the proof."""
        return desk.form(subject_id, act)

    @routes.post("/dpo/people/<subject_id>/guardians/invite")
    @requires(Scope.DESK)
    def invite(subject_id: str) -> Answer:
        """Invite a parent or guardian by mail."""
        email = request.form.get("email", "").strip()
        return desk.do(
            subject_id,
            "invite",
            lambda uow: desk.guardians.invite(uow, subject_id, email, page_language()),
        )

    @routes.post("/dpo/people/<subject_id>/guardians/prove")
    @takes_up_to(FORM_BYTES)
    @requires(Scope.DESK)
    def prove(subject_id: str) -> Answer:
        """Note a guardian who has shown the proof at the desk."""
        return desk.do(subject_id, "prove", lambda uow: _prove(desk.guardians, uow, subject_id))

    @routes.get("/dpo/people/<subject_id>/guardians/<guardianship_id>/end")
    @requires(Scope.DESK)
    def ask_end(subject_id: str, guardianship_id: str) -> str:  # noqa: ARG001 - the form's own address
        """Ask why a guardianship ends."""
        return desk.form(subject_id, "end")

    @routes.post("/dpo/people/<subject_id>/guardians/<guardianship_id>/end")
    @requires(Scope.DESK)
    def end(subject_id: str, guardianship_id: str) -> Answer:
        """End a guardianship, and with it what was said in it; or take an invitation back."""

        def act(uow: UnitOfWork) -> None:
            known = {each.guardianship_id for each in Guardians.of_child(uow.session, subject_id)}
            if guardianship_id not in known:
                raise NotFound("there is no such guardianship")
            desk.guardians.end(uow, guardianship_id, GuardianshipEnd.DESK, typed_reason())

        return desk.do(subject_id, "end", act)

    return routes


def _prove(guardians: Guardians, uow: UnitOfWork, child_id: str) -> None:
    form, upload = request.form, upload_of()
    if form.get("relation") not in list(Relation):
        raise InvalidInput("choose one", field="relation")
    if upload is None:
        raise InvalidInput("attach the proof", field="evidence")
    guardians.accept_at_desk(
        uow,
        child_id,
        Relation(form["relation"]),
        who=form.get("who", "")[:MAX_REASON],
        upload=upload,
        language=page_language(),
        email=form.get("email", "").strip() or None,
    )
