"""Every way into the account on one page, and a new set of recovery codes."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, redirect, render_template
from werkzeug.wrappers import Response

from identity.accounts.service import Accounts
from identity.mfa.factors import PasswordFacts, has_second_factor
from identity.mfa.model import FEW_CODES
from identity.mfa.pages import SECURITY, signed_in
from identity.mfa.passkeys import Passkeys
from identity.mfa.recovery_codes import RecoveryCodes
from identity.mfa.service import SecondFactor
from policies.assurance import Action
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

CODES: Final = "/account/recovery-codes"


class SecurityPages:
    """What the browser sees of all ways into the account."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        passwords: PasswordFacts,
        second_factor: SecondFactor,
        passkeys: Passkeys,
        recovery_codes: RecoveryCodes,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._passwords = passwords
        self._second_factor = second_factor
        self._passkeys = passkeys
        self._recovery_codes = recovery_codes

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS)
    def show(self) -> str:
        """Show every way in, and what may be done with it."""
        with self._runtime.snapshot() as session:
            account_id = signed_in(self._accounts, session).account_id
            return render_template(
                "mfa/security.html",
                errors=[],
                password_changed_at=self._passwords.changed_at(session, account_id),
                passkeys=self._passkeys.of_account(session, account_id),
                enrolled_at=self._second_factor.enrolled_at(session, account_id),
                codes_left=self._recovery_codes.left(session, account_id),
                has_second_factor=has_second_factor(session, account_id),
                few_codes=FEW_CODES,
            )

    @requires(Scope.SIGNED_IN, Action.CHANGE_FACTORS, page=SECURITY)
    def replace_codes(self) -> str:
        """Make new recovery codes, shown this once; the old ones are void."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            account = signed_in(self._accounts, uow.session)
            codes = self._recovery_codes.replace(uow, account)
        return render_template("mfa/recovery_codes.html", codes=codes)

    @requires(Scope.SIGNED_IN)
    def where_codes_are(self) -> Response:
        """Lead whoever reloads the page of new codes to where they are counted."""
        return redirect(f"{SECURITY}#recovery-codes", code=303)


def blueprint(pages: SecurityPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("security_pages", __name__)
    routes.get(SECURITY)(pages.show)
    routes.get(CODES)(pages.where_codes_are)
    routes.post(CODES)(pages.replace_codes)
    return routes
