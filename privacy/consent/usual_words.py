"""The usual words of one application, many in one transaction.

What `ApplicationConsents.record` does for any word, for those that nothing stands in the way of: a
consent given or refused under words that count, by somebody of age who has not objected. It never
refuses: whatever is unusual is left to the ordinary way, which alone explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from policies.errors import DomainError
from policies.register.model import Purpose, Register
from policies.vocabulary import ConsentAction
from privacy.actor import Actor
from privacy.consent import recording_store, suppression_store
from privacy.consent.applications import Recorded, Word
from privacy.consent.model import (
    Act,
    ConsentEvent,
    Shown,
    consent_purpose,
    giving,
    refusing,
    shown_in_force,
    shown_once,
)
from privacy.consent.recording import Recording
from privacy.ids import new_id
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.identifiers import Identifier, Identifiers
from privacy.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class UsualWord:
    """A word with everything that can be known of it before anybody is looked for.

    Attributes:
        identifier: what finds the person, where the application has no pseudonym of theirs.
    """

    word: Word
    purpose: Purpose
    shown: Shown
    identifier: Identifier | None


class UsualWords:
    """Records the usual words; the unit of work is the caller's, who commits.

    Args:
        register: the register in force.
        recording: how events are written.
        identifiers: reads addresses and numbers.
        arrivals: finds the people behind them.
        pseudonyms: the application's names for people.
    """

    def __init__(
        self,
        register: Register,
        recording: Recording,
        identifiers: Identifiers,
        arrivals: Arrivals,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._register = register
        self._recording = recording
        self._identifiers = identifiers
        self._arrivals = arrivals
        self._pseudonyms = pseudonyms
        self._zone = ZoneInfo(register.controller.time_zone)

    def read(self, actor: Actor, word: Word) -> UsualWord | None:
        """Return a word ready to be recorded; None where it is unusual. Reads no database."""
        if word.action not in {ConsentAction.GIVEN, ConsentAction.REFUSED}:
            return None
        if word.purpose not in actor.purposes or word.notice_version is None or not word.language:
            return None
        counts = shown_in_force if word.action is ConsentAction.GIVEN else shown_once
        try:
            purpose = consent_purpose(self._register, word.purpose)
            shown = counts(self._register, purpose, word.notice_version, word.language)
            identifier = word.found_by and self._identifiers.read(*word.found_by)
        except DomainError:  # the ordinary way says so
            return None
        if purpose.double_opt_in and word.action is ConsentAction.GIVEN:
            return None  # it may have to be confirmed by mail
        return UsualWord(word, purpose, shown, identifier)

    def record(self, uow: UnitOfWork, usual: Sequence[UsualWord]) -> list[Recorded | None]:
        """Record words of one application, in order; None for each that turned out unusual."""
        people = self._people(uow, usual)
        held = recording_store.hold_many(uow.session, {each for each in people if each})
        objected = {
            *recording_store.objections_of_many(uow.session, held),
            *suppression_store.suppressed_units(
                uow.session, held if any(each.purpose.direct_marketing for each in usual) else ()
            ),
        }
        known: list[tuple[int, str]] = []
        for number, (each, subject_id) in enumerate(zip(usual, people, strict=True)):
            if subject_id is None or subject_id not in held:
                continue
            if each.word.action is ConsentAction.GIVEN and (
                (subject_id, each.purpose.id) in objected or _may_not(held[subject_id], uow.now)
            ):
                continue
            known.append((number, subject_id))
        names = self._names(uow, usual, known)
        events = self._recording.append_many(
            uow,
            [
                (self._event(uow, usual[number], subject_id), usual[number].shown)
                for number, subject_id in known
            ],
        )
        recorded: list[Recorded | None] = [None] * len(usual)
        for (number, subject_id), event in zip(known, events, strict=True):
            recorded[number] = Recorded(event, usual[number].word.pseudonym or names[subject_id])
        return recorded

    def _people(self, uow: UnitOfWork, usual: Sequence[UsualWord]) -> list[str | None]:
        """Return whom each word is about; None: nobody is known by that pseudonym."""
        named = {each.word.pseudonym for each in usual if each.word.pseudonym is not None}
        found = {each.identifier for each in usual if each.identifier is not None}
        by_name = self._pseudonyms.resolve_many(uow.session, uow.actor.domain, named)
        by_identifier = self._arrivals.by_many(uow, found) if found else {}
        return [
            by_identifier[each.identifier]
            if each.identifier is not None
            else by_name.get(each.word.pseudonym or "")
            for each in usual
        ]

    def _names(
        self, uow: UnitOfWork, usual: Sequence[UsualWord], known: Sequence[tuple[int, str]]
    ) -> dict[str, str]:
        """Return the application's names for those whom it had none for."""
        new = {subject_id for number, subject_id in known if usual[number].identifier is not None}
        return self._pseudonyms.issue_many(uow, uow.actor.domain, new) if new else {}

    def _event(self, uow: UnitOfWork, usual: UsualWord, subject_id: str) -> ConsentEvent:
        act = Act(
            event_id=new_id(uow.ids),
            subject_id=subject_id,
            purpose=usual.purpose.id,
            at=uow.now,
            channel=usual.word.channel,
            recorded_by=uow.actor.name,
            register_revision=self._register.revision,
        )
        if usual.word.action is ConsentAction.REFUSED:
            return refusing(act, usual.shown)
        return giving(
            act,
            usual.shown,
            validity_months=usual.purpose.validity_months,
            zone=self._zone,
            explicit=usual.word.explicit,
        )


def _may_not(held: recording_store.Held, at: datetime) -> bool:
    """Whether the person is too young to consent, or has died: the ordinary way says so."""
    return held.deceased or (held.minor_until is not None and held.minor_until > at)
