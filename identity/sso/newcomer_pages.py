"""Opening an account for somebody who has come from an outside provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.attempts import AttemptKind, Attempts
from identity.accounts.model import LinkNotValid
from identity.accounts.navigation import slow_down
from identity.accounts.pages import (
    AFTERWARDS,
    REGISTRATION,
    SIGN_IN_TO_LINK,
    FormErrors,
    enter,
)
from identity.accounts.registration import Registrations
from identity.sessions.browser import BrowserSession
from identity.sso.cookies import Cookies
from identity.sso.identities import Identities
from identity.sso.identity_model import Arrival
from identity.sso.waiting import Arrivals
from policies.errors import InvalidInput
from policies.register.model import Register
from policies.vocabulary import Attribute, Scope
from privacy.collection.model import purposes_wanting
from privacy.collection.words import attribute_name
from privacy.consent.notice_pages import shown_by_form
from privacy.consent.words import in_language
from privacy.http import current_actor, requires
from privacy.keys.blind_index import normalise_email
from privacy.languages import select_language
from privacy.unit_of_work import Runtime

NEWCOMER: Final = "/register/with"
#: Where the identity that waited for its person is linked once they have signed in.
CONFIRM: Final = "/account/identities/confirm"


@dataclass(frozen=True, slots=True)
class Offered:
    """An attribute that a provider told, as the page shows it.

    Attributes:
        attribute: which.
        name: in the person's language.
        value: as told.
        purposes: the titles of those that need it.
        chosen: whether it comes over unless the person says otherwise: what a contract needs.
    """

    attribute: Attribute
    name: str
    value: str
    purposes: tuple[str, ...]
    chosen: bool


class NewcomerPages:
    """What the browser sees where no account knows who came."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        register: Register,
        identities: Identities,
        arrivals: Arrivals,
        registrations: Registrations,
        attempts: Attempts,
        browser: BrowserSession,
        cookies: Cookies,
    ) -> None:
        self._runtime = runtime
        self._register = register
        self._identities = identities
        self._arrivals = arrivals
        self._registrations = registrations
        self._attempts = attempts
        self._browser = browser
        self._cookies = cookies

    @requires(Scope.PUBLIC)
    def show_newcomer(self) -> str | Response:
        """Show what an account would be opened with."""
        try:
            arrival = self._arrival()
        except LinkNotValid:
            return _begin_again()
        return self._form(arrival, [], arrival.email or "", None)

    @requires(Scope.PUBLIC)
    def register(self) -> tuple[str, int] | Response:
        """Open the account, or mail the code that proves the address first.

        Whether the address has an account makes no difference before it is proven.
        """
        try:
            arrival = self._arrival()
        except LinkNotValid:
            return _begin_again()
        typed = request.form.get("email", "")
        chosen = frozenset(
            each for each in arrival.attributes if f"attribute-{each.value}" in request.form
        )
        proven = arrival.address_proven and arrival.email is not None
        try:
            address = arrival.email if proven and arrival.email else normalise_email(typed)
        except InvalidInput:
            message = gettext("Escribe una dirección de correo válida.")
            return self._form(arrival, [("email", message)], typed, chosen), 422
        network = self._attempts.of_network(AttemptKind.SENDER, request.remote_addr)
        if proven:
            self._attempts.begin(network)
        else:
            self._attempts.begin(self._attempts.of_email(AttemptKind.LETTER, address), network)
        shown, language = shown_by_form(request.form), select_language()
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._arrivals.choose(uow, arrival, address, chosen)
            if proven:
                opened = self._registrations.open_proven(
                    uow, email=address, arrival=arrival.digest, language=language, shown=shown
                )
            else:
                session[REGISTRATION] = self._registrations.begin(
                    uow, email=address, arrival=arrival.digest, language=language, shown=shown
                )
        if proven:
            return enter(self._browser, opened, arrival.next)
        session[AFTERWARDS] = arrival.next
        return redirect(url_for("accounts_pages.show_code"), code=303)

    @requires(Scope.PUBLIC)
    def show_sign_in_to_link(self) -> str | Response:
        """Say to whom the proven address belongs: sign in as ever, then confirm."""
        try:
            arrival = self._arrival()
        except LinkNotValid:
            return redirect(url_for("sessions_pages.show_form"), code=303)
        if arrival.account_id is None:
            return redirect(NEWCOMER, code=303)
        return render_template(
            "sso/sign_in_to_link.html",
            provider=self._identities.title(arrival.provider),
            target=url_for("sessions_pages.show_form", next=CONFIRM),
        )

    def _form(
        self,
        arrival: Arrival,
        errors: FormErrors,
        email: str,
        chosen: frozenset[Attribute] | None,
    ) -> str:
        return render_template(
            "sso/newcomer.html",
            errors=errors,
            provider=self._identities.title(arrival.provider),
            email=email,
            proven=arrival.address_proven and arrival.email is not None,
            offered=self._offered(arrival.attributes, chosen),
        )

    def _offered(
        self, attributes: Mapping[Attribute, str], chosen: frozenset[Attribute] | None
    ) -> list[Offered]:
        found = []
        for attribute, value in attributes.items():
            wanting = purposes_wanting(self._register, attribute)
            titles = tuple(in_language(each.title) for each in wanting)
            # Nothing is ticked before the person does it. Source: GDPR Art. 25(2).
            is_chosen = chosen is not None and attribute in chosen
            found.append(Offered(attribute, attribute_name(attribute), value, titles, is_chosen))
        return found

    def _arrival(self) -> Arrival:
        with self._runtime.snapshot() as database:
            return self._arrivals.find(database, self._cookies.arrival(), now=self._runtime.clock())


def _begin_again() -> Response:
    flash(gettext("Ha pasado demasiado tiempo, o ya se ha usado. Empieza otra vez."), "warning")
    return redirect(url_for("sessions_pages.show_form"), code=303)


def blueprint(pages: NewcomerPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("newcomer_pages", __name__)
    slow_down(routes)
    routes.get(NEWCOMER)(pages.show_newcomer)
    routes.post(NEWCOMER)(pages.register)
    routes.get(SIGN_IN_TO_LINK)(pages.show_sign_in_to_link)
    return routes
