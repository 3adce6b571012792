"""Registering, proving the address, and taking up an invitation."""

from __future__ import annotations

from typing import Final, Protocol

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.browser import Browser
from identity.accounts.client import short_user_agent
from identity.accounts.model import LinkNotValid, WrongCode, WrongCredentials
from identity.accounts.navigation import local_path, onward, slow_down
from identity.accounts.registration import HasAccount, Opened, Registrations
from identity.accounts.schemas import BeginPasskey
from identity.accounts.service import Accounts
from policies.errors import DomainError, InvalidInput
from policies.passwords import Weakness, WeakPassword
from policies.vocabulary import Scope
from privacy.actor import ActorKind
from privacy.consent.notice_pages import shown_by_form
from privacy.http import InvalidFields, current_actor, parse_json, requires
from privacy.keys.blind_index import normalise_email
from privacy.languages import select_language
from privacy.unit_of_work import Runtime, UnitOfWork

#: Where this browser keeps the id of the registration that it began, and where to go after it.
REGISTRATION: Final = "registration"
AFTERWARDS: Final = "afterwards"
#: Where it keeps the id of the passkey ceremony that it began last.
CEREMONY: Final = "passkey-ceremony"

#: Where somebody goes on whose proven address has an account; `identity.sso` has the page.
SIGN_IN_TO_LINK: Final = "/login/link"

#: A cookie holds 4 kB in all.
MAX_KEPT: Final = 2000

FormErrors = list[tuple[str | None, str]]


class PasswordChoice(Protocol):
    """Choosing a password; `identity.credentials` has the real one."""

    def check(self, password: str, *, email: str | None) -> None:
        """Accept a password to be set.

        Raises:
            WeakPassword: it is not acceptable.
            InvalidInput: it is not text.
        """
        ...

    def choose(self, password: str, *, email: str | None) -> str:
        """Return the hash of an acceptable password; slow on purpose."""
        ...


class BegunCeremony(Protocol):
    """A passkey ceremony that has begun; `identity.mfa` has the real one."""

    @property
    def ceremony_id(self) -> str:
        """Return what names it, a secret for the cookie."""
        ...

    @property
    def options(self) -> str:
        """Return what the browser needs, JSON."""
        ...


class PasskeyChoice(Protocol):
    """Making a passkey instead of choosing a password; `identity.mfa` has the real one."""

    def begin_for_newcomer(self, uow: UnitOfWork, email: str) -> BegunCeremony:
        """Begin to make a passkey, whoever has the address; commits."""
        ...

    def verify_newcomer(self, uow: UnitOfWork, ceremony_id: str, response: str, name: str) -> bytes:
        """Return what to keep of the passkey until the address is proven; joins the transaction.

        Raises:
            DomainError: the ceremony has ended, or the response is not one that can be accepted.
        """
        ...


