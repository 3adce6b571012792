"""What the rows of an import say: events of people who are known or become it, or refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from policies.consent_history import Word
from policies.errors import DomainError
from policies.register.model import Purpose, Register
from policies.vocabulary import ConsentAction, SaidBy
from privacy.consent import guardian_store, recording_store
from privacy.consent import imports_store as store
from privacy.consent.imports_known import ImportedEvents, KnownRow
from privacy.consent.imports_model import EARLIEST_YEAR, RowRefused, row_from
from privacy.consent.imports_reader import Read
from privacy.consent.model import ConsentEvent, Shown, consent_purpose, shown_once
from privacy.consent.objections import ended_by_objection, objections_of_all
from privacy.consent.standing_store import standings
from privacy.ids import new_id
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.identifiers import Identifiers
from privacy.unit_of_work import UnitOfWork

#: Of whom nothing is noted that stands in a consent's way.
_ANYBODY: Final = recording_store.Held(minor_until=None, deceased=False)


@dataclass(slots=True)
class SaidRows:
    """What a batch says: its events, those that objections end at once with their ends.

    Attributes:
        rows: how many rows the events are of.
        repeated: how many other rows were imported before.
        rests_on: (event id, guardianship id) of what guardians said.
        plain: rows with nothing in their way, each with the person's subject id.
        new: the people whom this transaction made.
        stood: what stood of the others, by person and purpose.
    """

    events: list[tuple[ConsentEvent, Shown]] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0
    rests_on: list[tuple[str, str]] = field(default_factory=list)
    plain: list[tuple[KnownRow, str]] = field(default_factory=list)
    new: frozenset[str] = frozenset()
    stood: Mapping[tuple[str, str], Word] = field(default_factory=dict)


class ImportedWords:
    """Makes events of rows.

    Args:
        register: the register in force.
        identifiers: reads addresses and numbers.
        arrivals: finds the people behind them, and creates those nobody knew.
        pseudonyms: finds people by an application's names.
        plainly: tell rows with nothing in their way apart.
    """

    def __init__(
        self,
        register: Register,
        identifiers: Identifiers,
        arrivals: Arrivals,
        pseudonyms: Pseudonyms,
        *,
        plainly: bool,
    ) -> None:
        self._register = register
        self._identifiers = identifiers
        self._arrivals = arrivals
        self._pseudonyms = pseudonyms
        self._plainly = plainly
        self._zone = ZoneInfo(register.controller.time_zone)
        self.events = ImportedEvents(register.revision, self._zone)
        self._words = cache(self._find_words)

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
            at = row.at.astimezone(UTC)
        except (OverflowError, ValueError):
            raise RowRefused("at", "is no instant that can be kept") from None
        if at.year < EARLIEST_YEAR:
            raise RowRefused("at", f"lies before {EARLIEST_YEAR}")
        if at > now:
            raise RowRefused("at", "lies in the future")
        kind, name = row.name
        try:
            purpose, shown = self._words(row.purpose, row.notice_version, row.language)
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
        return KnownRow(read, row, at, shown, purpose.validity_months, identifier)

    def _find_words(self, purpose_id: str, version: int, language: str) -> tuple[Purpose, Shown]:
        purpose = consent_purpose(self._register, purpose_id)
        return purpose, shown_once(self._register, purpose, version, language)

    def said(
        self,
        uow: UnitOfWork,
        known: Sequence[KnownRow],
        domain: str,
        import_id: str,
        refusals: dict[int, RowRefused],
    ) -> SaidRows:
        """Return what the rows say of people who are known or become it."""
        people, new = self._people(uow, known, domain)
        named = {each for each in people if each and each not in new}
        held = recording_store.hold_many(uow.session, named)
        before = store.imported(uow.session, held)
        objections = objections_of_all(uow.session, held)
        guarded = guardian_store.in_force_of(uow.session, held)
        stood = standings(
            uow.session,
            [
                (who, each.row.purpose)
                for each, who in zip(known, people, strict=True)
                if who in held
            ],
        )
        said = SaidRows(new=new, stood=stood)
        careful = {
            *(each for each, who in held.items() if who != _ANYBODY),
            *(who for who, _purpose in objections),
            *guarded,
            *(pair[0] for pair, word in stood.items() if word.fact.action is ConsentAction.EXPIRED),
            *(
                who
                for each, who in zip(known, people, strict=True)
                if who and each.row.said_by is SaidBy.GUARDIAN
            ),
        }
        held |= dict.fromkeys(new, _ANYBODY)
        for each, subject_id in zip(known, people, strict=True):
            row = each.row
            key = (subject_id or "", row.purpose, row.action.value, each.at)
            if key in before:
                said.repeated += 1
                continue
            if subject_id is None or subject_id not in held:
                refusals[each.read.line] = RowRefused(each.person_column, "nobody is known by it")
                continue
            if self._plainly and subject_id not in careful:
                before.add(key)
                said.rows += 1
                said.plain.append((each, subject_id))
                continue
            until = held[subject_id].minor_until
            try:
                if row.action is ConsentAction.GIVEN:
                    _check_yes(each, held[subject_id], uow.now, guarded.get(subject_id))
            except RowRefused as refusal:
                refusals[each.read.line] = refusal
                continue
            before.add(key)
            event = self.events.event(uow, each, new_id(uow.ids), subject_id, import_id)
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

    def _people(
        self, uow: UnitOfWork, known: Sequence[KnownRow], domain: str
    ) -> tuple[list[str | None], frozenset[str]]:
        """Return whom each row is about, and who of them is new.

        Who is named by an address or a number becomes known, but for a child whom somebody else
        speaks for: of somebody unknown no age is known, and the row is refused.
        """
        wanted = {
            each.identifier
            for each in known
            if each.identifier is not None and each.row.said_by is not SaidBy.GUARDIAN
        }
        names = {each.row.name[1] for each in known if each.identifier is None}
        found, new = self._arrivals.by_many(uow, wanted)
        named = self._pseudonyms.resolve_many(uow.session, domain, names) if names else {}
        people = [
            found.get(each.identifier) or self._identifiers.find(uow.session, each.identifier)
            if each.identifier is not None
            else named.get(each.row.name[1])
            for each in known
        ]
        return people, new


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
    until, at = held.minor_until, known.at
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
        raise RowRefused(
            "said_by",
            "no guardian of this person is in force here, and an import notes none:"
            " note one at the desk first",
        )
