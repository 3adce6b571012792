"""A relying party in a test: knows its id and secret, and speaks HTTP to the provider."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from identity.provider.model import Client
from identity.provider.service import ClientSettings
from policies.vocabulary import Scope
from privacy.actor import SYSTEM, Actor, ActorKind
from tests.support.world import World

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


def sign_out(world: World) -> None:
    """Let requests come without a session."""
    world.app.extensions["placet.session"] = lambda: None


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
        return self.world.client

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

    def authorize(self, **changes: str | None) -> TestResponse:
        """Send the browser to the provider."""
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
    return RelyingParty(world, client, secret)
