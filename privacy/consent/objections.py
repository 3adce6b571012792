"""What an objection ended stays ended: lifting it brings no consent back, whenever that one arrives.

Source: GDPR Art. 21; LOPDGDD Art. 23(4).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from policies.consent_history import Objected, objected_over
from policies.vocabulary import ConsentAction, SaidBy
from privacy.consent import store
from privacy.consent.model import ConsentEvent, Shown
from privacy.consent.recording import Recording
from privacy.ids import new_id
from privacy.subjects.fact_store import FactKind, FactRow
from privacy.subjects.store import SubjectRow
from privacy.unit_of_work import UnitOfWork

Pair = tuple[str, str]
"""(subject id, purpose)."""

_PAGE: Final = 500
REASON: Final = "an objection ended it"


def objections_of_all(
    session: Session, subject_ids: Collection[str]
) -> dict[Pair, tuple[Objected, ...]]:
    """Return every objection of these people, those that are over as well; two statements a page.

    What an alias objected to counts as the person's; where it was in force at the merge, it goes
    on under the person's own id.
    """
    found: dict[Pair, list[Objected]] = defaultdict(list)
    since: dict[Pair, Objected] = {}
    listed = sorted(subject_ids)
    for start in range(0, len(listed), _PAGE):
        some = listed[start : start + _PAGE]
        query = (
            sa.select(FactRow, SubjectRow.merged_into)
            .join(SubjectRow, SubjectRow.subject_id == FactRow.subject_id)
            .where(
                FactRow.kind == FactKind.OBJECTED.value,
                sa.or_(SubjectRow.subject_id.in_(some), SubjectRow.merged_into.in_(some)),
            )
            .order_by(FactRow.ordinal)
        )
        for row, merged_into in session.execute(query):
            unit = row.purpose or ""
            own = (row.subject_id, unit)
            if row.on:
                since[own] = Objected(row.value_at or row.at)
            elif (begun := since.pop(own, None)) is not None:
                ended = replace(begun, until=row.value_at or row.at)
                found[merged_into or row.subject_id, unit].append(ended)
        in_force = sa.select(store.ObjectionRow).where(store.ObjectionRow.subject_id.in_(some))
        for held in session.scalars(in_force):
            found[held.subject_id, held.purpose].append(Objected(held.since))
    return {pair: tuple(each) for pair, each in found.items()}


def ended_by_objection(
    uow: UnitOfWork, given: ConsentEvent, objections: Sequence[Objected], revision: str
) -> ConsentEvent | None:
    """The end of a consent that an objection covers, in the words it was given under; or None.

    Args:
        uow: whose actor writes it down, now.
        given: the consent, recorded or about to be.
        objections: the person's to the purpose.
        revision: digest of the register in force.
    """
    since = objected_over(store.to_word(given), objections)
    if since is None:
        return None
    return replace(
        given,
        event_id=new_id(uow.ids),
        action=ConsentAction.WITHDRAWN,
        at=since,
        recorded_at=uow.now,
        register_revision=revision,
        expires_at=None,
        explicit=False,
        recorded_by=uow.actor.name,
        carries=None,
        said_by=SaidBy.PERSON,
        attachment=None,
        follows=given.event_id,
        entry_id="",
        ordinal=0,
        reason=REASON,
    )


def end_covered(
    uow: UnitOfWork,
    recording: Recording,
    subject_id: str,
    purposes: Collection[str],
    *,
    register_revision: str,
) -> None:
    """End the consents of a person, held, that stand and that an objection of theirs covers.

    Args:
        uow: the caller's transaction.
        recording: how events are written.
        subject_id: the person, no alias.
        purposes: the units to look at.
        register_revision: digest of the register in force, which is published.
    """
    objections = objections_of_all(uow.session, [subject_id])
    said: list[tuple[ConsentEvent, Shown]] = []
    for purpose in sorted(purposes):
        of_it = objections.get((subject_id, purpose))
        given = store.standing_event(uow.session, subject_id, purpose) if of_it else None
        if given is None or not of_it:
            continue
        end = ended_by_objection(uow, given, of_it, register_revision)
        if end is not None:
            words = store.shown_in(uow.session, end.notice, end.notice_version, end.language)
            said.append((replace(end, subject_id=subject_id), words))
    recording.append_many(uow, said)
