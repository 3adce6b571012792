"""`/account/profile`: what we hold of the person, for what, and changing it."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from policies.errors import InvalidInput
from policies.vocabulary import Attribute, Scope
from privacy.collection import words
from privacy.collection.api import PAGE as ASKS
from privacy.collection.profile import Profiles
from privacy.collection.service import AttributeRequests
from privacy.consent.pages import person
from privacy.consent.words import in_language
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE = "/account/profile"


def blueprint(
    runtime: Runtime, profiles: Profiles, requests: AttributeRequests, age_of_consent: int
) -> Blueprint:
    """Return the page of the profile.

    Args:
        runtime: the doors.
        profiles: what people told us.
        requests: what applications ask them.
        age_of_consent: years, from the register.
    """
    routes = Blueprint("profile_pages", __name__)

    def profile_page(typed: Mapping[str, str], wrong: Mapping[str, str]) -> str:
        now = runtime.clock()
        with runtime.snapshot() as session:
            fields = profiles.fields(session, person(), now)
            minor_until = profiles.minor_until(session, person())
            waiting = [
                (each, application.name)
                for each in requests.waiting(session, person(), now)
                if (application := requests.asking(session, each))
            ]
        return render_template(
            "profile/profile.html",
            errors=list(wrong.items()),
            wrong=wrong,
            typed=typed,
            fields=fields,
            waiting=waiting,
            asks=ASKS,
            words=words,
            in_language=in_language,
            age_kept=words.age_kept(minor_until, age_of_consent, now) if minor_until else None,
        )

    @routes.get(PAGE)
    @requires(Scope.SIGNED_IN)
    def show() -> str:
        """What we hold of the person, and which purposes want it."""
        return profile_page({}, {})

    @routes.post(PAGE)
    @requires(Scope.SIGNED_IN)
    def change() -> tuple[str, int] | BaseResponse:
        """Keep, change or remove one attribute. Source: GDPR Art. 16, 17(1)."""
        attribute = _attribute(request.form.get("attribute", ""))
        typed = request.form.get("value", "")
        removing = request.form.get("action") == "remove"
        value = None if removing else words.typed_value(attribute, typed)
        try:
            with runtime.unit_of_work(current_actor()) as uow:
                profiles.save(uow, person(), attribute, value)
        except InvalidInput as error:
            wrong = {attribute.value: words.fault_words(error, typed)}
            return profile_page({attribute.value: typed}, wrong), 422
        name = words.attribute_name(attribute)
        done = gettext("Borrado: %(name)s.", name=name) if removing else None
        flash(done or gettext("Guardado: %(name)s.", name=name), "success")
        return redirect(PAGE, code=303)

    return routes


def _attribute(name: str) -> Attribute:
    try:
        return Attribute(name)
    except ValueError:
        raise InvalidInput("there is no such attribute", field="attribute") from None
