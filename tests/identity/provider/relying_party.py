"""A relying party in a test: knows its id and secret, and speaks HTTP to the provider."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet
from werkzeug.test import TestResponse

from identity.provider.authorization import AuthorizationRequest
from identity.provider.client_settings import ClientSettings
from identity.provider.detours import COOKIE
from identity.provider.grant_model import GrantMade
from identity.provider.grant_store import GrantRow
from identity.provider.grants import Grants
from identity.provider.model import Client, ordered
from policies.vocabulary import Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from tests.support.world import World

#: Whose session a test pretends that every request has.
PRETENDED = "tests.subject"
CALLBACK = "https://shop.example/callback"
VERIFIER = "correct-horse-battery-staple-correct-horse-battery"
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def person(world: World, address: str = "ana@example.com") -> str:
    """Return the subject id of a person whom this deployment knows."""
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        subject_id = world.placet.subjects.by_email(uow, address, keep=True)
        uow.commit()
    return subject_id


def sign_in(world: World, subject_id: str | None, **changes: Any) -> None:
    """Let every request of this deployment come from a session of this person."""
    values: dict[str, Any] = {
        "kind": ActorKind.PERSON,
        "subject_id": subject_id,
        "account_id": "a" * 32,
        "session_id": "5" * 64,
        "scopes": frozenset({Scope.SIGNED_IN}),
        "authenticated_at": world.clock.now,
        "methods": ("pwd",),
    }
    actor = Actor(**(values | changes))
    world.app.extensions["placet.session"] = lambda: actor
    world.app.extensions[PRETENDED] = subject_id


def sign_out(world: World) -> None:
    """Let requests come without a session."""
    world.app.extensions["placet.session"] = lambda: None
    world.app.extensions.pop(PRETENDED, None)


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of client_secret_basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


def query_of(address: str) -> dict[str, str]:
    """Return the parameters of an address; each must stand once."""
    found = parse_qs(urlsplit(address).query, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values()), address
    return {name: values[0] for name, values in found.items()}


@dataclass
class RelyingParty:
    """One registered application."""

    world: World
    client: Client
    secret: str = field(repr=False)

    @property
    def browser(self) -> FlaskClient:
        """One browser, whose session the test pretends; each time without other cookies."""
        client = self.world.client
        client.set_cookie(COOKIE, "the one browser")
        return client

    @property
    def header(self) -> dict[str, str]:
        return basic(self.client.client_id, self.secret)

    def request(self, **changes: str | None) -> dict[str, str]:
        """Return a right authorization request, with changes; None leaves a parameter out."""
        values: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": "xyz",
            "nonce": "n-1",
            **PKCE,
        }
        return {name: v for name, v in (values | changes).items() if v is not None}

    def meet(self, subject_id: str | None) -> None:
        """Have this person know the application already, so that the first visit asks nothing."""
        if subject_id is None:
            return
        with self.world.placet.runtime.unit_of_work(SYSTEM) as uow:
            if Grants.exists(uow.session, subject_id, self.client.client_id):
                return
            uow.session.add(
                GrantRow(
                    client_id=self.client.client_id,
                    subject_id=subject_id,
                    scope="openid",
                    claims="",
                    purposes="",
                    made_at=uow.now,
                    last_used_at=uow.now,
                )
            )
            uow.record(GrantMade(subject_id=subject_id, client_id=self.client.client_id))
            uow.commit()

    def authorize(self, **changes: str | None) -> TestResponse:
        """Send the browser to the provider, of a person who was here before."""
        self.meet(self.world.app.extensions.get(PRETENDED))
        return self.browser.get("/oauth/authorize?" + urlencode(self.request(**changes)))

    def code(self, **changes: str | None) -> str:
        """Return the code that the browser brings back."""
        response = self.authorize(**changes)
        assert response.status_code == 303, response.text
        return query_of(response.location)["code"]

    def token_form(self, wanted: str, /, **changes: str | None) -> dict[str, str]:
        """Return a right token request, with changes; None leaves a member out."""
        values: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": wanted,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        return {name: v for name, v in (values | changes).items() if v is not None}

    def exchange(
        self, wanted: str, header: Mapping[str, str] | None = None, /, **changes: str | None
    ) -> TestResponse:
        """Exchange a code; the client proves itself in the header unless another is given."""
        return self.browser.post(
            "/oauth/token",
            data=self.token_form(wanted, **changes),
            headers=self.header if header is None else header,
        )

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        """Sign the present person in and return the token answer."""
        answer = self.exchange(self.code(**changes))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def granted_code(self, scope: str = "openid offline_access", **asked: Any) -> str:
        """Return a code that the present person was given, whatever pages came before it."""
        sid = asked.pop("sid", None)
        values: dict[str, Any] = {
            "client": self.client,
            "redirect_uri": CALLBACK,
            "scope": ordered(scope.split()),
            "state": None,
            "nonce": "n-1",
            "code_challenge": CHALLENGE,
            "prompt": frozenset(),
            "max_age": None,
        }
        signed_in: Actor = self.world.app.extensions["placet.session"]()
        with self.world.placet.runtime.unit_of_work(signed_in) as uow:
            return self.world.placet.provider.authorize(
                uow, AuthorizationRequest(**(values | asked)), signed_in, sid=sid
            )

    def offline_tokens(self, **asked: Any) -> dict[str, Any]:
        """Return the first answer of a sign-in with `offline_access`."""
        answer = self.exchange(self.granted_code(**asked))
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def refresh(self, token: str, **form: str) -> TestResponse:
        """Use a refresh token."""
        return self.post("/oauth/token", grant_type="refresh_token", refresh_token=token, **form)

    def post(self, path: str, **form: str) -> TestResponse:
        """Call one of the endpoints for clients; the client proves itself."""
        return self.browser.post(path, data=form, headers=self.header)

    def own_token(self, **form: str) -> TestResponse:
        """Ask for a token in the client's own name."""
        return self.browser.post(
            "/oauth/token", data={"grant_type": "client_credentials"} | form, headers=self.header
        )

    def introspect(self, token: str) -> dict[str, Any]:
        """Return what the provider says of a token."""
        answer = self.browser.post("/oauth/introspect", data={"token": token}, headers=self.header)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def userinfo(self, token: str) -> TestResponse:
        return self.browser.get("/oauth/userinfo", headers=bearer(token))

    def read_id_token(self, value: str) -> jwt.Token:
        """Verify an ID token by the published keys, RS256 alone."""
        keys = KeySet.import_key_set(self.browser.get("/oauth/jwks").get_json())
        return jwt.decode(value, keys, ["RS256"])


