"""Imported words with nothing in their way, written as fast as the database takes them.

What `Recording.append_many` writes of each, column by column the same: of people of age who never
objected and whom nobody speaks for. What such words share, the published text above all, is made once
a batch, by the same functions; a row fills in its ids, its instants and where its proof is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, cast

import sqlalchemy as sa

from policies.consent_history import Word, standing
from policies.decision import ConsentFact
from policies.vocabulary import RetentionClass
from privacy.audit.entry_form import EntryForm, gap
from privacy.audit.leaf import NONCE_BYTES
from privacy.audit.log import AuditLog
from privacy.audit.store import NewEntry
from privacy.bulk import Insert
from privacy.clock import rfc3339
from privacy.consent.imports_known import ImportedEvents, KnownRow, reason_of
from privacy.consent.model import ConsentEvent, ConsentRecorded, evidence_of, recorded
from privacy.consent.standing_store import LATEST
from privacy.consent.store import EventRow, StateRow, row_of
from privacy.ids import neighbouring_ids
from privacy.keys.sealing import Sealer
from privacy.unit_of_work import UnitOfWork

_EVENT = cast("sa.Table", EventRow.__table__)
_STATE = cast("sa.Table", StateRow.__table__)

#: What differs from row to row; the rest of an event is the kind's.
_OWN: Final = ("event_id", "subject_id", "at", "expires_at", "entry_id")
_SHARED: Final = tuple(
    column.name for column in _EVENT.columns if column.name != "ordinal" and column.name not in _OWN
)
_ADD_EVENTS: Final = Insert(_EVENT, (*_OWN, *_SHARED))
_OF_STATE: Final = tuple(name for name in LATEST if name not in _OWN)
_MOVE_STATES: Final = Insert(
    _STATE,
    ("subject_id", "purpose", "event_id", "at", "expires_at", *_OF_STATE),
    replacing=("subject_id", "purpose"),
)

Pair = tuple[str, str]
"""(subject id, purpose)."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What words share that differ in nothing but the person, the instant and the proof.

    Attributes:
        event: one of them.
        shared: the columns `_SHARED`.
        of_state: the columns `_OF_STATE`.
    """

    event: ConsentEvent
    form: EntryForm
    happened: type[ConsentRecorded]
    shared: tuple[object, ...]
    of_state: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Said:
    """One word on its way."""

    kind: _Kind
    event_id: str
    at: datetime
    expires_at: datetime | None

    def word(self, recorded_at: datetime) -> Word:
        """Return it as the fold needs it."""
        event = self.kind.event
        fact = ConsentFact(
            action=event.action,
            at=self.at,
            notice_version=event.notice_version,
            expires_at=self.expires_at,
            explicit=event.explicit,
            said_by=event.said_by,
        )
        return Word(self.event_id, fact, recorded_at)


class PlainWords:
    """Writes words with nothing in their way.

    Args:
        keep_words: keeps the published wordings, before anybody is bound to them.
        log: drafts the entries.
        sealer: has the people's keys.
    """

    def __init__(
        self, keep_words: Callable[[UnitOfWork], None], log: AuditLog, sealer: Sealer
    ) -> None:
        self._keep_words = keep_words
        self._log = log
        self._sealer = sealer

    def append_many(
        self,
        uow: UnitOfWork,
        rows: Sequence[tuple[KnownRow, str]],
        *,
        events: ImportedEvents,
        new: Collection[str],
        stood: Mapping[Pair, Word],
        import_id: str,
    ) -> None:
        """Record words in their order, in the caller's transaction.

        Args:
            uow: the caller's.
            rows: each with the person's subject id; nobody's alias, and held.
            events: makes the first event of each kind.
            new: those of the people whom this transaction made.
            stood: `standings` of the others; on no end that the clock brought.
            import_id: of the import.
        """
        if not rows:
            return
        self._keep_words(uow)
        kinds: dict[tuple[object, ...], _Kind] = {}
        said: dict[Pair, list[_Said]] = defaultdict(list)
        event_rows: list[tuple[object, ...]] = []
        drafted: list[tuple[ConsentRecorded, NewEntry]] = []
        ids = zip(
            neighbouring_ids(uow.ids, len(rows)), neighbouring_ids(uow.ids, len(rows)), strict=True
        )
        keys = self._keys(uow, {subject_id for _known, subject_id in rows}, new)
        for (known, subject_id), (event_id, entry_id) in zip(rows, ids, strict=True):
            row = known.row
            what = (row.purpose, row.action, known.shown, row.channel, row.explicit)
            kind = kinds.get(what)
            if kind is None:
                first = events.event(uow, known, event_id, subject_id, import_id)
                kind = kinds[what] = self._kind(uow, first, known.shown.text)
            word = _Said(kind, event_id, known.at, events.expires_at(known))
            happened = kind.happened(
                subject_id=subject_id,
                purpose=row.purpose,
                register_revision=kind.event.register_revision,
            )
            texts = {
                "subject_id": subject_id,
                "event_id": event_id,
                "at": rfc3339(word.at),
                "reason": reason_of(row, import_id),
            }
            if word.expires_at is not None:
                texts["expires_at"] = rfc3339(word.expires_at)
            entry = kind.form.draft(
                entry_id,
                uow.ids.random_bytes(NONCE_BYTES),
                subject_id,
                texts,
                keys[subject_id],
                self._sealer.seal_under,
            )
            drafted.append((happened, entry))
            event_rows.append(
                (event_id, subject_id, word.at, word.expires_at, entry_id, *kind.shared)
            )
            said[subject_id, row.purpose].append(word)
        uow.record_drafted(drafted)
        _ADD_EVENTS.run_values(uow.session, event_rows)
        _MOVE_STATES.run_values(uow.session, _moved(said, stood, uow.now))

    def _keys(
        self, uow: UnitOfWork, people: Collection[str], new: Collection[str]
    ) -> Mapping[str, bytes]:
        """Return the keys of people for their evidence, making those that are missing."""
        evidence = RetentionClass.CONSENT_EVIDENCE
        made = sorted(each for each in people if each in new)
        known = [each for each in people if each not in new]
        return {
            **self._sealer.make_new(uow.session, made, evidence, at=uow.now),
            **self._sealer.keys_of(uow.session, known, evidence, at=uow.now),
        }

    def _kind(self, uow: UnitOfWork, event: ConsentEvent, text: str) -> _Kind:
        """Return what all words of the kind share that a first one is of."""
        happened = recorded(event)
        evidence = evidence_of(event, text) | {
            name: gap(name) for name in ("event_id", "at", "reason")
        }
        if event.expires_at is not None:
            evidence["expires_at"] = gap("expires_at")
        columns = row_of(event)
        return _Kind(
            event=event,
            form=self._log.form(
                replace(happened, subject_id=gap("subject_id")),
                evidence,
                at=uow.now,
                actor=uow.actor.name,
            ),
            happened=type(happened),
            shared=tuple(columns[name] for name in _SHARED),
            of_state=tuple(columns[name] for name in _OF_STATE),
        )


def _moved(
    said: Mapping[Pair, Sequence[_Said]], stood: Mapping[Pair, Word], now: datetime
) -> list[tuple[object, ...]]:
    """The states that move, to what stands now."""
    rows: list[tuple[object, ...]] = []
    for pair, words in said.items():
        stands: _Said | None = words[0]
        if len(words) > 1 or pair in stood:
            folded = [each.word(now) for each in words]
            found = standing([stood[pair], *folded] if pair in stood else folded)
            stands = next(
                (each for each in words if found and each.event_id == found.event_id), None
            )
        if stands is not None:
            rows.append(
                (*pair, stands.event_id, stands.at, stands.expires_at, *stands.kind.of_state)
            )
    return rows
