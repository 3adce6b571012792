"""`/admin`: people who work here, and one account at a time, found by its exact address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, session
from flask_babel import gettext
from sqlalchemy.orm import Session as DatabaseSession
from werkzeug.wrappers import Response

from identity.accounts.model import (
    INVITATION_LIFETIME,
    PRIVILEGED,
    Account,
    AccountStatus,
    LastAdministrator,
)
from identity.accounts.service import Accounts
from identity.accounts.trail import trail
from identity.administration import words
from identity.administration.model import MAX_REASON, Act, masked
from identity.administration.service import Administration
from identity.mfa.factors import has_second_factor
from identity.risk.devices import Devices
from identity.risk.service import Risk
from identity.sessions.service import Sessions
from policies.errors import Conflict, InvalidInput, NotFound
from policies.vocabulary import Role, Scope
from privacy.audit.log import AuditLog
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime, UnitOfWork

PAGE: Final = "/admin"
ACCOUNT: Final = f"{PAGE}/accounts/<account_id>"
EVENTS_SHOWN: Final = 50
ASSESSMENTS_SHOWN: Final = 10

#: Whose look-up this browser session has recorded already.
LOOKED_UP: Final = "looked-up"
MOST_LOOKED_UP: Final = 20

#: In which standings an act makes sense.
_POSSIBLE: Final = {
    Act.RESET: {AccountStatus.ACTIVE},
    Act.FACTOR_RECOVERY: {AccountStatus.ACTIVE},
    Act.END_SESSIONS: {AccountStatus.ACTIVE},
    Act.END_SESSION: {AccountStatus.ACTIVE},
    Act.DISABLE: {AccountStatus.ACTIVE},
    Act.ENABLE: {AccountStatus.DISABLED},
    Act.ROLE: {AccountStatus.ACTIVE},
}
_WITH_REASON: Final = frozenset({Act.DISABLE, Act.ENABLE})
_ACTS: Final = ",".join(f'"{act.value}"' for act in Act)
ACT: Final = f"{ACCOUNT}/<any({_ACTS}):act>"

Errors = Sequence[tuple[str | None, str]]


@dataclass(frozen=True, slots=True)
class AdminPages:
    """What the browser sees of administration."""

    runtime: Runtime
    accounts: Accounts
    administration: Administration
    sessions: Sessions
    devices: Devices
    risk: Risk
    log: AuditLog
    base_url: str

    @requires(Scope.ADMINISTRATION)
    def show(self) -> str:
        """Show the search, the people who work here and the open invitations."""
        return self._start([])

    @requires(Scope.ADMINISTRATION, page=PAGE)
    def find(self) -> tuple[str, int] | Response:
        """Find one person by the exact address; that it was looked for is recorded."""
        email = request.form.get("email", "").strip()
        try:
            with self.runtime.unit_of_work(current_actor()) as uow:
                account = self.administration.find(uow, email)
        except InvalidInput:
            message = gettext("No es una dirección de correo válida.")
            return self._start([("email", message)], email), 422
        if account is None:
            message = gettext("Ninguna cuenta tiene esa dirección.")
            return self._start([("email", message)], email), 404
        self._keep_looked_up(account.account_id)
        return redirect(f"{PAGE}/accounts/{account.account_id}", code=303)

    @requires(Scope.ADMINISTRATION)
    def show_account(self, account_id: str) -> str:
        """Show an account's standing; whoever comes here past the search is recorded too."""
        with self.runtime.snapshot() as database:
            account = self._account(database, account_id)
        if account_id not in session.get(LOOKED_UP, []):
            with self.runtime.unit_of_work(current_actor()) as uow:
                self.administration.note_look(uow, account)
            self._keep_looked_up(account_id)
        now = self.runtime.clock()
        own = account_id == current_actor().account_id
        with self.runtime.snapshot() as database:
            factors = self.administration.factors(database, account)
            return _page(
                "admin/account.html",
                account=account,
                own=own,
                acts=[]
                if own
                else _possible(account, lost=has_second_factor(database, account_id)),
                addresses=[
                    masked(each) for each in self.administration.addresses(database, account)
                ],
                factors=factors,
                sessions=self.sessions.of_account(database, account_id, now=now),
                devices=self.devices.of_account(database, account_id),
                assessments=self.risk.explain(
                    database, account_id, limit=ASSESSMENTS_SHOWN, before=None
                ),
                trail=trail(self.log, database, account.subject_id, limit=EVENTS_SHOWN),
            )

    @requires(Scope.ADMINISTRATION)
    def confirm(self, account_id: str, act: str) -> str:
        """Ask before an act, and name its consequence; nothing changes yet."""
        return self._confirm(account_id, Act(act), [])

    @requires(Scope.ADMINISTRATION)
    def perform(self, account_id: str, act: str) -> tuple[str, int] | Response:
        """Do what was confirmed."""
        wanted = Act(act)
        try:
            with self.runtime.unit_of_work(current_actor()) as uow:
                self._perform(uow, account_id, wanted)
        except InvalidInput as error:
            message = {
                "reason": gettext(
                    "Di por qué, con %(most)s caracteres como mucho.", most=MAX_REASON
                ),
                "role": gettext("Falta elegir el papel."),
            }.get(error.field or "", gettext("No ha llegado bien: hay que enviarlo otra vez."))
            return self._confirm(account_id, wanted, [(error.field, message)]), 422
        except LastAdministrator:
            message = gettext("Es la última cuenta de administración. Falta invitar antes a otra.")
            return self._confirm(account_id, wanted, [(None, message)]), 409
        except Conflict:
            message = gettext("La cuenta ha cambiado mientras tanto. Nada de esto se ha hecho.")
            return self._confirm(account_id, wanted, [(None, message)]), 409
        flash(words.act_words(wanted).done, "success")
        return redirect(f"{PAGE}/accounts/{account_id}", code=303)

    def _perform(self, uow: UnitOfWork, account_id: str, act: Act) -> None:
        service, form = self.administration, request.form
        performed: dict[Act, Callable[[], object]] = {
            Act.RESET: lambda: service.start_reset(uow, account_id),
            Act.FACTOR_RECOVERY: lambda: service.start_factor_recovery(uow, account_id),
            Act.END_SESSIONS: lambda: service.end_sessions(uow, account_id),
            Act.END_SESSION: lambda: service.end_session(uow, account_id, form.get("session", "")),
            Act.DISABLE: lambda: service.disable(uow, account_id, form.get("reason", "")),
            Act.ENABLE: lambda: service.enable(uow, account_id, form.get("reason", "")),
            Act.ROLE: lambda: service.change_role(uow, account_id, _role(form.get("role"))),
        }
        performed[act]()

    @requires(Scope.ADMINISTRATION)
    def prepare_invitation(self) -> str:
        """Ask which role, and say what it opens."""
        return self._invite([])

    @requires(Scope.ADMINISTRATION)
    def invite(self) -> tuple[str, int] | Response | str:
        """Make an invitation and show its link, this once."""
        try:
            role = _role(request.form.get("role"))
            with self.runtime.unit_of_work(current_actor()) as uow:
                token = self.administration.invite(uow, role)
        except InvalidInput:
            return self._invite([("role", gettext("Falta elegir el papel."))]), 422
        return _page(
            "admin/invited.html",
            role=role,
            link=f"{self.base_url}/invitation/{token}",
            hours=INVITATION_LIFETIME.total_seconds() // 3600,
        )

    @requires(Scope.ADMINISTRATION)
    def confirm_revocation(self, invitation_id: str) -> str:
        """Ask before an invitation is taken back."""
        now = self.runtime.clock()
        with self.runtime.snapshot() as database:
            found = self.administration.invitations(database, now=now)
        wanted = [each for each in found if each.invitation_id == invitation_id]
        if not wanted:
            raise NotFound("there is no such open invitation")
        return _page("admin/revoke.html", invitation=wanted[0])

    @requires(Scope.ADMINISTRATION)
    def revoke_invitation(self, invitation_id: str) -> Response:
        """Take an invitation back."""
        with self.runtime.unit_of_work(current_actor()) as uow:
            self.administration.revoke_invitation(uow, invitation_id)
        flash(gettext("La invitación ya no sirve."), "success")
        return redirect(PAGE, code=303)

    # ---- inside

    def _account(self, database: DatabaseSession, account_id: str) -> Account:
        account = self.accounts.find(database, account_id)
        if account is None or account.status is AccountStatus.CLOSED:
            raise NotFound("there is no such account")
        return account

    def _start(self, errors: Errors, email: str = "") -> str:
        now = self.runtime.clock()
        with self.runtime.snapshot() as database:
            return _page(
                "admin/start.html",
                errors=errors,
                email=email,
                staff=self.administration.staff(database),
                invitations=self.administration.invitations(database, now=now),
            )

    def _confirm(self, account_id: str, act: Act, errors: Errors) -> str:
        with self.runtime.snapshot() as database:
            account = self._account(database, account_id)
            addresses = self.administration.addresses(database, account)
        return _page(
            "admin/confirm.html",
            errors=errors,
            account=account,
            name=", ".join(masked(each) for each in addresses),
            act=act,
            words=words.act_words(act),
            wants_reason=act in _WITH_REASON,
            reason=request.form.get("reason", ""),
            roles=_role_options(but=account.role) if act is Act.ROLE else [],
            role=request.form.get("role"),
            session=request.values.get("session", ""),
        )

    def _invite(self, errors: Errors) -> str:
        roles = [each for each in _role_options() if each[0] != Role.PERSON.value]
        return _page("admin/invite.html", errors=errors, roles=roles)

    @staticmethod
    def _keep_looked_up(account_id: str) -> None:
        kept = [each for each in session.get(LOOKED_UP, []) if each != account_id]
        session[LOOKED_UP] = [*kept, account_id][-MOST_LOOKED_UP:]


