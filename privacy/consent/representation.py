"""What somebody told us by telephone, in the shop or by letter: staff write it down.

It is the person's word on the staff's (`staff`), or that of somebody who speaks for them: a
representative or, for a child, a guardian. A yes needs the evidence attached; a no never does.
Source: GDPR Art. 7(1), 7(3), 8(2); LOPDGDD Art. 7, 12.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from policies.errors import InvalidInput
from policies.register.model import Purpose
from policies.vocabulary import ConsentChannel, SaidBy
from privacy.consent.attachment_model import Attachment, Upload
from privacy.consent.attachments import Attachments
from privacy.consent.guardians import Guardians
from privacy.consent.imports_model import EARLIEST_YEAR
from privacy.consent.model import ConsentEvent, Shown, Voice, known_purpose, shown_once
from privacy.consent.service import Consents
from privacy.events import Json
from privacy.unit_of_work import UnitOfWork

#: By which ways a word reaches the desk.
CHANNELS: Final = (ConsentChannel.PHONE, ConsentChannel.STORE, ConsentChannel.POST)
#: Whose word the desk may write down.
SPEAKERS: Final = (SaidBy.STAFF, SaidBy.REPRESENTATIVE, SaidBy.GUARDIAN)
MAX_TEXT: Final = 2_000


class Said(StrEnum):
    """What can be said of a purpose at the desk."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"


@dataclass(frozen=True, slots=True)
class DeskWord:
    """A word as staff write it down.

    Attributes:
        subject_id: whom it is about.
        purpose: the unit.
        said_on: the day, in the controller's time zone.
        notice_version: which the speaker was shown or read out.
        language: in which.
        explicit: said by an express statement. Source: GDPR Art. 9(2)(a).
        note: how it came, in the words of staff.
        who: who speaks for the person; empty where it is their own word.
        authority: by which right.
        upload: the evidence.
    """

    subject_id: str
    purpose: str
    said: Said
    said_by: SaidBy
    channel: ConsentChannel
    said_on: date
    notice_version: int
    language: str
    explicit: bool = False
    note: str = ""
    who: str = ""
    authority: str = ""
    upload: Upload | None = None


class DeskWords:
    """Writes down what reached the desk.

    Args:
        consents: records it.
        attachments: keeps the evidence.
        guardians: who may consent for a child.
    """

    def __init__(self, consents: Consents, attachments: Attachments, guardians: Guardians) -> None:
        self._consents = consents
        self._attachments = attachments
        self._guardians = guardians
        self._zone = ZoneInfo(consents.register.controller.time_zone)

    def record(self, uow: UnitOfWork, word: DeskWord) -> Attachment:
        """Record a word with its evidence; joins the caller's transaction.

        A yes counts from the first instant of its day and a no from the last: of two words of one
        day the no prevails. An objection holds from now.

        Raises:
            InvalidInput: names the member that is wrong; nothing is recorded.
            NotFound, UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage, GuardianNeeded,
                NothingToWithdraw, NotOpenToObjection: as in `Consents`.
        """
        purpose = known_purpose(self._consents.register, word.purpose)
        said_at = self._said_at(word, uow.now)
        subject_id = self._consents.hold(uow, word.subject_id)
        self._check(uow, subject_id, purpose, word)
        attachment = self._attachments.add(
            uow,
            subject_id,
            word.upload or _note(word),
            about=_about(word),
            said_by=word.said_by if word.upload else SaidBy.STAFF,  # the note is staff's own
        )
        voice = Voice(said_by=word.said_by, said_at=said_at, attachment=attachment.digest)
        if word.said is Said.OBJECTED:
            self._consents.object_to(
                uow,
                subject_id,
                purpose.id,
                channel=word.channel,
                voice=replace(voice, said_at=None),
            )
            return attachment
        event = self._said(uow, subject_id, word, voice)
        if word.said_by is SaidBy.GUARDIAN:
            self._guardians.note_desk_word(uow, event)
        return attachment

    def _said(self, uow: UnitOfWork, subject_id: str, word: DeskWord, voice: Voice) -> ConsentEvent:
        """Record the consent event."""
        consents, purpose, channel = self._consents, word.purpose, word.channel
        version, language = word.notice_version, word.language
        if word.said is Said.GIVEN:
            return consents.record_given(
                uow,
                subject_id,
                purpose,
                notice_version=version,
                language=language,
                channel=channel,
                explicit=word.explicit,
                voice=voice,
            )
        if word.said is Said.REFUSED:
            return consents.record_refused(
                uow,
                subject_id,
                purpose,
                notice_version=version,
                language=language,
                channel=channel,
                voice=voice,
            )
        return consents.record_withdrawn(uow, subject_id, purpose, channel=channel, voice=voice)

    def _said_at(self, word: DeskWord, now: datetime) -> datetime | None:
        """When it counts from; None: from now."""
        today = now.astimezone(self._zone).date()
        if word.said_on > today:
            raise InvalidInput("the day is in the future", field="said_on")
        if word.said_on.year < EARLIEST_YEAR:
            raise InvalidInput("nobody said it then", field="said_on")
        if word.said_on == today:
            return None
        if word.said is Said.GIVEN:
            return datetime.combine(word.said_on, time.min, self._zone)
        next_day = datetime.combine(word.said_on + timedelta(days=1), time.min, self._zone)
        return next_day - timedelta(microseconds=1)

    def _check(self, uow: UnitOfWork, subject_id: str, purpose: Purpose, word: DeskWord) -> None:
        if word.said_by not in SPEAKERS:
            raise InvalidInput("staff, a representative or a guardian", field="said_by")
        if word.channel not in CHANNELS:
            raise InvalidInput("by telephone, in the shop or by post", field="channel")
        if word.said is Said.GIVEN and word.upload is None:
            raise InvalidInput("a yes needs its evidence attached", field="evidence")
        for name in ("note", "who", "authority"):
            text = getattr(word, name)
            if len(text) > MAX_TEXT:
                raise InvalidInput(f"at most {MAX_TEXT} characters", field=name)
            needed = word.said_by is not SaidBy.STAFF if name != "note" else not word.upload
            if needed and not text.strip():
                raise InvalidInput("say it in words", field=name)
        if word.said_by is SaidBy.GUARDIAN and not self._guardians.has_guardian(
            uow.session, subject_id, uow.now
        ):
            raise InvalidInput("the person has no guardian in force", field="said_by")
        if word.said in (Said.GIVEN, Said.REFUSED):
            self._check_words(purpose, word)

    def _check_words(self, purpose: Purpose, word: DeskWord) -> Shown:
        """Refuse words that were not published by the day on which they were shown."""
        register = self._consents.register
        shown = shown_once(register, purpose, word.notice_version, word.language)
        revision = register.revision_of(purpose.notice, word.notice_version)
        if revision and revision.published and revision.published > word.said_on:
            raise InvalidInput("this version was published later", field="notice_version")
        return shown


def _note(word: DeskWord) -> Upload:
    """What staff wrote, kept as the evidence of a no where nothing else is."""
    return Upload("note.txt", word.note.strip().encode())


def _about(word: DeskWord) -> dict[str, Json]:
    said: dict[str, Json] = {
        "said": word.said.value,
        "said_by": word.said_by.value,
        "said_on": word.said_on.isoformat(),
        "note": word.note.strip() or None,
        "who": word.who.strip() or None,
        "authority": word.authority.strip() or None,
    }
    return {name: value for name, value in said.items() if value is not None}
