"""Closing one's account, and coming back while the grace lasts."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, redirect, render_template, session
from flask_babel import format_date, gettext
from werkzeug.wrappers import Response

from identity.accounts.browser import Browser
from identity.accounts.closing import STOP, Closing
from identity.accounts.model import (
    CLOSING_GRACE,
    Account,
    AccountStatus,
    LastAdministrator,
    LinkNotValid,
)
from identity.accounts.service import Accounts
from policies.assurance import Action
from policies.errors import Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.rights.erasure import kept
from privacy.unit_of_work import Runtime

PAGE: Final = "/account/close"


class ClosingPages:
    """What the browser sees of closing an account."""

    def __init__(
        self, runtime: Runtime, accounts: Accounts, closing: Closing, browser: Browser
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._closing = closing
        self._browser = browser

    @requires(Scope.SIGNED_IN, Action.CLOSE_ACCOUNT)
    def show(self) -> str | Response:
        """Say what ends, what the law keeps, and until when the person may come back."""
        if self._account().status is AccountStatus.CLOSING:
            return redirect(STOP, code=303)
        return self._page([])

    @requires(Scope.SIGNED_IN, Action.CLOSE_ACCOUNT)
    def close(self) -> Response | tuple[str, int]:
        """Close the account: every session ends, this one too."""
        account = self._account()
        try:
            with self._runtime.unit_of_work(current_actor()) as uow:
                until = self._closing.begin(uow, account)
        except LastAdministrator:
            message = gettext("Eres la única persona que administra. Invita antes a otra.")
            return self._page([(None, message)]), 409
        session.clear()
        flash(
            gettext(
                "Tu cuenta se está cerrando. Hasta el %(day)s puedes volver atrás: inicia sesión o "
                "usa el enlace del correo.",
                day=format_date(until, "long"),
            ),
            "success",
        )
        return redirect("/login", code=303)

    @requires(Scope.SIGNED_IN)
    def show_way_back(self) -> str | Response:
        """Offer whoever signed in to a closing account the one thing it still does."""
        account = self._account()
        if account.closing_until is None:
            self._browser.renew(current_actor().methods)  # the link took it back meanwhile
            return redirect("/account", code=303)
        return render_template("closing/undo.html", until=account.closing_until, action=STOP)

    @requires(Scope.SIGNED_IN)
    def come_back(self) -> Response:
        """Take the closing back."""
        account = self._account()
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._closing.undo(uow, account)
        self._browser.renew(current_actor().methods)  # the session may do more from now on
        flash(gettext("Tu cuenta sigue abierta. No se ha borrado nada."), "success")
        return redirect("/account", code=303)

    @requires(Scope.PUBLIC)
    def show_link(self, token: str) -> str:
        """Show the one button of the mailed link; nothing changes until it is pressed."""
        with self._runtime.snapshot() as database:
            until = self._closing.behind_link(database, token, now=self._runtime.clock())
        return render_template("closing/undo.html", until=until, action=f"{STOP}/{token}")

    @requires(Scope.PUBLIC)
    def come_back_by_link(self, token: str) -> Response:
        """Take the closing back by the mailed link; it signs nobody in."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._closing.undo_by_link(uow, token)
        flash(
            gettext("Tu cuenta sigue abierta. No se ha borrado nada. Ya puedes iniciar sesión."),
            "success",
        )
        return redirect("/login", code=303)

    def _account(self) -> Account:
        with self._runtime.snapshot() as database:
            account = self._accounts.find(database, current_actor().account_id or "")
        if account is None:
            raise Unauthenticated("the session has no account any more")
        return account

    def _page(self, errors: list[tuple[str | None, str]]) -> str:
        until = self._runtime.clock() + CLOSING_GRACE
        return render_template(
            "closing/close.html",
            errors=errors,
            until=until,
            days=CLOSING_GRACE.days,
            kept=kept(until),
        )


def show_not_valid(_error: LinkNotValid) -> tuple[str, int]:
    """Say that a link took nothing back, and what may have happened."""
    page = render_template(
        "error.html",
        status=410,
        heading=gettext("Este enlace ya no sirve"),
        text=gettext(
            "La cuenta ya está abierta otra vez, o han pasado los %(days)s días y se ha borrado.",
            days=CLOSING_GRACE.days,
        ),
        advice=gettext("Prueba a iniciar sesión."),
        actions=[(gettext("Iniciar sesión"), "/login")],
    )
    return page, 410


def blueprint(pages: ClosingPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("closing_pages", __name__)
    routes.register_error_handler(LinkNotValid, show_not_valid)
    routes.get(PAGE)(pages.show)
    routes.post(PAGE)(pages.close)
    routes.get(STOP)(pages.show_way_back)
    routes.post(STOP)(pages.come_back)
    routes.get(f"{STOP}/<token>")(pages.show_link)
    routes.post(f"{STOP}/<token>")(pages.come_back_by_link)
    return routes
