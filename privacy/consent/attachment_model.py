"""Which files are taken as evidence, and what the audit log says of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from policies.errors import InvalidInput
from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

MAX_BYTES: Final = 5 * 1024 * 1024
MAX_NAME: Final = 120
EXTENSIONS: Final = {
    "application/pdf": "pdf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "text/plain": "txt",
}
#: How each kind begins. Source: ISO 32000-2 s. 7.5.2; ITU-T T.81 B.1.1.3; W3C PNG s. 5.2.
_BEGINNINGS: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came: the name that its sender gave it, and its bytes."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is known of an attached file without opening it.

    Attributes:
        digest: SHA-256 in hex of the file.
        added_at: aware UTC.
        added_by: the name of the actor who attached it.
    """

    attachment_id: str
    subject_id: str
    digest: str
    media_type: str
    size_bytes: int
    added_at: datetime
    added_by: str


def media_type_of(content: bytes) -> str:
    """The media type, told from the content alone: a name or a header proves nothing.

    Raises:
        InvalidInput: it is empty, too long, or none of the four kinds that are taken.
    """
    if not content:
        raise InvalidInput("the file is empty", field="evidence")
    if len(content) > MAX_BYTES:
        raise InvalidInput("the file is longer than 5 MB", field="evidence")
    for beginning, media_type in _BEGINNINGS:
        if content.startswith(beginning):
            return media_type
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused() from None
    if not all(character.isprintable() or character in "\r\n\t\f\ufeff" for character in text):
        raise _refused()
    return "text/plain"


def clean_name(name: str, media_type: str) -> str:
    """The file's name for a download: its last part, printable, with the ending of its kind."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in last if c.isprintable() and c not in '"<>:|?*').strip(" .")
    stem = kept.rpartition(".")[0] or kept or "evidence"
    return f"{stem[:MAX_NAME]}.{EXTENSIONS[media_type]}"


def _refused() -> InvalidInput:
    return InvalidInput("a PDF, a JPEG or PNG picture, or plain text", field="evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfAttachment(Event):
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    attachment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentAdded(_OfAttachment):
    """A file was kept as evidence; its digest is in the sealed evidence of the entry."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_ATTACHMENT_ADDED


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentRead(_OfAttachment):
    """A member of staff took a copy of a file that was kept as evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_ATTACHMENT_READ