def blueprint(pages: AdminPages) -> Blueprint:
    """Return the routes of administration."""
    routes = Blueprint("admin_pages", __name__)
    for function in words.TEMPLATE_FUNCTIONS:
        routes.app_template_global(function.__name__)(function)
    revocation = f"{PAGE}/invitations/<invitation_id>/revoke"
    routes.get(PAGE)(pages.show)
    routes.post(f"{PAGE}/find")(pages.find)
    routes.get(ACCOUNT)(pages.show_account)
    routes.get(ACT)(pages.confirm)
    routes.post(ACT)(pages.perform)
    routes.get(f"{PAGE}/invite")(pages.prepare_invitation)
    routes.post(f"{PAGE}/invite")(pages.invite)
    routes.get(revocation)(pages.confirm_revocation)
    routes.post(revocation)(pages.revoke_invitation)
    return routes


def _possible(account: Account, *, lost: bool) -> list[Act]:
    """Return which acts make sense as the account stands; `lost`: there is a factor to lose."""
    return [
        act
        for act in Act
        if account.status in _POSSIBLE[act] and (lost or act is not Act.FACTOR_RECOVERY)
    ]


def _role(text: str | None) -> Role:
    try:
        return Role(text or "")
    except ValueError:
        raise InvalidInput("there is no such role", field="role") from None


def _role_options(*, but: Role | None = None) -> list[tuple[str, str, str]]:
    consequences = {
        Role.PERSON: gettext("No ve datos de nadie más."),
        Role.STAFF: gettext("Atiende solicitudes en la mesa de privacidad."),
        Role.DPO: gettext("Atiende la mesa de privacidad y exporta pruebas."),
        Role.ADMINISTRATOR: gettext("Invita, activa y desactiva cuentas; no ve consentimientos."),
    }
    order = (Role.STAFF, Role.DPO, Role.ADMINISTRATOR, Role.PERSON)
    return [
        (role.value, words.role_name(role), consequences[role])
        for role in order
        if role is not but and (role in PRIVILEGED or role is Role.PERSON)
    ]


def _page(template: str, **values: object) -> str:
    return render_template(template, act_words=words.act_words, tones=words.STATUS_TONES, **values)
