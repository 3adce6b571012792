"""What a consent consists of: words, voices, acts, events, states, and what one read tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from policies.decision import ConsentFact, Facts
from policies.vocabulary import (
    ConsentAction,
    ConsentChannel,
    SaidBy,
)
from privacy.clock import rfc3339
from privacy.events import Json


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
class Voice:
    """Whose word it is, where it is not simply the person's, here and now.

    Attributes:
        said_by: whose.
        said_at: aware UTC; when it was said, where that was before it is written down.
        attachment: SHA-256 in hex of the evidence attached to it.
    """

    said_by: SaidBy = SaidBy.PERSON
    said_at: datetime | None = None
    attachment: str | None = None


#: The person's own, said now.
OWN_VOICE: Final = Voice()


def said_otherwise(voice: Voice) -> dict[str, Json]:
    """What evidence says of a word that is not simply the person's, here and now."""
    said: dict[str, Json] = {
        "said_by": voice.said_by.value if voice.said_by is not SaidBy.PERSON else None,
        "said_at": rfc3339(voice.said_at) if voice.said_at else None,
        "attachment": voice.attachment,
    }
    return {name: value for name, value in said.items() if value is not None}


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
        said_by: whose word it is.
        recorded_at: aware UTC, where it was said before it is written down.
        attachment: SHA-256 in hex of the evidence attached to it.
    """

    event_id: str
    subject_id: str
    purpose: str
    at: datetime
    channel: ConsentChannel
    recorded_by: str
    register_revision: str
    said_by: SaidBy = SaidBy.PERSON
    recorded_at: datetime | None = None
    attachment: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """One thing a person said about one purpose; never changed afterwards.

    Attributes:
        event_id: 32 hexadecimal digits.
        expires_at: aware UTC, half-open; None for what is no grant.
        explicit: said by an express statement. Source: GDPR Art. 9(2)(a).
        carries: the event whose word this carries on, since two subjects turned out to be one
            person; None for what the person said here and now.
        said_by: whose word it is.
        recorded_at: aware UTC; when we wrote it down. `at` is earlier for what was imported and
            for what the clock ended; None: at `at` itself.
        attachment: SHA-256 in hex of the evidence attached to it; None where there is none.
        follows: the event that it confirms, renews, ends by the clock, revokes or invalidates, or
            that an objection ended.
        entry_id: its entry in the audit log; empty until recorded.
        ordinal: its place among all events; 0 until recorded.
        reason: why the controller ended it, or where the proof of an imported one is, in words;
            sealed in the log, kept in no table.
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
    said_by: SaidBy = SaidBy.PERSON
    recorded_at: datetime | None = None
    attachment: str | None = None
    follows: str | None = None
    entry_id: str = ""
    ordinal: int = 0
    reason: str = field(default="", compare=False)


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
