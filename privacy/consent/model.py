"""What a consent is, what may be said about it, and what is recorded of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from policies.decision import ConsentFact, Facts, PurposeRule, consent_expiry
from policies.errors import Conflict, Forbidden, InvalidInput
from policies.register.model import NoticeRevision, Purpose, Register
from policies.vocabulary import (
    ConsentAction,
    ConsentChannel,
    EventTag,
    LegalBasis,
    RetentionClass,
)
from privacy.clock import rfc3339
from privacy.events import Event, Json

IN_FORCE: Final = frozenset({ConsentAction.GIVEN, ConsentAction.RENEWED})

#: Bases that an objection ends; direct marketing is ended on any. Source: GDPR Art. 21(1), (2).
_OPEN_TO_OBJECTION: Final = frozenset(
    {LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTERESTS, LegalBasis.PUBLIC_TASK}
)


_ID: Final = re.compile(r"[0-9a-f]{32}")


class UnknownPurpose(InvalidInput):
    """The register has no purpose of that name."""

    code = "unknown-purpose"


class NotByConsent(InvalidInput):
    """The purpose rests on another legal basis, or may not rest on consent alone."""

    code = "not-by-consent"


class UnknownLanguage(InvalidInput):
    """The notice was never published in that language, so nobody can have read it."""

    code = "unknown-language"


class StaleNotice(Conflict):
    """The notice named is not the one in force: the person saw other words."""

    code = "stale-notice"


class GuardianNeeded(Conflict):
    """The person is below the age of consent. Source: GDPR Art. 8(1); LOPDGDD Art. 7(2)."""

    code = "guardian-needed"


class NothingToWithdraw(Conflict):
    """There is no consent in force; nothing is recorded."""

    code = "nothing-to-withdraw"


class NotOpenToObjection(InvalidInput):
    """The purpose rests on a contract or a legal duty. Source: GDPR Art. 21(1)."""

    code = "not-open-to-objection"


class PurposeNotOfApplication(Forbidden):
    """The application was not registered for this purpose."""

    code = "purpose-not-of-application"


class StateUnreadable(Exception):
    """What is stored of a person cannot be read: whoever decides must deny."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The exact words that the person was shown.

    Attributes:
        notice: id of the notice.
        version: of its revision.
        digest: of that revision in all its languages.
        language: BCP 47.
        text: Markdown, exactly as published.
    """

    notice: str
    version: int
    digest: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Act:
    """Who said it, when and how.

    Attributes:
        event_id: 32 hexadecimal digits, random.
        subject_id: the person.
        purpose: id in the register.
        at: aware UTC.
        channel: by which way the person's word reached us.
        recorded_by: the name of the actor who wrote it down.
        register_revision: digest of the register in force.
    """

    event_id: str
    subject_id: str
    purpose: str
    at: datetime
    channel: ConsentChannel
    recorded_by: str
    register_revision: str


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """One thing a person said about one purpose; never changed afterwards.

    Attributes:
        event_id: 32 hexadecimal digits.
        expires_at: aware UTC, half-open; None for what is no grant.
        explicit: said by an express statement. Source: GDPR Art. 9(2)(a).
        carries: the event whose word this carries on, since two subjects turned out to be one
            person; None for what the person said here and now.
        entry_id: its entry in the audit log; empty until recorded.
        ordinal: its place among all events; 0 until recorded.
    """

    event_id: str
    subject_id: str
    purpose: str
    action: ConsentAction
    at: datetime
    notice: str
    notice_version: int
    notice_digest: str
    language: str
    channel: ConsentChannel
    register_revision: str
    expires_at: datetime | None
    explicit: bool
    recorded_by: str
    carries: str | None = None
    entry_id: str = ""
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Objection:
    """A person's objection in force. Source: GDPR Art. 21; LOPDGDD Art. 18."""

    subject_id: str
    purpose: str
    since: datetime
    entry_id: str


#: Channels in which nobody of ours took the person's word: who typed an address may be anybody.
TYPED_BY_THE_PERSON: Final = frozenset({ConsentChannel.WEB, ConsentChannel.APP, ConsentChannel.API})


