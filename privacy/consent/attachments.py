"""Evidence attached to somebody's word: a signed form, a letter, a note of a call.

Source: GDPR Art. 5(2), 7(1), 8(2); LOPDGDD Art. 12.1.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from sqlalchemy.orm import Session

from policies.errors import NotFound
from policies.vocabulary import RetentionClass
from privacy.clock import rfc3339
from privacy.consent import attachment_store as store
from privacy.consent.attachment_model import (
    Attachment,
    AttachmentAdded,
    AttachmentRead,
    Upload,
    clean_name,
    media_type_of,
)
from privacy.events import Json
from privacy.ids import new_id
from privacy.keys.sealing import Sealer, place
from privacy.unit_of_work import UnitOfWork

CLASS = RetentionClass.CONSENT_EVIDENCE


class Attachments:
    """The attached evidence of this deployment, sealed under each person's own key."""

    #: What this source of personal data is called in an access file.
    name = "attachments"

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def add(
        self,
        uow: UnitOfWork,
        subject_id: str,
        upload: Upload,
        *,
        about: Mapping[str, Json] | None = None,
    ) -> Attachment:
        """Keep a file as evidence about a person; joins the caller's transaction.

        Args:
            uow: the caller's unit of work.
            subject_id: the person, under whose key it is sealed.
            upload: the file.
            about: what it proves, for the sealed evidence of its entry in the log.

        Raises:
            InvalidInput: it is no file that is taken; `field` is "evidence".
        """
        media_type = media_type_of(upload.content)
        digest = hashlib.sha256(upload.content).hexdigest()
        attachment_id = new_id(uow.ids)
        entry_id = uow.record(
            AttachmentAdded(subject_id=subject_id, attachment_id=attachment_id),
            {
                **(about or {}),
                "sha256": digest,
                "media_type": media_type,
                "size_bytes": len(upload.content),
            },
        )
        name = clean_name(upload.name, media_type)
        row = store.AttachmentRow(
            attachment_id=attachment_id,
            subject_id=subject_id,
            digest=digest,
            media_type=media_type,
            size_bytes=len(upload.content),
            name_sealed=self._seal(uow, subject_id, attachment_id, "name", name.encode()),
            sealed=self._seal(uow, subject_id, attachment_id, "content", upload.content),
            added_at=uow.now,
            added_by=uow.actor.name,
            entry_id=entry_id,
        )
        uow.session.add(row)
        uow.session.flush()
        return _attachment(row)

    def take(self, uow: UnitOfWork, attachment_id: str) -> tuple[Attachment, Upload]:
        """Return a file with its name, and commit that it was taken.

        Raises:
            NotFound: there is none, or its term has ended.
        """
        row = store.row_of(uow.session, attachment_id)
        if row is None:
            raise NotFound("there is no such attachment")
        upload = self._opened(uow.session, row)
        uow.record(AttachmentRead(subject_id=row.subject_id, attachment_id=attachment_id))
        uow.commit()
        return _attachment(row), upload

    @staticmethod
    def of_person(session: Session, subject_id: str) -> list[Attachment]:
        """Return what is attached about a person, oldest first."""
        return [_attachment(row) for row in store.rows_of(session, subject_id)]

    def collect(self, session: Session, subject_id: str) -> Mapping[str, Json]:
        """Return every file with its content in base64. Source: GDPR Art. 15(1), (3)."""
        files: list[Json] = []
        for row in store.rows_of(session, subject_id):
            upload = self._opened(session, row)
            files.append(
                {
                    "name": upload.name,
                    "media_type": row.media_type,
                    "sha256": row.digest,
                    "added_at": rfc3339(row.added_at),
                    "content": base64.b64encode(upload.content).decode(),
                }
            )
        return {"files": files}

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Keep the files: they prove what was said, and end with that proof's own term.

        Source: GDPR Art. 7(1), 17(3)(e).
        """

    def _opened(self, session: Session, row: store.AttachmentRow) -> Upload:
        name = self._open(session, row, "name", row.name_sealed)
        return Upload(name.decode(), self._open(session, row, "content", row.sealed))

    def _seal(
        self, uow: UnitOfWork, subject_id: str, attachment_id: str, column: str, plain: bytes
    ) -> bytes:
        where = place("consent_attachment", column, attachment_id)
        return self._sealer.seal(uow.session, subject_id, CLASS, where, plain, at=uow.now)

    def _open(
        self, session: Session, row: store.AttachmentRow, column: str, sealed: bytes
    ) -> bytes:
        where = place("consent_attachment", column, row.attachment_id)
        return self._sealer.open(session, row.subject_id, CLASS, where, sealed)


def _attachment(row: store.AttachmentRow) -> Attachment:
    return Attachment(
        attachment_id=row.attachment_id,
        subject_id=row.subject_id,
        digest=row.digest,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        added_at=row.added_at,
        added_by=row.added_by,
    )
