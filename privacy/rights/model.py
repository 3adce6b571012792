"""What a rights request is, and how it moves from receipt to answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.deadlines import Deadline
from policies.errors import Conflict, DomainError, InvalidInput
from policies.register.model import Purpose
from policies.vocabulary import (
    Attribute,
    EventTag,
    LegalBasis,
    RetentionClass,
    Right,
    RightsState,
)
from privacy.consent.model import may_object
from privacy.events import Event, Json
from privacy.subjects.model import MAX_VALUE_LENGTH

PROOF_LIFETIME: Final = timedelta(hours=24)
"""How long a mailed link can be used; a request nobody proved is forgotten then."""

CODE_LIFETIME: Final = timedelta(minutes=10)
"""How long a mailed code can be typed. Source: OWASP ASVS 5.0 6.5.5."""

GRANT_LIFETIME: Final = timedelta(hours=24)
"""How long the browser that proved an address may read the answer."""

MAX_CODE_ATTEMPTS: Final = 5
MAX_MESSAGE_LENGTH: Final = 4000

RECTIFIABLE: Final = tuple(
    each for each in Attribute if each not in {Attribute.LOCALE, Attribute.EMAIL}
)
"""What a person may ask to correct: the language of letters is a setting, and an address is proven."""

SAID_IN_WORDS: Final = frozenset(
    {Right.RESTRICTION, Right.PORTABILITY, Right.NO_AUTOMATED_DECISION}
)
"""Rights that need the person's own words to be understood."""


class RightsChannel(StrEnum):
    """By which way a request reached us. Source: LOPDGDD Art. 12.2 (none may be refused)."""

    PORTAL = "portal"
    FORM = "form"
    STAFF = "staff"


class ProofInvalid(DomainError):
    """The mailed link was used, has expired or never was."""

    code = "proof-invalid"


class RequestClosed(Conflict):
    """The request was answered before."""

    code = "request-closed"


class InvalidRequest(InvalidInput):
    """Members of a request are wrong.

    Attributes:
        errors: (member, English sentence), at least one.
    """

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{f}: {m}" for f, m in errors), field=errors[0][0])
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Detail:
    """Which datum or which use a request is about.

    Attributes:
        attribute: the profile field to correct.
        value: what it should say.
        purpose: what the person objects to.
    """

    attribute: Attribute | None = None
    value: str | None = field(default=None, repr=False)
    purpose: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The members that are there."""
        return {k: str(v) for k, v in dataclasses.asdict(self).items() if v is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> Detail:
        """The detail that `to_json` wrote."""
        attribute = value.get("attribute")
        return cls(
            attribute=Attribute(attribute) if attribute else None,
            value=value.get("value"),
            purpose=value.get("purpose"),
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks, in the language they read.

    Attributes:
        message: their own words; may be empty.
    """

    right: Right
    language: str
    message: str = field(default="", repr=False)
    detail: Detail = Detail()


