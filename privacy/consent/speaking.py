"""Recording what people say, in the caller's transaction: consent, refusal, withdrawal, objection."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from policies.decision import ConsentFact
from policies.errors import NotFound
from policies.register.model import Register
from policies.vocabulary import ConsentChannel, LegalBasis, SaidBy
from privacy.consent import lifecycle_store, store
from privacy.consent.model import (
    IN_FORCE,
    OWN_VOICE,
    Act,
    ConsentEvent,
    DeceasedPerson,
    GuardianNeeded,
    NothingToWithdraw,
    NotOpenToObjection,
    Objection,
    ObjectionLifted,
    ObjectionMade,
    Shown,
    Status,
    Voice,
    asking,
    consent_purpose,
    giving,
    known_purpose,
    may_object,
    purpose_rule,
    refusing,
    renewing,
    said_otherwise,
    shown_in_force,
    shown_once,
    status_of,
    withdrawing,
)
from privacy.consent.objections import end_covered
from privacy.consent.reading import ConsentReading
from privacy.consent.recording import Recording
from privacy.consent.register_log import keep_register
from privacy.consent.suppression import release, suppress
from privacy.ids import new_id
from privacy.subjects.fact_store import FactKind, note
from privacy.unit_of_work import UnitOfWork


class Speaking(ConsentReading):
    """What people say, written down; whoever calls it commits."""

    def __init__(self, register: Register) -> None:
        super().__init__(register)
        self._zone = ZoneInfo(register.controller.time_zone)
        #: How every event is written.
        self.recording = Recording(self.keep_words)

    def record_given(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
        explicit: bool = False,
        voice: Voice = OWN_VOICE,
        renews: bool = False,
        confirms: str | None = None,
    ) -> ConsentEvent:
        """As `Consents.give`, in the caller's transaction.

        With `renews`, a consent that is in force still is renewed, and the event names it. What
        `confirms` a request names that event, and rests on the words that it showed.

        A guardian's ends with the birthday at the latest; whether they are one the caller knows.
        What was said earlier may rest on a version that was in force then.
        """
        wanted = consent_purpose(self._register, purpose)
        read = shown_once if voice.said_at or confirms else shown_in_force
        words = read(self._register, wanted, notice_version, language)
        act = self._act(uow, subject_id, purpose, channel, voice)
        by_guardian = voice.said_by is SaidBy.GUARDIAN
        self._alive(uow, act.subject_id)
        if not by_guardian and store.is_minor(uow.session, act.subject_id, act.at):
            raise GuardianNeeded("a parent or guardian must consent for this person")
        event = giving(
            act,
            words,
            validity_months=wanted.validity_months,
            zone=self._zone,
            explicit=explicit,
        )
        event = replace(event, follows=confirms)
        birthday = store.minor_until(uow.session, act.subject_id) if by_guardian else None
        rule = purpose_rule(self._register, purpose)
        if birthday and event.expires_at:
            event = replace(event, expires_at=min(event.expires_at, birthday))
        state = store.state_of(uow.session, act.subject_id, purpose) if renews else None
        if state and state.event_id and status_of(state.consent, rule, uow.now) is Status.GIVEN:
            event = renewing(event, state.event_id)
        if voice.said_at:
            self._lift(uow, act.subject_id, purpose, said_at=event.at)
        else:
            lifted_at = self._lift(uow, act.subject_id, purpose, said_at=None)
            event = replace(event, at=max(event.at, lifted_at or event.at))
        event = self._append(uow, event, words)
        if voice.said_at:
            self._end_covered(uow, act.subject_id, purpose)
        return event

    def ask(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        language: str,
        channel: ConsentChannel = ConsentChannel.WEB,
    ) -> ConsentEvent | None:
        """Record that the person is asked, in the caller's transaction; at most once.

        An immaterial revision of the notice asks nobody again. Source: AEPD 3.2.7, 3.2.8.

        Args:
            uow: the caller's.
            subject_id: the person.
            purpose: a unit that rests on consent.
            language: in which the person is shown the words in force.
            channel: by which way they are asked.

        Returns:
            The event, or None: they were asked under this revision before, and are not now.

        Raises:
            NotFound: there is no such person.
            UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage: nothing is recorded.
        """
        wanted = consent_purpose(self._register, purpose)
        current_notice = self._register.notice_of(purpose)
        version = current_notice.version if current_notice else 0
        words = shown_in_force(self._register, wanted, version, language)
        act = self._act(uow, subject_id, purpose, channel)
        material = self._register.notices[wanted.notice].last_material_version() or version
        if lifecycle_store.was_asked(uow.session, act.subject_id, purpose, material):
            return None
        event = self._append(uow, asking(act, words), words)
        lifecycle_store.note_asked(uow.session, event, material)
        return event

    def record_requested(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
    ) -> ConsentEvent:
        """Record that a consent was said and waits to be confirmed; the state does not move.

        Of somebody who cannot consent alone, too: whoever says so is not told that it is a child or
        that they have died, and nothing comes of it before `record_given` has looked.

        Raises:
            NotFound, UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage: as `record_given`.
        """
        wanted = consent_purpose(self._register, purpose)
        words = shown_in_force(self._register, wanted, notice_version, language)
        act = self._act(uow, subject_id, purpose, channel)
        return self._append(uow, asking(act, words), words)

    def record_refused(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
        voice: Voice = OWN_VOICE,
    ) -> ConsentEvent:
        """As `Consents.refuse`, in the caller's transaction."""
        wanted = consent_purpose(self._register, purpose)
        words = shown_once(self._register, wanted, notice_version, language)
        act = self._act(uow, subject_id, purpose, channel, voice)
        return self._append(uow, refusing(act, words), words)

    def record_withdrawn(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        channel: ConsentChannel,
        notice_version: int | None = None,
        language: str | None = None,
        voice: Voice = OWN_VOICE,
    ) -> ConsentEvent:
        """As `Consents.withdraw`, in the caller's transaction."""
        consent_purpose(self._register, purpose)
        act = self._act(uow, subject_id, purpose, channel, voice)
        state = store.state_of(uow.session, act.subject_id, purpose)
        given = store.event_by_id(uow.session, state.event_id) if state.event_id else None
        if given is None:
            raise NothingToWithdraw("there is no consent to withdraw", field="purpose")
        words = self._words_at_withdrawal(uow.session, given, notice_version, language)
        return self._append(uow, withdrawing(act, state.consent, words), words)

    # ---- objection, in the caller's transaction

    def object_to(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        channel: ConsentChannel = ConsentChannel.WEB,
        voice: Voice = OWN_VOICE,
    ) -> Objection:
        """Record an objection; it shows in the next decision. Joins the caller's transaction.

        It holds from now, whenever it was said, and ends every consent that was said until now: one
        in force is withdrawn with it, and lifting the objection later brings none back, nor one
        that arrives after that. Objecting twice changes nothing.

        Raises:
            NotFound: there is no such person.
            UnknownPurpose: the register has no such purpose.
            NotOpenToObjection: it rests on a contract or a legal duty.

        Source: GDPR Art. 21; LOPDGDD Art. 18.
        """
        wanted = known_purpose(self._register, purpose)
        if not may_object(wanted):
            raise NotOpenToObjection("this purpose does not depend on the person", field="purpose")
        subject_id = self._hold(uow, subject_id)
        row = store.objection_of(uow.session, subject_id, purpose)
        if row is None:
            if wanted.legal_basis is LegalBasis.CONSENT:
                live = replace(voice, said_at=None)
                self._withdraw_if_given(uow, subject_id, purpose, channel, live)
            entry_id = uow.record(
                ObjectionMade(
                    subject_id=subject_id,
                    purpose=purpose,
                    register_revision=self._register.revision,
                ),
                {
                    "channel": channel.value,
                    "recorded_by": uow.actor.name,
                    **said_otherwise(voice),
                },
            )
            row = store.ObjectionRow(
                subject_id=subject_id, purpose=purpose, since=uow.now, entry_id=entry_id
            )
            uow.session.add(row)
            uow.session.flush()
            note(uow, subject_id, FactKind.OBJECTED, True, purpose=purpose, entry_id=entry_id)
            if wanted.direct_marketing:
                suppress(uow, subject_id, purpose)
        return Objection(subject_id, purpose, row.since, row.entry_id)

    def lift_objection(self, uow: UnitOfWork, subject_id: str, purpose: str) -> bool:
        """Take an objection back; tell whether there was one. Joins the caller's transaction.

        No consent that was said before holds again: the person consents anew.

        Raises:
            NotFound: there is no such person.

        Source: GDPR Art. 21(3); LOPDGDD Art. 23(4).
        """
        subject_id = self._hold(uow, subject_id)
        self._end_covered(uow, subject_id, purpose)
        return self._lift(uow, subject_id, purpose, said_at=None) is not None

    def _lift(
        self, uow: UnitOfWork, subject_id: str, purpose: str, *, said_at: datetime | None
    ) -> datetime | None:
        """End an objection, and the suppression with it, by what the person said after it.

        Args:
            uow: the caller's, which holds the person.
            subject_id: the person, no alias.
            purpose: a unit.
            said_at: aware; None: here and now, and so after it, even where a clock went back.

        Returns:
            When the objection was over; None: there was none, or it is later than what was said.
        """
        row = store.objection_of(uow.session, subject_id, purpose)
        if said_at is None:
            said_at = max(uow.now, row.since) if row else uow.now
        wanted = self._register.purpose(purpose)
        if wanted is not None and wanted.direct_marketing:
            by_consent = wanted.legal_basis is LegalBasis.CONSENT
            release(uow, subject_id, purpose, at=said_at, despite_all=not by_consent)
        if row is None or row.since > said_at:
            return None
        uow.session.delete(row)
        uow.session.flush()
        entry_id = uow.record(
            ObjectionLifted(
                subject_id=subject_id, purpose=purpose, register_revision=self._register.revision
            ),
            {"objection_entry_id": row.entry_id, "recorded_by": uow.actor.name},
        )
        note(
            uow,
            subject_id,
            FactKind.OBJECTED,
            False,
            purpose=purpose,
            value_at=said_at if said_at < uow.now else None,
            at=max(said_at, uow.now),
            entry_id=entry_id,
        )
        return said_at

    def _end_covered(self, uow: UnitOfWork, subject_id: str, purpose: str) -> None:
        end_covered(
            uow,
            self.recording,
            subject_id,
            [purpose],
            register_revision=self._register.revision,
        )

    # ---- for the other evidence of this capability, in the caller's transaction

    def hold(self, uow: UnitOfWork, subject_id: str) -> str:
        """Hold the person until the commit and return under which id their word is recorded.

        Raises:
            NotFound: there is no such person.
        """
        return self._hold(uow, subject_id)

    def keep_words(self, uow: UnitOfWork) -> None:
        """Keep the published wordings before anybody is bound to them."""
        keep_register(uow, self._register)

    # ---- inside

    def _hold(self, uow: UnitOfWork, subject_id: str) -> str:
        """Hold the person and return under which id their word is recorded."""
        held = store.lock_subject(uow.session, subject_id)
        if held is None:
            raise NotFound("there is no such person", field="subject")
        return held

    @staticmethod
    def _alive(uow: UnitOfWork, subject_id: str) -> None:
        """Refuse a consent of somebody who has died; a no is always recorded."""
        if store.is_deceased(uow.session, subject_id):
            raise DeceasedPerson("this person has died")

    def _act(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        channel: ConsentChannel,
        voice: Voice = OWN_VOICE,
    ) -> Act:
        return Act(
            event_id=new_id(uow.ids),
            subject_id=self._hold(uow, subject_id),
            purpose=purpose,
            at=voice.said_at or uow.now,
            channel=channel,
            recorded_by=uow.actor.name,
            register_revision=self._register.revision,
            said_by=voice.said_by,
            recorded_at=uow.now if voice.said_at else None,
            attachment=voice.attachment,
        )

    def _append(self, uow: UnitOfWork, event: ConsentEvent, words: Shown) -> ConsentEvent:
        [said] = self.recording.append_many(uow, [(event, words)])
        return said

    def _withdraw_if_given(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        channel: ConsentChannel,
        voice: Voice,
    ) -> None:
        consent = store.state_of(uow.session, subject_id, purpose).consent
        if _is_in_force(consent):
            self.record_withdrawn(uow, subject_id, purpose, channel=channel, voice=voice)

    def _words_at_withdrawal(
        self,
        session: Session,
        given: ConsentEvent,
        notice_version: int | None,
        language: str | None,
    ) -> Shown:
        version = given.notice_version if notice_version is None else notice_version
        kept = store.kept_words(session, given.notice, version)
        row = kept.get(language or given.language)
        if row is None:
            return self.words_of(session, given)
        return Shown(row.notice, row.version, row.digest, row.language, row.text)


def _is_in_force(consent: ConsentFact | None) -> bool:
    return consent is not None and consent.action in IN_FORCE
