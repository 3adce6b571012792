"""`/oauth/authorize`: where an application sends a person to sign in."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.errors import AccessDeniedError, OAuth2Error
from flask import Blueprint, Response, current_app, redirect, render_template, request
from flask_babel import gettext
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.wrappers import Response as BaseResponse

from identity.provider import discovery
from identity.provider.authorization import (
    AuthorizationRequest,
    NoDestination,
    Parameters,
    answer_uri,
    destination,
    must_sign_in,
    read,
    state_of,
)
from identity.provider.model import Client
from identity.provider.service import Clients, Provider
from policies.vocabulary import Scope
from privacy.actor import ActorKind
from privacy.http import current_actor, requires
from privacy.unit_of_work import Runtime

#: Set by us on the way to the sign-in page: when this very request sent the person there, signed.
ASKED_AT: Final = "placet_asked_at"
MAX_QUERY_LENGTH: Final = 8000


def blueprint(runtime: Runtime, clients: Clients, provider: Provider, key: bytes) -> Blueprint:
    """Return the routes that people come to from an application.

    Args:
        runtime: the doors to the database.
        clients: who may send people.
        provider: the use cases.
        key: signs `placet_asked_at`; for this use alone.
    """
    routes = Blueprint("provider_pages", __name__)
    endpoint = _Authorize(runtime, clients, provider, key)

    @routes.get(discovery.AUTHORIZE)
    @requires(Scope.PUBLIC)
    def authorize() -> BaseResponse:
        """Send the person back with a code, to the sign-in page, or back with an error."""
        return endpoint.answer(request.args.to_dict(flat=False))

    @routes.post(discovery.AUTHORIZE)
    @requires(Scope.PUBLIC)
    def authorize_by_post() -> BaseResponse:
        """Turn the form into the same request by GET. Source: OIDC Core s. 3.1.2.1.

        Another site's form comes without our session cookie (SameSite=Lax), a GET with it.
        """
        query = urlencode(request.form.to_dict(flat=False), doseq=True)
        if len(query) > MAX_QUERY_LENGTH:
            return _stay_here("the request is too long")
        return redirect(f"{discovery.AUTHORIZE}?{query}", code=303)

    return routes


class _Authorize:
    """The authorization endpoint."""

    def __init__(self, runtime: Runtime, clients: Clients, provider: Provider, key: bytes) -> None:
        self._runtime = runtime
        self._clients = clients
        self._provider = provider
        self._signer = URLSafeSerializer(key, salt="placet.authorize")

    def answer(self, parameters: Parameters) -> BaseResponse:
        """Answer one request, whatever is wrong with it."""
        try:
            with self._runtime.snapshot() as session:
                client, redirect_uri = destination(
                    parameters,
                    lambda client_id: self._clients.find(
                        session, client_id, at=self._runtime.clock()
                    ),
                )
        except NoDestination as error:
            return _stay_here(str(error))
        try:
            asked = read(parameters, client, redirect_uri)
            person, now = current_actor(), self._runtime.clock()
            signed_in = person.kind is ActorKind.PERSON and person.may(Scope.SIGNED_IN)
            if must_sign_in(
                asked,
                authenticated_at=person.authenticated_at if signed_in else None,
                asked_at=self._asked_at(parameters),
                now=now,
            ):
                return self._sign_in(parameters, asked, now, again=signed_in)
            if person.subject_id is None:  # an account that stands for no person
                raise AccessDeniedError
            with self._runtime.unit_of_work(person) as uow:
                members = {"code": self._provider.authorize(uow, asked, person)}
        except OAuth2Error as error:
            members = {"error": error.error, "error_description": error.description}
        return self._go_back(parameters, client, redirect_uri, members)

    def _sign_in(
        self, parameters: Parameters, asked: AuthorizationRequest, now: datetime, *, again: bool
    ) -> BaseResponse:
        """Send the person to the sign-in page, from where they come back to this request.

        Raises:
            OAuth2Error: the client wants no page shown.
        """
        if "none" in asked.prompt:
            raise OAuth2Error(error="login_required")
        own = _own(parameters)
        asked_at = self._signer.dumps([now.isoformat(), _fingerprint(own)])
        query = urlencode({**own, ASKED_AT: asked_at}, doseq=True)
        target = {"next": f"{discovery.AUTHORIZE}?{query}"} | ({"reauth": "1"} if again else {})
        return redirect("/login?" + urlencode(target), code=303)

    def _asked_at(self, parameters: Parameters) -> datetime | None:
        """Return when this very request sent the person to sign in; None if it did not."""
        try:
            moment, fingerprint = self._signer.loads("".join(parameters.get(ASKED_AT, ())))
        except BadSignature:
            return None
        if fingerprint != _fingerprint(_own(parameters)):
            return None
        return datetime.fromisoformat(moment)

    def _go_back(
        self, parameters: Parameters, client: Client, redirect_uri: str, members: dict[str, str]
    ) -> BaseResponse:
        """Answer at the client's address. Source: RFC 6749 s. 4.1.2; RFC 9207 s. 2.

        Whoever comes from our sign-in form is still in that form's navigation, which our content
        security policy (`form-action 'self'`) lets go nowhere else; a page that goes on by
        itself ends it. Everybody else is redirected.
        """
        answer = {**members, "state": state_of(parameters), "iss": self._provider.issuer}
        uri = answer_uri(redirect_uri, answer)
        if ASKED_AT not in parameters:
            return redirect(uri, code=303)
        page = Response(render_template("provider/go_on.html", client_name=client.name, uri=uri))
        page.headers["Refresh"] = f"0;url={uri}"
        return page


def _own(parameters: Parameters) -> dict[str, list[str]]:
    """Return the request as the client sent it."""
    return {name: list(values) for name, values in parameters.items() if name != ASKED_AT}


def _fingerprint(own: Parameters) -> str:
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _stay_here(reason: str) -> BaseResponse:
    """Return the page for a request that must not be answered anywhere else."""
    page = render_template(
        "error.html",
        status=400,
        heading=gettext("Esta aplicación no puede enviarte aquí"),
        text=gettext(
            "La aplicación desde la que vienes no está dada de alta, o ha pedido que "
            "te devolvamos a una dirección que no es suya."
        ),
        changed=gettext("No le hemos dicho nada sobre ti."),
        advice=gettext("Vuelve a la aplicación y avisa a quien la lleva."),
        reference=reason,
    )
    return current_app.make_response((page, 400))
