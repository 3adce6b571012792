"""Terms accepted and privacy information read: evidence of an account's notices.

Accepting the terms of an account is a contract, and being told what is done with one's data is
being told: neither is a consent, and neither is mixed with one. Source: GDPR Art. 7(2), 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy.orm import Session

from policies.errors import NotFound
from policies.register.model import NoticeRevision, Purpose, Register
from policies.vocabulary import ConsentChannel, EventTag, RetentionClass
from privacy.consent import acknowledgement_store as store
from privacy.consent.model import (
    Shown,
    StaleNotice,
    State,
    Status,
    known_purpose,
    purpose_rule,
    shown,
    status_of,
)
from privacy.consent.service import Consents
from privacy.events import Event, Json
from privacy.ids import new_id
from privacy.unit_of_work import UnitOfWork

#: Where whoever signs in is shown what is new.
PAGE = "/account/notices"


class Manner(StrEnum):
    """What a person did with a notice of the account."""

    ACCEPTED = "accepted"
    INFORMED = "informed"


@dataclass(frozen=True, slots=True)
class AccountNoticesShown:
    """Which versions a registration form showed; None for what it did not show.

    Attributes:
        language: BCP 47, of the texts behind the links.
    """

    language: str
    terms_version: int | None
    privacy_version: int | None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One notice that a person accepted or was told of; never changed afterwards.

    Attributes:
        acknowledgement_id: 32 hexadecimal digits.
        digest: of the revision in all its languages.
        at: aware UTC.
        recorded_by: the name of the actor who wrote it down.
        entry_id: its entry in the audit log.
    """

    acknowledgement_id: str
    subject_id: str
    notice: str
    version: int
    digest: str
    language: str
    manner: Manner
    channel: ConsentChannel
    at: datetime
    register_revision: str
    recorded_by: str
    entry_id: str = ""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A notice of the account that the person has yet to see.

    Attributes:
        revision: the one in force.
        before: the version that the person saw last, or None.
    """

    revision: NoticeRevision
    manner: Manner
    before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeAcknowledged(Event):
    """A person accepted the account's terms, or was shown its privacy information."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_NOTICE_ACKNOWLEDGED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    register_revision: str
    notice: str
    version: int
    manner: str


def recorded(made: Acknowledgement) -> NoticeAcknowledged:
    """The entry of the audit log that records an acknowledgement."""
    return NoticeAcknowledged(
        subject_id=made.subject_id,
        register_revision=made.register_revision,
        notice=made.notice,
        version=made.version,
        manner=made.manner.value,
    )


def evidence_of(made: Acknowledgement, text: str) -> dict[str, Json]:
    """What must be provable of an acknowledgement later: with the exact text behind the link."""
    return {
        "acknowledgement_id": made.acknowledgement_id,
        "notice": made.notice,
        "version": made.version,
        "digest": made.digest,
        "language": made.language,
        "text": text,
        "manner": made.manner.value,
        "channel": made.channel.value,
        "recorded_by": made.recorded_by,
    }


def to_acknowledgement(row: store.AcknowledgementRow) -> Acknowledgement:
    """The acknowledgement that a row holds.

    Raises:
        ValueError: it holds what was never written.
    """
    return Acknowledgement(
        acknowledgement_id=row.acknowledgement_id,
        subject_id=row.subject_id,
        notice=row.notice,
        version=row.version,
        digest=row.digest,
        language=row.language,
        manner=Manner(row.manner),
        channel=ConsentChannel(row.channel),
        at=row.at,
        register_revision=row.register_revision,
        recorded_by=row.recorded_by,
        entry_id=row.entry_id,
    )


