"""Signing in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.model import (
    AccountIsDisabled,
    LinkNotValid,
    WrongCode,
    WrongCredentials,
)
from identity.accounts.navigation import local_path, onward, slow_down
from identity.accounts.notice_words import security_notice
from identity.mfa.model import Ceremony, CeremonyEnded, PasskeyRefused, PasskeySuspended
from identity.sessions.arrival import SignedIn
from identity.sessions.browser import BrowserSession
from identity.sessions.model import Step
from identity.sessions.passkey_sign_in import PasskeySignIn
from identity.sessions.second_step import Offer, SecondStep
from identity.sessions.service import Sessions
from identity.sessions.sign_in import SignIn, Waiting
from policies.vocabulary import Role, Scope
from privacy.actor import ActorKind
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

#: Where the cookie keeps the secret of a sign-in that waits, and of a passkey ceremony.
WAITING: Final = "second-step"
CEREMONY: Final = "passkey-ceremony"
HOME: Final = {
    Role.PERSON: "/privacy",
    Role.STAFF: "/dpo",
    Role.DPO: "/dpo",
    Role.ADMINISTRATOR: "/admin",
}

FormErrors = list[tuple[str | None, str]]


class SignInPages:
    """What the browser sees of signing in and out.

    Args:
        hint_of: given the way back of a person who came to sign in: the address that whoever sent
            them thinks they sign in with, or `""`.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        sign_in: SignIn,
        second_step: SecondStep,
        passkey_sign_in: PasskeySignIn,
        sessions: Sessions,
        browser: BrowserSession,
        hint_of: Callable[[str], str],
    ) -> None:
        self._hint_of = hint_of
        self._runtime = runtime
        self._sign_in = sign_in
        self._second_step = second_step
        self._passkey_sign_in = passkey_sign_in
        self._sessions = sessions
        self._browser = browser

    # ---- the password ----

    @requires(Scope.PUBLIC)
    def show_form(self) -> str | Response:
        """Show the form, unless somebody is signed in and need not prove it anew (`reauth`)."""
        actor = current_actor()
        target = local_path(request.args.get("next"))
        if actor.kind is ActorKind.PERSON and "reauth" not in request.args:
            return redirect(target or HOME.get(actor.role, "/account"), code=303)
        return _form([], self._hint_of(target) if target else "", target or "")

    @requires(Scope.PUBLIC)
    def by_password(self) -> tuple[str, int] | Response:
        """Look at an address and a password."""
        target = local_path(request.form.get("next")) or ""
        email = request.form.get("email", "")
        try:
            result = self._sign_in.by_password(
                current_actor(),
                email=email,
                password=request.form.get("password", ""),
                visit=self._browser.visit(),
            )
        except WrongCredentials:
            message = gettext("El correo o la contraseña no son correctos.")
            return _form([("email", message)], email, target), 422
        except AccountIsDisabled:
            return show_disabled()
        return carry_on(self._browser, result, target)

    # ---- what follows it ----

    @requires(Scope.PUBLIC)
    def show_next_step(self) -> str | Response:
        """Ask for what a right password must still be followed by."""
        target = local_path(request.args.get("next")) or ""
        try:
            return _next_step(self._offer(), [], target)
        except LinkNotValid:
            return _begin_again(target)

    @requires(Scope.PUBLIC)
    def by_code(self) -> tuple[str, int] | Response:
        """Look at the code: of the application, for recovery, or from the mail."""
        target = local_path(request.form.get("next")) or ""
        code, visit, actor = request.form.get("code", ""), self._browser.visit(), current_actor()
        try:
            offer = self._offer()
            if offer.step is Step.ADDRESS_PROOF:
                result = self._second_step.by_mailed_code(actor, session[WAITING], code, visit)
            else:
                trust = "trust" in request.form
                result = self._second_step.by_code(
                    actor, session[WAITING], code, visit, trust=trust
                )
        except WrongCode:
            if offer.step is Step.ADDRESS_PROOF:
                message = gettext("El código no es ese. Míralo otra vez en el correo.")
            else:
                message = gettext("El código no es ese, o ya se ha usado.")
            return _next_step(offer, [("code", message)], target), 422
        except LinkNotValid:
            return _begin_again(target)
        return self._arrive(result, target)

    @requires(Scope.PUBLIC)
    def begin_passkey_step(self) -> Response:
        """Begin to ask for one of the account's passkeys, as second factor."""
        try:
            self._offer()
            ceremony = self._second_step.begin_passkey(current_actor(), session[WAITING])
        except LinkNotValid:
            return _begin_again("")
        return begin_ceremony(ceremony)

    @requires(Scope.PUBLIC)
    def by_passkey_step(self) -> tuple[str, int] | Response:
        """Look at the passkey that was shown as second factor."""
        target = local_path(request.form.get("next")) or ""
        try:
            offer = self._offer()
            result = self._second_step.by_passkey(
                current_actor(),
                session[WAITING],
                str(session.pop(CEREMONY, "")),
                request.form.get("credential", ""),
                self._browser.visit(),
            )
        except (CeremonyEnded, PasskeyRefused, PasskeySuspended) as error:
            return _next_step(offer, [(None, passkey_error(error))], target), 422
        except LinkNotValid:
            return _begin_again(target)
        return self._arrive(result, target)

    def _offer(self) -> Offer:
        with self._runtime.snapshot() as database:
            return self._second_step.offer(database, str(session.get(WAITING, "")))

    # ---- a passkey alone ----

    @requires(Scope.PUBLIC)
    def begin_passkey(self) -> Response:
        """Begin to ask for any passkey of this site; the same for everybody."""
        return begin_ceremony(self._passkey_sign_in.begin(current_actor()))

    @requires(Scope.PUBLIC)
    def by_passkey(self) -> tuple[str, int] | Response:
        """Look at the passkey that was shown."""
        target = local_path(request.form.get("next")) or ""
        try:
            result = self._passkey_sign_in.finish(
                current_actor(),
                str(session.pop(CEREMONY, "")),
                request.form.get("credential", ""),
                self._browser.visit(),
            )
        except (CeremonyEnded, PasskeyRefused, PasskeySuspended) as error:
            return _form([(None, passkey_error(error))], "", target), 422
        return self._arrive(result, target)

    # ---- in, and out ----

    def _arrive(self, result: SignedIn, target: str) -> Response:
        return carry_on(self._browser, result, target)

    @requires(Scope.PUBLIC)
    def sign_out(self) -> Response:
        """End the session here and in the browser; the browser stays a known device."""
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


