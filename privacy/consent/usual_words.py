"""The usual words of one application, many in one transaction.

What `ApplicationConsents.record` does for any word, for those that nothing stands in the way of: a
consent given or refused under words that count, by somebody of age whom the application knows and who
has not objected. It never refuses: whatever is unusual is left to the ordinary way, which alone
explains.

One statement reads what all of them meet, and each table is written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from policies.consent_history import standing
from policies.errors import DomainError
from policies.register.model import Purpose, Register
from policies.vocabulary import ConsentAction
from privacy.actor import Actor
from privacy.audit.log import AuditLog
from privacy.audit.store import NewEntry
from privacy.bulk import at_once
from privacy.consent import usual_store
from privacy.consent.applications import Recorded, Word
from privacy.consent.model import (
    Act,
    ConsentEvent,
    ConsentRecorded,
    Shown,
    consent_purpose,
    evidence_of,
    giving,
    recorded,
    refusing,
    said_live,
    shown_in_force,
    shown_once,
)
from privacy.consent.standing_store import word_of
from privacy.consent.store import row_of, to_word
from privacy.consent.usual_store import UsualStore
from privacy.ids import new_ordered_id
from privacy.keys.sealing import KeyRow, Sealer
from privacy.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class UsualWord:
    """A word with everything that can be known of it before anybody is looked for.

    Attributes:
        pseudonym: the application's name for the person.
    """

    word: Word
    pseudonym: str
    purpose: Purpose
    shown: Shown


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is about to be written of one word.

    Attributes:
        event: with the id of its entry.
        moves: the person's state is what was said here.
    """

    event: ConsentEvent
    happened: ConsentRecorded
    entry: NewEntry
    moves: bool


class UsualWords:
    """Records the usual words; the unit of work is the caller's, who commits.

    Args:
        register: the register in force.
        rows: what is read and written.
        log: drafts the entries.
        sealer: knows the people's keys.
    """

    def __init__(self, register: Register, rows: UsualStore, log: AuditLog, sealer: Sealer) -> None:
        self._register = register
        self._rows = rows
        self._log = log
        self._sealer = sealer
        self._zone = ZoneInfo(register.controller.time_zone)

    def read(self, actor: Actor, word: Word) -> UsualWord | None:
        """Return a word ready to be recorded; None where it is unusual. Reads no database."""
        if word.action not in {ConsentAction.GIVEN, ConsentAction.REFUSED}:
            return None
        if word.pseudonym is None or word.purpose not in actor.purposes:
            return None
        if actor.subject_id is not None:
            return None  # of that person alone
        if word.notice_version is None or not word.language:
            return None
        counts = shown_in_force if word.action is ConsentAction.GIVEN else shown_once
        try:
            purpose = consent_purpose(self._register, word.purpose)
            shown = counts(self._register, purpose, word.notice_version, word.language)
        except DomainError:  # the ordinary way says so
            return None
        if purpose.double_opt_in and word.action is ConsentAction.GIVEN:
            return None  # it is confirmed by mail
        return UsualWord(word, word.pseudonym, purpose, shown)

    def record(self, uow: UnitOfWork, usual: Sequence[UsualWord]) -> list[Recorded | None]:
        """Record words of one application, in order; None for each that turned out unusual."""
        pairs = list(dict.fromkeys((each.pseudonym, each.purpose.id) for each in usual))
        spoken: set[tuple[str, str]] = set()  # (person, purpose)
        new_keys: dict[str, tuple[bytes, KeyRow]] = {}
        drafts: dict[int, _Draft] = {}
        with at_once(uow.door):  # what is found is waited for, and nothing else
            found = self._rows.hold(uow.door, uow.actor.domain, self._register.revision, pairs)
            for each in usual:
                row = found.get((each.pseudonym, each.purpose.id))
                # Who was merged has several pseudonyms: of two words the later rests on the other.
                if row is None or (row.subject_id, row.purpose) in spoken:
                    continue
                spoken.add((row.subject_id, row.purpose))
                draft = self._draft(uow, each, row, new_keys)
                if draft is not None:
                    drafts[id(each)] = draft
            written = [drafts[id(each)] for each in usual if id(each) in drafts]
            rows = [row_of(each.event) for each in written]
            usual_store.ADD_KEYS.run(uow.door, [row for _key, row in new_keys.values()])
            uow.record_drafted([(each.happened, each.entry) for each in written])
            usual_store.ADD_EVENTS.run(uow.door, rows)
            usual_store.MOVE_STATES.run(
                uow.door,
                [row for each, row in zip(written, rows, strict=True) if each.moves],
            )
        return [
            Recorded(drafts[id(each)].event, each.pseudonym) if id(each) in drafts else None
            for each in usual
        ]

    def _draft(
        self,
        uow: UnitOfWork,
        usual: UsualWord,
        found: Any,  # noqa: ANN401 - a row of `UsualStore`
        new_keys: dict[str, tuple[bytes, KeyRow]],
    ) -> _Draft | None:
        if not found.is_published:
            return None
        if usual.word.action is ConsentAction.GIVEN and _something_is_in_the_way(found, uow.now):
            return None
        stood = word_of(found) if found.event_id is not None else None
        if stood is not None and stood.fact.action is ConsentAction.EXPIRED:
            return None  # what stands then is found in the whole history
        event = said_live(self._event(uow, usual, found.subject_id), stood, uow.now)
        happened = recorded(event)
        holder, retention = event.subject_id, happened.retention
        if found.wrapped is not None:
            key = self._sealer.unwrap(holder, retention.value, found.epoch, found.wrapped)
        else:
            if holder not in new_keys:
                new_keys[holder] = self._sealer.new_key(holder, retention, at=uow.now)
            key = new_keys[holder][0]
        entry = self._log.draft(
            happened,
            evidence_of(event, usual.shown.text),
            lambda where, plain: self._sealer.seal_under(key, where, plain),
            at=uow.now,
            actor=uow.actor.name,
            ids=uow.ids,
        )
        event = replace(event, entry_id=entry.entry_id)
        said = to_word(event)
        stands = standing([said] if stood is None else [stood, said])
        return _Draft(event, happened, entry, moves=stands is said)

    def _event(self, uow: UnitOfWork, usual: UsualWord, subject_id: str) -> ConsentEvent:
        act = Act(
            event_id=new_ordered_id(uow.ids, uow.now),
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


def _something_is_in_the_way(found: Any, at: datetime) -> bool:  # noqa: ANN401 - as above
    """Whether a consent has to be looked at closely: the ordinary way does.

    The person objected, and takes it back by this; is too young to consent; or has died.
    """
    return (
        found.objected_since is not None
        or bool(found.suppressed)
        or found.deceased_at is not None
        or (found.minor_until is not None and found.minor_until > at)
    )
