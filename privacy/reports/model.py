"""What a report of consents asks for, and how its cells are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import ClassVar

from policies.vocabulary import ConsentAction, ConsentChannel, EventTag, RetentionClass
from privacy.events import Event
from privacy.spreadsheets import guard_cell

#: Spreadsheets take a CSV for the machine's own encoding unless it begins with this.
CSV_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


class ExportForm(StrEnum):
    """In which form evidence is handed out."""

    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportIssued(Event):
    """Evidence was handed out; the filters are in the sealed evidence.

    Attributes:
        form: `ExportForm`.
        count: events in it.
        sha256: of the file, hex.
    """

    tag: ClassVar[EventTag] = EventTag.AUDIT_EXPORT_ISSUED
    retention: ClassVar[RetentionClass] = RetentionClass.SECURITY_TRAIL
    form: str
    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Filters:
    """Which consent events a report shows; None asks for all.

    Attributes:
        first_day: in the controller's time zone.
        last_day: likewise, and included.
        person: subject id; random, so that an address line or a log tells nobody's name.
    """

    purpose: str | None = None
    action: ConsentAction | None = None
    channel: ConsentChannel | None = None
    first_day: date | None = None
    last_day: date | None = None
    person: str | None = None

    def to_query(self) -> dict[str, str]:
        """The filters as a query string's members, those that are set alone."""
        values = {
            "purpose": self.purpose,
            "action": self.action.value if self.action else None,
            "channel": self.channel.value if self.channel else None,
            "from": self.first_day.isoformat() if self.first_day else None,
            "to": self.last_day.isoformat() if self.last_day else None,
            "person": self.person,
        }
        return {name: value for name, value in values.items() if value}


def csv_line(cells: Sequence[str]) -> str:
    """One record, each cell guarded. Source: RFC 4180."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([guard_cell(cell) for cell in cells])
    return line.getvalue()
