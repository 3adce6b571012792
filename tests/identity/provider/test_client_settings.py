"""Every setting of an application is checked, and a refusal names the field."""

import base64
import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from identity.provider.model import matches
from policies.errors import InvalidInput
from tests.identity.provider.relying_party import CALLBACK, register
from tests.support.world import World

sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "  "}, "name"),
    ({"name": "n" * 101}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"redirect_uris": ("http://shop.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": (CALLBACK + "#top",)}, "redirect_uris"),
    ({"redirect_uris": (CALLBACK + "#",)}, "redirect_uris"),
    ({"redirect_uris": ("https://*.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://user@shop.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://:@shop.example/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https:///cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example:port/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://[::1/cb",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example/a b",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example/é",)}, "redirect_uris"),
    ({"redirect_uris": ("https://shop.example/" + "a" * 2000,)}, "redirect_uris"),
    ({"redirect_uris": ("/callback",)}, "redirect_uris"),
    ({"redirect_uris": ("javascript:alert(1)",)}, "redirect_uris"),
    ({"redirect_uris": ("com.example.app:/cb",)}, "redirect_uris"),
    ({"post_logout_redirect_uris": ("http://shop.example/",)}, "post_logout_redirect_uris"),
    ({"scopes": ("openid", "everything")}, "scopes"),
    ({"scopes": ("openid", "desk")}, "scopes"),
    ({"scopes": ("decisions:evaluate",)}, "scopes"),
    ({"redirect_uris": ()}, "scopes"),
    ({"purposes": ("newsletter", "world-domination")}, "purposes"),
    ({"redirect_uris": tuple(f"{CALLBACK}/{n}" for n in range(21))}, "redirect_uris"),
    ({"sector": "a|b"}, "sector"),
    ({"refresh": True}, "refresh"),
    (
        {"scopes": ("rights:read", "offline_access"), "refresh": True, "redirect_uris": ()},
        "refresh",
    ),
    ({"scopes": ("openid",), "client_credentials": True}, "client_credentials"),
    ({"token_format": "saml"}, "token_format"),
    ({"audiences": ("api",)}, "audiences"),
    ({"audiences": ("https://api.example/#a",)}, "audiences"),
    ({"audiences": ("https://api.example/a b",)}, "audiences"),
    ({"auth_methods": ()}, "auth_methods"),
    ({"auth_methods": ("none",)}, "auth_methods"),
    ({"auth_methods": ("private_key_jwt",)}, "jwks"),
    ({"backchannel_logout_uri": "http://shop.example/out"}, "backchannel_logout_uri"),
    ({"backchannel_logout_uri": "https://shop.example/out#x"}, "backchannel_logout_uri"),
    ({"purposes": (), "ends_with_withdrawal": True}, "ends_with_withdrawal"),
]

_RSA = RSAKey.generate_key(2048, {"kid": "r"}, auto_kid=False)
_EC = ECKey.generate_key("P-256", {"kid": "e"}, auto_kid=False)
_OKP = OKPKey.generate_key("Ed25519", {"kid": "o"}, auto_kid=False)


def jwks(*keys: object) -> str:
    return json.dumps({"keys": keys})


def public(key: Key, **changes: object) -> dict[str, object]:
    return {**key.as_dict(private=False), **changes}


#: 1024 bits, as nobody makes them any more: its modulus alone matters.
_SHORT = {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(b"\xff" * 128).decode()}
WRONG_KEYS = [
    "no json",
    "[" * 10_000,
    "[]",
    "{}",
    jwks(),
    jwks("key"),
    jwks(_RSA.as_dict(private=True)),
    jwks(_EC.as_dict(private=True)),
    jwks(_OKP.as_dict(private=True)),
    jwks({"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}),
    jwks(_SHORT),
    jwks({"kty": "RSA", "e": "AQAB", "n": "*"}),
    jwks({"kty": "RSA", "e": "AQAB"}),
    jwks(public(ECKey.generate_key("P-384"))),
    jwks(public(_EC, x=_EC.as_dict()["y"])),
    jwks(public(OKPKey.generate_key("X25519"))),
    jwks(public(_RSA, alg="HS256")),
    jwks(public(_EC, alg="RS256")),
    jwks(public(_RSA, use="enc")),
    jwks(public(_RSA, kid=7)),
    *(jwks(public(_RSA, **{name: []})) for name in ("kty", "crv", "alg", "use", "kid")),
    jwks(public(_RSA), public(_EC, kid="r")),
    jwks(*(public(_EC, kid=str(number)) for number in range(11))),
    jwks(public(_RSA, note="x" * 16_384)),
]
KEYS = jwks(public(_RSA), public(_EC, alg="ES256"), public(_OKP))
OWN_KEYS = {"auth_methods": ("private_key_jwt",), "jwks": KEYS}


@sqlite
def test_a_wrong_setting_is_refused_by_name(world: World) -> None:
    for change, field in WRONG:
        with pytest.raises(InvalidInput) as refusal:
            register(world, **change)
        assert refusal.value.field == field, change
    for text in WRONG_KEYS:
        with pytest.raises(InvalidInput) as refusal:
            register(world, auth_methods=("private_key_jwt",), jwks=text)
        assert refusal.value.field == "jwks", text[:200]
        assert str(_EC.as_dict(private=True)["d"]) not in str(refusal.value)
    with world.placet.runtime.snapshot() as session:
        assert world.placet.clients.all(session) == []


@sqlite
def test_http_is_for_loopback_alone(world: World) -> None:
    uris = ("http://localhost:5000/cb", "http://127.0.0.1/cb", "http://[::1]:80/cb?a=b")
    assert register(world, redirect_uris=uris).client.redirect_uris == uris


@pytest.mark.parametrize(
    ("registered", "given", "same"),
    [
        (CALLBACK, CALLBACK, True),
        (CALLBACK, CALLBACK + "/", False),
        (CALLBACK, CALLBACK.replace("shop.example", "shop.example:443"), False),
        ("http://127.0.0.1/cb?a=b", "http://127.0.0.1:51004/cb?a=b", True),
        ("http://127.0.0.1:8000/cb", "http://127.0.0.1:51004/cb", True),
        ("http://[::1]/cb", "http://[::1]:51004/cb", True),
        ("http://[::1]/cb", "http://127.0.0.1:51004/cb", False),
        ("http://localhost/cb", "http://localhost:51004/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1:51004/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:1@shop.example/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1.shop.example/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb\n", False),
    ],
)
def test_only_the_port_of_a_loopback_ip_address_may_vary(
    registered: str, given: str, same: bool
) -> None:
    assert matches(registered, given) is same
