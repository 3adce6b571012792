"""`/account/identities`: the outside providers that open the account, one more, one less."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, session
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.model import LinkNotValid
from identity.accounts.navigation import local_path, slow_down
from identity.accounts.service import Accounts
from identity.mfa.pages import signed_in
from identity.sso.cookies import Cookies
from identity.sso.identities import Identities
from identity.sso.identity_model import Arrival, Identity, LastWayIn
from identity.sso.model import AttemptPurpose
from identity.sso.newcomer_pages import CONFIRM
from identity.sso.pages import IDENTITIES, LINKING, UpstreamPages
from identity.sso.upstream import Upstreams
from identity.sso.waiting import Arrivals
from policies.assurance import Action
from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime


class IdentityPages:
    """What the browser sees of an account's linked identities."""

    def __init__(
        self,
        *,
        runtime: Runtime,
        accounts: Accounts,
        upstreams: Upstreams,
        identities: Identities,
        arrivals: Arrivals,
        away: UpstreamPages,
        cookies: Cookies,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._upstreams = upstreams
        self._identities = identities
        self._arrivals = arrivals
        self._away = away
        self._cookies = cookies

    @requires(Scope.SIGNED_IN)
    def show(self) -> str:
        """Show who opens the account, since when, and who else could."""
        with self._runtime.snapshot() as database:
            account = signed_in(self._accounts, database)
            own = self._identities.of_account(database, account.account_id)
        return render_template(
            "sso/identities.html",
            identities=own,
            title=self._identities.title,
            providers=self._upstreams.all(),
        )

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=IDENTITIES)
    def link(self, provider_id: str) -> Response:
        """Send the person to a provider, to link who they are there."""
        self._upstreams.find(provider_id)
        session[LINKING] = provider_id
        return self._away.send(provider_id, AttemptPurpose.LINK, IDENTITIES)

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def show_confirmation(self) -> str | Response:
        """Ask whether to link who waits in this browser."""
        try:
            arrival = self._waiting()
        except LinkNotValid:
            return self._too_late()
        title = self._identities.title(arrival.provider)
        return render_template("sso/confirm_link.html", provider=title, action=CONFIRM)

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=CONFIRM)
    def confirm(self) -> Response:
        """Link who waits in this browser, since the account's person says so."""
        try:
            arrival = self._waiting()
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = signed_in(self._accounts, uow.session)
                linked = self._identities.confirm(uow, account, self._cookies.arrival())
        except LinkNotValid:
            return self._too_late()
        title = self._identities.title(linked.provider)
        flash(gettext("Ya puedes entrar con %(provider)s.", provider=title), "success")
        response = redirect(local_path(arrival.next) or IDENTITIES, code=303)
        self._cookies.forget_arrival(response)
        return response

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def show_one(self, identity_id: str) -> str:
        """Ask whether to unlink one."""
        return self._page(identity_id, [])

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=f"{IDENTITIES}/{{identity_id}}")
    def unlink(self, identity_id: str) -> tuple[str, int] | Response:
        """Unlink one; the sessions that it began elsewhere end."""
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                account = signed_in(self._accounts, uow.session)
                gone = self._identities.unlink(uow, account, identity_id)
        except LastWayIn:
            message = gettext(
                "Es tu única forma de entrar. Añade antes una contraseña, una llave de acceso u "
                "otra cuenta enlazada, y después podrás quitarla."
            )
            return self._page(identity_id, [(None, message)]), 409
        title = self._identities.title(gone.provider)
        flash(gettext("Ya no se puede entrar con %(provider)s.", provider=title), "success")
        return redirect(IDENTITIES, code=303)

    def _page(self, identity_id: str, errors: list[tuple[str | None, str]]) -> str:
        identity = self._own(identity_id)
        return render_template(
            "sso/unlink.html",
            errors=errors,
            identity=identity,
            provider=self._identities.title(identity.provider),
        )

    def _own(self, identity_id: str) -> Identity:
        with self._runtime.snapshot() as database:
            account = signed_in(self._accounts, database)
            own = self._identities.of_account(database, account.account_id)
        found = next((each for each in own if each.identity_id == identity_id), None)
        if found is None:
            raise NotFound("the account has no such identity")
        return found

    def _waiting(self) -> Arrival:
        """Return who waits in this browser for this very account.

        Raises:
            LinkNotValid: nobody does.
        """
        with self._runtime.snapshot() as database:
            found = self._arrivals.find(
                database, self._cookies.arrival(), now=self._runtime.clock()
            )
        if found.account_id is None or found.account_id != current_actor().account_id:
            raise LinkNotValid("nobody waits for this account")
        return found

    def _too_late(self) -> Response:
        flash(
            gettext("No hay nada que enlazar: ha pasado demasiado tiempo o es de otra cuenta."),
            "warning",
        )
        response = redirect(IDENTITIES, code=303)
        self._cookies.forget_arrival(response)
        return response


def blueprint(pages: IdentityPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("identity_pages", __name__)
    slow_down(routes)
    routes.get(IDENTITIES)(pages.show)
    routes.post(f"{IDENTITIES}/link/<provider_id>")(pages.link)
    routes.get(CONFIRM)(pages.show_confirmation)
    routes.post(CONFIRM)(pages.confirm)
    routes.get(f"{IDENTITIES}/<identity_id>")(pages.show_one)
    routes.post(f"{IDENTITIES}/<identity_id>/unlink")(pages.unlink)
    return routes
