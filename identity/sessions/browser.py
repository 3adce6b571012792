"""The browser that sent the present request: its cookies become an `Actor`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from flask import (
    after_this_request,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
)
from flask_babel import gettext
from werkzeug.wrappers import Response

from identity.accounts.client import Client
from identity.accounts.model import Account
from identity.accounts.navigation import local_path
from identity.accounts.origin import Origin
from identity.sessions.arrival import Arrival, SignedIn, Visit
from identity.sessions.first_stops import PASSWORD, FirstStop
from identity.sessions.model import Session
from identity.sessions.service import Sessions
from identity.sessions.step_up import StepUp
from policies.assurance import (
    Action,
    AssuranceLevel,
    FactorNeeded,
    is_phishing_resistant,
    level_of,
    satisfies,
)
from policies.vocabulary import Role, Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.http import ACTION_OF_SCOPE, current_actor, is_api
from privacy.unit_of_work import Runtime

#: Where the signed cookie keeps the session's secret id.
SID: Final = "sid"
AGAIN: Final = "/login/again"
DEVICE_COOKIE: Final = "placet-device"
DEVICE_COOKIE_LIFETIME: Final = timedelta(days=400)
"""As long as browsers keep any cookie. Source: RFC 6265bis s. 5.5."""

MAX_TOKEN: Final = 64

#: What a role adds to `Scope.SIGNED_IN`, and only in a session that is assured enough for it.
PRIVILEGES: Final = MappingProxyType(
    {
        Role.PERSON: frozenset[Scope](),
        Role.STAFF: frozenset({Scope.DESK}),
        Role.DPO: frozenset({Scope.DESK}),
        Role.ADMINISTRATOR: frozenset({Scope.ADMINISTRATION}),
    }
)
_SCOPE_OF_ACTION: Final = {action: scope for scope, action in ACTION_OF_SCOPE.items()}
#: What a limited session opens besides the page that it is limited to.
_ALWAYS_OPEN: Final = ("/logout", "/oauth/logout", AGAIN, "/recover", "/login", "/sso/")


class BrowserSession:
    """Reads and writes the session of the present request.

    Args:
        https: whether cookies may be `__Host-` ones.
        demo: whether a second factor of any kind opens what a role adds.
        first_stops: asked in this order; the first answer counts.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        sessions: Sessions,
        arrival: Arrival,
        step_up: StepUp,
        first_stops: Sequence[FirstStop],
        https: bool,
        demo: bool,
    ) -> None:
        self._runtime = runtime
        self._sessions = sessions
        self._arrival = arrival
        self._step_up = step_up
        self._first_stops = tuple(first_stops)
        self._https = https
        self._demo = demo

    def authenticate(self) -> Actor | None:
        """Return who sent the request, by the cookie; None where nobody is signed in."""
        secret = session.get(SID)
        if not isinstance(secret, str):
            return None
        now = self._runtime.clock()
        with self._runtime.snapshot() as database:
            found = self._sessions.find(database, secret, now=now)
        if found is None:
            return None
        if self._sessions.wants_touch(found, now=now):
            with self._runtime.unit_of_work(SYSTEM) as uow:
                self._sessions.touch(uow, found.digest)
        g.limited_to = found.limited_to
        return self._actor(found)

    @staticmethod
    def client() -> Client:
        """Return the browser as it shows itself; the address only as trusted proxies give it."""
        return Client(request.remote_addr, request.headers.get("User-Agent", ""))

    def device_token(self) -> str | None:
        """Return the token of the browser's device cookie, or None."""
        token = request.cookies.get(self._device_cookie, "")
        return token if 0 < len(token) <= MAX_TOKEN and token.isascii() else None

    def visit(self) -> Visit:
        """Return the browser as this request shows it."""
        return Visit(self.client(), self.device_token(), current_actor().session_id)

    def sign_in(
        self, account: Account, methods: Sequence[str], origin: Origin | None = None
    ) -> None:
        """Begin a session for a person who has just proved who they are, in its own transaction.

        The browser of a registration is known from now on, and that is no news to anybody.
        """
        with self._runtime.unit_of_work(current_actor()) as uow:
            signed_in = self._arrival.begin(
                uow, account, methods, self.visit(), expected=True, origin=origin
            )
            uow.commit()
        self.carry(signed_in)

    def first_stop(self, account: Account) -> str | None:
        """Return where a person must go before anything else, or None."""
        stops = (stop(account) for stop in self._first_stops)
        return next((stop for stop in stops if stop is not None), None)

    def carry(self, signed_in: SignedIn) -> None:
        """Put a new session and its device into the cookies, and nothing of what was there."""
        session.clear()
        session[SID] = signed_in.secret
        g.pop("actor", None)
        self.keep_device(signed_in.device_token)

    def keep_device(self, token: str) -> None:
        """Put a device's token into the cookie of the answer to this request."""

        @after_this_request
        def keep(response: Response) -> Response:
            response.set_cookie(
                self._device_cookie,
                token,
                max_age=DEVICE_COOKIE_LIFETIME,
                path="/",
                secure=self._https,
                httponly=True,
                samesite="Lax",
            )
            return response

    def renew(self, methods: Sequence[str]) -> None:
        """Give the present session a new id and other methods: its privilege has changed."""
        digest = current_actor().session_id
        if digest is None:
            return
        with self._runtime.unit_of_work(current_actor()) as uow:
            secret = self._sessions.renew(uow, digest, methods)
        self.change_to(secret)

    @staticmethod
    def change_to(secret: str | None) -> None:
        """Put the session's new id into the cookie; None: it has ended."""
        g.pop("actor", None)
        if secret is None:
            session.pop(SID, None)
        else:
            session[SID] = secret

    def step_up(self, actor: Actor, action: Action, page: str) -> Response | None:
        """Return where the person must prove more before `action`, or None.

        Whoever does not hold the role that the action belongs to is led nowhere: no proof would
        help. A form that was sent too early was not looked at; its page says to send it again.

        Args:
            actor: the signed-in person.
            action: what they are about to do.
            page: of ours, to come back to.
        """
        scope = _SCOPE_OF_ACTION.get(action)
        if scope is not None and scope not in PRIVILEGES[actor.role]:
            return None
        try:
            lacking = self._step_up.missing(actor, action)
        except FactorNeeded:
            return make_response(render_template("sessions/factor_needed.html"), 403)
        if not lacking:
            return None
        target = {"next": local_path(page) or "/account", "action": action.value}
        if request.method != "GET" and not request.is_json:
            target["resend"] = "1"
        return redirect(f"{AGAIN}?{urlencode(target)}", code=303)

    def keep_to_limit(self) -> Response | None:
        """Lead a limited session to its one page, whatever it asks for; before every request."""
        if request.endpoint in {None, "static"} or is_api(request.path) or SID not in session:
            return None
        current_actor()
        limit = g.get("limited_to")
        if limit is None or request.path.startswith((limit, *_ALWAYS_OPEN)):
            return None
        if limit == PASSWORD:
            flash(gettext("Antes de seguir, elige otra contraseña."), "warning")
        return redirect(limit, code=303)

    @property
    def _device_cookie(self) -> str:
        return f"__Host-{DEVICE_COOKIE}" if self._https else DEVICE_COOKIE

    def _actor(self, found: Session) -> Actor:
        assured = satisfies(level_of(found.methods), AssuranceLevel.AAL2) and (
            self._demo or is_phishing_resistant(found.methods)
        )
        privileges = PRIVILEGES[found.role] if assured else frozenset[Scope]()
        return Actor(
            kind=ActorKind.PERSON,
            scopes=frozenset({Scope.SIGNED_IN}) | privileges,
            subject_id=found.subject_id,
            account_id=found.account_id,
            role=found.role,
            session_id=found.digest,
            session_family=found.family_id,
            methods=found.methods,
            authenticated_at=found.authenticated_at,
            address=request.remote_addr,
        )
