"""What happened at an account's doors, newest first, read from the person's security trail.

The log is the source, so that what staff did stands there too, and nothing can be left out.
Source: GDPR Art. 15(1); OWASP ASVS 5.0 16.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from identity.risk.places import Places
from policies.risk import Outcome, Signal
from policies.vocabulary import EventTag, RetentionClass
from privacy.audit import store as audit_store
from privacy.audit.leaf import parse_leaf
from privacy.audit.log import AuditLog
from privacy.events import Json
from privacy.keys.sealing import KeyDestroyed

#: Actors that are nobody of the company's; whoever acts at their own account is none either.
_NOT_STAFF: Final = frozenset({"person", "anonymous", "system", "application"})


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the person's activity.

    Attributes:
        tag: which event.
        at: when.
        by_staff: somebody of the company did it.
        device: browser and system; empty where the event has none.
        network: truncated; empty likewise.
        country: ISO 3166-1 alpha-2 of the network, or None.
        factor: of a failed try, what was wrong; else empty.
        outcome: of an assessment, whether one more step was asked for; else None.
        signals: of an assessment, why.
    """

    tag: str
    at: datetime
    by_staff: bool = False
    device: str = ""
    network: str = ""
    country: str | None = None
    factor: str = ""
    outcome: Outcome | None = None
    signals: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of activity: its lines, its number from 1 on, and how many there are."""

    lines: tuple[Happening, ...]
    number: int
    pages: int


class Activity:
    """Reads a person's security trail.

    Args:
        log: opens its payloads.
        places: where a network is.
        shown: tags of the events that there are words for.
    """

    def __init__(self, log: AuditLog, places: Places, shown: frozenset[str]) -> None:
        self._log = log
        self._places = places
        self._shown = shown

    def page(self, session: Session, subject_id: str, *, number: int, size: int) -> Page:
        """Return one page of what happened; the nearest where there is no such page.

        Assessments that asked for nothing are left out: the sign-in itself says it all.

        Args:
            session: a snapshot.
            subject_id: the person.
            number: of the page, from 1 on.
            size: lines on a page.
        """
        try:
            found = self._newest_first(session, subject_id)
            pages = max(-(-len(found) // size), 1)
            number = min(max(number, 1), pages)
            lines = [
                self._happening(session, tag, payload)
                for tag, payload in found[(number - 1) * size : number * size]
            ]
        except KeyDestroyed:  # the trail has ended, and nothing of it can be read
            return Page((), 1, 1)
        return Page(tuple(lines), number, pages)

    def _newest_first(
        self, session: Session, subject_id: str
    ) -> list[tuple[str, audit_store.Payload]]:
        """Return tag and payload of each line; only assessments are opened for it."""
        found = []
        for payload, leaf in session.execute(_TRAIL, {"holder": subject_id}):
            tag = parse_leaf(leaf).type
            if tag in self._shown and (
                tag != EventTag.RISK_SIGN_IN_ASSESSED
                or self._happening(session, tag, payload).outcome is Outcome.CHALLENGE
            ):
                found.append((tag, payload))
        return found

    def _happening(self, session: Session, tag: str, payload: audit_store.Payload) -> Happening:
        content = self._log.disclose(session, payload).payload
        event, evidence = content["event"], content["evidence"]
        said: dict[str, Json] = {}
        for part in (event, evidence):
            if isinstance(part, dict):
                said |= part
        network = _text(said, "network")
        assessed = tag == EventTag.RISK_SIGN_IN_ASSESSED
        signals = said.get("signals")
        kind, _, actor_id = str(content["actor"]).partition(":")
        return Happening(
            tag=tag,
            at=datetime.fromisoformat(str(content["at"])),
            by_staff=kind not in _NOT_STAFF and actor_id != said.get("account_id"),
            device=_text(said, "device") or _text(said, "user_agent"),
            network=network,
            country=self._places.country(network.partition("/")[0]),
            factor=_text(said, "factor"),
            outcome=Outcome(_text(said, "outcome")) if assessed else None,
            signals=tuple(
                signal for signal in Signal if isinstance(signals, list) and signal.value in signals
            ),
        )


#: Payload and leaf of each entry of a person's security trail, the newest first: what has no
#: place yet came last.
_TRAIL: Final = (
    sa.select(audit_store.Payload, audit_store.Entry.leaf)
    .join(audit_store.Entry, audit_store.Entry.entry_id == audit_store.Payload.entry_id)
    .outerjoin(audit_store.Leaf, audit_store.Leaf.entry_id == audit_store.Payload.entry_id)
    .outerjoin(audit_store.Pending, audit_store.Pending.entry_id == audit_store.Payload.entry_id)
    .where(
        audit_store.Payload.holder == sa.bindparam("holder"),
        audit_store.Payload.retention == RetentionClass.SECURITY_TRAIL.value,
    )
    .order_by(
        audit_store.Pending.ordinal.is_(None),
        audit_store.Pending.ordinal.desc(),
        audit_store.Leaf.leaf_index.desc(),
    )
)


def _text(said: Mapping[str, Json], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
