"""What applications call: tokens, userinfo, keys, introspection, revocation, discovery.

These answer in OAuth's own form, not as problem documents, and prove the client themselves.
"""

from __future__ import annotations

from authlib.oauth2.rfc6749.errors import OAuth2Error
from flask import Blueprint, Response, jsonify, request
from sqlalchemy.orm import Session

from identity.accounts.attempts import Attempts
from identity.provider import bearer, discovery, tokens
from identity.provider.answers import (
    BearerError,
    as_actor,
    form_of_request,
    member,
    public,
    refusal,
    unstored,
    wait,
)
from identity.provider.claims import ReleasedClaims
from identity.provider.client_gate import ClientGate
from identity.provider.clients import Clients
from identity.provider.introspection import describe
from identity.provider.model import OPENID, Client
from identity.provider.service import Provider
from policies.errors import TooManyAttempts
from policies.vocabulary import Scope
from privacy.events import Json
from privacy.http import requires
from privacy.unit_of_work import Runtime


def blueprint(
    runtime: Runtime,
    clients: Clients,
    provider: Provider,
    attempts: Attempts,
    released: ReleasedClaims,
) -> Blueprint:
    """Return the routes that applications call."""
    routes = Blueprint("provider_api", __name__)
    routes.register_error_handler(OAuth2Error, refusal)
    routes.register_error_handler(TooManyAttempts, wait)
    gate = ClientGate(runtime, clients, attempts, provider.issuer)
    _add_userinfo(routes, runtime, provider, released)
    _add_metadata(routes, runtime, provider)

    @routes.post(discovery.TOKEN)
    @requires(Scope.PUBLIC)
    def token() -> Response:
        """Hand out tokens for a code, for a refresh token, or for the client itself."""
        form = form_of_request()
        client = gate.client_of(form)
        with runtime.unit_of_work(as_actor(client)) as uow:
            answer = provider.exchange(uow, client, form)
        body = {
            "access_token": answer.access_token,
            "token_type": "Bearer",
            "expires_in": int(answer.lifetime.total_seconds()),
            "scope": answer.scope,
        }
        if answer.id_token is not None:
            body["id_token"] = answer.id_token
        if answer.refresh_token is not None:
            body["refresh_token"] = answer.refresh_token
        return unstored(jsonify(body))

    @routes.post(discovery.INTROSPECT)
    @requires(Scope.PUBLIC)
    def introspect() -> Response:
        """Tell a client what one of its own tokens stands for. Source: RFC 7662."""
        form = form_of_request()

        def told(session: Session, client: Client) -> dict[str, Json]:
            secret = member(form, "token")
            return describe(session, provider, client, secret, runtime.clock())

        return unstored(jsonify(gate.answer(form, told)))

    @routes.post(discovery.REVOKE)
    @requires(Scope.PUBLIC)
    def revoke() -> Response:
        """End one of a client's own tokens; the answer is the same for any token. RFC 7009."""
        form = form_of_request()
        client = gate.client_of(form)
        with runtime.unit_of_work(as_actor(client)) as uow:
            provider.revoke(uow, client, member(form, "token"))
        return unstored(Response(status=200))

    return routes


def _add_userinfo(
    routes: Blueprint, runtime: Runtime, provider: Provider, released: ReleasedClaims
) -> None:
    def claims(secret: str | None) -> Response:
        if secret is None:
            raise BearerError(401, None)
        now = runtime.clock()
        with runtime.snapshot() as session:
            found = tokens.find_for_us(session, secret, now)
            sub = provider.subject_of(session, found) if found else None
            told = released.of(session, found, now) if found else {}
        if found is None:
            raise BearerError(401, "invalid_token")
        if OPENID not in found.scope:
            raise BearerError(403, "insufficient_scope", OPENID)
        if sub is None:  # the person was erased
            raise BearerError(401, "invalid_token")
        return unstored(jsonify({**told, "sub": sub}))

    @routes.get(discovery.USERINFO)
    @requires(Scope.PUBLIC)
    def userinfo() -> Response:
        """Tell who the person of an access token is to this client, and what it may know now."""
        return claims(bearer.token_in_header())

    @routes.post(discovery.USERINFO)
    @requires(Scope.PUBLIC)
    def userinfo_by_post() -> Response:
        """The same by POST, with the token in the header or, form-encoded, in the body."""
        in_header, in_body = bearer.token_in_header(), request.form.get("access_token")
        if in_header is not None and in_body is not None:
            raise BearerError(400, "invalid_request")
        return claims(in_body if in_header is None else in_header)


def _add_metadata(routes: Blueprint, runtime: Runtime, provider: Provider) -> None:
    @routes.get(discovery.JWKS)
    @requires(Scope.PUBLIC)
    def jwks() -> Response:
        """The public keys by which ID tokens are verified. Source: RFC 7517."""
        with runtime.snapshot() as session:
            keys = provider.public_keys(session)
        return public(jsonify(keys=keys))

    @routes.get(discovery.CONFIGURATION)
    @routes.get(discovery.SERVER_METADATA)
    @requires(Scope.PUBLIC)
    def configuration() -> Response:
        """What this provider can do."""
        return public(jsonify(discovery.document(provider.issuer)))
