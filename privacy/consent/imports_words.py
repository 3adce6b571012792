"""What the rows of an import say: events of people who are known or become it, or refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from policies.errors import DomainError
from policies.register.model import Register
from policies.vocabulary import ConsentAction, SaidBy
from privacy.consent import guardian_store, recording_store
from privacy.consent import imports_store as store
from privacy.consent.imports_model import EARLIEST_YEAR, ImportRow, RowRefused, row_from
from privacy.consent.imports_reader import Read
from privacy.consent.model import (
    Act,
    ConsentEvent,
    Shown,
    consent_purpose,
    giving,
    refusing,
    shown_once,
)
from privacy.consent.objections import ended_by_objection, objections_of_all
from privacy.ids import new_id
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.identifiers import Identifier, Identifiers
from privacy.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row with everything that can be known of it before anybody is looked for."""

    read: Read
    row: ImportRow
    shown: Shown
    validity_months: int
    identifier: Identifier | None

    @property
    def person_column(self) -> str:
        """The column that names the person."""
        return self.identifier.kind.value if self.identifier else "pseudonym"


@dataclass(slots=True)
class SaidRows:
    """What a batch says: its events, those that objections end at once with their ends.

    Attributes:
        rows: how many rows the events are of.
        repeated: how many other rows were imported before.
        rests_on: (event id, guardianship id) of what guardians said.
    """

    events: list[tuple[ConsentEvent, Shown]] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0
    rests_on: list[tuple[str, str]] = field(default_factory=list)


