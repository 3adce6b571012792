"""Relying parties that somebody else wrote, over every flow of the provider."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey
from playwright.sync_api import Browser

from tests.flows import steps
from tests.flows.steps import visitor
from tests.support.deployment import Deployment
from tests.support.node import run_node
from tests.support.sample import DATABASES
from tests.support.smtp import MailServer

CALLBACK = "http://localhost:9/callback"  # nobody listens: the clients read the redirect itself
AFTER_LOGOUT = "http://localhost:9/bye"
RESOURCE = "https://api.shop.example/"
CLAIMS = ("openid", "profile", "email", "phone", "offline_access")
OWN = "decisions:evaluate"


def _scopes(*scopes: str) -> tuple[str, ...]:
    return tuple(word for scope in scopes for word in ("--scope", scope))


def _jwks(folder: Path, key: RSAKey | ECKey) -> str:
    """Write the public half as an operator would get it from the application's makers."""
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return str(path)


@pytest.fixture
def cookie(placet: Deployment, mail_server: MailServer, browser: Browser) -> str:
    """The session of Ana, who has just opened an account."""
    with visitor(browser, placet.url) as ana:
        steps.register(ana, mail_server, "ana@example.com")
        cookies = {each["name"]: each["value"] for each in ana.page.context.cookies()}
    return f"placet={cookies['placet']}"


@DATABASES
def test_openid_client_goes_through_every_flow(
    placet: Deployment, cookie: str, tmp_path: Path
) -> None:
    key = RSAKey.generate_key(2048, {"kid": "one", "alg": "PS256", "use": "sig"}, auto_kid=False)
    secret_client = placet.add_client(
        *("Tienda", "--redirect-uri", CALLBACK, "--post-logout-redirect-uri", AFTER_LOGOUT),
        *("--purpose", "newsletter", *_scopes(*CLAIMS), "--refresh"),
    )
    key_client = placet.add_client(
        *("Pedidos", "--redirect-uri", CALLBACK, "--audience", RESOURCE, *_scopes("openid", OWN)),
        *("--auth-method", "private_key_jwt", "--jwks", _jwks(tmp_path, key), "--par"),
    )
    assert key_client.get("client_secret") is None

    found = run_node(
        "every_flow.mjs",
        {
            "issuer": placet.url,
            "redirect_uri": CALLBACK,
            "after_logout": AFTER_LOGOUT,
            "cookie": cookie,
            "purpose": "newsletter",
            "resource": RESOURCE,
            "secret_client": secret_client,
            "key_client": {
                "client_id": key_client["client_id"],
                "jwk": key.as_dict(private=True),
            },
        },
    )

    assert (found["pagesFirst"], found["pagesAgain"]) == (1, 0)
    claims = found["claims"]
    assert (claims["iss"], claims["aud"]) == (placet.url, secret_client["client_id"])
    assert claims["acr"] == "urn:placet:acr:aal1"
    assert not {"email", "name", "given_name"} & set(claims)
    assert found["userinfo"] == {
        "sub": claims["sub"],
        "email": "ana@example.com",
        "email_verified": True,
    }
    assert found["sameSub"] is True
    assert found["samePairInGrace"] is True
    assert found["refreshedSub"] is True
    assert found["reuse"] == "invalid_grant"
    assert found["familyAfterReuse"] is False
    assert found["successorAfterReuse"] == "invalid_grant"
    assert (found["activeBeforeReplay"], found["activeAfterReplay"]) == (True, False)
    assert found["replay"] == "invalid_grant"
    assert found["introspected"]["active"] is True
    assert found["introspected"]["sub"] == claims["sub"]
    assert found["afterRevocation"] is False
    assert found["pushedQuery"] == ["client_id", "request_uri"]
    assert found["otherSub"] is True
    assert found["pushedTwice"] is not None
    assert (found["ownActive"], found["foreign"]) == (True, False)
    assert found["refused"] == "access_denied"
    assert found["silent"] == {"code": None, "state": None, "iss": placet.url}  # no error
    assert found["left"] == "?state=bye"
    assert found["signedOut"] == "login_required"
    assert found["offlineAfterLogout"] is True  # offline_access outlives the session, OIDC BCL 2.7


@DATABASES
def test_oauth4webapi_checks_each_answer_of_a_jwt_client(
    placet: Deployment, cookie: str, tmp_path: Path
) -> None:
    key = ECKey.generate_key("P-256", {"kid": "e", "alg": "ES256", "use": "sig"}, auto_kid=False)
    client = placet.add_client(
        *("Almacén", "--redirect-uri", CALLBACK, "--audience", RESOURCE, "--refresh"),
        *(*_scopes("openid", "offline_access", OWN), "--token-format", "jwt"),
        *("--auth-method", "private_key_jwt", "--jwks", _jwks(tmp_path, key)),
    )
    found = run_node(
        "small_steps.mjs",
        {
            "issuer": placet.url,
            "redirect_uri": CALLBACK,
            "cookie": cookie,
            "client_id": client["client_id"],
            "jwk": key.as_dict(private=True),
            "resource": RESOURCE,
        },
    )

    assert found["sameMetadata"] is True
    assert found["parLifetime"] == 600
    token = found["accessToken"]
    assert token["sub"] == found["subInIdToken"]
    assert (token["aud"], token["client_id"]) == (RESOURCE, client["client_id"])
    assert token["acr"] == "urn:placet:acr:aal1"
    assert found["idTokenAsAccessToken"] is not None
    assert found["rotated"] is True
    assert found["introspected"] == {"active": True, "aud": RESOURCE, "sub": token["sub"]}
    assert found["ownSub"] == client["client_id"]
    assert found["afterRevocation"] is False
