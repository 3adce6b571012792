"""Erasing a person: every source, the keys of classes that no law keeps, the log's payloads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from policies.retention import Keep, kept_after_erasure
from policies.vocabulary import RetentionClass
from privacy.audit.log import AuditLog
from privacy.consent import store as consent_store
from privacy.keys.sealing import Sealer
from privacy.rights import store
from privacy.rights.files import Files
from privacy.rights.sources import Sources
from privacy.subjects.service import Subjects
from privacy.unit_of_work import UnitOfWork

BATCH: Final = 100


def kept(at: datetime) -> Mapping[RetentionClass, Keep]:
    """What an erasure at `at` leaves, until when and by which law. Source: GDPR Art. 17(3)."""
    return {name: keep for name, keep in kept_after_erasure(at).items() if keep.until > at}


class Eraser:
    """Ends a person's data here. Source: GDPR Art. 17(1); LOPDGDD Art. 15."""

    def __init__(self, subjects: Subjects, sources: Sources, sealer: Sealer) -> None:
        self._subjects = subjects
        self._sources = sources
        self._sealer = sealer

    def erase(self, uow: UnitOfWork, subject_id: str) -> bool:
        """Erase the person; False where that had happened before.

        Joins the caller's transaction. The log's leaves stay, and with them every proof.
        """
        person = self._subjects.hold_current(uow.session, subject_id)
        if person is None:
            return False
        ended = set(RetentionClass) - set(kept(uow.now))
        # Whatever was merged into the person ends with the person, and before.
        for each in reversed(self._subjects.ids(uow.session, person)):
            self._sources.erase(uow, each)
            for retention in ended:
                self._sealer.destroy(uow.session, each, retention)
            AuditLog.erase(uow, each, ended)
        return True

    def end_terms(self, uow: UnitOfWork) -> int:
        """Destroy what was kept after an erasure and whose term has passed; return how much.

        A use case of the worker's: it commits.
        """
        # A person's aliases were erased with the person, and their evidence refers to each other.
        ended = sorted(
            {
                (each, retention)
                for retention in RetentionClass
                for subject_id, erased_at in store.erased_with_key(uow.session, retention, BATCH)
                if kept_after_erasure(erased_at)[retention].until <= uow.now
                for each in self._subjects.ids(uow.session, subject_id)
            }
        )
        for subject_id, retention in ended:
            uow.touch(subject_id)
            if retention is RetentionClass.RIGHTS_FILE:
                for row in store.rows_of_subject(uow.session, subject_id):
                    Files.forget(row)
            if retention is RetentionClass.CONSENT_EVIDENCE:
                consent_store.delete_of(uow.session, subject_id)
                uow.touch(subject_id)
            self._sealer.destroy(uow.session, subject_id, retention)
            AuditLog.erase(uow, subject_id, {retention})
        uow.commit()
        return len(ended)

    def is_here(self, session: Session, subject_id: str) -> bool:
        """Tell whether there is such a person, not erased."""
        standing = self._subjects.standing(session, subject_id)
        return standing is not None and not standing.erased
