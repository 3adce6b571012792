"""`/dpo`: the queue of requests, and each request with what staff can do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.deadlines import days_left
from policies.errors import InvalidInput
from policies.register.model import Register
from policies.vocabulary import Right, RightsState, Scope
from privacy.consent.people_looks import note_look
from privacy.desk import DESK_SECTIONS
from privacy.http import current_actor, requires
from privacy.languages import page_language
from privacy.rights import store, words
from privacy.rights.access import text_in
from privacy.rights.model import RECTIFIABLE, Detail, InvalidRequest, RightsRequest, asked_from
from privacy.rights.service import Rights
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

PAGE: Final = 50
#: A longer one is no page that exists, and `int` refuses thousands of digits.
_PAGE_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")
SOON: Final = timedelta(days=7)
ANY_STATE: Final = "any"
ANSWERS: Final = {"fulfil": RightsState.FULFILLED, "refuse": RightsState.REFUSED}


def blueprint(
    runtime: Runtime, rights: Rights, subjects: Subjects, register: Register
) -> Blueprint:
    """Return the routes of the desk."""
    routes = Blueprint("rights_desk", __name__)
    zone = ZoneInfo(register.controller.time_zone)

    def left(found: RightsRequest) -> int:
        return days_left(found.due, runtime.clock(), zone=zone)

    @routes.get("/dpo")
    @requires(Scope.DESK)
    def queue() -> Response:
        """Show the requests that match the address's filters, most urgent first."""
        wanted, chosen = _filter(request.args)
        page = _page_number(request.args.get("page", ""))
        now = runtime.clock()
        with runtime.snapshot() as reading:
            found, total = store.queue(reading, wanted, now, offset=(page - 1) * PAGE, limit=PAGE)
            counts = store.open_counts(reading, now, SOON)
        return _page(
            "rights/queue.html",
            requests=[(each, left(each)) for each in found],
            total=total,
            counts=counts,
            chosen=chosen,
            right_options=[("", gettext("Todos"))]
            + [(each.value, words.right_name(each)) for each in Right],
            state_options=[(ANY_STATE, gettext("Todos"))]
            + [(each.value, words.state_name(each)) for each in RightsState],
            page=page,
            pages=max(1, -(-total // PAGE)),
            url_for_page=lambda number: "/dpo?" + urlencode({**chosen, "page": number}),
        )

    @routes.get("/dpo/requests/<request_id>")
    @requires(Scope.DESK)
    def detail(request_id: str) -> Response:
        """Show one request with its message and what is known of the person."""
        return _detail(request_id, {}, None)

    @routes.post("/dpo/requests/<request_id>/answer")
    @requires(Scope.DESK)
    def answer(request_id: str) -> BaseResponse:
        """Do what is asked, or refuse it, and write to the person."""
        names = ("text", "answer", "attribute", "value", "purpose")
        typed = {name: request.form.get(name, "") for name in names}
        state = ANSWERS.get(typed["answer"])
        if state is None:
            raise InvalidInput("answer is fulfil or refuse", field="answer")
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                found, _contents = rights.opened(uow.session, request_id)
                changed = _changed(found, typed)
                closed = rights.answer(uow, request_id, state, typed["text"], changed)
        except InvalidRequest as error:
            return _detail(request_id, typed, error)
        flash(
            gettext("%(ref)s: respondida. La respuesta sale por correo.", ref=closed.reference),
            "success",
        )
        return redirect("/dpo", 303)

    @routes.post("/dpo/requests/<request_id>/access-link")
    @requires(Scope.DESK)
    def send_access_link(request_id: str) -> BaseResponse:
        """Mail the person a link to their data."""
        with runtime.unit_of_work(current_actor()) as uow:
            rights.send_access_link(uow, request_id)
        flash(gettext("El enlace a los datos sale por correo y vale un día."), "success")
        return redirect(f"/dpo/requests/{request_id}", 303)

    def _detail(
        request_id: str, typed: Mapping[str, str], error: InvalidRequest | None
    ) -> Response:
        with runtime.snapshot() as reading:
            found, contents = rights.opened(reading, request_id)
            standing = subjects.standing(reading, found.subject_id) if found.subject_id else None
            here = standing is not None and not standing.erased
            profile = (
                subjects.profile(reading, found.subject_id) if found.subject_id and here else {}
            )
        note_look(runtime, found.subject_id, "request", request_id=request_id)
        wrong = {name: words.fault_words(name) for name, _ in (error.errors if error else ())}
        language = page_language()
        return _page(
            "rights/request_desk.html",
            422 if error else 200,
            request_=found,
            contents=contents,
            days=left(found),
            here=here,
            standing=standing,
            profile=[(words.attribute_name(name), value) for name, value in profile.items()],
            typed=typed or {"text": "", **contents.detail.to_json()},
            wrong=wrong,
            errors=list(wrong.items()),
            attributes=[(each.value, words.attribute_name(each)) for each in RECTIFIABLE],
            purposes=[
                (each.id, text_in(each.title, language)) for each in register.purposes.values()
            ],
        )

    return routes


def _changed(found: RightsRequest, typed: Mapping[str, str]) -> Detail | None:
    """Return the correction or objection as staff left it; None for rights that have none."""
    if found.right not in (Right.RECTIFICATION, Right.OBJECTION) or found.subject_id is None:
        return None
    return asked_from({**typed, "right": found.right.value}, found.language).detail


def _filter(args: Mapping[str, str]) -> tuple[store.QueueFilter, dict[str, str]]:
    """Return the filter of an address and its members to write it again; open ones by default."""
    right, state = args.get("right", ""), args.get("state", RightsState.OPEN.value)
    overdue, reference = args.get("overdue") == "yes", args.get("reference", "").strip()[:16]
    wanted = store.QueueFilter(
        right=Right(right) if right in list(Right) else None,
        state=RightsState(state) if state in list(RightsState) and not reference else None,
        overdue=overdue,
        reference=reference.upper() or None,
    )
    chosen = {
        "right": wanted.right.value if wanted.right else "",
        "state": wanted.state.value if wanted.state else ANY_STATE,
        "overdue": "yes" if overdue else "",
        "reference": reference,
    }
    return wanted, {name: value for name, value in chosen.items() if value}


def _page_number(text: str) -> int:
    return int(text) if _PAGE_NUMBER.fullmatch(text) else 1


def _page(template: str, status: int = 200, **values: object) -> Response:
    values["desk_sections"] = DESK_SECTIONS
    return make_response(render_template(template, **values), status)
