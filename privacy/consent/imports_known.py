"""A row with everything that can be known of it before anybody is looked for, and its event."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from policies.decision import consent_expiry
from policies.vocabulary import ConsentAction, SaidBy
from privacy.consent.imports_model import ImportRow
from privacy.consent.imports_reader import Read
from privacy.consent.model import Act, ConsentEvent, Shown, giving, refusing
from privacy.subjects.identifiers import Identifier
from privacy.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row with everything that can be known of it before anybody is looked for.

    Attributes:
        at: aware UTC; when it was said.
        identifier: None: the person is named by a pseudonym.
    """

    read: Read
    row: ImportRow
    at: datetime
    shown: Shown
    validity_months: int
    identifier: Identifier | None

    @property
    def person_column(self) -> str:
        """The column that names the person."""
        return self.identifier.kind.value if self.identifier else "pseudonym"


class ImportedEvents:
    """Makes the events that rows tell of.

    Args:
        revision: digest of the register in force.
        zone: the controller's, of terms.
    """

    def __init__(self, revision: str, zone: ZoneInfo) -> None:
        self._revision = revision
        self._zone = zone
        self._expiry = lru_cache(maxsize=4096)(lambda at, months: consent_expiry(at, months, zone))

    def event(
        self, uow: UnitOfWork, known: KnownRow, event_id: str, subject_id: str, import_id: str
    ) -> ConsentEvent:
        """Return the event of a row about a person, not recorded yet."""
        row = known.row
        act = Act(
            event_id=event_id,
            subject_id=subject_id,
            purpose=row.purpose,
            at=known.at,
            channel=row.channel,
            recorded_by=uow.actor.name,
            register_revision=self._revision,
            said_by=SaidBy.GUARDIAN if row.said_by is SaidBy.GUARDIAN else SaidBy.IMPORT,
            recorded_at=uow.now,
        )
        if row.action is ConsentAction.GIVEN:
            event = giving(
                act,
                known.shown,
                validity_months=known.validity_months,
                zone=self._zone,
                explicit=row.explicit,
            )
        else:
            event = replace(refusing(act, known.shown), action=row.action)
        return replace(event, reason=reason_of(row, import_id))

    def expires_at(self, known: KnownRow) -> datetime | None:
        """Return when what a row tells of ends by the clock, as `event` has it."""
        if known.row.action is not ConsentAction.GIVEN:
            return None
        expires_at: datetime = self._expiry(known.at, known.validity_months)
        return expires_at


def reason_of(row: ImportRow, import_id: str) -> str:
    """Where a row's word is from, and where its proof is."""
    guardian = f"guardian {row.guardian}" if row.guardian else ""
    return "; ".join(filter(None, (f"import {import_id}", guardian, row.evidence)))
