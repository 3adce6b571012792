"""What applications call: tokens, userinfo, keys, introspection, revocation, discovery.

These answer in OAuth's own form, not as problem documents, and prove the client themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from authlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error
from flask import Blueprint, Response, jsonify, request

from identity.accounts.attempts import Attempts
from identity.provider import bearer, discovery, tokens
from identity.provider.client_authentication import check, credentials
from identity.provider.model import OPENID, Client, ordered
from identity.provider.service import Clients, Provider
from policies.errors import TooManyAttempts
from policies.vocabulary import Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from privacy.http import requires
from privacy.unit_of_work import Runtime

FORM = "application/x-www-form-urlencoded"
#: Keys and discovery may be kept this long: a new key is published before it signs.
PUBLIC_SECONDS = 300


class BearerError(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """A protected resource refuses a token. Source: RFC 6750 s. 3."""

    def __init__(self, status: int, error: str | None, scope: str | None = None) -> None:
        super().__init__(error=error, status_code=status)
        self.scope = scope


class ClientGate:
    """Lets a request pass whose client proves itself, and slows down networks that fail at it.

    A right secret costs no write where nothing failed before: it has 256 bits, so the counters
    keep noise down rather than guesses.
    """

    def __init__(self, runtime: Runtime, clients: Clients, attempts: Attempts) -> None:
        self._runtime = runtime
        self._clients = clients
        self._attempts = attempts

    def client_of(self, form: Mapping[str, str]) -> Client:
        """Return the client of this request.

        Raises:
            OAuth2Error: it did not prove itself.
            TooManyAttempts: it must wait.
        """
        presented = credentials(request.headers.get("Authorization"), form)
        counter = self._attempts.of_client(presented.client_id, request.remote_addr)
        with self._runtime.snapshot() as session:
            failed_before = self._attempts.failures(session, counter) > 0
            client = self._clients.find(session, presented.client_id, at=self._runtime.clock())
        if failed_before:
            self._attempts.begin(counter)
        try:
            proven = check(client, presented)
        except OAuth2Error:
            if not failed_before:
                self._attempts.begin(counter)
            raise
        if failed_before:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                self._attempts.succeeded(uow, counter)
                uow.commit()
        return proven


def blueprint(
    runtime: Runtime, clients: Clients, provider: Provider, attempts: Attempts
) -> Blueprint:
    """Return the routes that applications call."""
    routes = Blueprint("provider_api", __name__)
    routes.register_error_handler(OAuth2Error, _refusal)
    routes.register_error_handler(TooManyAttempts, _wait)
    gate = ClientGate(runtime, clients, attempts)
    _add_userinfo(routes, runtime, provider)
    _add_metadata(routes, runtime, provider)

    @routes.post(discovery.TOKEN)
    @requires(Scope.PUBLIC)
    def token() -> Response:
        """Hand out tokens for a code or for the client itself."""
        form = _form()
        client = gate.client_of(form)
        with runtime.unit_of_work(_actor(client)) as uow:
            answer = provider.exchange(uow, client, form)
        body = {
            "access_token": answer.access_token,
            "token_type": "Bearer",
            "expires_in": int(answer.lifetime.total_seconds()),
            "scope": answer.scope,
        }
        if answer.id_token is not None:
            body["id_token"] = answer.id_token
        return _unstored(jsonify(body))

    @routes.post(discovery.INTROSPECT)
    @requires(Scope.PUBLIC)
    def introspect() -> Response:
        """Tell a client what one of its own tokens stands for. Source: RFC 7662."""
        form = _form()
        client = gate.client_of(form)
        with runtime.snapshot() as session:
            found = tokens.find(session, _member(form, "token"), runtime.clock())
            if found is None or found.client.client_id != client.client_id:
                return _unstored(jsonify(active=False))
            sub = provider.subject_of(session, found)
        body = {
            "active": True,
            "iss": provider.issuer,
            "client_id": client.client_id,
            "scope": ordered(found.scope),
            "token_type": "Bearer",
            "iat": int(found.issued_at.timestamp()),
            "exp": int(found.expires_at.timestamp()),
        }
        if sub is not None:
            body["sub"] = sub
        return _unstored(jsonify(body))

    @routes.post(discovery.REVOKE)
    @requires(Scope.PUBLIC)
    def revoke() -> Response:
        """End one of a client's own tokens; the answer is the same for any token. RFC 7009."""
        form = _form()
        client = gate.client_of(form)
        with runtime.unit_of_work(_actor(client)) as uow:
            provider.revoke(uow, client, _member(form, "token"))
        return _unstored(Response(status=200))

    return routes


def _add_userinfo(routes: Blueprint, runtime: Runtime, provider: Provider) -> None:
    def claims(secret: str | None) -> Response:
        if secret is None:
            raise BearerError(401, None)
        with runtime.snapshot() as session:
            found = tokens.find(session, secret, runtime.clock())
            sub = provider.subject_of(session, found) if found else None
        if found is None:
            raise BearerError(401, "invalid_token")
        if OPENID not in found.scope:
            raise BearerError(403, "insufficient_scope", OPENID)
        if sub is None:  # the person was erased
            raise BearerError(401, "invalid_token")
        return _unstored(jsonify(sub=sub))

    @routes.get(discovery.USERINFO)
    @requires(Scope.PUBLIC)
    def userinfo() -> Response:
        """Tell who the person of an access token is to this client: `sub` alone."""
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
        return _public(jsonify(keys=keys))

    @routes.get(discovery.CONFIGURATION)
    @requires(Scope.PUBLIC)
    def configuration() -> Response:
        """What this provider can do."""
        return _public(jsonify(discovery.document(provider.issuer)))


def _actor(client: Client) -> Actor:
    return Actor(
        kind=ActorKind.APPLICATION, client_id=client.client_id, address=request.remote_addr
    )


def _form() -> dict[str, str]:
    """Return the body's members; those without a value count as absent. RFC 6749 s. 3.2.

    Parameters of the address are never read: a secret there would stand in every log.

    Raises:
        InvalidRequestError: it is no form, or a member is repeated.
    """
    if request.mimetype != FORM:
        raise InvalidRequestError(f"Send Content-Type: {FORM}.")
    members: dict[str, str] = {}
    for name, values in request.form.lists():
        if len(values) > 1:
            raise InvalidRequestError("A parameter may stand once only.")
        if values[0]:
            members[name] = values[0]
    return members


def _member(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise InvalidRequestError(f"Missing '{name}'.")
    return form[name]


def _refusal(error: OAuth2Error) -> Response:
    """Return an error in OAuth's form. Source: RFC 6749 s. 5.2; RFC 6750 s. 3."""
    body = {
        name: text
        for name, text in (("error", error.error), ("error_description", error.description))
        if text
    }
    response = jsonify(body)
    response.status_code = error.status_code
    if isinstance(error, BearerError):
        parts = ['Bearer realm="placet"']
        parts += [f'error="{error.error}"'] if error.error else []
        parts += [f'scope="{error.scope}"'] if error.scope else []
        response.headers["WWW-Authenticate"] = ", ".join(parts)
    elif error.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="placet"'
    return _unstored(response)


def _wait(error: TooManyAttempts) -> Response:
    response = jsonify(error="temporarily_unavailable", error_description=error.detail)
    response.status_code = 429
    response.headers["Retry-After"] = str(error.retry_after_seconds)
    return _unstored(response)


def _unstored(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response


def _public(response: Response) -> Response:
    response.headers["Cache-Control"] = f"public, max-age={PUBLIC_SECONDS}"
    return response
