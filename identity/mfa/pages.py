"""Adding and removing an authenticator application."""

from __future__ import annotations

import segno
from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from identity.accounts.browser import Browser
from identity.accounts.model import Account, WrongCode
from identity.accounts.navigation import slow_down
from identity.accounts.pages import FormErrors
from identity.accounts.service import Accounts
from identity.mfa.model import FactorStillNeeded, enrolment_uri
from identity.mfa.service import SecondFactor
from policies.assurance import METHODS_OF, Action, Factor
from policies.errors import Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE = "/account/totp"
SECURITY = "/account/security"


class SecondFactorPages:
    """What the browser sees of the authenticator application."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        second_factor: SecondFactor,
        browser: Browser,
        *,
        issuer: str,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._second_factor = second_factor
        self._browser = browser
        self._issuer = issuer

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def show(self) -> str:
        """Show the application, or how to add one, or the secret that waits for its code."""
        return self._render([])

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def begin(self) -> Response:
        """Make the secret to be shown."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._second_factor.begin(uow, signed_in(self._accounts, uow.session))
        return redirect(PAGE, code=303)

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=PAGE)
    def confirm(self) -> tuple[str, int] | str | Response:
        """Enrol the secret by its first code, and show new recovery codes this once."""
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = signed_in(self._accounts, uow.session)
                codes = self._second_factor.confirm(uow, account, request.form.get("code", ""))
        except WrongCode:
            message = gettext(
                "El código no es el de este momento. Comprueba que el reloj de tu teléfono va en hora."
            )
            return self._render([("code", message)]), 422
        self._browser.renew(sorted({*current_actor().methods, *METHODS_OF[Factor.TOTP]}))
        flash(gettext("La aplicación de autenticación está lista."), "success")
        if codes:
            return render_template("mfa/recovery_codes.html", codes=codes)
        return redirect(SECURITY, code=303)

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=PAGE)
    def remove(self) -> tuple[str, int] | Response:
        """Remove the application; the other sessions end."""
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = signed_in(self._accounts, uow.session)
                self._second_factor.remove(uow, account)
        except FactorStillNeeded as error:
            return self._render([(None, why_needed(error))]), 409
        used = current_actor().methods
        self._browser.renew([each for each in used if each not in METHODS_OF[Factor.TOTP]] or used)
        flash(gettext("Has quitado la aplicación de autenticación."), "success")
        return redirect(SECURITY, code=303)

    def _render(self, errors: FormErrors) -> str:
        with self._runtime.snapshot() as session:
            account = signed_in(self._accounts, session)
            enrolled_at = self._second_factor.enrolled_at(session, account.account_id)
            email = self._accounts.email_of(session, account)
            secret = self._second_factor.secret_to_confirm(
                session, account, now=self._runtime.clock()
            )
        qr = None
        if enrolled_at is None and secret is not None:
            uri = enrolment_uri(secret, account=email, issuer=self._issuer)
            # Our own drawing of our own text: there is nothing in it to escape.
            qr = Markup(segno.make(uri, error="m", micro=False).svg_inline(omitsize=True))  # noqa: S704 - our own drawing
        return render_template(
            "mfa/totp.html",
            errors=errors,
            enrolled_at=enrolled_at,
            secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
            if secret
            else None,
            qr_code=qr,
        )


def signed_in(accounts: Accounts, session: Session) -> Account:
    """Return the account of the person who sent this request.

    Raises:
        Unauthenticated: there is none any more.
    """
    account = accounts.find(session, current_actor().account_id or "")
    if account is None:
        raise Unauthenticated("the session has no account any more")
    return account


def why_needed(error: FactorStillNeeded) -> str:
    """Return why a factor cannot be removed yet, and what to do first."""
    if error.by_password:
        return str(
            gettext(
                "Sin este factor solo quedaría tu contraseña, y es demasiado corta para usarse "
                "sola. Elige antes una de al menos 15 caracteres, o añade otra llave de acceso."
            )
        )
    return str(
        gettext(
            "Es tu única forma de entrar. Añade antes otra llave de acceso o una contraseña, y "
            "después podrás quitarla."
        )
    )


def blueprint(pages: SecondFactorPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("mfa_pages", __name__)
    slow_down(routes)
    routes.get(PAGE)(pages.show)
    routes.post(PAGE)(pages.begin)
    routes.post(f"{PAGE}/confirm")(pages.confirm)
    routes.post(f"{PAGE}/remove")(pages.remove)
    return routes
