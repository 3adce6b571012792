"""`/sso/<provider>/logout`: a provider says that a session of its own has ended.

Source: OpenID Connect Back-Channel Logout 1.0 s. 2.5, 2.7, 2.8.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from identity.accounts.attempts import AttemptKind, Attempts
from identity.sessions.service import Sessions
from identity.sso.identities import Identities
from identity.sso.identity_model import UpstreamLogoutReceived
from identity.sso.model import UpstreamLogout, UpstreamRefused
from identity.sso.upstream import Upstreams
from policies.vocabulary import Scope
from privacy.actor import SYSTEM
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime, UnitOfWork


class LogoutPages:
    """Where providers send logout tokens."""

    def __init__(
        self,
        runtime: Runtime,
        upstreams: Upstreams,
        attempts: Attempts,
        identities: Identities,
        sessions: Sessions,
    ) -> None:
        self._runtime = runtime
        self._upstreams = upstreams
        self._attempts = attempts
        self._identities = identities
        self._sessions = sessions

    @requires(Scope.PUBLIC)
    def receive(self, provider_id: str) -> Response:
        """End what rests on the session that has ended; 200, or 400 where it is not believed.

        Where nothing rests on it there is nothing to end, and that is well: 200.

        Raises:
            NotFound: there is no such provider.
            TooManyAttempts: nothing from this network was believed for long.
        """
        self._upstreams.find(provider_id)
        tokens = request.form.getlist("logout_token")
        counted = self._attempts.of_network(AttemptKind.UPSTREAM, request.remote_addr)
        self._attempts.begin(counted)
        try:
            if len(tokens) != 1:
                return _answer("there must be one logout_token", 400)
            self._upstreams.receive_logout(provider_id, tokens[0], self._end, actor=current_actor())
            with self._runtime.unit_of_work(SYSTEM) as uow:
                self._attempts.succeeded(uow, counted)
                uow.commit()
        except UpstreamRefused:
            return _answer("the logout_token is not valid", 400)
        return _answer(None, 200)

    def _end(self, uow: UnitOfWork, logout: UpstreamLogout) -> None:
        """End the sessions of a person there, of a session there, or of both; joins."""
        identity = None
        if logout.sub is not None:
            identity = self._identities.find(uow.session, logout.issuer, logout.sub)
        count = 0
        if logout.sub is None or identity is not None:
            count = self._sessions.end_of_origin(
                uow,
                identity_id=identity.identity_id if identity else None,
                upstream_session=self._identities.session_digest(logout.issuer, logout.sid),
                cause="upstream-logout",
            )
        uow.record(UpstreamLogoutReceived(provider=logout.provider, count=count))


def _answer(wrong: str | None, status: int) -> Response:
    body = {} if wrong is None else {"error": "invalid_request", "error_description": wrong}
    response = jsonify(body)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def blueprint(pages: LogoutPages) -> Blueprint:
    """Return the route."""
    routes = Blueprint("sso_logout", __name__)
    routes.post("/sso/<provider_id>/logout")(pages.receive)
    return routes
