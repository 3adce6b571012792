"""Publishing the register; giving, refusing, withdrawing; objecting; what holds now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.decision import ConsentFact, Facts
from policies.errors import NotFound
from policies.register.model import NoticeRevision, Purpose, Register
from policies.register.notices import NOTICES_FOLDER
from policies.register.problems import Problem, RegisterError
from policies.vocabulary import ConsentChannel, LegalBasis
from privacy.clock import rfc3339
from privacy.consent import acknowledgement_store, merging, store
from privacy.consent.model import (
    IN_FORCE,
    NOBODY,
    Act,
    ConsentEvent,
    GuardianNeeded,
    NothingToWithdraw,
    NotOpenToObjection,
    Objection,
    ObjectionLifted,
    ObjectionMade,
    RegisterPublished,
    Shown,
    Sighting,
    State,
    StateUnreadable,
    consent_purpose,
    evidence_of,
    giving,
    is_id,
    known_purpose,
    may_object,
    recorded,
    refusing,
    shown_in_force,
    shown_once,
    withdrawing,
)
from privacy.events import Json
from privacy.ids import new_id
from privacy.subjects.model import SubjectsMerged
from privacy.subjects.store import current
from privacy.unit_of_work import UnitOfWork

COLLECT_PAGE = 1_000


class Consents:
    """What people said about the purposes of this deployment's register."""

    #: What this source of personal data is called in an access file.
    name = "consents"

    def __init__(self, register: Register) -> None:
        self._register = register
        self._zone = ZoneInfo(register.controller.time_zone)

    @property
    def register(self) -> Register:
        """The register in force."""
        return self._register

    # ---- the register

    def publish(self, uow: UnitOfWork, register: Register | None = None) -> bool:
        """Put a register in force: keep its published wordings for good. Idempotent.

        Args:
            uow: the caller's unit of work; committed.
            register: None publishes the one this deployment runs on.

        Returns:
            Whether it was new.

        Raises:
            RegisterError: a wording that was published before now reads otherwise.
        """
        is_new = _publish(uow, register or self._register)
        if is_new:
            uow.commit()
        return is_new

    # ---- consent: one use case each

    def give(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
        explicit: bool = False,
    ) -> ConsentEvent:
        """Record that the person consents, and commit. Source: GDPR Art. 6(1)(a), 7(1).

        An objection to the purpose ends with it: the person says otherwise now (LOPDGDD 23.4).

        Raises:
            NotFound: there is no such person.
            UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage: nothing is recorded.
            GuardianNeeded: the person is too young to consent alone; nothing is recorded.
        """
        event = self.record_given(
            uow,
            subject_id,
            purpose,
            notice_version=notice_version,
            language=language,
            channel=channel,
            explicit=explicit,
        )
        uow.commit()
        return event

    def refuse(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
    ) -> ConsentEvent:
        """Record that the person refuses, and commit. A consent in force ends with it.

        A no stands whichever published version it answered.

        Raises:
            NotFound: there is no such person.
            UnknownPurpose, NotByConsent, StaleNotice, UnknownLanguage: nothing is recorded.
        """
        event = self.record_refused(
            uow,
            subject_id,
            purpose,
            notice_version=notice_version,
            language=language,
            channel=channel,
        )
        uow.commit()
        return event

    def withdraw(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        channel: ConsentChannel,
        notice_version: int | None = None,
        language: str | None = None,
    ) -> ConsentEvent:
        """Record that the person takes a consent back, and commit. Source: GDPR Art. 7(3).

        No notice can stand in its way: where the words named were never published, the event is
        pinned to those of the consent that it ends.

        Raises:
            NotFound: there is no such person.
            UnknownPurpose, NotByConsent, NothingToWithdraw: nothing is recorded.
        """
        event = self.record_withdrawn(
            uow,
            subject_id,
            purpose,
            channel=channel,
            notice_version=notice_version,
            language=language,
        )
        uow.commit()
        return event

    # ---- consent, in the caller's transaction

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
    ) -> ConsentEvent:
        """As `give`, in the caller's transaction."""
        wanted = consent_purpose(self._register, purpose)
        words = shown_in_force(self._register, wanted, notice_version, language)
        act = self._act(uow, subject_id, purpose, channel)
        if store.is_minor(uow.session, act.subject_id, uow.now):
            raise GuardianNeeded("a parent or guardian must consent for this person")
        event = giving(
            act,
            words,
            validity_months=wanted.validity_months,
            zone=self._zone,
            explicit=explicit,
        )
        self.lift_objection(uow, act.subject_id, purpose)
        return self._append(uow, event, words)

    def record_refused(
        self,
        uow: UnitOfWork,
        subject_id: str,
        purpose: str,
        *,
        notice_version: int,
        language: str,
        channel: ConsentChannel,
    ) -> ConsentEvent:
        """As `refuse`, in the caller's transaction."""
        wanted = consent_purpose(self._register, purpose)
        words = shown_once(self._register, wanted, notice_version, language)
        act = self._act(uow, subject_id, purpose, channel)
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
    ) -> ConsentEvent:
        """As `withdraw`, in the caller's transaction."""
        consent_purpose(self._register, purpose)
        act = self._act(uow, subject_id, purpose, channel)
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
    ) -> Objection:
        """Record an objection; it shows in the next decision. Joins the caller's transaction.

        A consent to the purpose is withdrawn with it, so that lifting the objection later brings
        no consent back. Objecting twice changes nothing.

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
                self._withdraw_if_given(uow, subject_id, purpose, channel)
            entry_id = uow.record(
                ObjectionMade(
                    subject_id=subject_id,
                    purpose=purpose,
                    register_revision=self._register.revision,
                ),
                {"channel": channel.value, "recorded_by": uow.actor.name},
            )
            row = store.ObjectionRow(
                subject_id=subject_id, purpose=purpose, since=uow.now, entry_id=entry_id
            )
            uow.session.add(row)
            uow.session.flush()
        return Objection(subject_id, purpose, row.since, row.entry_id)

    def lift_objection(self, uow: UnitOfWork, subject_id: str, purpose: str) -> bool:
        """Take an objection back; tell whether there was one. Joins the caller's transaction.

        Raises:
            NotFound: there is no such person.
        """
        subject_id = self._hold(uow, subject_id)
        row = store.objection_of(uow.session, subject_id, purpose)
        if row is None:
            return False
        uow.session.delete(row)
        uow.session.flush()
        uow.record(
            ObjectionLifted(
                subject_id=subject_id, purpose=purpose, register_revision=self._register.revision
            ),
            {"objection_entry_id": row.entry_id, "recorded_by": uow.actor.name},
        )
        return True

    def on_subjects_merged(self, uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let any no of either subject hold for the person; joins the merge's transaction."""
        _publish(uow, self._register)
        merging.fold(
            uow,
            event.subject_id or "",
            event.alias_id,
            register_revision=self._register.revision,
        )

    # ---- reading

    def current(self, session: Session, subject_id: str) -> Mapping[str, State]:
        """Return the person's state for each purpose of the register, in its order."""
        said = store.states_of(session, subject_id)
        objected = {o.purpose: o.since for o in store.objections_of(session, subject_id)}
        return {
            purpose: replace(
                said.get(purpose, State(purpose=purpose)), objected_since=objected.get(purpose)
            )
            for purpose in self._register.purposes
        }

    @staticmethod
    def is_minor(session: Session, subject_id: str, at: datetime) -> bool:
        """Tell whether a parent or guardian must consent for the person, as far as we know."""
        return store.is_minor(session, subject_id, at)

    @staticmethod
    def history(session: Session, subject_id: str) -> list[ConsentEvent]:
        """Return everything the person said, oldest first."""
        events: list[ConsentEvent] = []
        wanted = store.EventFilter(subject_id=subject_id)
        while True:
            after = events[-1].ordinal if events else None
            page = store.select_events(session, wanted, after_ordinal=after, limit=COLLECT_PAGE)
            events += page
            if len(page) < COLLECT_PAGE:
                return events

    @staticmethod
    def event_by_id(session: Session, event_id: str) -> ConsentEvent | None:
        """Return the event of this id, whosesoever it is."""
        return store.event_by_id(session, event_id) if is_id(event_id) else None

    def event_of(self, session: Session, subject_id: str, event_id: str) -> ConsentEvent:
        """Return an event of this person.

        Raises:
            NotFound: there is none of that id, or it is somebody else's.
        """
        event = self.event_by_id(session, event_id)
        if event is None or current(session, event.subject_id) != subject_id:
            raise NotFound("there is no such consent event")
        return event

    @staticmethod
    def words_of(session: Session, event: ConsentEvent) -> Shown:
        """Return the exact words that the event is pinned to."""
        return store.shown_in(session, event.notice, event.notice_version, event.language)

    def facts(
        self,
        session: Session,
        subject_id: str,
        purpose_id: str,
        *,
        at: datetime,
        domain: str | None = None,
    ) -> Facts:
        """Return what a decision needs to know, in one indexed read.

        Args:
            session: one snapshot.
            subject_id: the person; with `domain`, the person's pseudonym there.
            purpose_id: the purpose.
            at: aware; the instant asked about, at which a minor may have come of age.
            domain: whose pseudonym names the person; None: the subject id itself does.

        Raises:
            StateUnreadable: the state could not be read whole; the caller denies.
        """
        return self.sighting(session, subject_id, purpose_id, at=at, domain=domain).facts

    @staticmethod
    def sighting(
        session: Session, name: str, purpose_id: str, *, at: datetime, domain: str | None = None
    ) -> Sighting:
        """As `facts`, with whom it is about and the consent event behind it.

        Raises:
            StateUnreadable: the state could not be read whole; the caller denies.
        """
        try:
            if domain is None:
                found = store.sighting_of_subject(session, name, purpose_id, at)
            else:
                found = store.sighting_of_pseudonym(session, domain, name, purpose_id, at)
        except (TypeError, ValueError, sa.exc.DBAPIError) as error:
            raise StateUnreadable(type(error).__name__) from error
        return found or NOBODY

    # ---- as a source of personal data

    def export(self, session: Session, subject_id: str) -> list[dict[str, Json]]:
        """Return every event of the person with the exact text that was shown, oldest first."""
        return [
            {
                **evidence_of(event, self.words_of(session, event).text),
                "purpose": event.purpose,
                "action": event.action.value,
                "at": rfc3339(event.at),
                "register_revision": event.register_revision,
                "entry_id": event.entry_id,
            }
            for event in self.history(session, subject_id)
        ]

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return what this capability holds of the person. Source: GDPR Art. 15(1)."""
        events: list[Json] = [*self.export(session, subject_id)]
        objections: list[Json] = [
            {"purpose": o.purpose, "since": rfc3339(o.since), "entry_id": o.entry_id}
            for o in store.objections_of(session, subject_id)
        ]
        return {
            "events": events,
            "objections": objections,
            **acknowledgement_store.collect(session, subject_id),
        }

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Keep all evidence: the proof of a consent outlives the profile.

        The rows name nobody once the profile is erased, and no decision permits an erased person.
        They end with their own term (`policies/retention.py`).
        Source: GDPR Art. 7(1), 17(3)(e); LOPDGDD Art. 32, 72.1.
        """
        acknowledgement_store.forget_asked(uow.session, subject_id)

    # ---- for the other evidence of this capability, in the caller's transaction

    def hold(self, uow: UnitOfWork, subject_id: str) -> str:
        """Hold the person until the commit and return under which id their word is recorded.

        Raises:
            NotFound: there is no such person.
        """
        return self._hold(uow, subject_id)

    def keep_words(self, uow: UnitOfWork) -> None:
        """Keep the published wordings before anybody is bound to them."""
        _publish(uow, self._register)

    # ---- inside

    def _hold(self, uow: UnitOfWork, subject_id: str) -> str:
        """Hold the person and return under which id their word is recorded."""
        held = store.lock_subject(uow.session, subject_id)
        if held is None:
            raise NotFound("there is no such person", field="subject")
        return held

    def _act(self, uow: UnitOfWork, subject_id: str, purpose: str, channel: ConsentChannel) -> Act:
        return Act(
            event_id=new_id(uow.ids),
            subject_id=self._hold(uow, subject_id),
            purpose=purpose,
            at=uow.now,
            channel=channel,
            recorded_by=uow.actor.name,
            register_revision=self._register.revision,
        )

    def _append(self, uow: UnitOfWork, event: ConsentEvent, words: Shown) -> ConsentEvent:
        _publish(uow, self._register)  # the words are kept before anybody is bound to them
        entry_id = uow.record(recorded(event), evidence_of(event, words.text))
        event = replace(event, entry_id=entry_id)
        return replace(event, ordinal=store.append(uow.session, event))

    def _withdraw_if_given(
        self, uow: UnitOfWork, subject_id: str, purpose: str, channel: ConsentChannel
    ) -> None:
        consent = store.state_of(uow.session, subject_id, purpose).consent
        if _is_in_force(consent):
            self.record_withdrawn(uow, subject_id, purpose, channel=channel)

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


