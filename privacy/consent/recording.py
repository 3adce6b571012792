"""The one way in which consent events are written: of one request, of several, of a whole file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from policies.consent_history import Word, standing
from privacy.consent import recording_store, store
from privacy.consent.model import ConsentEvent, Shown, evidence_of, recorded, said_live
from privacy.unit_of_work import UnitOfWork


class Recording:
    """Appends events with their audit entries and moves the states that they are stronger than.

    Args:
        keep_words: keeps the published wordings, before anybody is bound to them.
    """

    def __init__(self, keep_words: Callable[[UnitOfWork], None]) -> None:
        self._keep_words = keep_words

    def append_many(
        self, uow: UnitOfWork, said: Sequence[tuple[ConsentEvent, Shown]]
    ) -> list[ConsentEvent]:
        """Record events in their order, in the caller's transaction, which holds the people.

        The work is by statement, not by event: a thousand cost a few dozen statements.

        Args:
            uow: the caller's.
            said: each event with the exact words that it is pinned to.

        Returns:
            The events with their entries of the log and their ordinals.
        """
        if not said:
            return []
        self._keep_words(uow)
        pairs = [(event.subject_id, event.purpose) for event, _words in said]
        stood = store.standings(uow.session, pairs)
        live = _live([event for event, _words in said], stood, uow.now)
        entry_ids = uow.record_many(
            [
                (recorded(event), evidence_of(event, words.text))
                for event, (_event, words) in zip(live, said, strict=True)
            ]
        )
        events = [
            replace(event, entry_id=entry_id)
            for event, entry_id in zip(live, entry_ids, strict=True)
        ]
        ordinals = recording_store.append_many(uow.session, events, stood)
        return [
            replace(event, ordinal=ordinal) for event, ordinal in zip(events, ordinals, strict=True)
        ]


def _live(
    events: Sequence[ConsentEvent], stood: Mapping[tuple[str, str], Word], now: datetime
) -> list[ConsentEvent]:
    """Return the events as they are recorded now, each after those before it."""
    last, live = dict(stood), []
    for event in events:
        pair = (event.subject_id, event.purpose)
        said = said_live(event, last.get(pair), now)
        words = [store.to_word(said), *([last[pair]] if pair in last else ())]
        if (stands := standing(words)) is not None:
            last[pair] = stands
        live.append(said)
    return live
