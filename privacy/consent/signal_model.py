"""What Global Privacy Control is, and what the audit log says of it. Pure.

Source: W3C Global Privacy Control (draft), s. 3.2; GDPR Art. 21(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar, Final

from policies.vocabulary import EventTag, RetentionClass
from privacy.events import Event

#: Our own pages as a source of signals; no client id has this form.
PORTAL: Final = "portal"
#: Since when the signal is honoured here as it is. Source: W3C GPC s. 4 (`lastUpdate`).
HONOURED_SINCE: Final = date(2026, 11, 22)
#: So long after an application told the signal it may tell its end, where that changes nothing.
HELD_FOR: Final = timedelta(hours=1)


def is_signal(header: str | None) -> bool:
    """Whether a `Sec-GPC` header carries the signal: its exact value is `1`, nothing else."""
    return header == "1"


@dataclass(frozen=True, slots=True)
class Signal:
    """What a source said last of a person; `since` is aware UTC."""

    source: str
    on: bool
    since: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What a signal did.

    Attributes:
        changed: whether it was another than before; nothing is written otherwise.
        objected: the units to which the person objects by it from now on.
    """

    changed: bool
    objected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalChanged(Event):
    """A person's browser began to send Global Privacy Control, or stopped sending it."""

    tag: ClassVar[EventTag] = EventTag.CONSENT_SIGNAL_CHANGED
    retention: ClassVar[RetentionClass] = RetentionClass.CONSENT_EVIDENCE
