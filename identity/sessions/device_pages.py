"""The browsers that the person signs in with: which there are, trusting them no more, forgetting."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from identity.accounts.model import Account
from identity.accounts.service import Accounts
from identity.risk.devices import Devices
from identity.sessions.browser import BrowserSession
from policies.assurance import Action
from policies.errors import Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

PAGE: Final = "/account/devices"


class DevicePages:
    """What the browser sees of known devices."""

    def __init__(
        self, runtime: Runtime, accounts: Accounts, devices: Devices, browser: BrowserSession
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._devices = devices
        self._browser = browser

    @requires(Scope.SIGNED_IN)
    def show(self) -> str:
        """List the devices, this one marked."""
        now = self._runtime.clock()
        with self._runtime.snapshot() as session:
            account = self._account(session)
            account_id, token = account.account_id, self._browser.device_token()
            this = self._devices.find(session, account_id, token, now=now)
            devices = self._devices.of_account(session, account_id)
        return render_template(
            "sessions/devices.html",
            devices=devices,
            this_device=this.device_id if this else None,
            now=now,
        )

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=PAGE)
    def distrust(self) -> Response:
        """Have one device asked for the second factor again."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            account = self._account(uow.session)
            self._devices.distrust(uow, account, request.form.get("device", ""))
        flash(gettext("En ese dispositivo volveremos a pedirte el segundo factor."), "success")
        return redirect(PAGE, code=303)

    @requires(Scope.SIGNED_IN, Action.END_SESSIONS, page=PAGE)
    def forget(self) -> Response:
        """Forget one device; its sessions end."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            account = self._account(uow.session)
            self._devices.revoke(uow, account, request.form.get("device", ""))
        flash(gettext("Hemos olvidado ese dispositivo y cerrado sus sesiones."), "success")
        return redirect(PAGE, code=303)

    def _account(self, session: Session) -> Account:
        account = self._accounts.find(session, current_actor().account_id or "")
        if account is None:
            raise Unauthenticated("the session has no account any more")
        return account


def blueprint(pages: DevicePages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("device_pages", __name__)
    routes.get(PAGE)(pages.show)
    routes.post(f"{PAGE}/distrust")(pages.distrust)
    routes.post(f"{PAGE}/forget")(pages.forget)
    return routes