@dataclass(frozen=True, slots=True)
class State:
    """The last word of one person on one purpose.

    Attributes:
        consent: the last event's essentials, or None where the person has said nothing.
        event_id: that event's id.
        objected_since: aware UTC; None where no objection is in force.
    """

    purpose: str
    consent: ConsentFact | None = None
    event_id: str | None = None
    objected_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one read tells of a person and a purpose.

    Attributes:
        subject_id: None where nobody is known by that name.
        event_id: the consent event behind `facts.consent`.
    """

    subject_id: str | None
    event_id: str | None
    facts: Facts


#: Nobody: what is read where a name leads to no person.
NOBODY: Final = Sighting(
    subject_id=None,
    event_id=None,
    facts=Facts(known=False, restricted=False, blocked=False, objected=False, consent=None),
)


def is_id(text: str) -> bool:
    """Whether a text has the form of an event's id; whatever else comes never reaches a query."""
    return _ID.fullmatch(text) is not None


class Status(StrEnum):
    """How a consent stands at an instant, for people and programs to read."""

    NONE = "none"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    NOTICE_CHANGED = "notice-changed"


def status_of(consent: ConsentFact | None, rule: PurposeRule | None, at: datetime) -> Status:
    """How a consent stands at an instant; only `GIVEN` is one in force."""
    if consent is None or rule is None:
        return Status.NONE
    if consent.action in IN_FORCE:
        if consent.by_minor:
            return Status.NONE
        if consent.expires_at is None or at >= consent.expires_at:
            return Status.EXPIRED
        if consent.notice_version < rule.last_material_version:
            return Status.NOTICE_CHANGED
        return Status.GIVEN
    ended = {
        ConsentAction.REFUSED: Status.REFUSED,
        ConsentAction.WITHDRAWN: Status.WITHDRAWN,
        ConsentAction.EXPIRED: Status.EXPIRED,
    }
    return ended.get(consent.action, Status.NONE)


def purpose_rule(register: Register, purpose_id: str) -> PurposeRule | None:
    """What a decision needs to know of a purpose; None where it is not in force.

    A purpose without a published notice is not in force, for nobody could be told of it; nor is
    one whose main aim is to identify what LOPDGDD Art. 9(1) lists, on consent alone.
    """
    purpose = register.purpose(purpose_id)
    if purpose is None or _forbidden_on_consent(purpose):
        return None
    last_material = register.notices[purpose.notice].last_material_version()
    if last_material is None:
        return None
    by_consent = purpose.legal_basis is LegalBasis.CONSENT
    return PurposeRule(
        id=purpose.id,
        legal_basis=purpose.legal_basis,
        last_material_version=last_material,
        validity_months=purpose.validity_months if by_consent else None,
        explicit=purpose.explicit,
        solely_automated=purpose.solely_automated,
        direct_marketing=purpose.direct_marketing,
    )


def known_purpose(register: Register, purpose_id: str) -> Purpose:
    """The purpose of that name.

    Raises:
        UnknownPurpose: there is none.
    """
    purpose = register.purpose(purpose_id)
    if purpose is None:
        raise UnknownPurpose("the register has no such purpose", field="purpose")
    return purpose


def consent_purpose(register: Register, purpose_id: str) -> Purpose:
    """The purpose of that name, if consent is what decides it.

    Raises:
        UnknownPurpose: there is none.
        NotByConsent: it rests on something else, or LOPDGDD Art. 9(1) forbids it on consent.
    """
    purpose = known_purpose(register, purpose_id)
    if purpose.legal_basis is not LegalBasis.CONSENT or _forbidden_on_consent(purpose):
        raise NotByConsent("nobody is asked to consent to this purpose", field="purpose")
    return purpose


def may_object(purpose: Purpose) -> bool:
    """Whether an objection to the purpose has effect. Source: GDPR Art. 21(1), (2)."""
    return purpose.direct_marketing or purpose.legal_basis in _OPEN_TO_OBJECTION


def shown_in_force(register: Register, purpose: Purpose, version: int, language: str) -> Shown:
    """The words in force, if they are those that the person was shown.

    Raises:
        StaleNotice: the version named is not the one in force.
        UnknownLanguage: it was not published in that language.
    """
    current = register.notice_of(purpose.id)
    if current is None or current.version != version:
        raise StaleNotice("another version of the notice is in force", field="notice_version")
    return shown(current, language)


def shown_once(register: Register, purpose: Purpose, version: int, language: str) -> Shown:
    """The words of any published version: a no stands whatever version it answered.

    Raises:
        StaleNotice: no such version was ever published.
        UnknownLanguage: it was not published in that language.
    """
    revision = register.revision_of(purpose.notice, version)
    if revision is None:
        raise StaleNotice("no such version of the notice was published", field="notice_version")
    return shown(revision, language)