class RegistrationPages:
    """What the browser sees of a registration."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        registrations: Registrations,
        attempts: Attempts,
        passwords: PasswordChoice,
        passkeys: PasskeyChoice,
        browser: Browser,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._registrations = registrations
        self._attempts = attempts
        self._passwords = passwords
        self._passkeys = passkeys
        self._browser = browser

    def _begin(self, invitation: str | None) -> tuple[str | None, FormErrors]:
        """Begin what the form asks for; return the registration's id, or what is wrong."""
        password, credential = request.form.get("password", ""), request.form.get("credential", "")
        errors: FormErrors = []
        address = None
        try:
            address = normalise_email(request.form.get("email", ""))
        except InvalidInput:
            errors.append(("email", _wrong_address()))
        if not credential:
            try:
                self._passwords.check(password, email=address)
            except (WeakPassword, InvalidInput) as error:
                errors.append(("password", password_error(error)))
        if address is None or errors:
            return None, errors
        self._attempts.begin(
            self._attempts.of_email(AttemptKind.LETTER, address),
            self._attempts.of_network(AttemptKind.SENDER, request.remote_addr),
        )
        password_hash = None if credential else self._passwords.choose(password, email=address)
        with self._runtime.unit_of_work(current_actor()) as uow:
            try:
                passkey = self._verified(uow, credential) if credential else None
            except DomainError:
                message = gettext("La llave no ha servido y no se ha creado nada. Prueba otra vez.")
                return None, [(None, message)]
            registration_id = self._registrations.begin(
                uow,
                email=address,
                password_hash=password_hash,
                passkey=passkey,
                language=select_language(),
                invitation=invitation,
                shown=shown_by_form(request.form),
            )
        return registration_id, []

    def _verified(self, uow: UnitOfWork, credential: str) -> bytes:
        """Return what to keep of the passkey that this browser has just made."""
        name = short_user_agent(request.headers.get("User-Agent", ""))
        ceremony_id = session.pop(CEREMONY, "")
        return self._passkeys.verify_newcomer(
            uow, ceremony_id, credential, name or gettext("Llave de acceso")
        )

    def _arrive(self, opened: Opened | HasAccount) -> Response:
        return enter(self._browser, opened, session.get(AFTERWARDS))

    @requires(Scope.PUBLIC)
    def begin_passkey(self) -> Response:
        """Begin to make a passkey instead of a password, whoever has the address."""
        given = parse_json(BeginPasskey())
        try:
            address = normalise_email(given["email"])
        except InvalidInput:
            raise InvalidFields([("email", _wrong_address())]) from None
        with self._runtime.unit_of_work(current_actor()) as uow:
            begun = self._passkeys.begin_for_newcomer(uow, address)
        session[CEREMONY] = begun.ceremony_id
        return Response(begun.options, mimetype="application/json")

    @requires(Scope.PUBLIC)
    def show_form(self) -> str | Response:
        """Show the form that opens an account."""
        if current_actor().kind is ActorKind.PERSON:
            return redirect(local_path(request.args.get("next")) or "/privacy", code=303)
        return render_template(
            "accounts/register.html",
            errors=[],
            email="",
            next=local_path(request.args.get("next")) or "",
        )

    @requires(Scope.PUBLIC)
    def register(self) -> tuple[str, int] | Response:
        """Begin a registration; the answer is the same whoever has the address."""
        afterwards = local_path(request.form.get("next")) or ""
        registration_id, errors = self._begin(None)
        if registration_id is None:
            email = request.form.get("email", "")
            page = render_template(
                "accounts/register.html", errors=errors, email=email, next=afterwards
            )
            return page, 422
        session[REGISTRATION] = registration_id
        session[AFTERWARDS] = afterwards if len(afterwards) <= MAX_KEPT else ""
        return redirect(url_for("accounts_pages.show_code"), code=303)

    @requires(Scope.PUBLIC)
    def show_code(self) -> str | Response:
        """Ask for the mailed code, in the browser that began the registration."""
        if REGISTRATION not in session:
            return redirect(url_for("accounts_pages.show_form"), code=303)
        return render_template("accounts/code.html", errors=[])

    @requires(Scope.PUBLIC)
    def prove_by_code(self) -> tuple[str, int] | Response:
        """Open the account by the mailed code."""
        if REGISTRATION not in session:
            return redirect(url_for("accounts_pages.show_form"), code=303)
        typed = request.form.get("code", "")
        try:
            opened = self._registrations.prove_by_code(
                current_actor(), session[REGISTRATION], typed
            )
        except WrongCode:
            message = gettext("El código no es ese. Míralo otra vez en el correo.")
            return render_template("accounts/code.html", errors=[("code", message)]), 422
        except LinkNotValid:
            message = gettext(
                "Este código ya no sirve: ha caducado o ha habido demasiados intentos. "
                "Usa el enlace del correo o empieza otra vez."
            )
            return render_template("accounts/code.html", errors=[(None, message)]), 410
        return self._arrive(opened)

    @requires(Scope.PUBLIC)
    def show_confirmation(self, token: str) -> str:
        """Show the button behind the mailed link; looking at it changes nothing."""
        return self._confirmation(token, [])

    @requires(Scope.PUBLIC)
    def prove_by_link(self, token: str) -> tuple[str, int] | Response:
        """Open the account by the mailed link's button."""
        with self._runtime.snapshot() as database:
            waiting = self._registrations.registration_of(database, token)
        own = session.get(REGISTRATION) == waiting.registration_id
        if not own and not waiting.by_password:
            return self._confirmation(token, []), 422
        password = None if own else request.form.get("password", "")
        try:
            opened = self._registrations.prove_by_link(current_actor(), token, password=password)
        except WrongCredentials:
            message = gettext("Esa no es la contraseña que se eligió al crear la cuenta.")
            return self._confirmation(token, [("password", message)]), 422
        return self._arrive(opened)

    def _confirmation(self, token: str, errors: FormErrors) -> str:
        with self._runtime.snapshot() as database:
            waiting = self._registrations.registration_of(database, token)
        return render_template(
            "accounts/confirm.html",
            errors=errors,
            own=session.get(REGISTRATION) == waiting.registration_id,
            by_password=waiting.by_password,
        )

    @requires(Scope.PUBLIC)
    def show_invitation(self, token: str) -> str:
        """Show the form that an invitation leads to."""
        with self._runtime.snapshot() as database:
            role = self._accounts.invited_role(database, token, now=self._runtime.clock())
        return render_template("accounts/invitation.html", errors=[], email="", role=role.value)

    @requires(Scope.PUBLIC)
    def accept_invitation(self, token: str) -> tuple[str, int] | Response:
        """Begin the registration of an invited person."""
        with self._runtime.snapshot() as database:
            role = self._accounts.invited_role(database, token, now=self._runtime.clock())
        registration_id, errors = self._begin(token)
        if registration_id is None:
            email = request.form.get("email", "")
            page = render_template(
                "accounts/invitation.html", errors=errors, email=email, role=role.value
            )
            return page, 422
        session[REGISTRATION], session[AFTERWARDS] = registration_id, ""
        return redirect(url_for("accounts_pages.show_code"), code=303)


