"""What an import is: a row of consent that somebody else recorded, and why one is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import ClassVar, Final, TypeVar

from policies.register.lock import MAX_VERSION
from policies.vocabulary import ConsentAction, ConsentChannel, EventTag, RetentionClass, SaidBy
from privacy.events import Event
from privacy.keys.blind_index import IdentifierKind

T = TypeVar("T")

#: Characters of a cell that nothing else limits.
MAX_CELL: Final = 500
#: Nothing that was said before can be meant.
EARLIEST_YEAR: Final = 1900
#: What names the person, one of them in each row.
PERSON: Final = ("email", "phone", "pseudonym")
COLUMNS: Final = (
    *PERSON,
    "purpose",
    "action",
    "at",
    "notice_version",
    "language",
    "channel",
    "explicit",
    "evidence",
    "said_by",
    "guardian",
)
#: Without these no row says anything.
NEEDED: Final = ("purpose", "action", "at", "notice_version", "language")

#: What was said elsewhere; the rest of the vocabulary is our own doing.
_ACTIONS: Final = {
    each.value: each
    for each in (ConsentAction.GIVEN, ConsentAction.REFUSED, ConsentAction.WITHDRAWN)
}
_CHANNELS: Final = {each.value: each for each in ConsentChannel}
_TRUTH: Final = MappingProxyType({"": False, "false": False, "0": False, "true": True, "1": True})
#: Whose word a row may be; the person's own where it says nothing.
_SPEAKERS: Final = MappingProxyType(
    {"": SaidBy.PERSON, "person": SaidBy.PERSON, "guardian": SaidBy.GUARDIAN}
)
_VERSION: Final = re.compile(r"[0-9]{1,9}")


class RowRefused(Exception):
    """A row that is not recorded.

    Attributes:
        field: the column at fault; empty where it is the whole line.
        reason: one sentence.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One word that a person said before, as the file tells it; nothing is looked up yet.

    Attributes:
        name: a kind of identifier with an address or number, or None with a pseudonym.
        at: aware; when it was said.
        evidence: where the proof of it is, in words; may be empty, but not of a guardian's yes.
        said_by: `PERSON` or `GUARDIAN`.
        guardian: who it was; empty where it is the person's own word.
    """

    name: tuple[IdentifierKind | None, str]
    purpose: str
    action: ConsentAction
    at: datetime
    notice_version: int
    language: str
    channel: ConsentChannel
    explicit: bool
    evidence: str
    said_by: SaidBy
    guardian: str


def row_from(cells: Mapping[str, str], zone: tzinfo) -> ImportRow:
    """Return what a row's cells say; a missing column is an empty cell.

    Args:
        cells: by column.
        zone: the controller's, in which a time without one is meant.

    Raises:
        RowRefused: names the column.
    """
    told = {column: cells.get(column, "").strip() for column in COLUMNS}
    every = "".join(told.values())
    is_plain = len(every) <= MAX_CELL and "\0" not in every and every.isascii()
    for column, text in () if is_plain else told.items():
        if len(text) > MAX_CELL:
            raise RowRefused(column, f"more than {MAX_CELL} characters")
        if "\0" in text:
            raise RowRefused(column, "holds a null character")
        if not text.isascii() and text.encode(errors="ignore").decode() != text:
            raise RowRefused(column, "holds half a character")  # "\\ud800" in JSON
    for column in NEEDED:
        if not told[column]:
            raise RowRefused(column, "is missing")
    action, said_by = _one_of(told, "action", _ACTIONS), _one_of(told, "said_by", _SPEAKERS)
    _check_speaker(told, action, said_by)
    return ImportRow(
        name=_person(told),
        purpose=told["purpose"],
        action=action,
        at=_instant(told["at"], zone),
        notice_version=_version(told["notice_version"]),
        language=told["language"],
        channel=_one_of(told, "channel", _CHANNELS) if told["channel"] else ConsentChannel.IMPORT,
        explicit=_one_of(told | {"explicit": told["explicit"].lower()}, "explicit", _TRUTH),
        evidence=told["evidence"],
        said_by=said_by,
        guardian=told["guardian"],
    )


def _check_speaker(told: Mapping[str, str], action: ConsentAction, said_by: SaidBy) -> None:
    """Refuse a guardian's word without its author, and a yes of theirs without its proof.

    Source: GDPR Art. 7(1), 8(2).
    """
    if (said_by is SaidBy.GUARDIAN) is not bool(told["guardian"]):
        raise RowRefused("guardian", "a name stands here where said_by is guardian, and only there")
    if said_by is SaidBy.GUARDIAN and action is ConsentAction.GIVEN and not told["evidence"]:
        raise RowRefused("evidence", "a guardian's yes needs to say where its proof is")


def _person(told: Mapping[str, str]) -> tuple[IdentifierKind | None, str]:
    named = [column for column in PERSON if told[column]]
    if not named:
        raise RowRefused("email", "nobody is named: one of email, phone and pseudonym")
    if len(named) > 1:
        raise RowRefused(named[1], f"the person is named by {named[0]} already")
    [column] = named
    return (None if column == "pseudonym" else IdentifierKind(column)), told[column]


def _one_of(told: Mapping[str, str], column: str, values: Mapping[str, T]) -> T:
    if told[column] not in values:
        listed = ", ".join(each for each in values if each)
        raise RowRefused(column, f"is none of {listed}")
    return values[told[column]]


def _instant(text: str, zone: tzinfo) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RowRefused("at", "is no instant of ISO 8601, such as 2024-03-01T10:00:00Z") from None
    try:
        return at if at.tzinfo else at.replace(tzinfo=zone)
    except (OverflowError, ValueError):
        raise RowRefused("at", "is no instant that can be kept") from None


def _version(text: str) -> int:
    if not _VERSION.fullmatch(text) or not 1 <= int(text) <= MAX_VERSION:
        raise RowRefused("notice_version", "is no version of a notice")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutImport(Event):
    """Something about a file of consents; it concerns no single person."""

    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
    import_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportBegun(_AboutImport):
    """A file of existing consents is being read; its digest and source are in the evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_IMPORT_BEGUN


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFinished(_AboutImport):
    """It was read to its end; the counts are in the evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_IMPORT_FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportIssued(Event):
    """Consent events were exported; how many and which is in the evidence."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_EXPORT_ISSUED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
