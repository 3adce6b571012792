"""The way back into an account whose last second factor is lost."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import get_locale, gettext
from werkzeug.wrappers import Response

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.model import LinkNotValid, WrongCode, WrongCredentials
from identity.accounts.navigation import slow_down
from identity.accounts.pages import FormErrors
from identity.accounts.service import Accounts
from identity.credentials.lost_factor import LostFactor
from identity.credentials.lost_factor_end import LostFactorEnd
from identity.credentials.lost_factor_waiting import LostFactorWaiting
from policies.errors import InvalidInput, Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.keys.blind_index import normalise_email
from privacy.unit_of_work import Runtime

#: Where this browser keeps the id of the recovery that it began, and its secret once the mailbox is
#: proven.
RECOVERY: Final = "factor-recovery"
SECRET: Final = "factor-recovery-secret"  # noqa: S105 - a cookie member's name


class KnowsDevice(Protocol):
    """The browser that sent this request; `identity.sessions` has the real one."""

    def device_token(self) -> str | None:
        """Return what its device cookie holds."""
        ...


class LostFactorPages:
    """What the browser sees of it."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        lost_factor: LostFactor,
        waiting: LostFactorWaiting,
        end: LostFactorEnd,
        attempts: Attempts,
        browser: KnowsDevice,
        *,
        time_zone: str,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._lost_factor = lost_factor
        self._waiting = waiting
        self._end = end
        self._attempts = attempts
        self._browser = browser
        self._zone = ZoneInfo(time_zone)

    @requires(Scope.PUBLIC)
    def show(self) -> str:
        """Ask for the address of the account."""
        return render_template("accounts/recover_factor.html", errors=[], email="")

    @requires(Scope.PUBLIC)
    def begin(self) -> tuple[str, int] | Response:
        """Begin a recovery; the answer is the same whoever has the address."""
        email = request.form.get("email", "")
        try:
            address = normalise_email(email)
        except InvalidInput:
            errors = [("email", gettext("Escribe una dirección de correo válida."))]
            page = render_template("accounts/recover_factor.html", errors=errors, email=email)
            return page, 422
        self._attempts.begin(
            self._attempts.of_email(AttemptKind.LETTER, address),
            self._attempts.of_network(AttemptKind.SENDER, request.remote_addr),
        )
        with self._runtime.unit_of_work(current_actor()) as uow:
            session[RECOVERY] = self._lost_factor.begin(uow, address)
        session.pop(SECRET, None)
        return redirect(url_for("lost_factor_pages.show_code"), code=303)

    @requires(Scope.PUBLIC)
    def show_code(self) -> str | Response:
        """Ask for the mailed code, in the browser that began."""
        if RECOVERY not in session:
            return redirect(url_for("lost_factor_pages.show"), code=303)
        return render_template("accounts/recover_factor_code.html", errors=[])

    @requires(Scope.PUBLIC)
    def prove_by_code(self) -> tuple[str, int] | Response:
        """Prove the mailbox by the mailed code."""
        if RECOVERY not in session:
            return redirect(url_for("lost_factor_pages.show"), code=303)
        code, device = request.form.get("code", ""), self._browser.device_token()
        template = "accounts/recover_factor_code.html"
        try:
            secret = self._lost_factor.prove_by_code(
                current_actor(), session[RECOVERY], code, device
            )
        except WrongCode:
            errors = [("code", gettext("El código no es ese. Míralo otra vez en el correo."))]
            return render_template(template, errors=errors), 422
        except LinkNotValid:
            return render_template(template, errors=[(None, _code_is_over())]), 410
        return self._go_on(secret)

    @requires(Scope.PUBLIC)
    def show_link(self, token: str) -> str:
        """Show the button behind the mailed link; looking at it changes nothing."""
        with self._runtime.snapshot() as database:
            self._lost_factor.recovery_of(database, token)
        return render_template("accounts/recover_factor_link.html", errors=[])

    @requires(Scope.PUBLIC)
    def prove_by_link(self, token: str) -> Response:
        """Prove the mailbox by the mailed link's button."""
        device = self._browser.device_token()
        return self._go_on(self._lost_factor.prove_by_link(current_actor(), token, device))

    @staticmethod
    def _go_on(secret: str) -> Response:
        session.pop(RECOVERY, None)
        session[SECRET] = secret
        return redirect(url_for("lost_factor_pages.show_proof"), code=303)

    @requires(Scope.PUBLIC)
    def show_proof(self) -> str | Response:
        """Ask for the second proof, or say until when to wait."""
        if SECRET not in session:
            return redirect(url_for("lost_factor_pages.show"), code=303)
        return self._render_proof([])

    @requires(Scope.PUBLIC)
    def prove(self) -> tuple[str, int] | Response:
        """Look at the second proof."""
        if SECRET not in session:
            return redirect(url_for("lost_factor_pages.show"), code=303)
        actor, secret = current_actor(), session[SECRET]
        try:
            if request.form.get("proof") == "recovery-code":
                self._lost_factor.show_recovery_code(actor, secret, request.form.get("code", ""))
            else:
                password = request.form.get("password", "")
                self._lost_factor.show_password(actor, secret, password)
        except WrongCode:
            message = gettext("El código no es ese, o ya se ha usado.")
            return self._render_proof([("code", message)]), 422
        except WrongCredentials:
            return self._render_proof([("password", gettext("Esa no es tu contraseña."))]), 422
        return redirect(url_for("lost_factor_pages.show_proof"), code=303)

    def _render_proof(self, errors: FormErrors) -> str:
        with self._runtime.snapshot() as database:
            standing = self._lost_factor.standing(database, session[SECRET])
        until = ""
        if standing.ready_at is not None:
            locale = str(get_locale() or "es")
            until = format_datetime(standing.ready_at, "long", tzinfo=self._zone, locale=locale)
        return render_template(
            "accounts/recover_factor_proof.html", errors=errors, standing=standing, until=until
        )

    @requires(Scope.PUBLIC)
    def show_cancel(self, recovery_id: str, mark: str) -> str:
        """Show the button that cancels; looking at it changes nothing."""
        with self._runtime.snapshot() as database:
            self._waiting.cancellable(database, recovery_id, mark)
        return render_template("accounts/recover_factor_cancel.html", errors=[])

    @requires(Scope.PUBLIC)
    def cancel_by_link(self, recovery_id: str, mark: str) -> Response:
        """Cancel the recovery by a mailed link's button."""
        self._waiting.cancel_by_link(current_actor(), recovery_id, mark)
        flash(gettext("La recuperación está cancelada. No ha cambiado nada."), "success")
        return redirect("/login", code=303)

    @requires(Scope.SIGNED_IN)
    def cancel(self) -> Response:
        """Cancel the recovery that the account's page shows."""
        actor = current_actor()
        with self._runtime.unit_of_work(actor) as uow:
            account = self._accounts.find(uow.session, actor.account_id or "")
            if account is None:
                raise Unauthenticated("the session has no account any more")
            self._waiting.cancel(uow, account)
        flash(gettext("La recuperación está cancelada. No ha cambiado nada."), "success")
        return redirect("/account", code=303)

    def ready_at(self) -> datetime | None:
        """Return when the factors of whoever is signed in may be removed; None: nothing waits."""
        account_id = current_actor().account_id
        if account_id is None:
            return None
        with self._runtime.snapshot() as database:
            pending = self._waiting.pending(database, account_id)
        return pending.ready_at if pending else None

    @requires(Scope.PUBLIC)
    def show_finish(self, token: str) -> str:
        """Show what the last link does; looking at it changes nothing."""
        with self._runtime.snapshot() as database:
            self._end.offered(database, token)
        return render_template("accounts/recover_factor_finish.html", errors=[], sent=False)

    @requires(Scope.PUBLIC)
    def finish(self, token: str) -> tuple[str, int] | str | Response:
        """Mail the last code, or remove the second factors by it."""
        actor, template = current_actor(), "accounts/recover_factor_finish.html"
        if request.form.get("act") != "complete":
            self._end.send_code(actor, token)
            return render_template(template, errors=[], sent=True)
        try:
            has_password = self._end.complete(actor, token, request.form.get("code", ""))
        except WrongCode:
            errors = [("code", gettext("El código no es ese. Míralo otra vez en el correo."))]
            return render_template(template, errors=errors, sent=True), 422
        except LinkNotValid:
            with self._runtime.snapshot() as database:
                self._end.offered(database, token)  # or the page for a dead link
            return render_template(template, errors=[(None, _code_is_over())], sent=False), 410
        session.pop(SECRET, None)
        if has_password:
            flash(
                gettext("Hemos quitado el segundo factor. Inicia sesión y añade otro."), "success"
            )
            return redirect("/login", code=303)
        message = gettext("Hemos quitado tus llaves de acceso. Elige una contraseña para entrar.")
        flash(message, "success")
        return redirect("/recover", code=303)


