"""What a subject is and what happens to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from policies.errors import DomainError, InvalidInput
from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

MAX_VALUE_LENGTH = 200


class Attribute(StrEnum):
    """Profile fields that a purpose may need; each is asked for only then."""

    GIVEN_NAME = "given_name"
    FAMILY_NAME = "family_name"
    PHONE = "phone"
    POSTAL_ADDRESS = "postal_address"
    LOCALE = "locale"


class UnknownSubject(DomainError):
    """There is no such person, or no longer."""

    code = "not-found"


@dataclass(frozen=True, slots=True)
class Subject:
    """A person's standing, without anything that says who it is.

    Attributes:
        subject_id: 32 hexadecimal digits, random.
        created_at: when we first heard of the person.
        restricted: processing is restricted (GDPR Art. 18).
        blocked: the data is blocked (LOPDGDD Art. 32).
        erased: the person's profile was erased; only what the law keeps is left.
    """

    subject_id: str
    created_at: datetime
    restricted: bool = False
    blocked: bool = False
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One profile field before and after. Source: GDPR Art. 16; LOPDGDD Art. 14."""

    attribute: Attribute
    before: str | None
    after: str | None


def clean_value(attribute: Attribute, value: str) -> str:
    """Return `value` as it is kept: outer white space removed.

    Raises:
        InvalidInput: it is empty, too long or holds control characters; the field is named.
    """
    cleaned = value.strip()
    if not cleaned:
        raise InvalidInput("the value is empty", field=attribute.value)
    if len(cleaned) > MAX_VALUE_LENGTH:
        raise InvalidInput(f"at most {MAX_VALUE_LENGTH} characters", field=attribute.value)
    if not cleaned.isprintable():
        raise InvalidInput("the value holds control characters", field=attribute.value)
    return cleaned


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectCreated(Event):
    """We heard of a person for the first time."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_SUBJECT_CREATED
    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierAdded(Event):
    """An address that we knew by its blind index alone is kept from now on."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_IDENTIFIER_ADDED
    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierVerified(Event):
    """The person proved that an address is theirs."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_IDENTIFIER_VERIFIED
    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRectified(Event):
    """A profile field was changed; before and after are in the sealed evidence."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_PROFILE_RECTIFIED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE
    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectErased(Event):
    """The person's data was erased, but for the classes that the law keeps."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_SUBJECT_ERASED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE
