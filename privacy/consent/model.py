"""What a consent is, what may be said about it, and what is recorded of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Final

from policies.consent_history import Word, live_at
from policies.decision import ConsentFact, PurposeRule, consent_expiry
from policies.register.model import NoticeRevision, Purpose, Register
from policies.vocabulary import (
    ConsentAction,
    LegalBasis,
    SaidBy,
)
from privacy.clock import rfc3339
from privacy.consent.announcements import (
    RECORDED,
    ConsentExpired,
    ConsentGiven,
    ConsentInvalidated,
    ConsentRecorded,
    ConsentRefused,
    ConsentRenewed,
    ConsentRequested,
    ConsentRevoked,
    ConsentWithdrawn,
    ObjectionLifted,
    ObjectionMade,
    OnPurpose,
    RegisterPublished,
)
from privacy.consent.refusals import (
    DeceasedPerson,
    GuardianNeeded,
    NotByConsent,
    NothingToWithdraw,
    NotOpenToObjection,
    PurposeNotOfApplication,
    StaleNotice,
    StateUnreadable,
    UnknownLanguage,
    UnknownPurpose,
)
from privacy.consent.values import (
    NOBODY,
    OWN_VOICE,
    TYPED_BY_THE_PERSON,
    Act,
    ConsentEvent,
    Objection,
    Shown,
    Sighting,
    State,
    Voice,
    said_otherwise,
)
from privacy.events import Json

#: What is told, refused and held stands in files of its own and is imported from here.
__all__ = [
    "NOBODY",
    "OWN_VOICE",
    "RECORDED",
    "TYPED_BY_THE_PERSON",
    "Act",
    "ConsentEvent",
    "ConsentExpired",
    "ConsentGiven",
    "ConsentInvalidated",
    "ConsentRecorded",
    "ConsentRefused",
    "ConsentRenewed",
    "ConsentRequested",
    "ConsentRevoked",
    "ConsentWithdrawn",
    "DeceasedPerson",
    "GuardianNeeded",
    "NotByConsent",
    "NotOpenToObjection",
    "NothingToWithdraw",
    "Objection",
    "ObjectionLifted",
    "ObjectionMade",
    "OnPurpose",
    "PurposeNotOfApplication",
    "RegisterPublished",
    "Shown",
    "Sighting",
    "StaleNotice",
    "State",
    "StateUnreadable",
    "UnknownLanguage",
    "UnknownPurpose",
    "Voice",
    "said_otherwise",
]

IN_FORCE: Final = frozenset({ConsentAction.GIVEN, ConsentAction.RENEWED})

#: Bases that an objection ends; direct marketing is ended on any. Source: GDPR Art. 21(1), (2).
_OPEN_TO_OBJECTION: Final = frozenset(
    {LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTERESTS, LegalBasis.PUBLIC_TASK}
)


_ID: Final = re.compile(r"[0-9a-f]{32}")


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
    notice = register.notices[purpose.notice]
    last_material, current = notice.last_material_version(), notice.current
    if last_material is None or current is None:
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
        categories=purpose.data_categories,
        obligations=purpose.obligations,
        notice=purpose.notice,
        notice_version=current.version,
        keep_months=register.retention[purpose.retention].period,
        keep_from=register.retention[purpose.retention].starts.value,
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


def renewing(given: ConsentEvent, renewed: str) -> ConsentEvent:
    """A consent given again before the one it follows ended."""
    return replace(given, action=ConsentAction.RENEWED, follows=renewed)


def asking(act: Act, words: Shown) -> ConsentEvent:
    """A consent asked for; it moves nothing. Source: AEPD cookie guide (2024) s. 3.2.8."""
    asked = _event(act, ConsentAction.REQUESTED, words)
    return replace(asked, said_by=SaidBy.CONTROLLER)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a consent ends without the person's word.

    Attributes:
        action: `EXPIRED`, `REVOKED` or `INVALIDATED`.
        said_by: the clock, or the controller.
        by: the name of the actor who writes it down.
        reason: in words; empty where the clock ends it.
    """

    action: ConsentAction
    said_by: SaidBy
    by: str
    reason: str = ""


def ending(
    given: ConsentEvent,
    how: Ending,
    *,
    event_id: str,
    subject_id: str,
    now: datetime,
    register_revision: str,
) -> ConsentEvent:
    """The end of a consent, in the words under which it was given.

    By the clock it is dated at the end of the term, whenever it is written down.

    Args:
        given: the consent in force.
        how: what ends it.
        event_id: new.
        subject_id: the person; another id than the consent's where it was said under an alias.
        now: aware.
        register_revision: digest of the register in force.
    """
    by_clock = how.said_by is SaidBy.CLOCK and given.expires_at is not None
    return replace(
        given,
        event_id=event_id,
        subject_id=subject_id,
        action=how.action,
        at=given.expires_at or now if by_clock else now,
        recorded_at=now if by_clock else None,
        register_revision=register_revision,
        expires_at=None,
        explicit=False,
        recorded_by=how.by,
        carries=None,
        said_by=how.said_by,
        attachment=None,
        follows=given.event_id,
        entry_id="",
        ordinal=0,
        reason=how.reason,
    )


def said_live(event: ConsentEvent, stood: Word | None, now: datetime) -> ConsentEvent:
    """The event as it is recorded now, after everything that stood before.

    What was said earlier (an import, the end of a term) carries its own `recorded_at` and keeps
    its instant; a request moves nothing.

    Args:
        event: new.
        stood: what the person's state on the purpose stands on.
        now: aware; the transaction's instant.
    """
    if event.recorded_at is not None or event.action is ConsentAction.REQUESTED:
        return event
    at = live_at(event.action, max(now, event.at), stood.fact if stood else None)
    return event if at == now else replace(event, at=at, recorded_at=now)


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
        said_by=act.said_by,
        recorded_at=act.recorded_at,
        attachment=act.attachment,
    )


def _forbidden_on_consent(purpose: Purpose) -> bool:
    return purpose.special_aim and purpose.legal_basis is LegalBasis.CONSENT


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
    # What came later stands only where it says something, so entries made before read the same.
    later: dict[str, Json] = {
        "carries": event.carries,
        "said_by": event.said_by.value if event.said_by is not SaidBy.PERSON else None,
        # The entry's own instant is the one at which it was written down.
        "at": rfc3339(event.at) if event.recorded_at else None,
        "recorded_at": rfc3339(event.recorded_at) if event.recorded_at else None,
        "attachment": event.attachment,
        "follows": event.follows,
        "reason": event.reason or None,
    }
    return evidence | {name: value for name, value in later.items() if value is not None}
