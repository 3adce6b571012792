"""Authlib's own client, over real HTTP, as somebody else's application would use it."""

import threading
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from json import loads
from pathlib import Path

import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

from tests.identity.provider.relying_party import (
    CALLBACK,
    OFFLINE,
    VERIFIER,
    person,
    register,
    register_with_key,
    sign_in,
)
from tests.support.processes import free_port
from tests.support.smtp import MailServer
from tests.support.world import World, make_world


@contextmanager
def served(world: World, port: int) -> Iterator[str]:
    """Serve the deployment on a loopback port and yield its base address."""
    server = make_server("localhost", port, world.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def world(database_url: str, instance: Path, mail_server: MailServer, port: int) -> Iterator[World]:
    """A deployment that knows the port it is served on."""
    made = make_world(database_url, instance, PLACET_BASE_URL=f"http://localhost:{port}")
    yield made
    made.placet.runtime.database.engine.dispose()


def test_authlibs_client_signs_a_person_in_by_discovery_and_pkce(world: World, port: int) -> None:
    shop = register(world)
    ana = person(world)
    sign_in(world, ana)
    shop.meet(ana)
    with (
        served(world, port) as base,
        requests.Session() as browser,
        OAuth2Session(
            shop.client.client_id,
            shop.secret,
            scope="openid",
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
        ) as client,
    ):
        found = browser.get(f"{base}/.well-known/openid-configuration", timeout=10).json()
        assert found["issuer"] == base
        verifier, nonce = generate_token(48), generate_token(20)
        address, state = client.create_authorization_url(
            found["authorization_endpoint"], code_verifier=verifier, nonce=nonce
        )
        sent_back = browser.get(address, allow_redirects=False, timeout=10)
        assert sent_back.status_code == 303
        token = client.fetch_token(
            found["token_endpoint"],
            authorization_response=sent_back.headers["Location"],
            code_verifier=verifier,
            state=state,
        )
        keys = KeySet.import_key_set(browser.get(found["jwks_uri"], timeout=10).json())
        claims = jwt.decode(token["id_token"], keys, ["RS256"]).claims
        assert (claims["iss"], claims["aud"], claims["nonce"]) == (
            base,
            shop.client.client_id,
            nonce,
        )
        assert client.get(found["userinfo_endpoint"]).json() == {"sub": claims["sub"]}
        told = client.introspect_token(found["introspection_endpoint"], token["access_token"])
        assert told.json()["active"] is True
        assert client.revoke_token(found["revocation_endpoint"], token["access_token"]).ok
        assert client.get(found["userinfo_endpoint"]).status_code == 401


def test_authlibs_client_gets_a_token_of_its_own(world: World, port: int) -> None:
    shop = register(world, redirect_uris=(), scopes=("pseudonyms:write",))
    with (
        served(world, port) as base,
        OAuth2Session(
            shop.client.client_id,
            shop.secret,
            scope="pseudonyms:write",
            token_endpoint_auth_method="client_secret_post",
        ) as client,
    ):
        client.fetch_token(f"{base}/oauth/token", grant_type="client_credentials")
        answer = client.post(f"{base}/v1/pseudonyms", json={"identifiers": ["ana@example.com"]})
        assert answer.status_code == 200
        assert len(answer.json()["pseudonyms"]) == 1


def test_authlibs_client_proves_itself_by_a_key_and_stays_connected(
    world: World, port: int
) -> None:
    world.clock.now = datetime.now(UTC)  # Authlib dates its assertions by the machine's clock
    key = RSAKey.generate_key(2048, {"kid": "a", "alg": "RS256"}, auto_kid=False)
    shop = register_with_key(world, key, **OFFLINE)
    sign_in(world, person(world))
    code = shop.granted_code()
    with (
        served(world, port) as base,
        OAuth2Session(
            shop.client.client_id,
            key.as_pem(private=True).decode(),
            redirect_uri=CALLBACK,
            token_endpoint_auth_method="private_key_jwt",
            token_endpoint=f"{base}/oauth/token",
        ) as client,
    ):
        client.register_client_auth_method(PrivateKeyJWT(f"{base}/oauth/token"))
        first = client.fetch_token(
            f"{base}/oauth/token",
            code=code,
            grant_type="authorization_code",
            code_verifier=VERIFIER,
        )
        second = client.refresh_token(f"{base}/oauth/token")
        assert second["refresh_token"] != first["refresh_token"]
        sub = loads(urlsafe_b64decode(first["id_token"].split(".")[1] + "=="))["sub"]
        assert client.get(f"{base}/oauth/userinfo").json() == {"sub": sub}
        by_key = client.client_auth("private_key_jwt")
        ended = client.revoke_token(f"{base}/oauth/revoke", second["refresh_token"], auth=by_key)
        assert ended.ok
        told = client.introspect_token(
            f"{base}/oauth/introspect", second["access_token"], auth=by_key
        )
        assert told.json() == {"active": False}
