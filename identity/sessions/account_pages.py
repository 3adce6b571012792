"""The person's account on one page: addresses, ways in, sessions and language."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from sqlalchemy.orm import Session as DatabaseSession
from werkzeug.wrappers import Response

from identity.accounts.model import Account
from identity.accounts.service import Accounts
from identity.credentials.service import Passwords
from identity.mfa.service import SecondFactor
from identity.sessions.service import Sessions
from policies.assurance import Action
from policies.errors import InvalidInput, Unauthenticated
from policies.vocabulary import Scope
from privacy.http import current_actor, requires
from privacy.languages import LANGUAGES
from privacy.subjects.service import Subjects
from privacy.unit_of_work import Runtime

PAGE = "/account"


class AccountPages:
    """What the browser sees of the account."""

    def __init__(
        self,
        runtime: Runtime,
        accounts: Accounts,
        subjects: Subjects,
        passwords: Passwords,
        second_factor: SecondFactor,
        sessions: Sessions,
    ) -> None:
        self._runtime = runtime
        self._accounts = accounts
        self._subjects = subjects
        self._passwords = passwords
        self._second_factor = second_factor
        self._sessions = sessions

    @requires(Scope.SIGNED_IN)
    def show(self) -> str:
        """Show the account."""
        now = self._runtime.clock()
        with self._runtime.snapshot() as session:
            account = self._account(session)
            return render_template(
                "accounts/account.html",
                account=account,
                addresses=self._subjects.emails(session, account.subject_id),
                password_changed_at=self._passwords.changed_at(session, account.account_id),
                enrolled_at=self._second_factor.enrolled_at(session, account.account_id),
                codes_left=self._second_factor.recovery_codes_left(session, account.account_id),
                sessions=self._sessions.of_account(session, account.account_id, now=now),
                this_session=current_actor().session_id,
            )

    @requires(Scope.SIGNED_IN, Action.END_SESSIONS, page=PAGE)
    def end_session(self) -> Response:
        """End one of the person's other sessions."""
        with self._runtime.unit_of_work(current_actor()) as uow:
            account = self._account(uow.session)
            self._sessions.end(uow, account, request.form.get("session", ""))
        flash(gettext("La sesión se ha cerrado."), "success")
        return redirect(f"{PAGE}#sessions", code=303)

    @requires(Scope.SIGNED_IN, Action.END_SESSIONS, page=PAGE)
    def end_other_sessions(self) -> Response:
        """End all of the person's sessions but this one."""
        actor = current_actor()
        with self._runtime.unit_of_work(actor) as uow:
            self._sessions.end_others(uow, self._account(uow.session), actor.session_id)
        flash(gettext("Las demás sesiones se han cerrado."), "success")
        return redirect(f"{PAGE}#sessions", code=303)

    @requires(Scope.SIGNED_IN)
    def choose_language(self) -> Response:
        """Keep the language of pages and letters."""
        language = request.form.get("language", "")
        if language not in LANGUAGES:
            raise InvalidInput("there is no such language", field="language")
        with self._runtime.unit_of_work(current_actor()) as uow:
            self._accounts.choose_language(uow, self._account(uow.session), language)
        return redirect(f"{PAGE}?lang={language}", code=303)

    def _account(self, session: DatabaseSession) -> Account:
        account = self._accounts.find(session, current_actor().account_id or "")
        if account is None:
            raise Unauthenticated("the session has no account any more")
        return account


def blueprint(pages: AccountPages) -> Blueprint:
    """Return the routes of these pages."""
    routes = Blueprint("account_pages", __name__)
    routes.get(PAGE)(pages.show)
    routes.post(f"{PAGE}/sessions/end")(pages.end_session)
    routes.post(f"{PAGE}/sessions/end-others")(pages.end_other_sessions)
    routes.post(f"{PAGE}/language")(pages.choose_language)
    return routes
