"""What a subject is and what happens to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar

from policies.errors import DomainError, InvalidInput
from policies.minors import NotABirthdate, read_birthdate
from policies.vocabulary import Attribute, EventTag, RetentionClass
from privacy.events import Event

MAX_VALUE_LENGTH = 200


class UnknownSubject(DomainError):
    """There is no such person, or no longer."""

    code = "not-found"


@dataclass(frozen=True, slots=True)
class Subject:
    """A person's standing, without anything that says who it is.

    Attributes:
        subject_id: 32 hexadecimal digits, random.
        created_at: when we first heard of the person.
        restricted: processing is restricted (GDPR Art. 18), or the person is about to be erased.
        blocked: the data is blocked (LOPDGDD Art. 32).
        erased: the person's profile was erased; only what the law keeps is left.
        deceased: the person has died. Source: LOPDGDD Art. 3.
        restricted_at: since when a restriction of their own is in force; aware UTC.
        lift_told_at: when they were told that it is to be lifted; aware UTC.
    """

    subject_id: str
    created_at: datetime
    restricted: bool = False
    blocked: bool = False
    erased: bool = False
    deceased: bool = False
    restricted_at: datetime | None = None
    lift_told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One profile field before and after. Source: GDPR Art. 16; LOPDGDD Art. 14."""

    attribute: Attribute
    before: str | None
    after: str | None


def clean_value(attribute: Attribute, value: str, today: date) -> str:
    """Return `value` as it is kept: outer white space removed.

    Args:
        attribute: what it is.
        value: as typed.
        today: in the controller's time zone.

    Raises:
        InvalidInput: it is empty, too long, holds control characters or is no birthdate where it
            should be one; the field is named.
    """
    cleaned = value.strip()
    if not cleaned:
        raise InvalidInput("the value is empty", field=attribute.value)
    if len(cleaned) > MAX_VALUE_LENGTH:
        raise InvalidInput(f"at most {MAX_VALUE_LENGTH} characters", field=attribute.value)
    if not cleaned.isprintable():
        raise InvalidInput("the value holds control characters", field=attribute.value)
    if attribute is Attribute.BIRTHDATE:
        try:
            read_birthdate(cleaned, today)
        except NotABirthdate as error:
            raise InvalidInput(str(error), field=attribute.value) from None
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
class IdentifierPreferred(Event):
    """The person chose the address to sign in with and to get letters at."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_IDENTIFIER_PREFERRED
    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierRemoved(Event):
    """An address finds the person no more."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_IDENTIFIER_REMOVED
    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectsMerged(Event):
    """Two subjects turned out to be one person.

    Part of the evidence of consent: it says whose word stands under the alias.

    Attributes:
        subject_id: the survivor.
        alias_id: the other, under whose id nothing is written any more.
    """

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_SUBJECT_MERGED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    alias_id: str

    @property
    def people(self) -> tuple[str, ...]:
        """Both: what either name leads to has changed."""
        return (self.subject_id, self.alias_id) if self.subject_id else (self.alias_id,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRectified(Event):
    """A profile field was changed; before and after are in the sealed evidence."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_PROFILE_RECTIFIED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE
    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectDeceased(Event):
    """The person has died: nothing is done with their data any more. Source: LOPDGDD Art. 3."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_SUBJECT_DECEASED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeathCorrected(Event):
    """The person lives: it was noted by mistake. Source: GDPR Art. 5(1)(d)."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_DEATH_CORRECTED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLookedUp(Event):
    """Somebody at the desk found the person by an address or a number."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_SUBJECT_LOOKED_UP
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRestricted(Event):
    """The person's data is only stored from now on. Source: GDPR Art. 18(1); LOPDGDD Art. 16."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_SUBJECT_RESTRICTED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftingAnnounced(Event):
    """The person was told that their restriction is to be lifted. Source: GDPR Art. 18(3)."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_LIFTING_ANNOUNCED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictionLifted(Event):
    """The restriction has ended, after the person was told. Source: GDPR Art. 18(3)."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_RESTRICTION_LIFTED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectErased(Event):
    """The person's data was erased, but for the classes that the law keeps."""

    tag: ClassVar[EventTag] = EventTag.SUBJECTS_SUBJECT_ERASED
    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE
