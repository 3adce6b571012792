"""What holds once two subjects are one person: any no prevails until the person chooses again.

Events stay where they are, under the ids and keys that they were said under; the person's history
is both. What holds is the later word of the two, unless the earlier one is a no: then the no is
said again for the survivor, as an event of its own that names the one it carries on. So the state
is always the last event, and the log alone proves it.
Source: docs/decisions/0005; GDPR Art. 7(1), 7(3), 21.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from policies.vocabulary import ConsentAction
from privacy.consent import store
from privacy.consent.model import (
    IN_FORCE,
    ConsentEvent,
    ObjectionMade,
    Shown,
)
from privacy.consent.objections import end_covered
from privacy.consent.recording import Recording
from privacy.ids import new_id
from privacy.subjects.fact_store import FactKind, note
from privacy.unit_of_work import UnitOfWork

#: The noes that somebody said. The end of one consent by the clock says nothing of another.
_PREVAILING: Final = frozenset(ConsentAction) - {
    *IN_FORCE,
    ConsentAction.REQUESTED,
    ConsentAction.EXPIRED,
}


def fold(
    uow: UnitOfWork, recording: Recording, survivor: str, alias: str, *, register_revision: str
) -> None:
    """Fold what the alias said into what holds for the survivor; joins the merge's transaction.

    Args:
        uow: the transaction of the merge, which holds both.
        recording: how events are written.
        survivor: the person's id from now on.
        alias: the other.
        register_revision: digest of the register in force, which is published.
    """
    _fold_states(uow, recording, survivor, alias, register_revision)
    _fold_objections(uow, recording, survivor, alias, register_revision)
    end_covered(
        uow,
        recording,
        survivor,
        set(store.states_of(uow.session, survivor)),
        register_revision=register_revision,
    )


def _fold_states(
    uow: UnitOfWork, recording: Recording, survivor: str, alias: str, revision: str
) -> None:
    """Let the survivor stand on the later word, and carry an earlier no on.

    Two consents: the later is what the person was shown last, and both are kept.
    """
    mine, theirs = _last_events(uow, survivor), _last_events(uow, alias)
    store.drop_states(uow.session, alias)
    carried: list[tuple[ConsentEvent, Shown]] = []
    for purpose in sorted(theirs):
        last = store.standing_event(uow.session, survivor, purpose)
        if last is None:  # pragma: no cover - the alias said something, so something stands
            continue
        store.stand_on(uow.session, survivor, last)
        if last.action in IN_FORCE:
            carried.extend(
                _carried(uow, survivor, said, said.action, revision)
                for said in (mine.get(purpose), theirs[purpose])
                if said is not None and said.action in _PREVAILING
            )
    recording.append_many(uow, carried)


def _fold_objections(
    uow: UnitOfWork, recording: Recording, survivor: str, alias: str, revision: str
) -> None:
    """Let an objection of either hold; with it a consent ends, as with every objection.

    The alias's rows stay as its entries of the log left them; nobody reads them any more.
    """
    mine = {each.purpose for each in store.objections_of(uow.session, survivor)}
    for objection in store.objections_of(uow.session, alias):
        if objection.purpose in mine:
            continue
        entry_id = uow.record(
            ObjectionMade(
                subject_id=survivor,
                purpose=objection.purpose,
                register_revision=revision,
            ),
            {"carries": objection.entry_id, "recorded_by": uow.actor.name},
        )
        uow.session.add(
            store.ObjectionRow(
                subject_id=survivor,
                purpose=objection.purpose,
                since=objection.since,
                entry_id=entry_id,
            )
        )
        uow.session.flush()
        purpose = objection.purpose
        note(uow, survivor, FactKind.OBJECTED, True, purpose=purpose, entry_id=entry_id)
        mine.add(purpose)
    last = _last_events(uow, survivor)
    ended = [last[purpose] for purpose in sorted(mine & set(last))]
    recording.append_many(
        uow,
        [
            _carried(uow, survivor, each, ConsentAction.WITHDRAWN, revision)
            for each in ended
            if each.action in IN_FORCE
        ],
    )


def _last_events(uow: UnitOfWork, subject_id: str) -> dict[str, ConsentEvent]:
    """Return the event that each purpose's state stands on."""
    states = store.states_of(uow.session, subject_id)
    found = {
        purpose: store.event_by_id(uow.session, state.event_id or "")
        for purpose, state in states.items()
    }
    return {purpose: event for purpose, event in found.items() if event is not None}


def _carried(
    uow: UnitOfWork, survivor: str, of: ConsentEvent, action: ConsentAction, revision: str
) -> tuple[ConsentEvent, Shown]:
    """An event of the survivor's that ends the purpose, in the words of an earlier one."""
    event = replace(
        of,
        event_id=new_id(uow.ids),
        subject_id=survivor,
        action=action,
        at=uow.now,
        register_revision=revision,
        expires_at=None,
        explicit=False,
        recorded_by=uow.actor.name,
        carries=of.event_id,
        recorded_at=None,
        attachment=None,
        follows=None,
        entry_id="",
        ordinal=0,
    )
    words = store.shown_in(uow.session, event.notice, event.notice_version, event.language)
    return event, words
