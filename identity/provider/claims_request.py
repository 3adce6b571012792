"""The `claims` parameter: what a client asks for one by one. Source: OIDC Core s. 5.5."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NoReturn, cast

from authlib.oauth2.rfc6749.errors import InvalidRequestError

MAX_LENGTH: Final = 4000
#: Of a `sub` or an `acr` value. Source: OIDC Core s. 2 (`sub`: at most 255 ASCII characters).
MAX_VALUE: Final = 255
MAX_VALUES: Final = 10
ACR: Final = "acr"

CLAIMS_OF_SCOPE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "profile": frozenset({"name", "given_name", "family_name", "birthdate", "locale"}),
        "email": frozenset({"email", "email_verified"}),
        "phone": frozenset({"phone_number", "phone_number_verified"}),
        "address": frozenset({"address"}),
    }
)
"""What a scope asks userinfo for. Source: OIDC Core s. 5.4."""


@dataclass(frozen=True, slots=True)
class RequestedClaims:
    """What a request asks for by name.

    Attributes:
        userinfo: claims asked of userinfo, those that we know and the client may ask for.
        essential: those among them that the client says it needs, and `acr` where it insists.
        sub: the person whom the answer must be about, as this client knows them; None: anybody.
        acr: `acr` values asked for, the client's favourite first.
    """

    userinfo: frozenset[str] = frozenset()
    essential: frozenset[str] = frozenset()
    sub: str | None = None
    acr: tuple[str, ...] = ()


def read_claims(text: str, scopes: Collection[str]) -> RequestedClaims:
    """Return what a `claims` parameter asks for; what we do not know is left out.

    Args:
        text: JSON.
        scopes: what the client may ask for at all; a claim outside them is left out too.

    Raises:
        InvalidRequestError: it is too long, not JSON, or not of the form that s. 5.5 gives it.
    """
    if len(text) > MAX_LENGTH:
        _refuse()
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_constant)
    except (ValueError, RecursionError):
        _refuse()
    whole = _members(found)
    userinfo = _requests(whole.get("userinfo"))
    id_token = _requests(whole.get("id_token"))
    may = frozenset[str]().union(*(CLAIMS_OF_SCOPE.get(scope, ()) for scope in scopes))
    names = frozenset(userinfo) & may
    essential = {name for name in names if userinfo[name].get("essential")}
    acr = _values(id_token.get(ACR, {}))
    if acr and id_token[ACR].get("essential"):
        essential.add(ACR)
    subs = {s for asked in (id_token, userinfo) for s in _values(asked.get("sub", {}))}
    if len(subs) > 1:
        _refuse()
    return RequestedClaims(names, frozenset(essential), next(iter(subs), None), acr)


def _requests(value: object) -> dict[str, dict[str, Any]]:
    """Return what is asked of each claim; null asks for it plainly."""
    asked = {name: _members(each) for name, each in _members(value).items()}
    if any(not isinstance(each.get("essential", False), bool) for each in asked.values()):
        _refuse()
    return asked


def _values(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values that a claim may have, favourite first; empty: any."""
    values = asked["values"] if "values" in asked else [asked["value"]] if "value" in asked else []
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        _refuse()
    for each in values:
        if not isinstance(each, str) or not each.isascii() or not 0 < len(each) <= MAX_VALUE:
            _refuse()
    return tuple(values)


def _members(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        _refuse()
    return cast("dict[str, Any]", value)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _refuse() -> NoReturn:
    raise InvalidRequestError("Malformed 'claims' (OIDC Core s. 5.5), or too long.") from None
