"""Publishing the register; giving, refusing, withdrawing; objecting; what holds now."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from policies.register.model import Purpose, Register
from policies.vocabulary import ConsentChannel, LegalBasis
from privacy.clock import rfc3339
from privacy.consent import acknowledgement_store, lifecycle_store, merging, store
from privacy.consent.model import (
    ConsentEvent,
    evidence_of,
)
from privacy.consent.register_log import keep_register, put_in_force
from privacy.consent.speaking import Speaking
from privacy.events import Json
from privacy.subjects.model import SubjectsMerged
from privacy.unit_of_work import UnitOfWork


class Consents(Speaking):
    """What people said about the purposes of this deployment's register."""

    #: What this source of personal data is called in an access file.
    name = "consents"

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
        is_new = put_in_force(uow, register or self._register)
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

    # ---- when two people are one

    def on_subjects_merged(self, uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Let any no of either subject hold for the person; joins the merge's transaction."""
        keep_register(uow, self._register)
        merging.fold(
            uow,
            self.recording,
            event.subject_id or "",
            event.alias_id,
            register_revision=self._register.revision,
        )

    # ---- as a source of personal data

    def export(self, session: Session, subject_id: str) -> list[dict[str, Json]]:
        """Return every event of the person with the exact text that was shown, oldest first."""
        return [self.exported(session, event) for event in self.history(session, subject_id)]

    def exported(self, session: Session, event: ConsentEvent) -> dict[str, Json]:
        """Return one event with the exact text that was shown."""
        return {
            **evidence_of(event, self.words_of(session, event).text),
            "purpose": event.purpose,
            "action": event.action.value,
            "at": rfc3339(event.at),
            "register_revision": event.register_revision,
            "entry_id": event.entry_id,
        }

    @staticmethod
    def besides_events(session: Session, subject_id: str) -> dict[str, Json]:
        """Return the person's objections in force, and what they accepted and were told."""
        objections: list[Json] = [
            {"purpose": o.purpose, "since": rfc3339(o.since), "entry_id": o.entry_id}
            for o in store.objections_of(session, subject_id)
        ]
        return {"objections": objections, **acknowledgement_store.collect(session, subject_id)}

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return what this capability holds of the person. Source: GDPR Art. 15(1)."""
        events: list[Json] = [*self.export(session, subject_id)]
        return {"events": events, **self.besides_events(session, subject_id)}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Keep all evidence: the proof of a consent outlives the profile.

        The rows name nobody once the profile is erased, and no decision permits an erased person.
        They end with their own term (`policies/retention.py`).
        Source: GDPR Art. 7(1), 17(3)(e); LOPDGDD Art. 32, 72.1.
        """
        acknowledgement_store.forget_asked(uow.session, subject_id)
        lifecycle_store.forget(uow.session, subject_id)


def purposes_by_basis(register: Register) -> tuple[list[Purpose], list[Purpose]]:
    """Return the purposes that the person decides, and those that rest on something else."""
    decided = [p for p in register.purposes.values() if p.legal_basis is LegalBasis.CONSENT]
    others = [p for p in register.purposes.values() if p.legal_basis is not LegalBasis.CONSENT]
    return decided, others