class ImportedWords:
    """Makes events of rows.

    Args:
        register: the register in force.
        identifiers: reads addresses and numbers.
        arrivals: finds the people behind them, and creates those nobody knew.
        pseudonyms: finds people by an application's names.
    """

    def __init__(
        self,
        register: Register,
        identifiers: Identifiers,
        arrivals: Arrivals,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._register = register
        self._identifiers = identifiers
        self._arrivals = arrivals
        self._pseudonyms = pseudonyms
        self._zone = ZoneInfo(register.controller.time_zone)

    def known(
        self, batch: Sequence[Read], now: datetime, refusals: dict[int, RowRefused]
    ) -> list[KnownRow]:
        """Return what can be known of the rows without the database; the others go to `refusals`."""
        known: list[KnownRow] = []
        for read in batch:
            try:
                known.append(self._read(read, now))
            except RowRefused as refusal:
                refusals[read.line] = refusal
        return known

    def _read(self, read: Read, now: datetime) -> KnownRow:
        if isinstance(read.cells, RowRefused):
            raise read.cells
        row = row_from(read.cells, self._zone)
        try:
            row = replace(row, at=row.at.astimezone(UTC))
        except (OverflowError, ValueError):
            raise RowRefused("at", "is no instant that can be kept") from None
        if row.at.year < EARLIEST_YEAR:
            raise RowRefused("at", f"lies before {EARLIEST_YEAR}")
        if row.at > now:
            raise RowRefused("at", "lies in the future")
        kind, name = row.name
        try:
            purpose = consent_purpose(self._register, row.purpose)
            shown = shown_once(self._register, purpose, row.notice_version, row.language)
            identifier = (
                None if kind is None else self._identifiers.read(kind, name, field=kind.value)
            )
        except DomainError as error:
            raise RowRefused(error.field or "", error.detail) from None
        is_yes = row.action is ConsentAction.GIVEN
        if is_yes and row.said_by is SaidBy.GUARDIAN and purpose.explicit and not row.explicit:
            raise RowRefused(
                "explicit", "a guardian consents to this purpose expressly or not at all"
            )
        return KnownRow(read, row, shown, purpose.validity_months, identifier)

    def said(
        self,
        uow: UnitOfWork,
        known: Sequence[KnownRow],
        domain: str,
        import_id: str,
        refusals: dict[int, RowRefused],
    ) -> SaidRows:
        """Return what the rows say of people who are known or become it."""
        people = self._people(uow, known, domain)
        held = recording_store.hold_many(uow.session, {each for each in people if each})
        before = store.imported(uow.session, held)
        objections = objections_of_all(uow.session, held)
        guarded = guardian_store.in_force_of(uow.session, held)
        said = SaidRows()
        for each, subject_id in zip(known, people, strict=True):
            row = each.row
            key = (subject_id or "", row.purpose, row.action.value, row.at)
            if key in before:
                said.repeated += 1
                continue
            if subject_id is None or subject_id not in held:
                refusals[each.read.line] = RowRefused(each.person_column, "nobody is known by it")
                continue
            until = held[subject_id].minor_until
            try:
                if row.action is ConsentAction.GIVEN:
                    _check_yes(each, held[subject_id], uow.now, guarded.get(subject_id))
            except RowRefused as refusal:
                refusals[each.read.line] = refusal
                continue
            before.add(key)
            event = self._event(uow, each, subject_id, import_id)
            if row.said_by is SaidBy.GUARDIAN:
                if until and event.expires_at:
                    event = replace(event, expires_at=min(event.expires_at, until))
                said.rests_on.extend((event.event_id, one) for one in guarded.get(subject_id, ()))
            said.rows += 1
            said.events.append((event, each.shown))
            end = ended_by_objection(
                uow, event, objections.get((subject_id, row.purpose), ()), self._register.revision
            )
            if end is not None:
                said.events.append((end, each.shown))
        return said

    def _people(self, uow: UnitOfWork, known: Sequence[KnownRow], domain: str) -> list[str | None]:
        """Return whom each row is about.

        Who is named by an address or a number becomes known, but for a child whom somebody else
        speaks for: of somebody unknown no age is known, and the row is refused.
        """
        wanted = {
            each.identifier
            for each in known
            if each.identifier is not None and each.row.said_by is not SaidBy.GUARDIAN
        }
        names = {each.row.name[1] for each in known if each.identifier is None}
        found = self._arrivals.by_many(uow, wanted) if wanted else {}
        named = self._pseudonyms.resolve_many(uow.session, domain, names) if names else {}
        return [
            found.get(each.identifier) or self._identifiers.find(uow.session, each.identifier)
            if each.identifier is not None
            else named.get(each.row.name[1])
            for each in known
        ]

    def _event(
        self, uow: UnitOfWork, known: KnownRow, subject_id: str, import_id: str
    ) -> ConsentEvent:
        row = known.row
        act = Act(
            event_id=new_id(uow.ids),
            subject_id=subject_id,
            purpose=row.purpose,
            at=row.at,
            channel=row.channel,
            recorded_by=uow.actor.name,
            register_revision=self._register.revision,
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
        guardian = f"guardian {row.guardian}" if row.guardian else ""
        told = "; ".join(filter(None, (f"import {import_id}", guardian, row.evidence)))
        return replace(event, reason=told)


def _check_yes(
    known: KnownRow,
    held: recording_store.Held,
    now: datetime,
    guardianships: Sequence[str] | None,
) -> None:
    """Refuse a consent that nobody could give for this person.

    Raises:
        RowRefused: the person has died, or was a minor and said it alone, or was none and somebody
            else said it, or has no guardian here by now.

    Source: GDPR Art. 8; LOPDGDD Art. 3, 7.
    """
    until, at = held.minor_until, known.row.at
    was_minor = until is not None and at < until
    if held.deceased:
        raise RowRefused(known.person_column, "this person has died")
    if known.row.said_by is not SaidBy.GUARDIAN:
        if was_minor:
            raise RowRefused("at", "a parent or guardian had to consent for this person")
        return
    if until is None:
        raise RowRefused("said_by", "no age of this person is known, so nobody consents for them")
    if not was_minor:
        raise RowRefused("said_by", "this person was of age then and consents alone")
    if now >= until or not guardianships:
        raise RowRefused("said_by", "no guardian of this person is noted here; note one first")
