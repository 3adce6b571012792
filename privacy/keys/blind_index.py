"""Finding a row by an encrypted value: keyed hashes of normalised identifiers.

`HMAC-SHA256(K(kind, version), normalised)`, first 128 bits. It tells equality and nothing else;
it is deleted when the value is blocked or erased. Source: docs/decisions/0005.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from policies.errors import InvalidInput
from privacy.keys.keyring import Keyring, RootKey

INDEX_VERSION = 1
INDEX_BYTES = 16
#: Characters as typed. Source: RFC 5321 s. 4.5.3.1 (64 octets, "@", 255 octets).
MAX_EMAIL_LENGTH = 320
#: Characters as typed: E.164 has 15 digits, and people write spaces and a prefix around them.
MAX_PHONE_LENGTH = 40
#: Nearly every address: one that is valid if its domain is, which few of a million do not share.
_PLAIN: Final = re.compile(r"([A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*)@([A-Za-z0-9.-]+)")
_PLAIN_LENGTH: Final = 120


class IdentifierKind(StrEnum):
    """What a person can be found by."""

    EMAIL = "email"
    PHONE = "phone"


def normalise_email(address: str, *, field: str = "email") -> str:
    """Return the canonical form of an address: NFC, IDNA domain, case folded.

    No dot or plus rules: they differ by provider, and guessing them joins two people.

    Raises:
        InvalidInput: it is not an address; `field` is named.
    """
    if len(address) > MAX_EMAIL_LENGTH:  # the library looks at all of it before it measures
        raise InvalidInput("The email address is too long.", field=field)
    plain = _PLAIN.fullmatch(address) if len(address) <= _PLAIN_LENGTH else None
    if plain is not None and (domain := _plain_domain(plain[2])) is not None:
        return f"{plain[1].lower()}@{domain}"
    try:
        return _normalised(address)
    except EmailNotValidError as error:
        raise InvalidInput(str(error), field=field) from None


def _normalised(address: str) -> str:
    found = validate_email(address, check_deliverability=False, test_environment=True)
    return found.normalized.casefold()


@lru_cache(maxsize=4096)
def _plain_domain(domain: str) -> str | None:
    """The canonical form of an ASCII domain; None: the library must see the whole address."""
    try:
        canonical = _normalised(f"a@{domain}").partition("@")[2]
    except EmailNotValidError:
        return None
    return canonical if canonical.isascii() else None


def normalise_phone(number: str, region: str, *, field: str = "phone") -> str:
    """Return the canonical form of a telephone number: E.164, `+34600111222`.

    Args:
        number: as typed, international or as dialled within the region.
        region: ISO 3166-1 alpha-2; where a number without a country code lies.
        field: the input's member that an error names.

    Raises:
        InvalidInput: it is no number that anybody can have, or has an extension: behind one line
            of a company stand many people.

    Source: ITU-T E.164; the numbering plans of PyPI `phonenumbers`.
    """
    if len(number) > MAX_PHONE_LENGTH:
        raise InvalidInput("the phone number is too long", field=field)
    try:
        found = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        raise InvalidInput("this is not a phone number", field=field) from None
    if found.extension or not phonenumbers.is_valid_number(found):
        raise InvalidInput("this is not a phone number", field=field)
    return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))


class BlindIndex:
    """Computes blind indexes; the key never leaves this object."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of(self, kind: IdentifierKind, normalised: str, *, version: int = INDEX_VERSION) -> bytes:
        """Return the 16-byte index of a normalised value."""
        key = self._keyring.derive(RootKey.BLIND_INDEX, kind.value, f"v{version}")
        return hmac.digest(key, normalised.encode(), hashlib.sha256)[:INDEX_BYTES]
