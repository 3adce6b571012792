"""Double opt-in: whoever typed an address consents for its owner only once the owner says so.

The first step is a request and a letter with a link; the state does not move. The button on the
link's page is the consent. That the owner proved the address long ago says nothing of who typed it
now, so it is asked alike, and answered alike, whether an address is proved, unproved or unknown.
Source: GDPR Art. 4(11), 7(1): that it was this person must be provable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy.orm import Session

from policies.errors import DomainError, NotFound
from policies.register.model import Purpose
from policies.vocabulary import ConsentAction, ConsentChannel, EventTag, RetentionClass
from privacy.consent import double_opt_in_store as store
from privacy.consent import store as consent_store
from privacy.consent.double_opt_in_letters import LIFETIME, ConfirmationLetters
from privacy.consent.model import (
    IN_FORCE,
    ConsentEvent,
    GuardianNeeded,
    Shown,
    consent_purpose,
    purpose_rule,
    shown_once,
)
from privacy.consent.service import Consents
from privacy.events import Event
from privacy.ids import new_token, secret_digest
from privacy.mail import Postbox
from privacy.subjects.identifiers import Identifier
from privacy.subjects.model import SubjectErased, SubjectsMerged
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

TOGETHER: Final = timedelta(minutes=10)
"""A unit asked so soon after another gets no letter of its own: one form asks for several."""
_REMEMBERED: Final = timedelta(days=30)
#: After these the person has not said no: the clock ends a consent without their word.
_NO_WORD: Final = IN_FORCE | {ConsentAction.EXPIRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSentAgain(Event):
    """The person had the letter sent again; the link of the one before ended."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_LETTER_SENT_AGAIN
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    purpose: str


class ConfirmationNotValid(DomainError):
    """The link was used, has expired, was overtaken by another word, or never was."""

    code = "link-not-valid"


@dataclass(frozen=True, slots=True)
class Asked:
    """One consent that a link can confirm.

    Attributes:
        request: the event that it follows.
        shown: the words that the consent is given to.
        until: until when it can be confirmed; aware UTC, half-open.
        by_letter: a letter went to its address, behind whose link it stands.
    """

    request: ConsentEvent
    purpose: Purpose
    shown: Shown
    explicit: bool
    identifier_id: str
    until: datetime
    by_letter: bool


