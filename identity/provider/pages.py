"""`/oauth/authorize`: where an application sends a person to sign in.

A request is answered at once or leads away first, in this order: to sign in, to prove more, to
choose an account, to agree. Each way comes back here with the same request and a mark beside it.
Nobody gets into an application for the first time without a word of their own, be it which account
to go on with. Source: OWASP ASVS 5.0 7.6.2.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.errors import AccessDeniedError, OAuth2Error
from flask import Blueprint, Response, current_app, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response as BaseResponse

from identity.accounts.service import Accounts
from identity.provider import discovery
from identity.provider.authorization import (
    AuthorizationRequest,
    NoDestination,
    Parameters,
    RequestGone,
    answer_uri,
    must_sign_in,
    proved_since,
)
from identity.provider.consent_pages import PAGE as CONSENT
from identity.provider.detours import MARKER, Detour, Detours, own
from identity.provider.grants import Grants
from identity.provider.logout import Logouts
from identity.provider.pushed import Addressed, PushedRequests, Requests
from identity.provider.service import Provider
from identity.sessions.browser import AGAIN
from identity.sessions.step_up import StepUp
from policies.assurance import FactorNeeded, level_of, satisfies
from policies.errors import NotFound
from policies.vocabulary import Scope
from privacy.actor import Actor, ActorKind
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

SELECT: Final = "/oauth/select"
#: With our mark it must still fit into `next` (identity.accounts.navigation.MAX_LENGTH).
MAX_QUERY_LENGTH: Final = 7000


class AuthorizePages:
    """The authorization endpoint and the page on which a person chooses an account.

    Args:
        runtime: the doors to the database.
        provider: hands out codes.
        requests: understands what is asked.
        pushed: requests that were pushed count once.
        detours: where a request led the person already.
        accounts: tells the address of the account that is signed in.
        step_up: tells what an account can still prove.
        grants: what people let applications have.
        logouts: who is signed in where.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        provider: Provider,
        requests: Requests,
        pushed: PushedRequests,
        detours: Detours,
        accounts: Accounts,
        step_up: StepUp,
        grants: Grants,
        logouts: Logouts,
    ) -> None:
        self._runtime = runtime
        self._provider = provider
        self._requests = requests
        self._pushed = pushed
        self._detours = detours
        self._accounts = accounts
        self._step_up = step_up
        self._grants = grants
        self._logouts = logouts

    @requires(Scope.PUBLIC)
    def authorize(self) -> BaseResponse:
        """Send the person back with a code or an error, or to a page of ours first."""
        parameters = request.args.to_dict(flat=False)
        try:
            _demand_short(own(parameters))
            addressed = self._requests.addressed(parameters)
            try:
                asked = self._requests.read(addressed)
                detour = self._detour(parameters, asked)
                if detour is not None:
                    return detour
                members = {"code": self._issue(asked)}
            except OAuth2Error as error:
                members = {"error": error.error, "error_description": error.description}
        except NoDestination as error:
            return _stay_here(error)
        return self._go_back(addressed, members, after_form=MARKER in parameters)

    @requires(Scope.PUBLIC)
    def authorize_by_post(self) -> BaseResponse:
        """Turn the form into the same request by GET. Source: OIDC Core s. 3.1.2.1.

        Another site's form comes without our session cookie (SameSite=Lax), a GET with it.
        """
        parameters = request.form.to_dict(flat=False)
        try:
            _demand_short(parameters)
        except NoDestination as error:
            return _stay_here(error)
        return redirect(f"{discovery.AUTHORIZE}?{urlencode(parameters, doseq=True)}", code=303)

    @requires(Scope.PUBLIC)
    def select(self) -> BaseResponse:
        """Go on with the account that is signed in, or to the sign-in page for another one."""
        parameters, now = request.args.to_dict(flat=False), self._runtime.clock()
        if request.form.get("account") == "other":
            return self._leave("/login", parameters, Detour.LOGIN, {"reauth": "1"})
        chosen = parameters
        if request.form.get("shown") == current_actor().account_id:  # else it changed meanwhile
            chosen = self._detours.away(parameters, Detour.SELECT, now)
        return redirect(f"{discovery.AUTHORIZE}?{urlencode(chosen, doseq=True)}", code=303)

    # ---- where a request leads before it is answered ----

    def _detour(self, parameters: Parameters, asked: AuthorizationRequest) -> BaseResponse | None:
        """Return where the person must go first; None: nowhere.

        Raises:
            OAuth2Error: they would have to and the client wants no page shown, or it is of no use.
        """
        person, now, done = current_actor(), self._runtime.clock(), self._detours.done(parameters)
        signed_in = person.kind is ActorKind.PERSON and person.may(Scope.SIGNED_IN)
        asked_at = done.get(Detour.LOGIN)
        if self._must_sign_in(asked, person if signed_in else None, asked_at, now):
            _need_a_page(asked, "login_required")
            return self._sign_in(parameters, asked, again=signed_in)
        if person.subject_id is None:  # an account that stands for no person
            raise AccessDeniedError
        if self._must_prove_more(asked, person):
            _need_a_page(asked, "interaction_required")
            level = {"level": asked.level.value} if asked.level else {}
            return self._leave(AGAIN, parameters, Detour.STEP_UP, level, asked)
        acted = Detour.SELECT in done or proved_since(asked_at, person.authenticated_at)
        if "select_account" in asked.prompt and not acted:
            return self._ask_which(parameters, asked, person)
        if Detour.REFUSED in done:
            raise AccessDeniedError
        if Detour.CONSENT in done:
            return None
        with self._runtime.snapshot() as session:
            asking = self._grants.asking(session, asked, person.subject_id, now)
            first = not self._grants.exists(session, person.subject_id, asked.client.client_id)
        if asking is None:
            if acted or not first:
                return None
            _need_a_page(asked, "interaction_required")
            return self._ask_which(parameters, asked, person)
        _need_a_page(asked, "consent_required")
        kept = {**own(parameters), **_languages(asked)}
        if MARKER in parameters:
            kept[MARKER] = list(parameters[MARKER])
        return redirect(f"{CONSENT}?{urlencode(kept, doseq=True)}", code=303)

    def _must_sign_in(
        self,
        asked: AuthorizationRequest,
        person: Actor | None,
        asked_at: datetime | None,
        now: datetime,
    ) -> bool:
        """Tell whether the person must prove anew who they are, or another one must.

        Raises:
            OAuth2Error: the client asks for somebody, and somebody else has just signed in.
        """
        proved_at = person.authenticated_at if person else None
        if must_sign_in(asked, authenticated_at=proved_at, asked_at=asked_at, now=now):
            return True
        if person is None or self._is_meant(asked, person):
            return False
        if proved_since(asked_at, proved_at):
            raise OAuth2Error(
                "Another person signed in than the one asked for.", error="login_required"
            )
        return True

    def _is_meant(self, asked: AuthorizationRequest, person: Actor) -> bool:
        """Tell whether the answer may be about this person. Source: OIDC Core s. 3.1.2.2, 5.5.1."""
        if asked.claims.sub is None:
            return True
        with self._runtime.snapshot() as session:
            meant = self._provider.person_of(session, asked.client, asked.claims.sub)
        return meant is not None and meant == person.subject_id

    def _must_prove_more(self, asked: AuthorizationRequest, person: Actor) -> bool:
        """Tell whether the person is to be asked for a factor: the level is not there, but can be.

        Raises:
            OAuth2Error: the client insists on a level that this account cannot reach.
        """
        if asked.level is None or satisfies(level_of(person.methods), asked.level):
            return False
        try:
            self._step_up.missing_for_level(person, asked.level)
        except FactorNeeded:
            if asked.insists_on_level:
                raise OAuth2Error(error="unmet_authentication_requirements") from None
            return False
        # A wish is no reason to refuse where no page may be shown. Source: OIDC Core s. 5.5.1.1.
        return asked.insists_on_level or "none" not in asked.prompt

    def _sign_in(
        self, parameters: Parameters, asked: AuthorizationRequest, *, again: bool
    ) -> BaseResponse:
        return self._leave(
            "/login", parameters, Detour.LOGIN, {"reauth": "1"} if again else {}, asked
        )

    def _leave(
        self,
        page: str,
        parameters: Parameters,
        detour: Detour,
        members: dict[str, str],
        asked: AuthorizationRequest | None = None,
    ) -> BaseResponse:
        """Send the person to a page of ours, from where they come back to this request."""
        back = self._detours.away(parameters, detour, self._runtime.clock())
        if asked is not None:
            back |= _languages(asked)
        way_back = f"{discovery.AUTHORIZE}?{urlencode(back, doseq=True)}"
        return redirect(f"{page}?{urlencode({'next': way_back, **members})}", code=303)

    def _ask_which(
        self, parameters: Parameters, asked: AuthorizationRequest, person: Actor
    ) -> BaseResponse:
        kept = {**own(parameters), MARKER: list(parameters.get(MARKER, ())), **_languages(asked)}
        page = render_template(
            "provider/select.html",
            client_name=asked.client.name,
            address=self._address(person),
            shown=person.account_id,
            action=f"{SELECT}?{urlencode(kept, doseq=True)}",
        )
        return current_app.make_response(page)

    def _address(self, person: Actor) -> str | None:
        """Return what the account that is signed in is called; None where it has no address."""
        with self._runtime.snapshot() as session:
            account = self._accounts.find(session, person.account_id or "")
            try:
                return self._accounts.email_of(session, account) if account else None
            except NotFound:
                return None

    # ---- the answer ----

    def _issue(self, asked: AuthorizationRequest) -> str:
        """Return a code; everything that goes with it is one transaction.

        Raises:
            RequestGone: the request was pushed, and answered meanwhile.
        """
        person = current_actor()
        with self._runtime.unit_of_work(person) as uow:
            self._pushed.claim(uow, asked)
            self._grants.keep(uow, asked, person)
            sid = self._logouts.join(uow, asked.client, person)
            return self._provider.authorize(uow, asked, person, sid=sid)

    def _go_back(
        self, addressed: Addressed, members: dict[str, str], *, after_form: bool
    ) -> BaseResponse:
        """Answer at the client's address. Source: RFC 6749 s. 4.1.2; RFC 9207 s. 2.

        Whoever comes from a form of ours is still in that form's navigation, which our content
        security policy (`form-action 'self'`) lets go nowhere else; a page that goes on by
        itself ends it. Everybody else is redirected.
        """
        answer = {**members, "state": addressed.state, "iss": self._provider.issuer}
        uri = answer_uri(addressed.redirect_uri, answer)
        if not after_form:
            return redirect(uri, code=303)
        name = addressed.client.name
        page = Response(render_template("provider/go_on.html", client_name=name, uri=uri))
        page.headers["Refresh"] = f"0;url={uri}"
        return page


