"""`/account/applications`: where the person signs in with this account, and disconnecting."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.provider import grant_words
from identity.provider.grant_model import Grant
from identity.provider.grants import Grants
from policies.assurance import Action
from policies.errors import NotFound
from policies.register.model import Register
from policies.vocabulary import Scope
from privacy.consent import words
from privacy.consent.pages import person
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE: Final = "/account/applications"
END: Final = PAGE + "/{client_id}/end"


class GrantPages:
    """What the browser sees of the applications that a person signs in to."""

    def __init__(self, runtime: Runtime, register: Register, grants: Grants) -> None:
        self._runtime = runtime
        self._register = register
        self._grants = grants

    @requires(Scope.SIGNED_IN)
    def show(self) -> str:
        """List them: since when, what each may know and why, whether it stays connected."""
        now = self._runtime.clock()
        return render_template(
            "provider/applications.html",
            grants=[
                (
                    each,
                    grant_words.use_rows(self._register, each, now),
                    grant_words.connected_words(each),
                )
                for each in self._of_person()
            ],
            day_words=words.day_words,
            page=PAGE,
        )

    @requires(Scope.SIGNED_IN)
    def ask(self, client_id: str) -> str:
        """Say what disconnecting does, before it is done."""
        return render_template(
            "provider/applications_end.html",
            grant=self._find(client_id),
            action=END.format(client_id=client_id),
            page=PAGE,
        )

    @requires(Scope.SIGNED_IN, Action.END_SESSIONS, page=END)
    def end(self, client_id: str) -> Response:
        """Disconnect one application."""
        name = self._find(client_id).client.name
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._grants.end(uow, person(), client_id)
        flash(gettext("Has desconectado %(name)s.", name=name), "success")
        return redirect(PAGE, code=303)

    def _of_person(self) -> list[Grant]:
        with self._runtime.snapshot() as session:
            return self._grants.of_person(session, person(), self._runtime.clock())

    def _find(self, client_id: str) -> Grant:
        for each in self._of_person():
            if each.client.client_id == client_id:
                return each
        raise NotFound("the person does not sign in to it")


def blueprint(pages: GrantPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("grant_pages", __name__)
    routes.get(PAGE)(pages.show)
    routes.get(f"{PAGE}/<string(length=32):client_id>/end")(pages.ask)
    routes.post(f"{PAGE}/<string(length=32):client_id>/end")(pages.end)
    return routes
