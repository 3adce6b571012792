"""The discovery document says what is true, and the keys verify what is signed."""

import json

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from identity.provider.claims_request import read_claims
from tests.identity.provider.relying_party import RelyingParty, register, sign_in
from tests.support.world import World


def test_the_document_is_valid_and_every_address_in_it_answers(
    world: World, shop: RelyingParty
) -> None:
    answer = world.client.get("/.well-known/openid-configuration")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    document = answer.get_json()
    issuer = document["issuer"]
    assert issuer == "http://localhost:8000"
    # Authlib's validators want https; everything else they check is checked here.
    https = {
        name: value.replace("http://", "https://") if isinstance(value, str) else value
        for name, value in document.items()
    }
    OpenIDProviderMetadata(https).validate()
    AuthorizationServerMetadata(https).validate()

    served = {rule.rule for rule in world.app.url_map.iter_rules()}
    addresses = [v for n, v in document.items() if n.endswith(("_endpoint", "jwks_uri"))]
    assert len(addresses) == 8
    assert {address.removeprefix(issuer) for address in addresses} <= served


#: What is the same in every deployment; each is held by the tests of what it names.
FIXED = {
    "response_types_supported": ["code"],
    "response_modes_supported": ["query"],
    "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
    "subject_types_supported": ["pairwise"],
    "code_challenge_methods_supported": ["S256"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "acr_values_supported": ["urn:placet:acr:aal1", "urn:placet:acr:aal2"],
    "ui_locales_supported": ["es", "en"],
    "display_values_supported": ["page"],
    "claim_types_supported": ["normal"],
    "claims_parameter_supported": True,
    "request_parameter_supported": False,
    "request_uri_parameter_supported": False,
    "require_request_uri_registration": False,
    "require_pushed_authorization_requests": False,
    "authorization_response_iss_parameter_supported": True,
    "backchannel_logout_supported": True,
    "backchannel_logout_session_supported": True,
    "service_documentation": "http://localhost:8000/docs",
}
#: What the loop below, or a test of its own, makes true.
HELD = {
    "issuer",
    "scopes_supported",
    "prompt_values_supported",
    "claims_supported",
    "jwks_uri",
}


def test_everything_that_the_document_offers_is_held_by_a_test(world: World) -> None:
    document = world.client.get("/.well-known/openid-configuration").get_json()
    assert {name: document[name] for name in FIXED} == FIXED
    rest = set(document) - set(FIXED) - HELD
    assert {name for name in rest if not name.endswith("_endpoint")} == {
        f"{endpoint}_endpoint_auth_{what}_supported"
        for endpoint in ("token", "introspection", "revocation")
        for what in ("methods", "signing_alg_values")
    }
    assert "none" not in str(document).replace("'none', 'login'", "")
    assert world.client.get(document["service_documentation"]).status_code == 200
    oauth = world.client.get("/.well-known/oauth-authorization-server")
    assert oauth.get_json() == document


def test_every_prompt_scope_claim_and_level_that_is_offered_is_understood(
    world: World, ana: str
) -> None:
    document = world.client.get("/.well-known/openid-configuration").get_json()
    assert "desk" not in document["scopes_supported"]
    shop = register(world, scopes=document["scopes_supported"], refresh=True, purposes=())
    for prompt in document["prompt_values_supported"]:
        response = shop.authorize(prompt=prompt)
        assert "error" not in response.headers.get("Location", ""), prompt
    for name, values in (
        ("scope", [f"openid {scope}" for scope in document["scopes_supported"]]),
        ("acr_values", document["acr_values_supported"]),
    ):
        for value in values:
            assert "invalid" not in shop.authorize(**{name: value}).headers.get("Location", "")
    names = [name for name in document["claims_supported"] if name not in ID_TOKEN]
    asked = {"userinfo": dict.fromkeys(names)}
    assert read_claims(json.dumps(asked), shop.client.scopes).userinfo == set(names)


ID_TOKEN = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}


def test_an_id_token_holds_exactly_the_claims_that_the_document_names(
    world: World, shop: RelyingParty, ana: str
) -> None:
    sign_in(world, ana, session_family="f" * 32)
    assert set(shop.read_id_token(shop.tokens()["id_token"]).claims) == ID_TOKEN


def test_the_published_keys_are_public_and_name_themselves(
    world: World, shop: RelyingParty, ana: str
) -> None:
    answer = world.client.get("/oauth/jwks")
    [key] = answer.get_json()["keys"]
    assert set(key) == {"kty", "kid", "alg", "use", "n", "e"}
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
    header = shop.read_id_token(shop.tokens()["id_token"]).header
    assert header == {"typ": "JWT", "alg": "RS256", "kid": key["kid"]}
    assert answer.headers["Cache-Control"] == "public, max-age=300"
