"""What a provider told of a person, reduced to what may be taken over and has the form it should.

Source: OIDC Core s. 5.1, 5.7; GDPR Art. 5(1)(c).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from identity.sso.model import ProviderKind, UpstreamProvider
from identity.sso.outside import JsonObject, json_object
from policies.errors import InvalidInput
from policies.vocabulary import Attribute
from privacy.keys.blind_index import normalise_email

MAX_VALUE: Final = 200
EMAIL_SCOPE: Final = "email"
#: The claim of each attribute. The postal address is not taken over from anybody.
CLAIMS: Final[Mapping[Attribute, str]] = {
    Attribute.GIVEN_NAME: "given_name",
    Attribute.FAMILY_NAME: "family_name",
    Attribute.LOCALE: "locale",
    Attribute.BIRTHDATE: "birthdate",
    Attribute.PHONE: "phone_number",
}
#: Where Apple's own form of a name has ours.
_APPLE_NAMES: Final = {Attribute.GIVEN_NAME: "firstName", Attribute.FAMILY_NAME: "lastName"}


def missing(provider: UpstreamProvider, claims: JsonObject) -> bool:
    """Tell whether userinfo could tell something that we want and the ID token lacks."""
    wanted = {CLAIMS[attribute] for attribute in provider.attributes}
    if EMAIL_SCOPE in provider.scopes:
        wanted.add("email")
    return not wanted <= claims.keys()


def email(
    provider: UpstreamProvider, claims: JsonObject, info: JsonObject
) -> tuple[str | None, bool]:
    """Return the address that the provider tells, and whether it says that it was verified.

    Both come from one place: what one says of its address is no word about the other's.
    """
    source = claims if "email" in claims else info
    address, verified = source.get("email"), source.get("email_verified")
    if provider.plain is not None:
        address = info.get(provider.plain.email_member) if provider.plain.email_member else None
        member = provider.plain.verified_member
        verified = info.get(member) if member else None
    if not isinstance(address, str) or not _is_address(address):
        return None, False
    # Apple writes the boolean as a string.
    said = verified is True or (provider.kind is ProviderKind.APPLE and verified == "true")
    return address, said and provider.trusts_email


def _is_address(value: str) -> bool:
    try:
        normalise_email(value)
    except InvalidInput:
        return False
    return True


def attributes(
    provider: UpstreamProvider, claims: JsonObject, info: JsonObject, user: str | None
) -> dict[Attribute, str]:
    """Return the attributes that configuration lets us take, of those that were told.

    Args:
        provider: who tells.
        claims: of the ID token.
        info: from userinfo.
        user: what Apple gives the browser at the first sign-in; the browser's word, like anything
            that a person types.
    """
    found: dict[Attribute, str] = {}
    named = _apple_name(user) if provider.kind is ProviderKind.APPLE else {}
    for attribute in sorted(provider.attributes):
        if provider.plain is not None:
            value = info.get(provider.plain.attribute_members.get(attribute, ""))
        else:
            claim = CLAIMS[attribute]
            value = claims.get(claim, info.get(claim, named.get(attribute)))
        text = _text(attribute, value)
        if text is not None:
            found[attribute] = text
    return found


def _apple_name(user: str | None) -> dict[Attribute, object]:
    name = (json_object(user or "") or {}).get("name")
    if not isinstance(name, dict):
        return {}
    return {attribute: name.get(member) for attribute, member in _APPLE_NAMES.items()}


def _text(attribute: Attribute, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not 0 < len(text) <= MAX_VALUE or not text.isprintable():
        return None
    if attribute is Attribute.BIRTHDATE and not _is_date(text):
        return None
    return text


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
