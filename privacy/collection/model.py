"""What may be asked of whom, for which purposes, and what became of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from policies.errors import Conflict, NotFound
from policies.register.model import CollectionPoint, Purpose, Register
from policies.vocabulary import Attribute, EventTag, LegalBasis, RetentionClass
from privacy.events import Event

REQUEST_LIFETIME: Final = timedelta(days=7)
"""How long a person may answer."""

MOST_OPEN: Final = 3
"""Requests of one application that may wait for one person: nobody is nagged."""

QUIET: Final = timedelta(days=30)
"""How long an application does not ask again for what a person did not give it."""

KEPT: Final = timedelta(days=90)
"""How long a request is kept after it has run out, for the person and the application to see."""


class NothingToAsk(Conflict):
    """None of the form's fields may be asked for now."""

    code = "nothing-to-ask"


class AskedEnough(Conflict):
    """Earlier requests to this person still wait for an answer."""

    code = "asked-enough"


class NotOpen(NotFound):
    """The request was answered, has expired or is not this person's."""


class RequestState(StrEnum):
    """How a request stands."""

    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"


class FieldAnswer(StrEnum):
    """What a person said to one field."""

    GIVEN = "given"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Application:
    """An application as people and this capability need to know it.

    Attributes:
        name: what people call it.
        purposes: those of the register that it may ask about.
    """

    name: str
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class AskedField:
    """One attribute that is asked for.

    Attributes:
        required: the form cannot do without it.
        answer: None until the person answers.
    """

    attribute: Attribute
    required: bool
    answer: FieldAnswer | None = None


@dataclass(frozen=True, slots=True)
class AttributeRequest:
    """An application asks a person for attributes, once.

    Attributes:
        request_id: 32 hexadecimal digits, random.
        client_id: which application.
        collection_point: id of the form in the register.
        return_to: where the person goes on afterwards; of the application's own origins.
        expires_at: aware UTC, half-open.
        answered_at: None until the person answers.
    """

    request_id: str
    subject_id: str
    client_id: str
    collection_point: str
    return_to: str
    fields: tuple[AskedField, ...]
    created_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None

    def state(self, at: datetime) -> RequestState:
        """How it stands at an instant."""
        if self.answered_at is None:
            return RequestState.OPEN if at < self.expires_at else RequestState.EXPIRED
        given = any(each.answer is FieldAnswer.GIVEN for each in self.fields)
        return RequestState.ANSWERED if given else RequestState.REFUSED


@dataclass(frozen=True, slots=True)
class Wanting:
    """A purpose that wants an attribute.

    Attributes:
        permitted: whether it may use the person's data now.
        by_contract: it rests on a contract: without the attribute it may not work.
    """

    purpose: Purpose
    permitted: bool
    by_contract: bool


@dataclass(frozen=True, slots=True)
class ProfileField:
    """One attribute on the person's own page.

    Attributes:
        value: what we hold, or None where it is only offered.
        wanted_by: the purposes that want it, in the register's order.
    """

    attribute: Attribute
    value: str | None
    wanted_by: tuple[Wanting, ...]


def purposes_wanting(
    register: Register, attribute: Attribute, among: Collection[str] | None = None
) -> list[Purpose]:
    """The purposes that need an attribute, in the register's order.

    Args:
        register: what the company declares.
        attribute: which.
        among: ids to look among; None looks at all.
    """
    return [
        purpose
        for purpose in register.purposes.values()
        if attribute in purpose.attributes and (among is None or purpose.id in among)
    ]


def fields_to_ask(
    register: Register,
    point: CollectionPoint,
    permitted: Collection[str],
    refused_lately: Collection[Attribute],
) -> tuple[AskedField, ...]:
    """The fields of a form that may be asked for now. Source: GDPR Art. 5(1)(c), 25(2).

    Args:
        register: what the company declares.
        point: the form.
        permitted: ids of the application's purposes that may use the person's data now.
        refused_lately: what the person did not give this application a short while ago.
    """
    among = set(point.purposes) & set(permitted)
    return tuple(
        AskedField(field.attribute, field.required)
        for field in point.fields
        if field.attribute is not None
        and field.attribute not in refused_lately
        and purposes_wanting(register, field.attribute, among)
    )


def is_contract(purpose: Purpose) -> bool:
    """Whether a contract is what the purpose rests on."""
    return purpose.legal_basis is LegalBasis.CONTRACT


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfRequest(Event):
    """Something about one request; the attributes' names are in the evidence, values nowhere."""

    retention: ClassVar[RetentionClass] = RetentionClass.PROFILE
    request_id: str
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMade(_OfRequest):
    """An application asked a person for attributes."""

    tag: ClassVar[EventTag] = EventTag.COLLECTION_REQUEST_MADE


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered(_OfRequest):
    """The person gave some, or refused."""

    tag: ClassVar[EventTag] = EventTag.COLLECTION_REQUEST_ANSWERED
