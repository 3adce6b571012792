"""The `claims` parameter: what is understood, what is left out, what is refused."""

import json
from typing import Any

import pytest
from authlib.oauth2.rfc6749.errors import InvalidRequestError

from identity.provider.claims_request import RequestedClaims, read_claims

SCOPES = ("openid", "profile", "email")


def read(value: Any) -> RequestedClaims:
    return read_claims(json.dumps(value), SCOPES)


def test_claims_are_asked_plainly_or_as_essential() -> None:
    asked = read({"userinfo": {"given_name": {"essential": True}, "email": None, "locale": {}}})
    assert asked.userinfo == {"given_name", "email", "locale"}
    assert asked.essential == {"given_name"}


def test_unknown_claims_members_and_languages_are_left_out() -> None:
    asked = read(
        {
            "userinfo": {"shoe_size": None, "name#es": None, "email": {"purpose": "to write"}},
            "id_token": {"auth_time": {"essential": True}, "email": None},
            "verified": [1],
        }
    )
    assert asked == RequestedClaims(userinfo=frozenset({"email"}))


def test_a_claim_of_a_scope_that_the_client_may_not_ask_for_is_left_out() -> None:
    assert read({"userinfo": {"phone_number": None, "address": None}}) == RequestedClaims()


def test_levels_come_from_value_or_values_and_may_be_essential() -> None:
    assert read({"id_token": {"acr": {"value": "x"}}}).acr == ("x",)
    several = read({"id_token": {"acr": {"essential": True, "values": ["x", "y"]}}})
    assert several == RequestedClaims(acr=("x", "y"), essential=frozenset({"acr"}))
    # Without a value it only asks to be told, and it always is.
    assert read({"id_token": {"acr": {"essential": True}}}) == RequestedClaims()


def test_the_person_may_be_named() -> None:
    assert read({"id_token": {"sub": {"value": "d1v1_x"}}}).sub == "d1v1_x"
    assert read({"userinfo": {"sub": {"value": "d1v1_x"}}}).sub == "d1v1_x"
    assert read({"id_token": {"sub": {"essential": True}}}).sub is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "email",
        "[]",
        '"x"',
        '{"userinfo": []}',
        '{"userinfo": {"email": "yes"}}',
        '{"userinfo": {"email": {"essential": "true"}}}',
        '{"userinfo": {"email": null, "email": {"essential": true}}}',
        '{"id_token": {"acr": {"values": "x"}}}',
        '{"id_token": {"acr": {"values": [1]}}}',
        '{"id_token": {"acr": {"value": ""}}}',
        '{"id_token": {"sub": {"value": {"a": 1}}}}',
        '{"id_token": {"sub": {"value": "ñ"}}}',
        '{"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}}',
        '{"id_token": {"max_age": NaN}}',
        '{"userinfo": ' + "[" * 2000 + "]" * 2000 + "}",
        '{"userinfo": {"email": null}}' + " " * 4000,
        json.dumps({"id_token": {"acr": {"values": ["x"] * 11}}}),
    ],
    ids=range(18),
)
def test_what_is_malformed_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_claims(text, SCOPES)