def carry_on(browser: BrowserSession, result: SignedIn | Waiting, target: str) -> Response:
    """Carry a new session into the browser and lead on, or lead to the next proof."""
    if isinstance(result, Waiting):
        session[WAITING] = result.secret
        return redirect(url_for("sessions_pages.show_next_step", next=target or None), 303)
    browser.carry(result)
    home = HOME.get(result.account.role, "/account")
    stop = onward(browser.first_stop(result.account), target)
    return redirect(stop or target or home, code=303)


def begin_ceremony(ceremony: Ceremony) -> Response:
    """Keep a ceremony in this browser's cookie and answer its options."""
    session[CEREMONY] = ceremony.ceremony_id
    return current_app.response_class(ceremony.options, mimetype="application/json")


def passkey_error(error: CeremonyEnded | PasskeyRefused | PasskeySuspended) -> str:
    """Return, in the person's language, why a passkey opened nothing."""
    if isinstance(error, CeremonyEnded):
        return str(gettext("Ha pasado demasiado tiempo. Vuelve a intentarlo con la llave."))
    if isinstance(error, PasskeySuspended):
        return str(
            gettext(
                "Hemos suspendido esa llave porque puede estar copiada. Entra de otra manera y "
                "revísala en tu cuenta."
            )
        )
    return str(gettext("Esa llave no sirve para entrar aquí. Prueba con otra o con la contraseña."))


def _form(errors: FormErrors, email: str, target: str) -> str:
    return render_template("sessions/login.html", errors=errors, email=email, next=target)


def _next_step(offer: Offer, errors: FormErrors, target: str) -> str:
    template = {
        Step.SECOND_FACTOR: "sessions/second_step.html",
        Step.ADDRESS_PROOF: "sessions/address_code.html",
    }[offer.step]
    return render_template(template, errors=errors, offer=offer, next=target)


def _begin_again(target: str) -> Response:
    if session.pop(WAITING, None) is not None:
        flash(gettext("Este inicio de sesión se ha terminado. Empieza otra vez."), "warning")
    return redirect(url_for("sessions_pages.show_form", next=target or None), code=303)


def show_disabled() -> tuple[str, int]:
    """Say that the company has disabled the account, and what still can be done."""
    page = render_template(
        "error.html",
        status=403,
        heading=gettext("Tu cuenta está desactivada"),
        text=gettext("La hemos desactivado y ahora no se puede entrar en ella."),
        changed=gettext("Lo que aceptaste o retiraste sigue como estaba."),
        advice=gettext("Si crees que es un error, escríbenos."),
        actions=[(gettext("Ejercer mis derechos"), "/rights")],
    )
    return page, 403


def blueprint(pages: SignInPages, browser: BrowserSession) -> Blueprint:
    """Return the routes of these pages, and what holds for every request of a session."""
    routes = Blueprint("sessions_pages", __name__)
    slow_down(routes)
    routes.before_app_request(browser.keep_to_limit)
    routes.app_template_global("security_notice")(security_notice)
    routes.get("/login")(pages.show_form)
    routes.post("/login")(pages.by_password)
    routes.get("/login/code")(pages.show_next_step)
    routes.post("/login/code")(pages.by_code)
    routes.post("/login/code/passkey/options")(pages.begin_passkey_step)
    routes.post("/login/code/passkey")(pages.by_passkey_step)
    routes.post("/login/passkey/options")(pages.begin_passkey)
    routes.post("/login/passkey")(pages.by_passkey)
    routes.post("/logout")(pages.sign_out)
    return routes
