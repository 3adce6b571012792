"""The addresses and numbers of the account, and taking a change of them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session as DatabaseSession
from werkzeug.wrappers import Response

from identity.accounts.address_model import (
    AddressAlreadyYours,
    AddressTaken,
    LastAddress,
    NoMobileNumber,
)
from identity.accounts.address_undo import UNDO, AddressUndo
from identity.accounts.addresses import CONFIRM, Addresses
from identity.accounts.attempts import Attempt, AttemptKind, Attempts
from identity.accounts.model import Account, LinkNotValid, WrongCode
from identity.accounts.navigation import slow_down
from identity.accounts.service import Accounts
from policies.assurance import Action
from policies.errors import InvalidInput, Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.keys.blind_index import IdentifierKind
from privacy.subjects.identifiers import Identifier
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

PAGE: Final = "/account/addresses"
#: Where this browser keeps the id of the proof that it asked for, and what is proven.
PROOF: Final = "new-address"
EMAIL, PHONE = IdentifierKind.EMAIL, IdentifierKind.PHONE

FormErrors = list[tuple[str | None, str]]
#: Begins the recovery of the account of an address in this browser, and returns where it goes on.
BeginRecovery = Callable[[str], str]


class AddressPages:
    """What the browser sees of addresses."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        subjects: Subjects,
        addresses: Addresses,
        undo: AddressUndo,
        attempts: Attempts,
        begin_recovery: BeginRecovery,
        texts_are_sent: bool,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._subjects = subjects
        self._addresses = addresses
        self._undo = undo
        self._attempts = attempts
        self._begin_recovery = begin_recovery
        self.texts_are_sent = texts_are_sent

    @requires(Scope.SIGNED_IN)
    def show(self) -> str:
        """Show the addresses, and with which one the person signs in."""
        return self._list([])

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS)
    def show_email_form(self) -> str:
        """Ask for the new address."""
        return self._form(EMAIL, [])

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS)
    def show_phone_form(self) -> str:
        """Ask for the new number."""
        return self._form(PHONE, [])

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS)
    def add_email(self) -> tuple[str, int] | Response:
        """Send a code to a new address; the answer is the same whosever it is."""
        return self._add(EMAIL)

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS)
    def add_phone(self) -> tuple[str, int] | Response:
        """Send a code to a new number; the answer is the same whosever it is."""
        return self._add(PHONE)

    @requires(Scope.SIGNED_IN)
    def show_code(self) -> str | Response:
        """Ask for the code, in the browser that asked for it."""
        if PROOF not in session:
            return redirect(PAGE, code=303)
        return self._code_form([])

    @requires(Scope.SIGNED_IN)
    def prove_by_code(self) -> tuple[str, int] | Response:
        """Add the address by its code."""
        if PROOF not in session:
            return redirect(PAGE, code=303)
        typed = request.form.get("code", "")
        try:
            added = self._addresses.prove_by_code(current_actor(), session[PROOF]["id"], typed)
        except WrongCode:
            message = gettext("El código no es ese. Míralo otra vez en el mensaje.")
            return self._code_form([("code", message)]), 422
        except LinkNotValid:
            message = gettext(
                "Este código ya no sirve: ha caducado o ha habido demasiados intentos. Pide otro."
            )
            return self._code_form([(None, message)]), 410
        except AddressTaken:
            return self._code_form([(None, _taken())]), 409
        return self._added(added)

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS)
    def show_confirmation(self, token: str) -> str:
        """Show the button behind the mailed link; looking at it changes nothing."""
        with self._runtime.snapshot() as database:
            self._addresses.proof_of(database, current_actor().account_id or "", token)
        return render_template("addresses/confirm.html", errors=[])

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS)
    def prove_by_link(self, token: str) -> tuple[str, int] | Response:
        """Add the address by the mailed link's button."""
        try:
            added = self._addresses.prove_by_link(current_actor(), token)
        except AddressTaken:
            return render_template("addresses/confirm.html", errors=[(None, _taken())]), 409
        return self._added(added)

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS, page=PAGE)
    def prefer(self) -> Response:
        """Make an address the one to sign in with and to get letters at."""
        identifier = self._named(EMAIL)
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._addresses.prefer(uow, self._account(uow.session), identifier)
        message = gettext("Desde ahora inicias sesión con %(address)s.", address=identifier.value)
        flash(message, "success")
        return redirect(PAGE, code=303)

    @requires(Scope.SIGNED_IN, Action.CHANGE_ADDRESS, page=PAGE)
    def remove(self) -> tuple[str, int] | Response:
        """Remove an address or a number."""
        identifier = self._named(PHONE if request.form.get("kind") == PHONE else EMAIL)
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                self._addresses.remove(uow, self._account(uow.session), identifier)
        except LastAddress:
            message = gettext("Es tu única dirección. Añade otra antes de quitarla.")
            return self._list([(None, message)]), 409
        flash(gettext("Hemos quitado %(address)s.", address=identifier.value), "success")
        return redirect(PAGE, code=303)

    @requires(Scope.PUBLIC)
    def show_undo(self, token: str) -> str:
        """Show the button that takes a change back; looking at it changes nothing."""
        with self._runtime.snapshot() as database:
            self._undo.behind_link(database, token, now=self._runtime.clock())
        return render_template("addresses/undo.html")

    @requires(Scope.PUBLIC)
    def undo(self, token: str) -> Response:
        """Take the change back, and lead to a new password."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            address = self._undo.undo(uow, token)
        session.clear()
        message = gettext(
            "Hemos deshecho el cambio y cerrado todas las sesiones. Ahora elige otra contraseña: "
            "la de antes ya no sirve."
        )
        flash(message, "success")
        return redirect(self._begin_recovery(address), code=303)

    def _add(self, kind: IdentifierKind) -> tuple[str, int] | Response:
        typed = request.form.get(kind.value, "")
        try:
            identifier = self._subjects.identifiers.read(kind, typed)
            self._attempts.begin(
                self._letters_to(identifier),
                self._attempts.of_network(AttemptKind.SENDER, request.remote_addr),
            )
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = self._account(uow.session)
                proof_id = self._addresses.begin(uow, account, identifier)
        except InvalidInput as error:
            return self._form(kind, [(kind.value, _what_is_wrong(error, kind))], typed), 422
        session[PROOF] = {"id": proof_id, "kind": kind.value}
        return redirect(url_for("address_pages.show_code"), code=303)

    def _added(self, identifier: Identifier) -> Response:
        session.pop(PROOF, None)
        flash(gettext("Hemos añadido %(address)s.", address=identifier.value), "success")
        return redirect(PAGE, code=303)

    def _letters_to(self, identifier: Identifier) -> Attempt:
        return Attempt(AttemptKind.LETTER, self._subjects.identifiers.index(identifier).hex())

    def _named(self, kind: IdentifierKind) -> Identifier:
        return self._subjects.identifiers.read(kind, request.form.get("address", ""))

    def _account(self, database: DatabaseSession) -> Account:
        account = self._accounts.find(database, current_actor().account_id or "")
        if account is None:
            raise Unauthenticated("the session has no account any more")
        return account

    def _list(self, errors: FormErrors) -> str:
        with self._runtime.snapshot() as database:
            account = self._account(database)
            emails = self._addresses.of(database, account)
            phones = self._addresses.of(database, account, PHONE)
        return render_template(
            "addresses/list.html",
            errors=errors,
            emails=[known.identifier.value for known in emails],
            phones=[known.identifier.value for known in phones],
            texts_are_sent=self.texts_are_sent,
        )

    @staticmethod
    def _form(kind: IdentifierKind, errors: FormErrors, typed: str = "") -> str:
        return render_template("addresses/add.html", errors=errors, kind=kind.value, typed=typed)

    @staticmethod
    def _code_form(errors: FormErrors) -> str:
        return render_template("addresses/code.html", errors=errors, kind=session[PROOF]["kind"])


def blueprint(pages: AddressPages) -> Blueprint:
    """Return the routes of these pages; those of numbers only where texts can be sent."""
    routes = Blueprint("address_pages", __name__)
    slow_down(routes)
    routes.get(PAGE)(pages.show)
    routes.get(f"{PAGE}/email")(pages.show_email_form)
    routes.post(f"{PAGE}/email")(pages.add_email)
    if pages.texts_are_sent:
        routes.get(f"{PAGE}/phone")(pages.show_phone_form)
        routes.post(f"{PAGE}/phone")(pages.add_phone)
    routes.get(f"{PAGE}/code")(pages.show_code)
    routes.post(f"{PAGE}/code")(pages.prove_by_code)
    routes.get(f"{CONFIRM}/<token>")(pages.show_confirmation)
    routes.post(f"{CONFIRM}/<token>")(pages.prove_by_link)
    routes.post(f"{PAGE}/primary")(pages.prefer)
    routes.post(f"{PAGE}/remove")(pages.remove)
    routes.get(f"{UNDO}/<token>")(pages.show_undo)
    routes.post(f"{UNDO}/<token>")(pages.undo)
    return routes


def _taken() -> str:
    return str(
        gettext(
            "Esta dirección tiene ahora su propia cuenta. Inicia sesión con ella y ciérrala; "
            "después podrás añadirla aquí."
        )
    )


def _what_is_wrong(error: InvalidInput, kind: IdentifierKind) -> str:
    if isinstance(error, AddressAlreadyYours):
        return str(gettext("Ya la tienes en tu cuenta."))
    if isinstance(error, NoMobileNumber):
        return str(gettext("A este número no llegan mensajes. Escribe el de un móvil."))
    if kind is PHONE:
        return str(gettext("Escribe un número de teléfono válido, como 600 111 222."))
    return str(gettext("Escribe una dirección de correo válida."))
