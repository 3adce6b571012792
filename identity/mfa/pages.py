"""Adding and removing the second factor."""

from __future__ import annotations

import segno
from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.browser import Browser
from identity.accounts.model import Account, WrongCode
from identity.accounts.navigation import slow_down
from identity.accounts.pages import FormErrors
from identity.accounts.service import Accounts
from identity.mfa.model import enrolment_uri
from identity.mfa.service import SecondFactor
from policies.errors import Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE = "/account/totp"


class SecondFactorPages:
    """What the browser sees of the second factor."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        second_factor: SecondFactor,
        attempts: Attempts,
        browser: Browser,
        *,
        issuer: str,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._second_factor = second_factor
        self._attempts = attempts
        self._browser = browser
        self._issuer = issuer

    @requires(Scope.SIGNED_IN)
    def show(self) -> str:
        """Show the second factor, or how to add one, or the secret that waits for its code."""
        return self._render([])

    @requires(Scope.SIGNED_IN)
    def begin(self) -> Response:
        """Make the secret to be shown; only shortly after a sign-in."""
        if not self._browser.is_fresh():
            return redirect(f"/login?next={PAGE}&reauth=1", code=303)
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._second_factor.begin(uow, self._account(uow.session))
        return redirect(PAGE, code=303)

    @requires(Scope.SIGNED_IN)
    def confirm(self) -> tuple[str, int] | str:
        """Enrol the secret by its first code, and show the recovery codes this once."""
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = self._account(uow.session)
                codes = self._second_factor.confirm(uow, account, request.form.get("code", ""))
        except WrongCode:
            message = gettext(
                "El código no es el de este momento. Comprueba que el reloj de tu teléfono va en hora."
            )
            return self._render([("code", message)]), 422
        self._browser.renew(("pwd", "otp"))
        return render_template("mfa/recovery_codes.html", codes=codes)

    @requires(Scope.SIGNED_IN)
    def remove(self) -> tuple[str, int] | Response:
        """Remove the second factor on showing it once more."""
        actor = current_actor()
        attempt = self._attempts.of_account(AttemptKind.OTP, actor.account_id or "")
        self._attempts.begin(attempt)
        try:
            with self._runtime.unit_of_work(actor) as uow:
                self._attempts.succeeded(uow, attempt)
                account = self._account(uow.session)
                self._second_factor.remove(uow, account, request.form.get("code", ""))
        except WrongCode:
            message = gettext("El código no es ese, o ya se ha usado. Espera al siguiente.")
            return self._render([("code", message)]), 422
        self._browser.renew(("pwd",))
        flash(gettext("Has quitado el segundo factor. Ahora basta la contraseña."), "success")
        return redirect("/account", code=303)

    def _account(self, session: Session) -> Account:
        account = self._accounts.find(session, current_actor().account_id or "")
        if account is None:
            raise Unauthenticated("the session has no account any more")
        return account

    def _render(self, errors: FormErrors) -> str:
        with self._runtime.snapshot() as session:
            account = self._account(session)
            enrolled_at = self._second_factor.enrolled_at(session, account.account_id)
            codes_left = self._second_factor.recovery_codes_left(session, account.account_id)
            email = self._accounts.email_of(session, account)
            secret = self._second_factor.secret_to_confirm(
                session, account, now=self._runtime.clock()
            )
        qr = None
        if enrolled_at is None and secret is not None:
            uri = enrolment_uri(secret, account=email, issuer=self._issuer)
            # Our own drawing of our own text: there is nothing in it to escape.
            qr = Markup(segno.make(uri, error="m", micro=False).svg_inline(omitsize=True))  # noqa: S704
        return render_template(
            "mfa/totp.html",
            errors=errors,
            enrolled_at=enrolled_at,
            codes_left=codes_left,
            secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4))
            if secret
            else None,
            qr_code=qr,
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