OFFLINE: dict[str, Any] = {
    "scopes": ("openid", "offline_access", "purposes:read"),
    "refresh": True,
}
"""Settings of a client that may get refresh tokens."""


@dataclass
class KeyParty(RelyingParty):
    """A client that proves itself by its key, anew in each request."""

    key: Key = field(default_factory=lambda: ECKey.generate_key("P-256", auto_kid=False))

    def assertion(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Return a right client assertion, with changes; None leaves a claim out."""
        now = int(self.world.clock.now.timestamp())
        values: dict[str, Any] = {
            "iss": self.client.client_id,
            "sub": self.client.client_id,
            "aud": "http://localhost:8000",
            "exp": now + 60,
            "iat": now,
            "jti": self.world.ids.random_bytes(16).hex(),
        }
        claims = {name: v for name, v in (values | changes).items() if v is not None}
        usual = {"RSA": "RS256", "EC": "ES256", "OKP": "Ed25519"}[self.key.key_type]
        complete = {"alg": usual} | dict(header or {})
        return jwt.encode(complete, claims, self.key, [complete["alg"]])

    def proof(self, assertion: str) -> dict[str, str]:
        """Return the members that carry an assertion."""
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return {"client_assertion_type": kind, "client_assertion": assertion}

    def post(self, path: str, **form: str) -> TestResponse:
        return self.browser.post(path, data=self.proof(self.assertion()) | form)

    def own_token(self, **form: str) -> TestResponse:
        return self.post("/oauth/token", grant_type="client_credentials", **form)


def register_with_key(world: World, key: Key | None = None, **changes: Any) -> KeyParty:
    """Add a client that proves itself by its key alone."""
    key = key or ECKey.generate_key("P-256", auto_kid=False)
    jwks = json.dumps({"keys": [key.as_dict(private=False)]})
    made = register(world, auth_methods=("private_key_jwt",), jwks=jwks, **changes)
    return KeyParty(world, made.client, "", key)


def register(world: World, **changes: Any) -> RelyingParty:
    """Add a client as an operator does."""
    values: dict[str, Any] = {
        "name": "Tienda",
        "redirect_uris": (CALLBACK,),
        "scopes": ("openid", "decisions:evaluate", "pseudonyms:write"),
        "purposes": ("newsletter",),
    }
    with world.placet.runtime.unit_of_work(SYSTEM) as uow:
        client, secret = world.placet.clients.add(uow, ClientSettings(**(values | changes)))
    return RelyingParty(world, client, secret or "")