@dataclass(frozen=True, slots=True)
class RightsRequest:
    """A request's standing, without what the person wrote or where they are reached.

    Attributes:
        request_id: 32 hexadecimal digits, random.
        reference: what people quote, `D-2026-482139`.
        subject_id: the person, once proved and known to us.
        filed_by: the application that filed it for the person, or None.
        received_at: aware UTC; the month runs from here.
        verified_at: when the person proved who they are.
        due: of the month; `due.effective` is the last day in law.
        closed_at: when it was answered or expired.
        grant_until: until when the browser that proved the address may read the answer.
    """

    request_id: str
    reference: str
    right: Right
    state: RightsState
    channel: RightsChannel
    language: str
    received_at: datetime
    due: Deadline
    subject_id: str | None = None
    filed_by: str | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    grant_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What is sealed of a request.

    Attributes:
        contact: the address that the answer goes to; None where there is none.
        message: the person's words.
        detail: which datum or use.
        outcome: the answer's text; None before it, and where the answer is the deed itself.
    """

    contact: str | None = field(repr=False)
    message: str = field(repr=False)
    detail: Detail = field(repr=False)
    outcome: str | None = field(default=None, repr=False)


class ObjectionEffect(StrEnum):
    """What an objection to a purpose does by itself."""

    FINAL = "final"
    WEIGHED = "weighed"
    NONE = "none"


def objection_effect(purpose: Purpose) -> ObjectionEffect:
    """What an objection to this purpose does at once.

    Returns:
        FINAL: it ends the use, and nothing is left to answer (consent, direct marketing).
        WEIGHED: it holds at once, until staff show compelling grounds.
        NONE: the use does not rest on a ground that can be objected to; staff answer.

    Source: GDPR Art. 7(3), 18(1)(d), 21(1) to (3); LOPDGDD Art. 18, 23.
    """
    if not may_object(purpose):
        return ObjectionEffect.NONE
    if purpose.direct_marketing or purpose.legal_basis is LegalBasis.CONSENT:
        return ObjectionEffect.FINAL
    return ObjectionEffect.WEIGHED


def faults_of(asked: Asked, purposes: Mapping[str, Purpose]) -> list[tuple[str, str]]:
    """What is wrong with a request, as (member, English sentence); empty where nothing is.

    Source: LOPDGDD Art. 14 (which datum, and the correction).
    """
    faults = []
    if asked.right is Right.RECTIFICATION:
        if asked.detail.attribute not in RECTIFIABLE:
            faults.append(("attribute", "say which datum is to be corrected"))
        if not is_value(asked.detail.value):
            faults.append(("value", f"at most {MAX_VALUE_LENGTH} printable characters"))
    if asked.right is Right.OBJECTION and asked.detail.purpose not in purposes:
        faults.append(("purpose", "there is no such purpose"))
    if asked.right in SAID_IN_WORDS and not asked.message.strip():
        faults.append(("message", "say what is asked"))
    elif not is_text(asked.message):
        faults.append(("message", f"at most {MAX_MESSAGE_LENGTH} printable characters"))
    return faults


def asked_from(values: Mapping[str, str | None], language: str) -> Asked:
    """What a form or a JSON body asks; members that do not belong to the right are left out.

    Args:
        values: right, message, attribute, value, purpose; as they came.
        language: in which the person reads.

    Raises:
        InvalidRequest: there is no such right.
    """
    try:
        right = Right(values.get("right") or "")
    except ValueError:
        raise InvalidRequest([("right", "there is no such right")]) from None
    detail = Detail()
    if right is Right.RECTIFICATION:
        named = [each for each in Attribute if each.value == values.get("attribute")]
        detail = Detail(
            attribute=named[0] if named else None, value=(values.get("value") or "").strip()
        )
    if right is Right.OBJECTION:
        detail = Detail(purpose=values.get("purpose") or "")
    return Asked(right, language, values.get("message") or "", detail)


def is_value(value: str | None) -> bool:
    """Whether a profile field can hold this."""
    cleaned = (value or "").strip()
    return bool(cleaned) and len(cleaned) <= MAX_VALUE_LENGTH and cleaned.isprintable()


def is_text(text: str) -> bool:
    """Whether this is a text of several lines that we keep: printable, and not too long."""
    return len(text) <= MAX_MESSAGE_LENGTH and all(
        each.isprintable() or each in "\n\r\t" for each in text
    )


def prove(request: RightsRequest, subject_id: str | None, at: datetime) -> RightsRequest:
    """The request once the person proved the address; the month still runs from receipt.

    Raises:
        ProofInvalid: it waits for no proof.

    Source: GDPR Art. 11, 12(6).
    """
    if request.state is not RightsState.UNVERIFIED:
        raise ProofInvalid("this request waits for no proof")
    return dataclasses.replace(
        request,
        state=RightsState.OPEN,
        subject_id=subject_id,
        verified_at=at,
        grant_until=at + GRANT_LIFETIME,
    )


def close(request: RightsRequest, state: RightsState, at: datetime) -> RightsRequest:
    """The request once answered.

    Raises:
        RequestClosed: it was answered before, or was never proved.
        ValueError: `state` is no answer.
    """
    if state not in (RightsState.FULFILLED, RightsState.REFUSED):
        raise ValueError(f"{state.value} is no answer")
    if request.state is not RightsState.OPEN:
        raise RequestClosed("this request is not open")
    return dataclasses.replace(request, state=state, closed_at=at)


def expire(request: RightsRequest, at: datetime) -> RightsRequest:
    """The request that nobody proved in time."""
    return dataclasses.replace(request, state=RightsState.EXPIRED, closed_at=at)


def may_read(
    request: RightsRequest, *, subject_id: str | None, granted: bool, at: datetime
) -> bool:
    """Whether somebody may see this request and what it yields.

    Args:
        request: the one that is asked for.
        subject_id: the signed-in person, or None.
        granted: this browser proved the request's address.
        at: aware; now.
    """
    if subject_id is not None and request.subject_id == subject_id:
        return True
    return granted and request.grant_until is not None and at < request.grant_until


@dataclass(frozen=True, slots=True, kw_only=True)
class _RequestEvent(Event):
    """Something happened to a request."""

    retention: ClassVar[RetentionClass] = RetentionClass.RIGHTS_FILE
    request_id: str
    reference: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRequestReceived(_RequestEvent):
    """A request reached us; the month runs."""

    tag: ClassVar[EventTag] = EventTag.RIGHTS_REQUEST_RECEIVED
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRequestVerified(_RequestEvent):
    """The person proved the address that the request came from."""

    tag: ClassVar[EventTag] = EventTag.RIGHTS_REQUEST_VERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRequestFulfilled(_RequestEvent):
    """The request was answered with what it asked."""

    tag: ClassVar[EventTag] = EventTag.RIGHTS_REQUEST_FULFILLED


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRequestRefused(_RequestEvent):
    """The request was refused, with reasons and remedies."""

    tag: ClassVar[EventTag] = EventTag.RIGHTS_REQUEST_REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsRequestExpired(_RequestEvent):
    """Nobody proved the address in time; what was written was deleted."""

    tag: ClassVar[EventTag] = EventTag.RIGHTS_REQUEST_EXPIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLinkSent(_RequestEvent):
    """Staff sent the person a link to their data."""

    tag: ClassVar[EventTag] = EventTag.RIGHTS_ACCESS_LINK_SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDownloaded(_RequestEvent):
    """The person took their data."""

    tag: ClassVar[EventTag] = EventTag.RIGHTS_DATA_DOWNLOADED
    form: str