def blueprint(pages: LostFactorPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("lost_factor_pages", __name__)
    slow_down(routes)
    routes.add_app_template_global(pages.ready_at, "factor_recovery_ready_at")
    routes.get("/recover/factor")(pages.show)
    routes.post("/recover/factor")(pages.begin)
    routes.get("/recover/factor/code")(pages.show_code)
    routes.post("/recover/factor/code")(pages.prove_by_code)
    routes.get("/recover/factor/link/<token>")(pages.show_link)
    routes.post("/recover/factor/link/<token>")(pages.prove_by_link)
    routes.get("/recover/factor/proof")(pages.show_proof)
    routes.post("/recover/factor/proof")(pages.prove)
    routes.get("/recover/factor/cancel/<recovery_id>/<mark>")(pages.show_cancel)
    routes.post("/recover/factor/cancel/<recovery_id>/<mark>")(pages.cancel_by_link)
    routes.post("/account/factor-recovery/cancel")(pages.cancel)
    routes.get("/recover/factor/finish/<token>")(pages.show_finish)
    routes.post("/recover/factor/finish/<token>")(pages.finish)
    return routes


def _code_is_over() -> str:
    return str(
        gettext("Este código ya no sirve: ha caducado o ha habido demasiados intentos. Pide otro.")
    )
