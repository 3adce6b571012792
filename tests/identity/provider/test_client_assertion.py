"""private_key_jwt: what proves a client and what does not."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from werkzeug.test import TestResponse

from identity.provider.client_assertion import MAX_LENGTH
from tests.identity.provider.relying_party import (
    KeyParty,
    basic,
    register,
    register_with_key,
)
from tests.identity.provider.test_token import error_of, rows
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

ISSUER = "http://localhost:8000"
MACHINE: dict[str, Any] = {"redirect_uris": (), "scopes": ("decisions:evaluate",)}
WEB: dict[str, Any] = {"scopes": ("openid", "decisions:evaluate")}


@pytest.fixture
def party(world: World) -> KeyParty:
    return register_with_key(world, **WEB)


def ask(party: KeyParty, assertion: str) -> TestResponse:
    """Ask for a token by an assertion, and let an hour pass so that no failure slows the next."""
    form = party.proof(assertion) | {"grant_type": "client_credentials"}
    answer = party.browser.post("/oauth/token", data=form)
    party.world.clock.advance(hours=1)
    return answer


def test_it_is_taken_at_every_endpoint_and_for_a_persons_code(party: KeyParty, ana: str) -> None:
    form = party.token_form(party.granted_code("openid"))
    answer = party.post("/oauth/token", **form)
    assert answer.status_code == 200, answer.text
    token = answer.get_json()["access_token"]
    assert party.post("/oauth/introspect", token=token).get_json()["active"] is True
    assert party.post("/oauth/revoke", token=token).status_code == 200
    assert party.post("/oauth/introspect", token=token).get_json() == {"active": False}


def test_each_algorithm_that_fits_the_key_is_taken_and_no_other(world: World) -> None:
    keys: list[tuple[Key, tuple[str, ...]]] = [
        (RSAKey.generate_key(2048, auto_kid=False), ("RS256", "PS256")),
        (ECKey.generate_key("P-256", auto_kid=False), ("ES256",)),
        (OKPKey.generate_key("Ed25519", auto_kid=False), ("Ed25519",)),
    ]
    for key, algorithms in keys:
        party = register_with_key(world, key, **MACHINE)
        for algorithm in algorithms:
            assertion = party.assertion({"alg": algorithm})
            assert party.own_token(**party.proof(assertion)).status_code == 200, algorithm
    rsa = register_with_key(world, keys[0][0], **MACHINE)
    for algorithm in ("RS384", "RS512", "PS512"):
        assertion = rsa.assertion({"alg": algorithm})
        assert error_of(rsa.post("/oauth/token", **rsa.proof(assertion)), 401) == "invalid_client"
        world.clock.advance(hours=1)
    # The older name of Ed25519, which joserfc signs with a warning.
    edwards = register_with_key(world, keys[2][0], **MACHINE)
    with pytest.warns(UserWarning, match="EdDSA"):
        assertion = edwards.assertion({"alg": "EdDSA"})
    assert edwards.own_token(**edwards.proof(assertion)).status_code == 200


def test_a_public_key_or_nothing_at_all_signs_nothing(party: KeyParty) -> None:
    """The classics: `none`, and HS256 with the public key as its secret."""
    with pytest.warns(UserWarning, match="none"):
        unsigned = party.assertion({"alg": "none"})
    claims = party.assertion().split(".")[1].encode()
    message = urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=") + b"." + claims
    assert isinstance(party.key, ECKey)
    by_public_key = hmac.digest(party.key.as_pem(private=False), message, "sha256")
    shared = (message + b"." + urlsafe_b64encode(by_public_key).rstrip(b"=")).decode()
    another = KeyParty(party.world, party.client, "").assertion()
    right = party.assertion()
    altered = right[:-4] + ("AAAA" if not right.endswith("AAAA") else "BBBB")
    for wrong in (unsigned, shared, another, altered, "", "x", "a.b.c", "..", "é.é.é", "[].[].[]"):
        assert error_of(ask(party, wrong), 401) == "invalid_client", wrong


def test_a_header_of_another_kind_than_text_is_refused_like_a_wrong_signature(
    party: KeyParty,
) -> None:
    claims, signature = party.assertion().split(".")[1:]
    headers: list[dict[str, Any]] = [{"alg": []}, {"alg": {}}, {"alg": 1}]
    other: list[Any] = [[], {}, 1]
    headers += [{"alg": "ES256", name: value} for name in ("typ", "kid") for value in other]
    for header in headers:
        encoded = urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
        answer = ask(party, f"{encoded}.{claims}.{signature}")
        assert error_of(answer, 401) == "invalid_client", header


def test_a_jti_of_half_a_character_is_refused(party: KeyParty) -> None:
    """JSON can say what no encoding writes, and a library that signs would not send."""
    now = int(party.world.clock.now.timestamp())
    client_id = party.client.client_id
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "exp": now + 60, "jti": "\ud800"}
    signed = jws.serialize_compact({"alg": "ES256"}, json.dumps(claims).encode(), party.key)
    assert error_of(ask(party, signed), 401) == "invalid_client"


def test_each_claim_counts(party: KeyParty) -> None:
    other = register(party.world, **MACHINE)

    def now(seconds: float) -> float:
        return party.world.clock.now.timestamp() + seconds

    wrong: list[Callable[[], dict[str, Any]]] = [
        lambda: {"iss": None},
        lambda: {"iss": other.client.client_id},
        lambda: {"sub": None},
        lambda: {"sub": other.client.client_id},
        lambda: {"sub": 7},
        lambda: {"aud": None},
        lambda: {"aud": "https://elsewhere.example"},
        lambda: {"aud": ISSUER + "/"},
        lambda: {"aud": []},
        lambda: {"aud": [ISSUER, "https://elsewhere.example"]},
        lambda: {"aud": [[ISSUER]]},
        lambda: {"aud": ISSUER + "/oauth/introspect"},
        lambda: {"exp": None},
        lambda: {"exp": now(-30)},
        lambda: {"exp": now(3631)},
        lambda: {"exp": "tomorrow"},
        lambda: {"exp": True},
        lambda: {"exp": 1e300},
        lambda: {"iat": now(31)},
        lambda: {"nbf": now(31)},
        lambda: {"iat": "yesterday"},
        lambda: {"jti": None},
        lambda: {"jti": ""},
        lambda: {"jti": 7},
        lambda: {"jti": "j" * 257},
        lambda: {"padding": "p" * MAX_LENGTH},
    ]
    for change in wrong:
        fresh = {"exp": now(60), "iat": now(0)} | change()
        answer = ask(party, party.assertion(**fresh))
        assert error_of(answer, 401) == "invalid_client", fresh
    right: list[Callable[[], dict[str, Any]]] = [
        dict,
        lambda: {"aud": [ISSUER]},
        lambda: {"aud": ISSUER + "/oauth/token"},
        lambda: {"exp": now(-29)},
        lambda: {"exp": now(3630)},
        lambda: {"iat": None},
        lambda: {"iat": now(29), "nbf": now(0)},
    ]
    for change in right:
        fresh = {"exp": now(60), "iat": now(0)} | change()
        answer = ask(party, party.assertion(**fresh))
        assert answer.status_code == 200, (fresh, answer.text)


def test_a_type_and_a_name_belong_to_an_assertion(party: KeyParty) -> None:
    for change in (
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"crit": ["b64"], "b64": True},
    ):
        assertion = jwt.encode(
            {"alg": "ES256"} | change,
            jwt.decode(party.assertion(), party.key, ["ES256"]).claims,
            party.key,
            ["ES256"],
        )
        assert error_of(ask(party, assertion), 401) == "invalid_client", change
    form = {"client_assertion": party.assertion(), "grant_type": "client_credentials"}
    assert error_of(party.browser.post("/oauth/token", data=form), 401) == "invalid_client"
    party.world.clock.advance(hours=1)
    form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    assert error_of(party.browser.post("/oauth/token", data=form), 401) == "invalid_client"


def test_an_assertion_counts_once_whatever_became_of_its_request(party: KeyParty) -> None:
    assertion = party.assertion()
    form = party.proof(assertion)
    wanted = {"grant_type": "client_credentials"}
    assert error_of(party.browser.post("/oauth/token", data=form | {"grant_type": "x"})) == (
        "unsupported_grant_type"
    )
    assert error_of(party.browser.post("/oauth/token", data=form | wanted), 401) == (
        "invalid_client"
    )
    assert rows(party.world, "SELECT count(*) FROM oauth_client_assertion") == [(1,)]
    # The same name under another client's key is another assertion.
    other = register_with_key(party.world, **MACHINE)
    for each in (party, other):
        assert each.own_token(**each.proof(each.assertion(jti="one"))).status_code == 200


def test_one_way_of_proving_oneself_and_only_one_that_was_agreed(
    world: World, party: KeyParty
) -> None:
    proof, grant = party.proof(party.assertion()), {"grant_type": "client_credentials"}
    twice: list[tuple[dict[str, str], dict[str, str]]] = [
        (proof | {"client_secret": "x"}, {}),
        (proof, basic(party.client.client_id, "x")),
        ({"client_assertion_type": "x"}, basic(party.client.client_id, "x")),
        (proof | {"client_id": "0" * 32}, {}),
    ]
    for form, header in twice:
        answer = world.client.post("/oauth/token", data=form | grant, headers=header)
        assert error_of(answer) == "invalid_request"
    named = proof | grant | {"client_id": party.client.client_id}
    assert world.client.post("/oauth/token", data=named).status_code == 200
    # A client of secrets has no use for a key, and the other way round.
    secretive = register(world, **MACHINE)
    as_secretive = KeyParty(world, secretive.client, secretive.secret, party.key)
    assert error_of(ask(as_secretive, as_secretive.assertion()), 401) == "invalid_client"
    only_basic = register(world, **MACHINE, auth_methods=("client_secret_basic",))
    body = {"client_id": only_basic.client.client_id, "client_secret": only_basic.secret}
    assert error_of(world.client.post("/oauth/token", data=body | grant), 401) == "invalid_client"
    world.clock.advance(hours=1)
    assert only_basic.own_token().status_code == 200


def test_of_several_keys_the_one_named_must_have_signed(world: World) -> None:
    old, new = (ECKey.generate_key("P-256", {"kid": kid}, auto_kid=False) for kid in ("a", "b"))
    jwks = json.dumps({"keys": [key.as_dict(private=False) for key in (old, new)]})
    made = register(world, auth_methods=("private_key_jwt",), jwks=jwks, **MACHINE)
    for key, kid, right in (
        (old, "a", True),
        (new, "b", True),
        (new, "a", False),
        (new, "c", False),
    ):
        party = KeyParty(world, made.client, "", key)
        assert (ask(party, party.assertion({"kid": kid})).status_code == 200) is right, kid
    assert error_of(ask(party, party.assertion()), 401) == "invalid_client"


def test_the_one_key_of_a_client_may_go_unnamed_and_not_be_misnamed(world: World) -> None:
    key = ECKey.generate_key("P-256", {"kid": "a"}, auto_kid=False)
    party = register_with_key(world, key, **MACHINE)
    assert party.own_token().status_code == 200
    assert party.own_token(**party.proof(party.assertion({"kid": "a"}))).status_code == 200
    assert error_of(ask(party, party.assertion({"kid": "b"})), 401) == "invalid_client"


def test_wrong_assertions_are_slowed_down_like_wrong_secrets(party: KeyParty) -> None:
    wrong = party.proof(KeyParty(party.world, party.client, "").assertion())
    form = wrong | {"grant_type": "client_credentials"}
    answers = [party.browser.post("/oauth/token", data=form).status_code for _ in range(5)]
    assert answers == [401, 401, 401, 401, 429]
    party.world.clock.advance(seconds=1)
    assert party.own_token().status_code == 200


def test_no_assertion_rests_in_the_database(party: KeyParty) -> None:
    assertion = party.assertion(jti="its-own-name")
    assert party.own_token(**party.proof(assertion)).status_code == 200
    kept = repr(rows(party.world, "SELECT * FROM oauth_client_assertion"))
    assert "its-own-name" not in kept
    assert assertion not in kept