class DoubleOptIn:
    """The consents of this deployment that wait to be confirmed.

    Args:
        consents: records what is said.
        subjects: whose address it is.
        postbox: takes the letters.
        base_url: of this deployment.
    """

    def __init__(
        self, consents: Consents, subjects: Subjects, postbox: Postbox, base_url: str
    ) -> None:
        self._consents = consents
        self._subjects = subjects
        self._letters = ConfirmationLetters(consents.register, subjects, postbox, base_url)

    def is_needed(self, uow: UnitOfWork, purpose: str, subject_id: str) -> bool:
        """Tell whether a consent counts only once it is confirmed: unless the person is signed in.

        Args:
            uow: its actor names the person who is signed in at the application, if anybody is.
            purpose: a unit that rests on consent.
            subject_id: whom the consent is about.
        """
        if not consent_purpose(self._consents.register, purpose).double_opt_in:
            return False
        signed_in = uow.actor.subject_id
        if not signed_in:
            return True
        person = self._subjects.current(uow.session, subject_id)
        return self._subjects.current(uow.session, signed_in) != person

    def ask(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        found_by: Identifier | None,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
        explicit: bool,
    ) -> ConsentEvent:
        """Record the request and write to the address; joins the caller's transaction.

        Where the address has had as many letters as may be, or one just now, none is sent: the
        page behind the earlier ones lists the request. Nor is one sent to somebody who has died or
        whose data is blocked or restricted, and of the first two nothing waits: whoever asks is
        told no difference (docs/consent.md). A child is written to; the page says who decides.

        Raises:
            InvalidInput: there is no e-mail address to write to; `field` is "subject.email".
            NotFound, UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage: as in
                `Consents.record_requested`.
        """
        person = self._subjects.hold_current(uow.session, subject_id)
        if person is None:
            raise NotFound("there is no such person")
        to = self._letters.address(uow, person, found_by)
        identifier_id = self._subjects.identifiers.id_of(uow.session, to)
        if identifier_id is None:
            raise NotFound("this address finds nobody", field="subject.email")
        event = self._consents.record_requested(
            uow,
            person,
            purpose,
            notice_version=notice_version,
            language=language,
            channel=channel,
        )
        standing = self._subjects.standing(uow.session, person)
        if standing is None or standing.deceased or standing.blocked:
            return event
        token = new_token(uow.ids)
        is_mailed = (
            not standing.restricted
            and not self._was_written_to_just_now(uow, person, purpose, identifier_id)
            and self._letters.may_be_written(uow, to)
        )
        store.delete_before(uow.session, uow.now - _REMEMBERED)
        store.drop_unmailed(uow.session, person, purpose, identifier_id)
        uow.session.add(
            store.ConfirmationRow(
                token_digest=secret_digest(token),
                event_id=event.event_id,
                subject_id=person,
                purpose=purpose,
                identifier_id=identifier_id,
                explicit=explicit,
                mailed=is_mailed,
                asked_at=uow.now,
                expires_at=uow.now + LIFETIME,
            )
        )
        uow.session.flush()
        if is_mailed:
            self._letters.write(uow, to, purpose, language, token)
        return event

    def behind_link(self, session: Session, token: str, now: datetime) -> list[Asked]:
        """Return what a link can confirm, its own unit first; changes nothing.

        It proves the address, so it confirms whatever else waits for the same one: each unit once.

        Raises:
            ConfirmationNotValid: the link has expired or never was, or nothing of it waits: it was
                used, or overtaken by another word; or the person has died.
            GuardianNeeded: the person is too young to consent alone.
        """
        link = store.with_token(session, secret_digest(token))
        if link is None or not link.mailed or link.expires_at <= now:
            raise ConfirmationNotValid("the link has expired or never was")
        rows = store.waiting(session, link.subject_id, link.identifier_id, now)
        found: dict[str, Asked] = {}
        for row in sorted(rows, key=lambda each: each.token_digest != link.token_digest):
            asked = self._asked(session, row)
            if asked is not None:
                found.setdefault(row.purpose, asked)
        standing = self._subjects.standing(session, link.subject_id)
        if not found or standing is None or standing.deceased:
            raise ConfirmationNotValid("the link was used, or overtaken by another word")
        if self._consents.is_minor(session, link.subject_id, now):
            raise GuardianNeeded("a parent or guardian must consent for this person")
        return sorted(found.values(), key=lambda each: each.purpose.id != link.purpose)

    def waiting_for(self, session: Session, subject_id: str, now: datetime) -> list[Asked]:
        """Return what waits for a person's confirmation, each unit once, newest first.

        Nothing waits for a child: a guardian decides.
        """
        if self._consents.is_minor(session, subject_id, now):
            return []
        found: dict[str, Asked] = {}
        rows = store.of_person(session, subject_id, now)
        written_to = {row.identifier_id for row in rows if row.mailed}
        for row in rows:
            asked = self._asked(session, row)
            if asked is not None:
                by_letter = row.identifier_id in written_to
                found.setdefault(row.purpose, replace(asked, by_letter=by_letter))
        return list(found.values())

    def of_person(self, session: Session, subject_id: str, event_id: str, now: datetime) -> Asked:
        """Return one of what waits for a person, by its request.

        Raises:
            ConfirmationNotValid: it was confirmed, overtaken or has expired, or is somebody else's.
        """
        found = self.waiting_for(session, subject_id, now)
        asked = next((each for each in found if each.request.event_id == event_id), None)
        if asked is None:
            raise ConfirmationNotValid("nothing of that request waits for this person")
        return asked

    def answer(
        self, uow: UnitOfWork, subject_id: str, event_id: str, *, given: bool
    ) -> ConsentEvent:
        """Record what the person, signed in, answers in place of the link; commits.

        It says nothing of the address: that stays as proved as it was.

        Raises:
            ConfirmationNotValid: as in `of_person`.
        """
        person = self._consents.hold(uow, subject_id)
        asked = self.of_person(uow.session, person, event_id, uow.now)
        store.close_others(uow.session, person, asked.purpose.id, uow.now)
        if given:
            event = self._given(uow, person, asked)
        else:
            event = self._consents.record_refused(
                uow,
                person,
                asked.purpose.id,
                notice_version=asked.request.notice_version,
                language=asked.request.language,
                channel=ConsentChannel.WEB,
            )
        uow.commit()
        return event

    def has_address(self, session: Session, subject_id: str, asked: Asked) -> bool:
        """Tell whether a letter can be sent again: what is only found by its hash is not kept."""
        return self._letters.kept(session, subject_id, asked.identifier_id) is not None

    def write_again(self, uow: UnitOfWork, subject_id: str, event_id: str) -> bool:
        """Send the person, signed in, the letter with a new link, which counts anew; commits.

        Every link mailed to that address before ends, and so does every other request of the unit:
        what else waits for the address stands behind the new link.

        Returns:
            False: nothing is sent, since the address has had as many letters as may be.

        Raises:
            ConfirmationNotValid: as in `of_person`.
            NotFound: the address is not kept here; `has_address` tells it before.
        """
        person = self._consents.hold(uow, subject_id)
        asked = self.of_person(uow.session, person, event_id, uow.now)
        to = self._letters.kept(uow.session, person, asked.identifier_id)
        if to is None:
            raise NotFound("there is no address to write to")
        if not self._letters.may_be_written(uow, to):
            return False
        token = new_token(uow.ids)
        store.drop_others(uow.session, person, asked.purpose.id, event_id)
        store.end_links(uow.session, person, asked.identifier_id)
        store.renew(uow.session, event_id, secret_digest(token), uow.now + LIFETIME)
        self._letters.write(uow, to, asked.purpose.id, asked.request.language, token)
        uow.record(LetterSentAgain(subject_id=person, purpose=asked.purpose.id))
        uow.commit()
        return True

    def confirm(self, uow: UnitOfWork, token: str, unit: str | None = None) -> ConsentEvent:
        """Record the consent, and that the address is the person's; works once, and commits.

        Args:
            uow: of whoever has the letter.
            token: of the link.
            unit: which of what it can confirm; None: its own.

        Raises:
            ConfirmationNotValid: as in `behind_link`, or it was used at this moment.
            GuardianNeeded: the person is too young to consent alone; the link stays unused.
        """
        link = store.with_token(uow.session, secret_digest(token))
        person = link and self._subjects.hold_current(uow.session, link.subject_id)
        if not person:
            raise ConfirmationNotValid("the link never was, or the person is gone")
        waiting = self.behind_link(uow.session, token, uow.now)
        asked = next((each for each in waiting if unit in (None, each.purpose.id)), None)
        if asked is None:
            raise ConfirmationNotValid("nothing of that unit waits")
        if not store.spend(uow.session, asked.request.event_id, uow.now):
            raise ConfirmationNotValid("it was confirmed at this moment")
        store.close_others(uow.session, person, asked.purpose.id, uow.now)
        if not self._subjects.identifiers.verify_by_id(uow, person, asked.identifier_id):
            raise ConfirmationNotValid("the address is this person's no more")
        event = self._given(uow, person, asked)
        uow.commit()
        return event

    def _given(self, uow: UnitOfWork, person: str, asked: Asked) -> ConsentEvent:
        return self._consents.record_given(
            uow,
            person,
            asked.purpose.id,
            notice_version=asked.request.notice_version,
            language=asked.request.language,
            channel=ConsentChannel.WEB,
            explicit=asked.explicit,
            confirms=asked.request.event_id,
        )

    @staticmethod
    def forget(uow: UnitOfWork, event: SubjectErased) -> None:
        """Delete an erased person's links; joins the transaction of the erasure."""
        if event.subject_id is not None:
            store.delete_of(uow.session, event.subject_id)

    @staticmethod
    def on_subjects_merged(uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let the links be the survivor's; joins the merge's transaction."""
        if event.subject_id is not None:
            store.move(uow.session, source=event.alias_id, target=event.subject_id)

    @staticmethod
    def _was_written_to_just_now(
        uow: UnitOfWork, person: str, purpose: str, identifier_id: str
    ) -> bool:
        """Whether a letter about another unit went to the address so lately that it serves."""
        return any(
            each.mailed and each.purpose != purpose and each.asked_at > uow.now - TOGETHER
            for each in store.waiting(uow.session, person, identifier_id, uow.now)
        )

    def _asked(self, session: Session, row: store.ConfirmationRow) -> Asked | None:
        """Return what a row confirms; None where it was overtaken."""
        request = consent_store.event_by_id(session, row.event_id)
        if request is None:
            return None
        purpose = self._still_asked(session, row.subject_id, request)
        if purpose is None:
            return None
        words = shown_once(
            self._consents.register, purpose, request.notice_version, request.language
        )
        return Asked(
            request, purpose, words, row.explicit, row.identifier_id, row.expires_at, row.mailed
        )

    def _still_asked(
        self, session: Session, subject_id: str, request: ConsentEvent
    ) -> Purpose | None:
        """Return the purpose; None where the person has said otherwise or the words changed."""
        register = self._consents.register
        rule = purpose_rule(register, request.purpose)
        purpose = register.purpose(request.purpose)
        if purpose is None or rule is None or request.notice_version < rule.last_material_version:
            return None
        person = self._subjects.current(session, subject_id)
        state = self._consents.current(session, person)[request.purpose]
        said = state.consent
        has_said_otherwise = said and said.action not in _NO_WORD and said.at > request.at
        has_objected = state.objected_since and state.objected_since > request.at
        return None if has_said_otherwise or has_objected else purpose
