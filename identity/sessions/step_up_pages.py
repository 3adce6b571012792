"""`/login/again`: a signed-in person shows the one factor that is still missing.

The address says what for: an `action` of ours, or a `level` that an application asks for.
"""

from __future__ import annotations

from flask import Blueprint, flash, make_response, redirect, render_template, request, session
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.model import WrongCode, WrongCredentials
from identity.accounts.navigation import local_path, slow_down
from identity.mfa.model import CeremonyEnded, PasskeyRefused, PasskeySuspended
from identity.sessions.browser import AGAIN, BrowserSession
from identity.sessions.pages import CEREMONY, FormErrors, begin_ceremony, passkey_error
from identity.sessions.step_up import StepUp
from policies.assurance import Action, AssuranceLevel, Factor, FactorNeeded
from policies.errors import Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires

#: What is asked for where the address does not say what for: as for any change of one's own.
_OTHERWISE = Action.CHANGE_FACTORS


class StepUpPages:
    """What the browser sees of proving again, or more."""

    def __init__(self, step_up: StepUp, browser: BrowserSession) -> None:
        self._step_up = step_up
        self._browser = browser

    @requires(Scope.SIGNED_IN)
    def show(self) -> Response:
        """Ask for what is missing; where nothing is, lead on."""
        return self._page([])

    @requires(Scope.SIGNED_IN)
    def by_password(self) -> Response:
        """Look at the password again."""
        try:
            secret = self._step_up.by_password(
                current_actor(), request.form.get("password", ""), self._browser.visit()
            )
        except WrongCredentials:
            return self._page([("password", gettext("Esa no es tu contraseña."))])
        except Unauthenticated:
            return self._sign_in_anew()
        return self._go_on(secret)

    @requires(Scope.SIGNED_IN)
    def by_code(self) -> Response:
        """Look at a code of the authenticator application, or a recovery code."""
        try:
            wanted = self._missing()
            secret = self._step_up.by_code(
                current_actor(), request.form.get("code", ""), self._browser.visit(), wanted=wanted
            )
        except FactorNeeded:
            return self._page([])
        except WrongCode:
            message = gettext("El código no es ese, o ya se ha usado.")
            return self._page([("code", message)])
        except Unauthenticated:
            return self._sign_in_anew()
        return self._go_on(secret)

    @requires(Scope.SIGNED_IN)
    def begin_passkey(self) -> Response:
        """Begin to ask for one of the person's passkeys."""
        return begin_ceremony(self._step_up.begin_passkey(current_actor()))

    @requires(Scope.SIGNED_IN)
    def by_passkey(self) -> Response:
        """Look at the passkey that was shown."""
        try:
            secret = self._step_up.by_passkey(
                current_actor(),
                str(session.pop(CEREMONY, "")),
                request.form.get("credential", ""),
                self._browser.visit(),
            )
        except (CeremonyEnded, PasskeyRefused, PasskeySuspended) as error:
            return self._page([(None, passkey_error(error))])
        except Unauthenticated:
            return self._sign_in_anew()
        return self._go_on(secret)

    def _missing(self) -> frozenset[Factor]:
        level = _level()
        if level is not None:
            return self._step_up.missing_for_level(current_actor(), level)
        return self._step_up.missing(current_actor(), _action())

    def _page(self, errors: FormErrors) -> Response:
        try:
            lacking = self._missing()
        except FactorNeeded:
            if _level() is not None:  # whoever asked for it says what follows
                return redirect(_target(), code=303)
            return make_response(render_template("sessions/factor_needed.html"), 403)
        if not lacking and not errors:
            return redirect(_target(), code=303)
        page = render_template(
            "sessions/again.html",
            errors=errors,
            factors=lacking,
            next=_target(),
            action=_action().value,
            level=_level(),
            resend="resend" in request.values,
        )
        return make_response(page, 422 if errors else 200)

    def _go_on(self, secret: str | None) -> Response:
        self._browser.change_to(secret)
        if secret is not None and "resend" in request.form:
            flash(gettext("Ya sabemos que eres tú. Envía el formulario otra vez."), "info")
        return redirect(_target(), code=303)

    @staticmethod
    def _sign_in_anew() -> Response:
        session.clear()
        flash(
            gettext("Ha habido demasiados intentos y hemos cerrado la sesión. Entra otra vez."),
            "warning",
        )
        return redirect("/login", code=303)


def _target() -> str:
    return local_path(request.values.get("next")) or "/account"


def _action() -> Action:
    try:
        return Action(request.values.get("action", ""))
    except ValueError:
        return _OTHERWISE


def _level() -> AssuranceLevel | None:
    try:
        return AssuranceLevel(request.values.get("level", ""))
    except ValueError:
        return None


def blueprint(pages: StepUpPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("step_up_pages", __name__)
    slow_down(routes)
    routes.get(AGAIN)(pages.show)
    routes.post(f"{AGAIN}/password")(pages.by_password)
    routes.post(f"{AGAIN}/code")(pages.by_code)
    routes.post(f"{AGAIN}/passkey/options")(pages.begin_passkey)
    routes.post(f"{AGAIN}/passkey")(pages.by_passkey)
    return routes
