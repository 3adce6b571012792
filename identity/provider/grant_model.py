"""What a person lets an application have, what they are asked, and what the log says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from identity.provider.model import Client
from policies.register.model import Purpose
from policies.vocabulary import Attribute, EventTag, RetentionClass
from privacy.consent.model import State, Status
from privacy.events import Event


class OfferKind(StrEnum):
    """What the consent page does with a purpose."""

    ASKED = "asked"  # the person decides here
    TOLD = "told"  # it rests on something else than consent
    ANSWERED = "answered"  # decided before, or not theirs to decide alone


@dataclass(frozen=True, slots=True)
class Offer:
    """A purpose of the client, and which of the attributes that are asked for it needs.

    Attributes:
        state: what the person said of it.
        status: how that stands now.
        notice_version: in force.
    """

    purpose: Purpose
    attributes: tuple[Attribute, ...]
    kind: OfferKind
    state: State
    status: Status
    notice_version: int

    @property
    def stands(self) -> bool:
        """Whether a consent is in force, and so its box is ticked where it is asked anew."""
        return self.status is Status.GIVEN and self.state.objected_since is None


@dataclass(frozen=True, slots=True)
class Asking:
    """What a person has to be asked or told before an application gets a code.

    Attributes:
        attributes: all that are asked for and that a purpose of the client needs.
        offline: the application asks to stay connected.
        minor: the person is too young to consent alone.
    """

    client: Client
    attributes: tuple[Attribute, ...]
    offers: tuple[Offer, ...]
    offline: bool
    minor: bool

    def of_kind(self, kind: OfferKind) -> tuple[Offer, ...]:
        """Return the purposes of one kind, in the register's order."""
        return tuple(each for each in self.offers if each.kind is kind)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page showed beside one box; nothing else can be agreed to.

    Attributes:
        version: of the notice.
        language: in which the page showed it, BCP 47.
        ticked: whether the box was ticked when the page was made.
    """

    version: int
    language: str
    ticked: bool


#: By purpose id.
SeenPurposes = Mapping[str, Seen]


@dataclass(frozen=True, slots=True)
class Use:
    """One purpose of an application that the person signs in to.

    Attributes:
        permitted: whether it may use the person's data now.
    """

    purpose: Purpose
    attributes: tuple[Attribute, ...]
    state: State
    permitted: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """An application that a person signs in to.

    Attributes:
        made_at: the first sign-in; aware UTC.
        last_used_at: when it last got a code or a token for the person.
        connected_until: until when it stays connected without the person; None: it does not.
        uses: what it may ask to know, and for what.
    """

    client: Client
    made_at: datetime
    last_used_at: datetime
    connected_until: datetime | None
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantMade(Event):
    """A person went on into an application; what was asked and answered is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_GRANT_MADE
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRefused(Event):
    """A person turned back at the page that asks; what it asked is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_GRANT_REFUSED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantEnded(Event):
    """A person disconnected an application; its tokens for them ended with it."""

    tag: ClassVar[EventTag] = EventTag.PROVIDER_GRANT_ENDED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    client_id: str