def blueprint(pages: AuthorizePages) -> Blueprint:
    """Return the routes that people come to from an application."""
    routes = Blueprint("provider_pages", __name__)
    routes.get(discovery.AUTHORIZE)(pages.authorize)
    routes.post(discovery.AUTHORIZE)(pages.authorize_by_post)
    routes.post(SELECT)(pages.select)
    return routes


def _demand_short(parameters: Parameters) -> None:
    """Let a request pass that fits into the address of our own pages.

    Raises:
        NoDestination: it does not.
    """
    if len(urlencode(parameters, doseq=True)) > MAX_QUERY_LENGTH:
        raise NoDestination("the request is too long; it can be pushed (RFC 9126)")


def _need_a_page(asked: AuthorizationRequest, error: str) -> None:
    """Let a request pass that may show a page. Source: OIDC Core s. 3.1.2.6.

    Raises:
        OAuth2Error: the client wants none shown.
    """
    if "none" in asked.prompt:
        raise OAuth2Error(error=error)


def _languages(asked: AuthorizationRequest) -> dict[str, list[str]]:
    """Return what tells our pages the language of a pushed request, whose address does not."""
    return {"ui_locales": [" ".join(asked.ui_locales)]} if asked.pushed and asked.ui_locales else {}


def _stay_here(error: NoDestination) -> BaseResponse:
    """Return the page for a request that must not be answered anywhere else."""
    if isinstance(error, RequestGone):
        heading = gettext("Esta petición ya no vale")
        text = gettext(
            "La aplicación nos dijo para qué venías, y eso sirve una sola vez y por poco tiempo. "
            "Ya se ha usado, o ha caducado."
        )
        advice = gettext("Vuelve a la aplicación y entra otra vez desde allí.")
    else:
        heading = gettext("Esta aplicación no puede enviarte aquí")
        text = gettext(
            "La aplicación desde la que vienes no está dada de alta, o ha pedido que "
            "te devolvamos a una dirección que no es suya."
        )
        advice = gettext("Vuelve a la aplicación y avisa a quien la lleva.")
    page = render_template(
        "error.html",
        status=400,
        heading=heading,
        text=text,
        changed=gettext("No le hemos dicho nada sobre ti."),
        advice=advice,
        reference=str(error),
        kept_query="",  # nothing of such a request stands on a page of ours
    )
    return current_app.make_response((page, 400))
