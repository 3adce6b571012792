"""The discovery document says what is true, and the keys verify what is signed."""

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata

from tests.identity.provider.relying_party import RelyingParty
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
    assert len(addresses) == 6
    assert {address.removeprefix(issuer) for address in addresses} <= served


def test_the_document_offers_nothing_unsafe(world: World) -> None:
    document = world.client.get("/.well-known/openid-configuration").get_json()
    assert document["response_types_supported"] == ["code"]
    assert document["grant_types_supported"] == ["authorization_code", "client_credentials"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert document["subject_types_supported"] == ["pairwise"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert "desk" not in document["scopes_supported"]
    assert "end_session_endpoint" not in document


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
