"""The page of an application's request: who asks, for what, yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import InvalidInput, NotFound
from policies.register.model import Register
from policies.vocabulary import Attribute, Scope
from privacy.collection import words
from privacy.collection.api import PAGE
from privacy.collection.model import AttributeRequest, RequestState
from privacy.collection.profile import Profiles
from privacy.collection.service import AttributeRequests
from privacy.consent.pages import person
from privacy.consent.words import in_language
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime


def blueprint(
    runtime: Runtime, register: Register, profiles: Profiles, requests: AttributeRequests
) -> Blueprint:
    """Return the page of a request."""
    routes = Blueprint("collection_pages", __name__)

    def ask_page(
        found: AttributeRequest, typed: Mapping[str, str], wrong: Mapping[str, str]
    ) -> Response:
        state = found.state(runtime.clock())
        with runtime.snapshot() as session:
            application = requests.asking(session, found)
            held = {
                each.attribute: each.value
                for each in profiles.fields(session, person(), runtime.clock())
            }
        if application is None:
            raise NotFound("nobody is behind the request any more")
        fields = [
            (
                each,
                typed[each.attribute.value]
                if typed
                else words.shown_value(each.attribute, held.get(each.attribute) or ""),
                [
                    in_language(purpose.title)
                    for purpose in requests.wanted_by(found, each.attribute, application)
                ],
            )
            for each in found.fields
        ]
        point = register.collection_points.get(found.collection_point)
        page = render_template(
            "profile/ask.html",
            errors=list(wrong.items()),
            wrong=wrong,
            asking=application.name,
            form_title=in_language(point.title) if point else "",
            fields=fields,
            state=state.value,
            action=f"{PAGE}/{found.request_id}",
            back=_back(found, state),
            words=words,
        )
        return current_app.make_response((page, 422 if wrong else 200))

    def find(request_id: str) -> AttributeRequest:
        with runtime.snapshot() as session:
            return requests.of_person(session, person(), request_id)

    @routes.get(f"{PAGE}/<request_id>")
    @requires(Scope.SIGNED_IN)
    def ask(request_id: str) -> Response:
        """Who asks, for what, and the choice; or, once answered, the way back.

        Whoever has just answered is still in that form's navigation, which our content security
        policy (`form-action 'self'`) lets go nowhere else; a page that goes on by itself ends it.
        """
        found = find(request_id)
        page = ask_page(found, {}, {})
        if "done" in request.args and found.answered_at is not None:
            page.headers["Refresh"] = f"0;url={_back(found, found.state(runtime.clock()))}"
        return page

    @routes.post(f"{PAGE}/<request_id>")
    @requires(Scope.SIGNED_IN)
    def answer(request_id: str) -> BaseResponse:
        """Keep what the person gives; what is left empty is refused."""
        found = find(request_id)
        typed = {f.attribute.value: request.form.get(f.attribute.value, "") for f in found.fields}
        values = {
            Attribute(name): words.typed_value(Attribute(name), text)
            for name, text in typed.items()
            if text.strip()
        }
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                if request.form.get("action") == "give":
                    requests.answer(uow, person(), request_id, values)
                else:
                    requests.refuse(uow, person(), request_id)
        except InvalidInput as error:
            field = error.field or ""
            return ask_page(found, typed, {field: words.fault_words(error, typed.get(field, ""))})
        return redirect(url_for(".ask", request_id=request_id, done=1), code=303)

    return routes


def _back(found: AttributeRequest, state: RequestState) -> str:
    """The application's address with how it went, and nothing else of the person."""
    parts = urlsplit(found.return_to)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "status"]
    return parts._replace(query=urlencode([*query, ("status", state.value)])).geturl()
