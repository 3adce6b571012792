"""Signing in and out."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.model import LinkNotValid, WrongCode, WrongCredentials
from identity.accounts.navigation import local_path, slow_down
from identity.sessions.browser import BrowserSession
from identity.sessions.service import Sessions
from identity.sessions.sign_in import SecondStep, SignedIn, SignIn
from policies.vocabulary import Role, Scope
from privacy.actor import ActorKind
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

#: Where the cookie keeps the secret of a sign-in that waits for its second step.
SECOND_STEP: Final = "second-step"
HOME: Final = {Role.PERSON: "/privacy", Role.STAFF: "/dpo", Role.DPO: "/dpo"}


class SignInPages:
    """What the browser sees of signing in and out."""

    def __init__(
        self,
        runtime: Runtime,
        sign_in: SignIn,
        sessions: Sessions,
        browser: BrowserSession,
    ) -> None:
        self._runtime = runtime
        self._sign_in = sign_in
        self._sessions = sessions
        self._browser = browser

    @requires(Scope.PUBLIC)
    def show_form(self) -> str | Response:
        """Show the form, unless somebody is signed in and need not prove it anew (`reauth`)."""
        actor = current_actor()
        target = local_path(request.args.get("next"))
        if actor.kind is ActorKind.PERSON and "reauth" not in request.args:
            return redirect(target or HOME.get(actor.role, "/account"), code=303)
        return render_template("sessions/login.html", errors=[], email="", next=target or "")

    @requires(Scope.PUBLIC)
    def by_password(self) -> tuple[str, int] | Response:
        """Look at an address and a password."""
        target = local_path(request.form.get("next")) or ""
        email = request.form.get("email", "")
        actor = current_actor()
        try:
            result = self._sign_in.by_password(
                actor,
                email=email,
                password=request.form.get("password", ""),
                client=self._browser.client(),
                replaces=actor.session_id,
            )
        except WrongCredentials:
            message = gettext("El correo o la contraseña no son correctos.")
            errors = [("email", message)]
            page = render_template("sessions/login.html", errors=errors, email=email, next=target)
            return page, 422
        if isinstance(result, SecondStep):
            session[SECOND_STEP] = result.secret
            return redirect(url_for("sessions_pages.show_second_step", next=target or None), 303)
        return self._arrive(result, target)

    @requires(Scope.PUBLIC)
    def show_second_step(self) -> str | Response:
        """Ask for the code of the second factor."""
        if SECOND_STEP not in session:
            return redirect(url_for("sessions_pages.show_form"), code=303)
        target = local_path(request.args.get("next")) or ""
        return render_template("sessions/second_step.html", errors=[], next=target)

    @requires(Scope.PUBLIC)
    def by_second_factor(self) -> tuple[str, int] | Response:
        """Look at the code of the second factor."""
        target = local_path(request.form.get("next")) or ""
        actor = current_actor()
        if SECOND_STEP not in session:
            return redirect(url_for("sessions_pages.show_form", next=target or None), code=303)
        try:
            result = self._sign_in.by_second_factor(
                actor,
                step=session[SECOND_STEP],
                code=request.form.get("code", ""),
                client=self._browser.client(),
                replaces=actor.session_id,
            )
        except WrongCode:
            errors = [("code", gettext("El código no es ese, o ya se ha usado."))]
            return render_template("sessions/second_step.html", errors=errors, next=target), 422
        except (LinkNotValid, WrongCredentials):
            session.pop(SECOND_STEP, None)
            flash(gettext("Este inicio de sesión se ha terminado. Empieza otra vez."), "warning")
            return redirect(url_for("sessions_pages.show_form", next=target or None), code=303)
        return self._arrive(result, target)

    def _arrive(self, result: SignedIn, target: str) -> Response:
        self._browser.carry(result.secret)
        first_stop = self._browser.first_stop(result.account)
        if first_stop is not None:
            flash(gettext("Tu cuenta necesita un segundo factor antes de seguir."), "info")
        home = HOME.get(result.account.role, "/account")
        return redirect(first_stop or target or home, code=303)

    @requires(Scope.PUBLIC)
    def sign_out(self) -> Response:
        """End the session here and in the browser."""
        actor = current_actor()
        if actor.session_id is not None:
            with self._runtime.unit_of_work(actor) as uow:
                self._sessions.sign_out(uow)
        session.clear()
        flash(gettext("Has cerrado la sesión."), "success")
        response = redirect(url_for("sessions_pages.show_form"), code=303)
        # Not "cookies": the language that the person chose may stay.
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response


def blueprint(pages: SignInPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("sessions_pages", __name__)
    slow_down(routes)
    routes.get("/login")(pages.show_form)
    routes.post("/login")(pages.by_password)
    routes.get("/login/code")(pages.show_second_step)
    routes.post("/login/code")(pages.by_second_factor)
    routes.post("/logout")(pages.sign_out)
    return routes
