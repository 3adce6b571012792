"""`/rights`: asking in the portal or by the public form, proving an address, taking one's data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, cast

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
)
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.assurance import Action
from policies.errors import InvalidInput, NotFound, TooManyAttempts
from policies.register.model import Register
from policies.vocabulary import Right, Scope
from privacy.consent.attachments import Content
from privacy.consent.notice_html import render_notice
from privacy.events import Json
from privacy.http import current_actor, requires
from privacy.languages import page_language
from privacy.rights import words
from privacy.rights.access import authority, text_in
from privacy.rights.erasure import kept
from privacy.rights.model import (
    RECTIFIABLE,
    SAID_IN_WORDS,
    InvalidRequest,
    ObjectionEffect,
    RightsRequest,
    asked_from,
    may_read,
    objection_effect,
)
from privacy.rights.service import Rights
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

PENDING = "rights_pending"
GRANTS = "rights_grants"
ERASED = "rights_erased"
MAX_GRANTS = 5
#: So much of a file is written to the network at once, at least.
WRITTEN_AT_ONCE: Final = 64 * 1024
ANY_OTHER_RIGHT = ",".join(f'"{right.value}"' for right in Right if right is not Right.ERASURE)

Errors = Sequence[tuple[str, str]]


def blueprint(  # noqa: C901 - one closure a route
    runtime: Runtime, rights: Rights, subjects: Subjects, register: Register
) -> Blueprint:
    """Return the routes of people, signed in or not."""
    routes = Blueprint("rights_pages", __name__)
    for function in words.TEMPLATE_FUNCTIONS:
        routes.app_template_global(function.__name__)(function)

    @routes.get("/rights")
    @requires(Scope.PUBLIC)
    def overview() -> BaseResponse:
        """Show what can be asked: the person's own page, or the public form."""
        subject_id = _signed_in()
        if subject_id is not None:
            with runtime.snapshot() as reading:
                mine = rights.of_subject(reading, subject_id)
            return _page("rights/portal.html", requests=mine, rights=list(Right))
        right = request.args.get("right")
        if right in list(Right):
            return _form(register, {"right": right})
        if "ask" in request.args:
            wrong = words.fault_words("right")
            return _choose(register, 422, wrong={"right": wrong}, errors=[("right", wrong)])
        return _choose(register)

    @routes.post("/rights")
    @requires(Scope.PUBLIC)
    def ask_by_form() -> BaseResponse:
        """Take the public form and write to the address that it names."""
        typed = _typed("right", "email", "message", "attribute", "value", "purpose")
        try:
            asked = asked_from(typed, _language())
            with runtime.unit_of_work(current_actor()) as uow:
                pending = rights.ask_by_form(uow, asked, typed["email"], request.remote_addr)
        except InvalidRequest as error:
            return _form(register, typed, error)
        session[PENDING] = pending
        return redirect("/rights/code", 303)

    @routes.get("/rights/code")
    @requires(Scope.PUBLIC)
    def ask_for_code() -> BaseResponse:
        """Ask for the mailed code; the page is the same whether or not we know the address."""
        return _page("rights/code.html") if PENDING in session else redirect("/rights", 303)

    @routes.post("/rights/code")
    @requires(Scope.PUBLIC)
    def prove_by_code() -> BaseResponse:
        """Take the typed code as proof."""
        code = _typed("code")["code"]
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                proved = rights.prove_by_code(uow, str(session.get(PENDING, "")), code)
        except InvalidInput:
            wrong = words.fault_words("code")
            return _page("rights/code.html", 422, errors=[("code", wrong)], wrong=wrong, code=code)
        except TooManyAttempts as error:
            wrong = gettext("Ha habido demasiados intentos. El enlace del correo sigue sirviendo.")
            response = _page("rights/code.html", 429, errors=[("code", wrong)], wrong=wrong)
            response.headers["Retry-After"] = str(error.retry_after_seconds)
            return response
        return _granted(proved)

    @routes.get("/rights/confirm/<token>")
    @requires(Scope.PUBLIC)
    def ask_to_confirm(token: str) -> BaseResponse:
        """Show the one button of a mailed link; nothing changes until it is pressed."""
        with runtime.snapshot() as reading:
            found = rights.behind_link(reading, token, runtime.clock())
        return _page("rights/confirm.html", request_=found, token=token)

    @routes.post("/rights/confirm/<token>")
    @requires(Scope.PUBLIC)
    def prove_by_link(token: str) -> BaseResponse:
        """Take the button as proof."""
        with runtime.unit_of_work(current_actor()) as uow:
            proved = rights.prove_by_link(uow, token)
        return _granted(proved)

    @routes.get(f"/rights/<any({ANY_OTHER_RIGHT}):right>")
    @requires(Scope.SIGNED_IN)
    def prepare(right: str) -> BaseResponse:
        """Show the signed-in person what exercising this right means."""
        return _portal_form(runtime, subjects, register, {"right": right})

    @routes.get("/rights/erasure")
    @requires(Scope.SIGNED_IN, Action.ERASE_DATA)
    def prepare_erasure() -> BaseResponse:
        """Show what erasing means to whoever has just proved again who they are."""
        return _portal_form(runtime, subjects, register, {"right": Right.ERASURE.value})

    @routes.post(f"/rights/<any({ANY_OTHER_RIGHT}):right>")
    @requires(Scope.SIGNED_IN)
    def ask_in_portal(right: str) -> BaseResponse:
        """Take the signed-in person's request."""
        return _ask(right)

    @routes.post("/rights/erasure")
    @requires(Scope.SIGNED_IN, Action.ERASE_DATA)
    def erase() -> BaseResponse:
        """Erase the person who has just proved again who they are."""
        return _ask(Right.ERASURE.value)

    def _ask(right: str) -> BaseResponse:
        typed = {**_typed("message", "attribute", "value", "purpose"), "right": right}
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                made = rights.ask_in_portal(uow, _person(), asked_from(typed, _language()))
        except InvalidRequest as error:
            return _portal_form(runtime, subjects, register, typed, error)
        if made.right is Right.ERASURE:
            session.clear()
            session[ERASED] = made.reference
            return redirect("/rights/erased", 303)
        flash(
            gettext("Hemos recibido tu solicitud. Su referencia es %(ref)s.", ref=made.reference),
            "success",
        )
        return redirect(f"/rights/requests/{made.reference}", 303)

    @routes.get("/rights/erased")
    @requires(Scope.PUBLIC)
    def erased() -> BaseResponse:
        """Confirm an erasure to whoever just asked for it, and say what is kept."""
        if ERASED not in session:
            return redirect("/rights", 303)
        left = kept(runtime.clock())
        return _page("rights/erased.html", reference=session[ERASED], kept=left)

    @routes.get("/rights/requests/<reference>")
    @requires(Scope.PUBLIC)
    def follow(reference: str) -> BaseResponse:
        """Show a request to whom it belongs."""
        found = _mine(runtime, rights, reference)
        with runtime.snapshot() as reading:
            _request, contents = rights.opened(reading, found.request_id)
        purpose = register.purpose(contents.detail.purpose or "")
        return _page(
            "rights/request.html",
            request_=found,
            contents=contents,
            purpose=text_in(purpose.title, _language()) if purpose else None,
            marketing=purpose is not None and purpose.direct_marketing,
            authority=_authority(register),
            signed_in=_signed_in() is not None,
        )

    @routes.post("/rights/requests/<reference>/data")
    @requires(Scope.PUBLIC, Action.SEE_ALL_DATA, page="/rights/requests/{reference}")
    def take_data(reference: str) -> BaseResponse:
        """Hand over the person's data, to read or as a file."""
        found = _mine(runtime, rights, reference)
        form = "json" if request.form.get("form") == "json" else "html"
        with runtime.unit_of_work(current_actor()) as uow:
            data = rights.take_data(uow, found.request_id, _language(), form)
        if form == "json":
            return _file(data, f"{found.reference}.json")
        return _page("rights/data.html", answer=data, render_notice=render_notice)

    return routes


