"""Evidence attached to somebody's word: a signed form, a letter, a note of a call.

Source: GDPR Art. 5(2), 7(1), 8(2); LOPDGDD Art. 12.1.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import cast

from flask_babel import gettext
from sqlalchemy.orm import Session

from policies.errors import NotFound
from policies.vocabulary import RetentionClass, SaidBy
from privacy.clock import rfc3339
from privacy.consent import attachment_store as store
from privacy.consent import guardian_store
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
from privacy.keys.sealing import KeyDestroyed, Sealer, place
from privacy.unit_of_work import UnitOfWork

CLASS = RetentionClass.CONSENT_EVIDENCE
#: Whoever speaks for somebody else proves it with documents of their own.
OTHERS = frozenset({SaidBy.GUARDIAN, SaidBy.REPRESENTATIVE})


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is opened where it is written out: no more than one is in memory at a time."""

    read: Callable[[], Upload | None]

    def base64(self) -> str | None:
        """The content as it stands in JSON; None where its key was destroyed meanwhile."""
        upload = self.read()
        return None if upload is None else base64.b64encode(upload.content).decode()


class Attachments:
    """The attached evidence of this deployment, sealed under each person's own key.

    Args:
        sealer: seals and opens.
        snapshot: the reading door, by which a file is opened when it is handed out.
    """

    #: What this source of personal data is called in an access file.
    name = "attachments"

    def __init__(
        self, sealer: Sealer, snapshot: Callable[[], AbstractContextManager[Session]]
    ) -> None:
        self._sealer = sealer
        self._snapshot = snapshot

    def add(
        self,
        uow: UnitOfWork,
        subject_id: str,
        upload: Upload,
        *,
        about: Mapping[str, Json] | None = None,
        said_by: SaidBy = SaidBy.PERSON,
    ) -> Attachment:
        """Keep a file as evidence about a person; joins the caller's transaction.

        Args:
            uow: the caller's unit of work.
            subject_id: the person, under whose key it is sealed.
            upload: the file.
            about: what it proves, for the sealed evidence of its entry in the log.
            said_by: who brought it.

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
            said_by=said_by.value if said_by in OTHERS else None,
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
        """Return every file of the person's, and of those that others have brought that they did.

        What a guardian or a representative has shown holds their data, too: of it the person gets
        who brought what kind of file when, its digest, and why no copy. A guardian's proof stands
        whole in the guardian's own file. A file's content is a `Content`, to be written in base64.
        Source: GDPR Art. 15(1), (3), (4); recital 63.
        """
        files: list[Json] = [
            {
                "name": self._open(session, row, "name", row.name_sealed).decode(),
                **_described(row),
                "content": cast("Json", Content(partial(self._read, row.attachment_id))),
            }
            for row in self._own(session, subject_id)
        ]
        theirs: list[Json] = [
            {
                **_described(row),
                "said_by": row.said_by or SaidBy.GUARDIAN.value,
                "withheld": _withheld(),
            }
            for row in _of_others(session, subject_id)
        ]
        return {"files": files, **({"files_of_others": theirs} if theirs else {})}

    def files(self, subject_id: str) -> Iterator[tuple[str, bytes]]:
        """Yield (name, content) of every file of the person's, opening one at a time."""
        with self._snapshot() as session:
            wanted = [row.attachment_id for row in self._own(session, subject_id)]
        for attachment_id in wanted:
            upload = self._read(attachment_id)
            if upload is not None:
                yield upload.name, upload.content

    def erase(self, uow: UnitOfWork, subject_id: str) -> None:
        """Keep the files: they prove what was said, and end with that proof's own term.

        Source: GDPR Art. 7(1), 17(3)(e).
        """

    @staticmethod
    def _own(session: Session, subject_id: str) -> Iterator[store.AttachmentRow]:
        """The files about a person that no other has brought, and the proofs that they showed."""
        others = {row.attachment_id for row in _of_others(session, subject_id)}
        rows = store.rows_of(session, subject_id)
        yield from (row for row in rows if row.attachment_id not in others)
        for each in guardian_store.of_guardian(session, subject_id):
            if each.attachment is not None:
                rows = store.rows_of(session, each.child_id)
                yield from (row for row in rows if row.digest == each.attachment)

    def _read(self, attachment_id: str) -> Upload | None:
        """A file; None where it was deleted, or its key destroyed."""
        with self._snapshot() as session:
            row = store.row_of(session, attachment_id)
            try:
                return None if row is None else self._opened(session, row)
            except KeyDestroyed:
                return None

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


def _of_others(session: Session, subject_id: str) -> list[store.AttachmentRow]:
    """What a person's guardians have shown of themselves, and what others brought for the person."""
    shown = {row.attachment for row in guardian_store.of_child(session, subject_id)}
    rows = store.rows_of(session, subject_id)
    return [row for row in rows if row.said_by is not None or row.digest in shown]


def _withheld() -> str:
    return str(
        gettext(
            "No va la copia porque el documento tiene datos de quien lo trajo (RGPD, artículo 15.4)."
            " Si lo necesitas, pídenos una copia con esos datos tapados."
        )
    )


def _described(row: store.AttachmentRow) -> dict[str, Json]:
    return {
        "media_type": row.media_type,
        "sha256": row.digest,
        "added_at": rfc3339(row.added_at),
    }


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