class Acknowledgements:
    """What people accepted and were told when they opened an account, and since."""

    def __init__(self, register: Register, consents: Consents) -> None:
        self._register = register
        self._consents = consents

    def in_force(self) -> dict[Manner, NoticeRevision]:
        """Return the account's notices in force; only those that the register declares."""
        declared = {
            Manner.ACCEPTED: self._register.account.terms,
            Manner.INFORMED: self._register.account.privacy,
        }
        found = {}
        for manner, notice in declared.items():
            revision = self._register.notices[notice].current if notice else None
            if revision is not None:
                found[manner] = revision
        return found

    def record(
        self,
        uow: UnitOfWork,
        subject_id: str,
        notice: str,
        *,
        version: int,
        language: str,
        channel: ConsentChannel,
    ) -> Acknowledgement:
        """Record that the person accepted, or read, a notice of the account; commits.

        Raises:
            NotFound: it is none of the account's, or there is no such person.
            StaleNotice: another version is in force; nothing is recorded.
            UnknownLanguage: it was not published in that language.
        """
        named = [each for each in self.in_force().items() if each[1].notice == notice]
        if not named:
            raise NotFound("the account has no such notice", field="notice")
        [(manner, revision)] = named
        if revision.version != version:
            raise StaleNotice("another version of the notice is in force", field="version")
        made = self._append(uow, subject_id, shown(revision, language), manner, channel)
        uow.commit()
        return made

    def record_at_opening(
        self, uow: UnitOfWork, subject_id: str, seen: AccountNoticesShown
    ) -> None:
        """Record what the registration form showed; joins the caller's transaction.

        A version that is no longer in force is recorded as what it was: the person is shown the
        new one at the next sign-in. What was never published is not recorded at all.
        """
        account = self._register.account
        for manner, notice, version in (
            (Manner.ACCEPTED, account.terms, seen.terms_version),
            (Manner.INFORMED, account.privacy, seen.privacy_version),
        ):
            if notice is None or version is None:
                continue
            revision = self._register.revision_of(notice, version)
            if revision is not None and seen.language in revision.texts:
                words = shown(revision, seen.language)
                self._append(uow, subject_id, words, manner, ConsentChannel.WEB)

    def outstanding(self, session: Session, subject_id: str) -> list[Outstanding]:
        """Return the account's notices that the person never saw, or not since they changed.

        Only a material change counts.
        """
        seen: dict[str, int] = {}
        for row in store.acknowledgements_of(session, subject_id):
            seen[row.notice] = max(row.version, seen.get(row.notice, 0))
        found = []
        for manner, revision in self.in_force().items():
            before = seen.get(revision.notice)
            needed = self._register.notices[revision.notice].last_material_version() or 0
            if before is None or before < needed:
                found.append(Outstanding(revision, manner, before))
        return found

    def changed(
        self, session: Session, subject_id: str, now: datetime
    ) -> Sequence[tuple[Purpose, State]]:
        """Return the purposes whose consent has ended with a new notice, and may be asked again.

        One that the person put off is asked no more for that version: AEPD cookie guide 3.2.8.
        """
        asked = store.asked_versions(session, subject_id)
        found = []
        for purpose_id, state in self._consents.current(session, subject_id).items():
            notice = self._register.notice_of(purpose_id)
            rule = purpose_rule(self._register, purpose_id)
            ended = status_of(state.consent, rule, now) is Status.NOTICE_CHANGED
            if ended and notice and asked.get(purpose_id, 0) < notice.version:
                found.append((self._register.purposes[purpose_id], state))
        return found

    def put_off(self, uow: UnitOfWork, subject_id: str, purpose: str) -> None:
        """Remember that the person does not want to decide on a new notice now; commits.

        Nothing is recorded of what they want: the consent has ended and stays ended.

        Raises:
            NotFound: there is no such person.
            UnknownPurpose: the register has no such purpose.
        """
        known_purpose(self._register, purpose)
        notice = self._register.notice_of(purpose)
        subject_id = self._consents.hold(uow, subject_id)
        if notice is not None:
            store.note_asked(uow.session, subject_id, purpose, notice.version, uow.now)
        uow.commit()

    def first_stop(self, session: Session, subject_id: str, now: datetime) -> str | None:
        """Return where whoever signs in goes first, or None."""
        waits = self.outstanding(session, subject_id) or self.changed(session, subject_id, now)
        return PAGE if waits else None

    @staticmethod
    def of_person(session: Session, subject_id: str) -> list[Acknowledgement]:
        """Return everything the person accepted and was told, oldest first."""
        return [to_acknowledgement(row) for row in store.acknowledgements_of(session, subject_id)]

    def _append(
        self,
        uow: UnitOfWork,
        subject_id: str,
        words: Shown,
        manner: Manner,
        channel: ConsentChannel,
    ) -> Acknowledgement:
        subject_id = self._consents.hold(uow, subject_id)
        self._consents.keep_words(uow)
        made = Acknowledgement(
            acknowledgement_id=new_id(uow.ids),
            subject_id=subject_id,
            notice=words.notice,
            version=words.version,
            digest=words.digest,
            language=words.language,
            manner=manner,
            channel=channel,
            at=uow.now,
            register_revision=self._register.revision,
            recorded_by=uow.actor.name,
        )
        entry_id = uow.record(recorded(made), evidence_of(made, words.text))
        uow.session.add(
            store.AcknowledgementRow(
                acknowledgement_id=made.acknowledgement_id,
                subject_id=subject_id,
                notice=made.notice,
                version=made.version,
                digest=made.digest,
                language=made.language,
                manner=manner.value,
                channel=channel.value,
                at=made.at,
                register_revision=made.register_revision,
                recorded_by=made.recorded_by,
                entry_id=entry_id,
            )
        )
        uow.session.flush()
        return made