def _language() -> str:
    return page_language()


def _signed_in() -> str | None:
    actor = current_actor()
    return actor.subject_id if actor.may(Scope.SIGNED_IN) else None


def _person() -> str:
    subject_id = _signed_in()
    if subject_id is None:
        raise NotFound("this account belongs to no person")
    return subject_id


def _typed(*names: str) -> dict[str, str]:
    return {name: request.form.get(name, "") for name in names}


def _page(template: str, status: int = 200, **values: object) -> Response:
    return make_response(render_template(template, **values), status)


def _authority(register: Register) -> dict[str, str]:
    name, url = authority(register.controller)
    return {"name": name, "url": url}


def _file(data: Mapping[str, Json], name: str) -> Response:
    encoder = json.JSONEncoder(ensure_ascii=False, indent=2, default=_written)
    body = _gathered(encoder.iterencode(data))
    response = current_app.response_class(body, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _gathered(pieces: Iterable[str]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a write to the network."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= WRITTEN_AT_ONCE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def _written(value: object) -> str | None:
    """The content of an attached file, opened now."""
    if isinstance(value, Content):
        return value.base64()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _granted(proved: RightsRequest) -> BaseResponse:
    """Let this browser read the proved request until the grant ends."""
    session.pop(PENDING, None)
    others = [each for each in _grants() if each != proved.request_id]
    session[GRANTS] = [*others, proved.request_id][-MAX_GRANTS:]
    return redirect(f"/rights/requests/{proved.reference}", 303)


def _grants() -> list[str]:
    return cast("list[str]", session.get(GRANTS, []))


def _mine(runtime: Runtime, rights: Rights, reference: str) -> RightsRequest:
    """Return the request if it is this caller's.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    with runtime.snapshot() as reading:
        found = rights.referred(reading, reference)
    granted = found.request_id in _grants()
    if may_read(found, subject_id=_signed_in(), granted=granted, at=runtime.clock()):
        return found
    raise NotFound("there is no such request")


def _wrong(error: InvalidRequest | None) -> tuple[dict[str, str], Errors]:
    wrong = {name: words.fault_words(name) for name, _words in (error.errors if error else ())}
    return wrong, list(wrong.items())


def _purposes(register: Register) -> list[tuple[str, str, str]]:
    """Return the purposes that can be objected to, as options of a form."""
    return [
        (each.id, text_in(each.title, _language()), text_in(each.summary, _language()))
        for each in register.purposes.values()
        if objection_effect(each) is not ObjectionEffect.NONE
    ]


def _choose(register: Register, status: int = 200, **values: object) -> Response:
    options = [(each.value, words.right_plain(each), words.right_name(each)) for each in Right]
    authority_ = _authority(register)
    return _page("rights/choose.html", status, options=options, authority=authority_, **values)


def _form(
    register: Register, typed: Mapping[str, str | None], error: InvalidRequest | None = None
) -> Response:
    wrong, errors = _wrong(error)
    status = 422 if error else 200
    if "right" in wrong:
        return _choose(register, status, wrong=wrong, errors=errors)
    return _page(
        "rights/form.html",
        status,
        typed=typed,
        wrong=wrong,
        errors=errors,
        attributes=[(each.value, words.attribute_name(each)) for each in RECTIFIABLE],
        purposes=_purposes(register),
        needs_words=typed["right"] in SAID_IN_WORDS,
    )


def _portal_form(
    runtime: Runtime,
    subjects: Subjects,
    register: Register,
    typed: Mapping[str, str | None],
    error: InvalidRequest | None = None,
) -> Response:
    wrong, errors = _wrong(error)
    with runtime.snapshot() as reading:
        profile = subjects.profile(reading, _person())
    return _page(
        "rights/portal_form.html",
        422 if error else 200,
        typed=typed,
        wrong=wrong,
        errors=errors,
        attributes=[
            (each.value, words.attribute_name(each), profile.get(each, gettext("Sin rellenar")))
            for each in RECTIFIABLE
        ],
        purposes=_purposes(register),
        needs_words=typed["right"] in SAID_IN_WORDS,
        kept=kept(runtime.clock()),
    )
