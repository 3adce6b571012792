"""Adding a passkey, and looking after one."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, session
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.browser import Browser
from identity.accounts.client import short_user_agent
from identity.accounts.navigation import local_path, slow_down
from identity.accounts.pages import CEREMONY, FormErrors
from identity.accounts.service import Accounts
from identity.mfa.factors import factors_of
from identity.mfa.model import MAX_NAME, CeremonyEnded, FactorStillNeeded, PasskeyRefused
from identity.mfa.pages import SECURITY, signed_in, why_needed
from identity.mfa.passkeys import METHODS, Passkeys
from policies.assurance import Action, Factor
from policies.errors import Conflict, InvalidInput, NotFound
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE: Final = "/account/passkeys"


class PasskeyPages:
    """What the browser sees of the person's passkeys."""

    def __init__(
        self, runtime: Runtime, accounts: Accounts, passkeys: Passkeys, browser: Browser
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passkeys = passkeys
        self._browser = browser

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def show_form(self) -> str:
        """Show what a passkey is and how to add one."""
        name = short_user_agent(request.headers.get("User-Agent", ""))
        return _form([], name or gettext("Llave de acceso"))

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=PAGE)
    def begin(self) -> Response:
        """Begin to make a passkey; our own script asks."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            account = signed_in(self._accounts, uow.session)
            email = self._accounts.email_of(uow.session, account)
            begun = self._passkeys.begin_registration(uow, account, email)
        session[CEREMONY] = begun.ceremony_id
        return Response(begun.options, mimetype="application/json")

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def add(self) -> tuple[str, int] | str | Response:
        """Add the passkey that the browser made, and show recovery codes where there are new ones."""
        name = request.form.get("name", "")
        onward = local_path(request.form.get("next")) or ""
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = signed_in(self._accounts, uow.session)
                passkey, codes = self._passkeys.register(
                    uow,
                    account,
                    session.pop(CEREMONY, ""),
                    request.form.get("credential", ""),
                    name,
                )
        except InvalidInput:
            return _form([("name", _wrong_name())], name), 422
        except (CeremonyEnded, PasskeyRefused, Conflict) as error:
            return _form([(None, _why_not(error))], name), 422
        self._browser.renew(sorted({*current_actor().methods, *METHODS}))
        flash(gettext("La llave «%(name)s» está lista.", name=passkey.name), "success")
        if codes:
            return render_template("mfa/recovery_codes.html", codes=codes, onward=onward)
        return redirect(onward or SECURITY, code=303)

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def show(self, passkey_id: str) -> str:
        """Show one of the person's passkeys, to rename or remove it."""
        return self._render(passkey_id, [])

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=SECURITY)
    def rename(self, passkey_id: str) -> tuple[str, int] | Response:
        """Give the passkey another name."""
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = signed_in(self._accounts, uow.session)
                self._passkeys.rename(uow, account, passkey_id, request.form.get("name", ""))
        except InvalidInput:
            return self._render(passkey_id, [("name", _wrong_name())]), 422
        flash(gettext("El nombre se ha guardado."), "success")
        return redirect(SECURITY, code=303)

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=SECURITY)
    def confirm(self, passkey_id: str) -> Response:
        """Let a suspended passkey open again."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            account = signed_in(self._accounts, uow.session)
            self._passkeys.confirm(uow, account, passkey_id)
        flash(gettext("La llave vuelve a servir."), "success")
        return redirect(SECURITY, code=303)

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=SECURITY)
    def remove(self, passkey_id: str) -> tuple[str, int] | Response:
        """Remove the passkey; the other sessions end."""
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = signed_in(self._accounts, uow.session)
                self._passkeys.remove(uow, account, passkey_id)
        except FactorStillNeeded as error:
            return self._render(passkey_id, [(None, why_needed(error))]), 409
        self._lower(account.account_id)
        flash(gettext("Has quitado la llave y se han cerrado tus demás sesiones."), "success")
        return redirect(SECURITY, code=303)

    def _lower(self, account_id: str) -> None:
        """Give the session a new id, and no passkey's worth where no passkey is left."""
        used = current_actor().methods
        with self._runtime.snapshot() as database:
            left = factors_of(database, account_id)
        kept = used if Factor.PASSKEY in left else [each for each in used if each not in METHODS]
        self._browser.renew(kept or used)

    def _render(self, passkey_id: str, errors: FormErrors) -> str:
        with self._runtime.snapshot() as database:
            account = signed_in(self._accounts, database)
            own = self._passkeys.of_account(database, account.account_id)
        found = next((each for each in own if each.passkey_id == passkey_id), None)
        if found is None:
            raise NotFound("the account has no such passkey")
        return render_template("mfa/passkey.html", errors=errors, passkey=found, max_name=MAX_NAME)


def blueprint(pages: PasskeyPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("passkey_pages", __name__)
    slow_down(routes)
    routes.get(PAGE)(pages.show_form)
    routes.post(PAGE)(pages.add)
    routes.post(f"{PAGE}/options")(pages.begin)
    routes.get(f"{PAGE}/<passkey_id>")(pages.show)
    routes.post(f"{PAGE}/<passkey_id>/name")(pages.rename)
    routes.post(f"{PAGE}/<passkey_id>/confirm")(pages.confirm)
    routes.post(f"{PAGE}/<passkey_id>/remove")(pages.remove)
    return routes


def _form(errors: FormErrors, name: str) -> str:
    onward = local_path(request.values.get("next")) or ""
    return render_template(
        "mfa/add_passkey.html", errors=errors, name=name, max_name=MAX_NAME, onward=onward
    )


def _wrong_name() -> str:
    return str(gettext("Escribe un nombre de 1 a %(most)s caracteres.", most=MAX_NAME))


def _why_not(error: CeremonyEnded | PasskeyRefused | Conflict) -> str:
    if isinstance(error, CeremonyEnded):
        return str(gettext("Ha pasado demasiado tiempo. Pulsa el botón otra vez."))
    if isinstance(error, Conflict):
        return str(gettext("Esa llave ya está añadida, o tu cuenta ya tiene 20 llaves."))
    return str(
        gettext(
            "No hemos podido comprobar la llave y no se ha añadido. Prueba otra vez, o con otra."
        )
    )
