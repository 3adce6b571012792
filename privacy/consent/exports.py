"""Exporting every consent event, in the order in which they were recorded, a page at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from io import StringIO
from typing import Final

from privacy.actor import SYSTEM
from privacy.clock import rfc3339
from privacy.consent import store
from privacy.consent.imports_model import ExportIssued
from privacy.consent.imports_reader import Format
from privacy.spreadsheets import guard_cell
from privacy.unit_of_work import Runtime

PAGE: Final = 1_000
MEMBERS: Final = (
    "event_id",
    "subject_id",
    "purpose",
    "action",
    "at",
    "recorded_at",
    "said_by",
    "notice",
    "notice_version",
    "notice_digest",
    "language",
    "channel",
    "explicit",
    "expires_at",
    "recorded_by",
    "register_revision",
    "carries",
    "follows",
    "attachment",
    "entry_id",
)


class ConsentExports:
    """Takes all evidence of consent out."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def lines(self, format: Format, since: datetime | None) -> Iterator[str]:  # noqa: A002 - its name
        """Yield the lines of the export, the header of a CSV first; recorded before the first.

        Args:
            format: of the lines.
            since: aware; what was written down from this instant on, whenever it was said, so that
                one export goes on where another ended. None: all.
        """
        wanted = store.EventFilter(recorded_since=since)
        with self._runtime.unit_of_work(SYSTEM) as uow:
            count = store.count_events(uow.session, wanted)
            uow.record(
                ExportIssued(),
                {
                    "format": format.value,
                    "since": rfc3339(since) if since else None,
                    "events": count,
                },
            )
            uow.commit()
        if format is Format.CSV:
            yield _csv(MEMBERS)
        after: int | None = None
        with self._runtime.snapshot() as session:
            while page := store.select_events(session, wanted, after_ordinal=after, limit=PAGE):
                for event in page:
                    told = {name: _told(getattr(event, name)) for name in MEMBERS}
                    if format is Format.CSV:
                        yield _csv(tuple("" if v is None else v for v in told.values()))
                    else:
                        yield json.dumps(told, ensure_ascii=False) + "\n"
                after = page[-1].ordinal
                session.expunge_all()  # or the whole table would be kept in memory


def _told(value: object) -> str | int | bool | None:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(type(value).__name__)


def _csv(cells: tuple[str | int, ...]) -> str:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(map(_cell, cells))
    return text.getvalue()


def _cell(told: str | int) -> str | int:
    if isinstance(told, bool):
        return "true" if told else "false"
    return guard_cell(told) if isinstance(told, str) else told
