"""The person's activity, and proving the address in a browser that strangers have shut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.browser import Browser
from identity.accounts.model import LinkNotValid, WrongCode
from identity.accounts.navigation import local_path, slow_down
from identity.risk import words
from identity.risk.activity import Activity
from identity.risk.address_proof import AddressProofs
from identity.risk.service import Risk
from policies.errors import InvalidInput, Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.keys.blind_index import normalise_email
from privacy.unit_of_work import Runtime

ACTIVITY: Final = "/account/activity"
PROVE: Final = "/login/prove"
LINES_A_PAGE: Final = 20
_LAST_PAGE: Final = 10_000

#: Where this browser keeps the id of the proof that it began, and where to go on afterwards.
PROOF: Final = "address-proof"
NEXT: Final = "address-proof-next"

FormErrors = list[tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class RiskPages:
    """What the browser sees of the accounts' guard."""

    runtime: Runtime
    risk: Risk
    activity: Activity
    proofs: AddressProofs
    attempts: Attempts
    browser: Browser

    @requires(Scope.SIGNED_IN)
    def show_activity(self) -> str:
        """Show what happened at the account's doors."""
        subject_id = current_actor().subject_id
        if subject_id is None:
            raise Unauthenticated("nobody is signed in")
        wanted = request.args.get("page", "1")
        number = min(int(wanted), _LAST_PAGE) if wanted.isdecimal() and len(wanted) < 8 else 1
        with self.runtime.snapshot() as database:
            page = self.activity.page(database, subject_id, number=number, size=LINES_A_PAGE)
        return render_template(
            "risk/activity.html",
            page=page,
            url_for_page=lambda number: f"{ACTIVITY}?page={number}",
            address_days=self.risk.address_days,
        )

    @requires(Scope.PUBLIC)
    def show_form(self) -> str:
        """Ask for the address of the account."""
        target = local_path(request.args.get("next")) or ""
        return render_template("risk/prove.html", errors=[], email="", next=target)

    @requires(Scope.PUBLIC)
    def begin(self) -> tuple[str, int] | Response:
        """Begin a proof; the answer is the same whoever has the address."""
        email, target = request.form.get("email", ""), local_path(request.form.get("next")) or ""
        try:
            address = normalise_email(email)
        except InvalidInput:
            errors = [("email", gettext("Escribe una dirección de correo válida."))]
            page = render_template("risk/prove.html", errors=errors, email=email, next=target)
            return page, 422
        self.attempts.begin(
            self.attempts.of_email(AttemptKind.LETTER, address),
            self.attempts.of_network(AttemptKind.SENDER, request.remote_addr),
        )
        with self.runtime.unit_of_work(current_actor()) as uow:
            session[PROOF] = self.proofs.begin(uow, address)
        session[NEXT] = target
        return redirect(url_for("risk_pages.show_code"), code=303)

    @requires(Scope.PUBLIC)
    def show_code(self) -> str | Response:
        """Ask for the mailed code, in the browser that began."""
        if PROOF not in session:
            return redirect(PROVE, code=303)
        return render_template("risk/prove_code.html", errors=[], code="")

    @requires(Scope.PUBLIC)
    def by_code(self) -> tuple[str, int] | Response:
        """Make this browser a known one by the mailed code."""
        if PROOF not in session:
            return redirect(PROVE, code=303)
        code, errors, status = request.form.get("code", ""), FormErrors(), 422
        try:
            token = self.proofs.by_code(
                current_actor(),
                session[PROOF],
                code,
                self.browser.client(),
                self.browser.device_token(),
            )
        except WrongCode:
            errors = [("code", gettext("El código no es ese. Míralo otra vez en el correo."))]
        except LinkNotValid:
            message = gettext(
                "Este código ya no sirve: ha caducado o ha habido demasiados intentos. "
                "Usa el enlace del correo o pide otro."
            )
            errors, status = [(None, message)], 410
        else:
            return self._done(token)
        return render_template("risk/prove_code.html", errors=errors, code=code), status

    @requires(Scope.PUBLIC)
    def show_link(self, token: str) -> str:
        """Show the button behind the mailed link; looking at it changes nothing."""
        with self.runtime.snapshot() as database:
            self.proofs.proof_of(database, token)
        return render_template("risk/prove_link.html")

    @requires(Scope.PUBLIC)
    def by_link(self, token: str) -> Response:
        """Make this browser a known one by the mailed link's button."""
        return self._done(
            self.proofs.by_link(
                current_actor(), token, self.browser.client(), self.browser.device_token()
            )
        )

    def _done(self, device_token: str) -> Response:
        session.pop(PROOF, None)
        target = local_path(session.pop(NEXT, None))
        self.browser.keep_device(device_token)
        flash(gettext("Ya puedes iniciar sesión en este navegador con tu contraseña."), "success")
        return redirect(url_for("sessions_pages.show_form", next=target or None), code=303)


def blueprint(pages: RiskPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("risk_pages", __name__)
    slow_down(routes)
    for name, function in words.TEMPLATE_FUNCTIONS.items():
        routes.add_app_template_global(function, name)
    routes.add_app_template_global(lambda: pages.risk.sees_travel, "risk_sees_travel")
    routes.get(ACTIVITY)(pages.show_activity)
    routes.get(PROVE)(pages.show_form)
    routes.post(PROVE)(pages.begin)
    routes.get(f"{PROVE}/code")(pages.show_code)
    routes.post(f"{PROVE}/code")(pages.by_code)
    routes.get(f"{PROVE}/link/<token>")(pages.show_link)
    routes.post(f"{PROVE}/link/<token>")(pages.by_link)
    return routes