def shown(revision: NoticeRevision, language: str) -> Shown:
    """The words of a revision in one language.

    Raises:
        UnknownLanguage: it was not published in that language.
    """
    text = revision.texts.get(language)
    if text is None:
        raise UnknownLanguage("the notice was not published in this language", field="language")
    return Shown(revision.notice, revision.version, revision.digest, language, text)


def giving(
    act: Act, words: Shown, *, validity_months: int, zone: tzinfo, explicit: bool
) -> ConsentEvent:
    """A consent given. Source: GDPR Art. 4(11), 7(1).

    Args:
        act: who, when and how.
        words: what the person was shown.
        validity_months: after this it is asked again.
        zone: the controller's.
        explicit: by an express statement.
    """
    expires_at = consent_expiry(act.at, validity_months, zone)
    return _event(act, ConsentAction.GIVEN, words, expires_at=expires_at, explicit=explicit)


def refusing(act: Act, words: Shown) -> ConsentEvent:
    """A consent refused; kept, so that the person is not asked again at every turn."""
    return _event(act, ConsentAction.REFUSED, words)


def withdrawing(act: Act, latest: ConsentFact | None, words: Shown) -> ConsentEvent:
    """A consent taken back. Source: GDPR Art. 7(3).

    Raises:
        NothingToWithdraw: no consent was given, or it was taken back before.
    """
    if latest is None or latest.action not in IN_FORCE:
        raise NothingToWithdraw("there is no consent to withdraw", field="purpose")
    return _event(act, ConsentAction.WITHDRAWN, words)


def _event(
    act: Act,
    action: ConsentAction,
    words: Shown,
    *,
    expires_at: datetime | None = None,
    explicit: bool = False,
) -> ConsentEvent:
    return ConsentEvent(
        event_id=act.event_id,
        subject_id=act.subject_id,
        purpose=act.purpose,
        action=action,
        at=act.at,
        notice=words.notice,
        notice_version=words.version,
        notice_digest=words.digest,
        language=words.language,
        channel=act.channel,
        register_revision=act.register_revision,
        expires_at=expires_at,
        explicit=explicit,
        recorded_by=act.recorded_by,
    )


def _forbidden_on_consent(purpose: Purpose) -> bool:
    return purpose.special_aim and purpose.legal_basis is LegalBasis.CONSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnPurpose(Event):
    """Something about one person and one purpose."""

    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    purpose: str
    register_revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGiven(_OnPurpose):
    """A person consented."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_GIVEN


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRefused(_OnPurpose):
    """A person refused."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentWithdrawn(_OnPurpose):
    """A person withdrew."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_CONSENT_WITHDRAWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionMade(_OnPurpose):
    """A person objected to a purpose. Source: GDPR Art. 21."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_OBJECTION_MADE


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionLifted(_OnPurpose):
    """A person took their objection back, or consented expressly after it."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_OBJECTION_LIFTED


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPublished(Event):
    """A revision of the register came into force; the evidence names its notices."""

    tag: ClassVar[EventTag] = EventTag.REGISTER_REVISION_PUBLISHED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    register_revision: str


ConsentRecorded = ConsentGiven | ConsentRefused | ConsentWithdrawn

RECORDED: Final[Mapping[ConsentAction, type[ConsentRecorded]]] = MappingProxyType(
    {
        ConsentAction.GIVEN: ConsentGiven,
        ConsentAction.REFUSED: ConsentRefused,
        ConsentAction.WITHDRAWN: ConsentWithdrawn,
    }
)
"""Which entry of the audit log each action is recorded as."""


def recorded(event: ConsentEvent) -> ConsentRecorded:
    """The entry of the audit log that records an event."""
    return RECORDED[event.action](
        subject_id=event.subject_id,
        purpose=event.purpose,
        register_revision=event.register_revision,
    )


def evidence_of(event: ConsentEvent, text: str) -> dict[str, Json]:
    """What must be provable of an event later: with the exact text that was shown.

    Source: GDPR Art. 7(1).
    """
    evidence: dict[str, Json] = {
        "event_id": event.event_id,
        "notice": event.notice,
        "notice_version": event.notice_version,
        "notice_digest": event.notice_digest,
        "language": event.language,
        "text": text,
        "channel": event.channel.value,
        "explicit": event.explicit,
        "expires_at": rfc3339(event.expires_at) if event.expires_at else None,
        "recorded_by": event.recorded_by,
    }
    return evidence | ({"carries": event.carries} if event.carries else {})