def blueprint(pages: RegistrationPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("accounts_pages", __name__)
    slow_down(routes)
    routes.get("/register")(pages.show_form)
    routes.post("/register")(pages.register)
    routes.post("/register/passkey/options")(pages.begin_passkey)
    routes.get("/register/code")(pages.show_code)
    routes.post("/register/code")(pages.prove_by_code)
    routes.get("/register/confirm/<token>")(pages.show_confirmation)
    routes.post("/register/confirm/<token>")(pages.prove_by_link)
    routes.get("/invitation/<token>")(pages.show_invitation)
    routes.post("/invitation/<token>")(pages.accept_invitation)
    return routes


def enter(browser: Browser, opened: Opened | HasAccount, afterwards: str | None) -> Response:
    """Sign the person in who has just proved the address, and lead on."""
    if isinstance(opened, HasAccount):
        session.pop(REGISTRATION, None)
        return redirect(SIGN_IN_TO_LINK, code=303)
    target = local_path(afterwards) or ""
    browser.sign_in(opened.account, opened.methods, opened.origin)
    flash(gettext("Tu cuenta está lista."), "success")
    stop = onward(browser.first_stop(opened.account), target)
    return redirect(stop or target or "/privacy", code=303)


def _wrong_address() -> str:
    return str(gettext("Escribe una dirección de correo válida."))


def password_error(error: WeakPassword | InvalidInput) -> str:
    """Return, in the person's language, what is wrong with a chosen password."""
    if not isinstance(error, WeakPassword):
        return str(gettext("La contraseña tiene un signo que no podemos leer. Escríbela otra vez."))
    messages: dict[Weakness, str] = {
        Weakness.TOO_SHORT: gettext(
            "Es demasiado corta: usa al menos %(minimum)s caracteres.", minimum=error.minimum
        ),
        Weakness.TOO_LONG: gettext("Es demasiado larga."),
        Weakness.COMMON: gettext(
            "Está entre las contraseñas más usadas o ya filtradas, que son las primeras que se "
            "prueban. Elige otra."
        ),
        Weakness.CONTAINS_CONTEXT: gettext(
            "Sin contar tu nombre ni el nuestro, es demasiado corta. Añade otras palabras."
        ),
        Weakness.TOO_UNIFORM: gettext("Repite unos pocos signos o sigue una serie. Elige otra."),
    }
    return messages[error.reason]
