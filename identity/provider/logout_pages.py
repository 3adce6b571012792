"""`/oauth/logout`: where an application sends a person to sign out here as well.

Source: OpenID Connect RP-Initiated Logout 1.0.
"""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, current_app, g, redirect, render_template, request, session
from werkzeug.wrappers import Response

from identity.provider import discovery, id_token_hint
from identity.provider.clients import Clients
from identity.provider.id_token_hint import Hint
from identity.provider.logout import Logouts
from identity.provider.logout_request import LogoutRefused, LogoutRequest, Parameters, read
from identity.provider.service import Provider
from identity.sessions.service import Sessions
from policies.vocabulary import Scope
from privacy.actor import Actor
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

#: Our own form; beside `/logout`, since no application speaks to it.
CONFIRM = "/logout/confirm"
MAX_QUERY_LENGTH = 8000


class LogoutPages:
    """What the browser sees of signing out from an application."""

    def __init__(
        self,
        runtime: Runtime,
        clients: Clients,
        provider: Provider,
        logouts: Logouts,
        sessions: Sessions,
    ) -> None:
        self._runtime = runtime
        self._clients = clients
        self._provider = provider
        self._logouts = logouts
        self._sessions = sessions

    @requires(Scope.PUBLIC)
    def show(self) -> Response:
        """Sign out whom the application's hint means, else ask; then send the person on.

        Only an ID token that we made for this very session spares the question: nobody else's
        page has one, so nobody else can sign a person out by sending them here.
        """
        person = current_actor()
        try:
            asked = self._read(request.args.to_dict(flat=False))
        except LogoutRefused as error:
            return _ask(LogoutRequest(), person, refused=str(error))
        if person.session_id is None:
            return _done(asked, after_form=False)
        if not self._is_meant(asked, person):
            return _ask(asked, person)
        self._sign_out(person)
        return _signed_out(_done(asked, after_form=False))

    @requires(Scope.PUBLIC)
    def show_by_post(self) -> Response:
        """Turn the application's form into the same request by GET, as `/oauth/authorize` does."""
        query = urlencode(request.form.to_dict(flat=False), doseq=True)
        if len(query) > MAX_QUERY_LENGTH:
            return _ask(LogoutRequest(), current_actor(), refused="the request is too long")
        return redirect(f"{discovery.LOGOUT}?{query}", code=303)

    @requires(Scope.PUBLIC)
    def confirm(self) -> Response:
        """Sign out whoever says so in our own form; what it carried is checked anew."""
        try:
            asked = self._read(request.form.to_dict(flat=False))
        except LogoutRefused:
            asked = LogoutRequest()
        person = current_actor()
        if person.session_id is not None:
            self._sign_out(person)
        return _signed_out(_done(asked, after_form=True))

    def _read(self, parameters: Parameters) -> LogoutRequest:
        now = self._runtime.clock()
        with self._runtime.snapshot() as database:

            def read_hint(token: str) -> Hint:
                keys = self._provider.own_keys(database)
                return id_token_hint.read(token, keys, issuer=self._provider.issuer)

            return read(
                parameters,
                lambda client_id: self._clients.find(database, client_id, at=now),
                read_hint,
            )

    def _is_meant(self, asked: LogoutRequest, person: Actor) -> bool:
        if asked.hint is None or asked.client is None:
            return False
        with self._runtime.snapshot() as database:
            return self._logouts.means(database, asked.hint, asked.client, person)

    def _sign_out(self, person: Actor) -> None:
        with self._runtime.unit_of_work(person) as uow:
            self._sessions.sign_out(uow)
        session.clear()
        g.pop("actor", None)


def _ask(asked: LogoutRequest, person: Actor, *, refused: str | None = None) -> Response:
    """Return the page that asks whether to sign out here; without a question if nobody is in."""
    page = render_template(
        "provider/logout.html",
        asked=asked,
        signed_in=person.session_id is not None,
        refused=refused,
        confirm=CONFIRM,
    )
    return current_app.make_response((page, 400 if refused else 200))


def _done(asked: LogoutRequest, *, after_form: bool) -> Response:
    """Send the person on, or say that it is done.

    After our own form by a page that goes on by itself: our content security policy
    (`form-action 'self'`) lets the form's navigation go nowhere else. docs/decisions/0007.
    """
    uri = asked.way_back
    if uri is not None and not after_form:
        return redirect(uri, code=303)
    name = asked.client.name if asked.client else None
    page = render_template("provider/logout_done.html", client_name=name, uri=uri)
    response = current_app.make_response(page)
    if uri is not None:
        response.headers["Refresh"] = f"0;url={uri}"
    return response


def _signed_out(response: Response) -> Response:
    # Not "cookies": the language that the person chose may stay.
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def blueprint(pages: LogoutPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("logout_pages", __name__)
    routes.get(discovery.LOGOUT)(pages.show)
    routes.post(discovery.LOGOUT)(pages.show_by_post)
    routes.post(CONFIRM)(pages.confirm)
    return routes
