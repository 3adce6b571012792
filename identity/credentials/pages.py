"""Changing the password, and a new one by mail."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.browser import Browser
from identity.accounts.model import Account, LinkNotValid, WrongCode, WrongCredentials
from identity.accounts.navigation import slow_down
from identity.accounts.pages import FormErrors, password_error
from identity.accounts.service import Accounts
from identity.credentials.recovery import Recovery
from identity.credentials.service import Passwords
from policies.assurance import Action
from policies.errors import InvalidInput, Unauthenticated
from policies.passwords import WeakPassword, is_long_enough_alone
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.keys.blind_index import normalise_email
from privacy.unit_of_work import Runtime

#: Where this browser keeps the id of the recovery that it began.
RECOVERY: Final = "recovery"


class PasswordPages:
    """What the browser sees of passwords."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        passwords: Passwords,
        recovery: Recovery,
        attempts: Attempts,
        browser: Browser,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._recovery = recovery
        self._attempts = attempts
        self._browser = browser

    @requires(Scope.PUBLIC)
    def where_to_change(self) -> Response:
        """Lead a password manager to the form. Source: W3C, A Well-Known URL for Changing Passwords."""
        return redirect(url_for("credentials_pages.show_change"), code=303)

    @requires(Scope.SIGNED_IN, Action.CHANGE_PASSWORD)
    def show_change(self) -> str:
        """Show the form that changes the password, or sets the first one."""
        return self._render([])

    @requires(Scope.SIGNED_IN, Action.CHANGE_PASSWORD)
    def change(self) -> tuple[str, int] | Response:
        """Change or set the password; the other sessions end, unless the person keeps them."""
        kept = request.form.get("keep_sessions") == "yes"
        try:
            ended = self._change(
                request.form.get("current", ""), request.form.get("password", ""), kept=kept
            )
        except WrongCredentials:
            return self._render([("current", gettext("Esa no es tu contraseña actual."))]), 422
        except (WeakPassword, InvalidInput) as error:
            return self._render([("password", password_error(error))]), 422
        self._browser.renew(current_actor().methods)
        if ended:
            message = gettext("La contraseña ha cambiado y las demás sesiones se han cerrado.")
        else:
            message = gettext("La contraseña ha cambiado. Las demás sesiones siguen abiertas.")
        flash(message, "success")
        return redirect("/account", code=303)

    def _change(self, current: str, wanted: str, *, kept: bool) -> bool:
        """Change the password, and tell whether the other sessions ended."""
        actor = current_actor()
        with self._runtime.snapshot() as database:
            account = self._account(database)
            owner = self._passwords.owner(database, account)
            encoded = self._passwords.encoded(database, account.account_id)
            ended = not kept or self._passwords.must_change(database, account.account_id)
        # What is wrong with the new one uses up no try at the present one.
        self._passwords.check_for(owner, wanted)
        attempt = self._attempts.of_account(AttemptKind.PASSWORD, account.account_id)
        if encoded is not None:
            self._attempts.begin(attempt)
            if not self._passwords.matches(encoded, current):
                raise WrongCredentials
        new = self._passwords.choose_for(owner, wanted)
        with self._runtime.unit_of_work(actor) as uow:
            self._attempts.succeeded(uow, attempt)
            self._passwords.change(
                uow,
                account,
                proven=encoded,
                new=new,
                long_enough_alone=is_long_enough_alone(wanted),
                sessions_kept=not ended,
            )
        return ended

    def _account(self, database: Session) -> Account:
        account = self._accounts.find(database, current_actor().account_id or "")
        if account is None:
            raise Unauthenticated("the session has no account any more")
        return account

    def _render(self, errors: FormErrors) -> str:
        with self._runtime.snapshot() as database:
            account = self._account(database)
            owner = self._passwords.owner(database, account)
            has_password = self._passwords.encoded(database, account.account_id) is not None
            must_change = self._passwords.must_change(database, account.account_id)
        return render_template(
            "accounts/password.html",
            errors=errors,
            has_password=has_password,
            must_change=must_change,
            minimum=owner.minimum_length,
        )

    @requires(Scope.PUBLIC)
    def show_recovery(self) -> str:
        """Ask for the address of the account to recover."""
        return render_template("accounts/recover.html", errors=[], email="")

    @requires(Scope.PUBLIC)
    def begin_recovery(self) -> tuple[str, int] | Response:
        """Begin a recovery; the answer is the same whoever has the address."""
        try:
            address = normalise_email(request.form.get("email", ""))
        except InvalidInput:
            errors = [("email", gettext("Escribe una dirección de correo válida."))]
            email = request.form.get("email", "")
            return render_template("accounts/recover.html", errors=errors, email=email), 422
        self._attempts.begin(
            self._attempts.of_email(AttemptKind.LETTER, address),
            self._attempts.of_network(AttemptKind.SENDER, request.remote_addr),
        )
        with self._runtime.unit_of_work(current_actor()) as uow:
            session[RECOVERY] = self._recovery.begin(uow, address)
        return redirect(url_for("credentials_pages.show_code"), code=303)

    @requires(Scope.PUBLIC)
    def show_code(self) -> str | Response:
        """Ask for the mailed code and the new password, in the browser that began."""
        if RECOVERY not in session:
            return redirect(url_for("credentials_pages.show_recovery"), code=303)
        return render_template("accounts/recover_code.html", errors=[], code="")

    @requires(Scope.PUBLIC)
    def reset_by_code(self) -> tuple[str, int] | Response:
        """Set a new password by the mailed code."""
        if RECOVERY not in session:
            return redirect(url_for("credentials_pages.show_recovery"), code=303)
        code, password = request.form.get("code", ""), request.form.get("password", "")
        errors: FormErrors = []
        status = 422
        try:
            self._recovery.reset_by_code(current_actor(), session[RECOVERY], code, password)
        except (WeakPassword, InvalidInput) as error:
            errors = [("password", password_error(error))]
        except WrongCode:
            errors = [("code", gettext("El código no es ese. Míralo otra vez en el correo."))]
        except LinkNotValid:
            message = gettext(
                "Este código ya no sirve: ha caducado o ha habido demasiados intentos. "
                "Usa el enlace del correo o pide otro."
            )
            errors, status = [(None, message)], 410
        if errors:
            page = render_template("accounts/recover_code.html", errors=errors, code=code)
            return page, status
        return self._done()

    @requires(Scope.PUBLIC)
    def show_link(self, token: str) -> str:
        """Ask for the new password behind the mailed link; looking at it changes nothing."""
        return self._render_link(token, [])

    def _render_link(self, token: str, errors: FormErrors) -> str:
        with self._runtime.snapshot() as database:
            minimum = self._recovery.minimum_length(database, token)
        return render_template("accounts/recover_link.html", errors=errors, minimum=minimum)

    @requires(Scope.PUBLIC)
    def reset_by_link(self, token: str) -> tuple[str, int] | Response:
        """Set a new password by the mailed link's button."""
        try:
            self._recovery.reset_by_link(current_actor(), token, request.form.get("password", ""))
        except (WeakPassword, InvalidInput) as error:
            return self._render_link(token, [("password", password_error(error))]), 422
        return self._done()

    def _done(self) -> Response:
        session.pop(RECOVERY, None)
        flash(gettext("La contraseña ha cambiado y todas las sesiones se han cerrado."), "success")
        return redirect("/login", code=303)


def blueprint(pages: PasswordPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("credentials_pages", __name__)
    slow_down(routes)
    routes.get("/.well-known/change-password")(pages.where_to_change)
    routes.get("/account/password")(pages.show_change)
    routes.post("/account/password")(pages.change)
    routes.get("/recover")(pages.show_recovery)
    routes.post("/recover")(pages.begin_recovery)
    routes.get("/recover/code")(pages.show_code)
    routes.post("/recover/code")(pages.reset_by_code)
    routes.get("/recover/link/<token>")(pages.show_link)
    routes.post("/recover/link/<token>")(pages.reset_by_link)
    return routes
