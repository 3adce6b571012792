"""How a pseudonym is made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

#: 192 of the MAC's 256 bits: above the 128 that EDPB Guidelines 01/2025 make a guess hopeless at.
PSEUDONYM_BYTES = 24
KEY_VERSION = 1
_FORM = re.compile(r"d([1-9][0-9]{0,8})v([1-9][0-9]{0,4})_[A-Za-z0-9_-]{32}")


def pseudonym(key: bytes, sid: bytes, *, domain_id: int, key_version: int) -> str:
    """Return `d<domain>v<key version>_` and 32 base64url characters.

    Args:
        key: the domain's key of that version, 32 bytes.
        sid: the person's secret, 16 random bytes; never an address or a national id.
        domain_id: the number of the domain.
        key_version: which of the domain's keys.

    Source: OpenID Connect Core 8.1 (pairwise); EDPB Guidelines 01/2025 (pseudonymisation domain).
    """
    mac = hmac.digest(key, sid, hashlib.sha256)[:PSEUDONYM_BYTES]
    return f"d{domain_id}v{key_version}_{base64.urlsafe_b64encode(mac).decode()}"


def domain_of(value: str) -> int | None:
    """Return the number of the domain that a pseudonym claims, or None where it is not one."""
    found = _FORM.fullmatch(value)
    return int(found.group(1)) if found else None


@dataclass(frozen=True, slots=True)
class Alias:
    """Two pseudonyms of one person in one domain, and which of them stays.

    Attributes:
        ordinal: its place among the domain's own, from 1.
        old: still answers, for the same person.
        new: the one that stays, and that every answer gives from now on.
        at: when they turned out to be one person; aware UTC.
    """

    ordinal: int
    old: str
    new: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCreated(Event):
    """A pseudonymisation domain came into being: one OpenID sector, by default one client."""

    tag: ClassVar[EventTag] = EventTag.PSEUDONYMS_DOMAIN_CREATED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudonymIssued(Event):
    """An application learned its own name for a person."""

    tag: ClassVar[EventTag] = EventTag.PSEUDONYMS_PSEUDONYM_ISSUED
    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudonymAliased(Event):
    """Two pseudonyms of a domain name one person: both are in the sealed evidence."""

    tag: ClassVar[EventTag] = EventTag.PSEUDONYMS_PSEUDONYM_ALIASED
    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE
    domain: str