def purposes_by_basis(register: Register) -> tuple[list[Purpose], list[Purpose]]:
    """Return the purposes that the person decides, and those that rest on something else."""
    decided = [p for p in register.purposes.values() if p.legal_basis is LegalBasis.CONSENT]
    others = [p for p in register.purposes.values() if p.legal_basis is not LegalBasis.CONSENT]
    return decided, others


def _publish(uow: UnitOfWork, register: Register) -> bool:
    """Keep a register's published wordings in the caller's transaction; tell whether it was new."""
    if store.register_is_published(uow.session, register.revision):
        return False
    problems: list[Problem] = []
    rows: list[store.NoticeTextRow] = []
    notices: list[Json] = []
    for notice in register.notices.values():
        for revision in notice.revisions:
            if revision.published is None:
                continue
            fresh = _unkept(uow.session, revision, problems)
            rows += fresh
            if fresh:
                notices.append(
                    {
                        "notice": revision.notice,
                        "version": revision.version,
                        "digest": revision.digest,
                        "material": revision.material,
                        "published_on": revision.published.isoformat(),
                    }
                )
    if problems:
        raise RegisterError(problems)
    try:
        with uow.session.begin_nested():
            store.publish_register(uow.session, register.revision, rows, uow.now)
    except IntegrityError:  # published by another process at the same moment: the same words
        return False
    uow.record(RegisterPublished(register_revision=register.revision), {"notices": notices})
    return True


def _unkept(
    session: Session, revision: NoticeRevision, problems: list[Problem]
) -> list[store.NoticeTextRow]:
    """Return the wordings of a published revision that are not kept yet."""
    kept = store.kept_words(session, revision.notice, revision.version)
    if not kept and revision.published:
        return [
            store.NoticeTextRow(
                notice=revision.notice,
                version=revision.version,
                language=language,
                text=text,
                digest=revision.digest,
                material=revision.material,
                published_on=revision.published,
            )
            for language, text in revision.texts.items()
        ]
    if any(row.digest != revision.digest for row in kept.values()):
        where = f"{NOTICES_FOLDER}/{revision.notice}/{revision.version}"
        message = "was published in other words; write the next version instead"
        problems.append(Problem(where, "", "", message))
    return []
