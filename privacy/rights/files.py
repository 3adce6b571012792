"""The sealed part of a request: where the person is reached, what they wrote, what we answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from policies.vocabulary import RetentionClass
from privacy.clock import rfc3339
from privacy.events import Json
from privacy.keys.sealing import DEPLOYMENT, Sealer, place
from privacy.rights import store
from privacy.rights.model import Contents, Detail
from privacy.subjects.model import SubjectsMerged
from privacy.unit_of_work import UnitOfWork

CLASS = RetentionClass.RIGHTS_FILE


class Files:
    """Seals and opens request rows: under the person's key once known, else the deployment's."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def write(
        self, session: Session, row: store.RequestRow, contents: Contents, at: datetime
    ) -> None:
        """Seal all contents under the key of the row's present holder."""
        detail = contents.detail.to_json()
        row.contact_sealed = self._seal(session, row, "contact", contents.contact, at)
        row.message_sealed = self._seal(session, row, "message", contents.message or None, at)
        row.detail_sealed = self._seal(
            session, row, "detail", json.dumps(detail) if detail else None, at
        )
        row.outcome_sealed = self._seal(session, row, "outcome", contents.outcome, at)

    def read(self, session: Session, row: store.RequestRow) -> Contents:
        """Open all contents.

        Raises:
            KeyDestroyed: the person's rights file has ended.
        """
        detail = self._open(session, row, "detail", row.detail_sealed)
        return Contents(
            contact=self._open(session, row, "contact", row.contact_sealed),
            message=self._open(session, row, "message", row.message_sealed) or "",
            detail=Detail.from_json(json.loads(detail)) if detail else Detail(),
            outcome=self._open(session, row, "outcome", row.outcome_sealed),
        )

    @staticmethod
    def forget(row: store.RequestRow) -> None:
        """Delete the contents, and the way to prove the request."""
        row.contact_sealed = row.message_sealed = row.detail_sealed = row.outcome_sealed = None
        row.token_digest = row.code_digest = row.proof_expires_at = None

    def on_subjects_merged(self, uow: UnitOfWork, event: SubjectsMerged) -> None:
        """Make the alias's requests the survivor's, under the survivor's own key."""
        for row in store.rows_of_subject(uow.session, event.alias_id, lock=True):
            contents = self.read(uow.session, row)
            row.subject_id = event.subject_id
            self.write(uow.session, row, contents, uow.now)

    def _seal(
        self, session: Session, row: store.RequestRow, column: str, text: str | None, at: datetime
    ) -> bytes | None:
        if text is None:
            return None
        where = place("rights_request", column, row.request_id)
        holder = row.subject_id or DEPLOYMENT
        return self._sealer.seal(session, holder, CLASS, where, text.encode(), at=at)

    def _open(
        self, session: Session, row: store.RequestRow, column: str, sealed: bytes | None
    ) -> str | None:
        if sealed is None:
            return None
        where = place("rights_request", column, row.request_id)
        holder = row.subject_id or DEPLOYMENT
        return self._sealer.open(session, holder, CLASS, where, sealed).decode()


class RequestsSource:
    """The person's own requests, for the access right."""

    name = "rights_requests"

    def __init__(self, files: Files) -> None:
        self._files = files

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return every request of the person with what was written and answered, newest first."""
        requests: list[Json] = []
        for row in store.rows_of_subject(session, subject_id):
            contents = self._files.read(session, row)
            requests.append(
                {
                    "reference": row.reference,
                    "right": row.right,
                    "state": row.state,
                    "received_at": rfc3339(row.received_at),
                    "closed_at": rfc3339(row.closed_at) if row.closed_at else None,
                    "contact": contents.contact,
                    "message": contents.message or None,
                    "detail": contents.detail.to_json() or None,
                    "outcome": contents.outcome,
                }
            )
        return {"requests": requests}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Keep the file: the controller must prove its answers. Source: LOPDGDD Art. 12.4."""
