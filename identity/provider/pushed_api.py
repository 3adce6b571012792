"""`/oauth/par`: a client pushes its authorization request to us before it sends the person.

What the browser then carries is a name for it, so that nobody reads or changes the request on the
way. Source: RFC 9126.
"""

from __future__ import annotations

from authlib.oauth2.rfc6749.errors import OAuth2Error
from flask import Blueprint, Response, jsonify

from identity.provider import discovery
from identity.provider.answers import as_actor, form_of_request, refusal, unstored, wait
from identity.provider.client_gate import ClientGate
from identity.provider.model import PUSHED_LIFETIME
from identity.provider.pushed import Requests
from policies.errors import TooManyAttempts
from policies.vocabulary import Scope
from privacy.http import requires
from privacy.unit_of_work import Runtime


def blueprint(runtime: Runtime, gate: ClientGate, requests: Requests) -> Blueprint:
    """Return the route by which clients push requests."""
    routes = Blueprint("provider_pushed_api", __name__)
    routes.register_error_handler(OAuth2Error, refusal)
    routes.register_error_handler(TooManyAttempts, wait)

    @routes.post(discovery.PUSH)
    @requires(Scope.PUBLIC)
    def push() -> Response:
        """Keep an authorization request and return what names it. Source: RFC 9126 s. 2.2."""
        form = form_of_request()
        client = gate.client_of(form)
        with runtime.unit_of_work(as_actor(client)) as uow:
            request_uri = requests.push(uow, client, form)
        body = {
            "request_uri": request_uri,
            "expires_in": int(PUSHED_LIFETIME.total_seconds()),
        }
        response = jsonify(body)
        response.status_code = 201
        return unstored(response)

    return routes
