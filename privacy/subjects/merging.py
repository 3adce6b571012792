"""Two subjects turn out to be one person: the account's survives, the other becomes its alias.

A merge is announced by `SubjectsMerged`, and each capability above folds its own rows in the same
transaction. What the alias said stays where it was, under its own id and keys; only what finds a
person, and what holds now, moves. A merge is never taken back. Source: docs/decisions/0005.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from policies.vocabulary import RetentionClass
from privacy.keys.sealing import Sealer, place
from privacy.subjects import store
from privacy.subjects.fact_store import FactKind, note
from privacy.subjects.identifiers import Identifiers
from privacy.subjects.model import SubjectsMerged, UnknownSubject
from privacy.unit_of_work import UnitOfWork

PROFILE = RetentionClass.PROFILE


class Merging:
    """Merges subjects."""

    def __init__(self, sealer: Sealer, identifiers: Identifiers) -> None:
        self._sealer = sealer
        self._identifiers = identifiers

    def merge(self, uow: UnitOfWork, survivor: str, other: str) -> None:
        """Make `other` an alias of `survivor`; joins the caller's transaction.

        Both are held until the commit, so that nobody's word is recorded beside it. Identifiers
        and missing profile fields move, a restriction or a block of either holds for both, and
        the later coming of age.

        Raises:
            UnknownSubject: one of them is not there, was erased, or is an alias already.
            ValueError: they are one.
        """
        if survivor == other:
            raise ValueError("a person is not merged with themselves")
        held = [store.hold(uow.session, each) for each in sorted((survivor, other))]
        if not all(held):
            raise UnknownSubject("there is no such person")
        kept = uow.session.get_one(store.SubjectRow, survivor, populate_existing=True)
        gone = uow.session.get_one(store.SubjectRow, other, populate_existing=True)
        note_inherited(uow, kept, gone)
        kept.restricted_at = _earlier(kept.restricted_at, gone.restricted_at)
        if gone.restricted_at is not None:
            kept.lift_told_at = None  # whoever was told, was told of one of the two
        kept.blocked_at = _earlier(kept.blocked_at, gone.blocked_at)
        kept.deceased_at = _earlier(kept.deceased_at, gone.deceased_at)
        kept.minor_until = max(_there(kept.minor_until, gone.minor_until), default=None)
        self._identifiers.move(uow, source=other, target=survivor)
        self._move_attributes(uow, source=other, target=survivor)
        for alias in (gone, *store.aliases_of(uow.session, other)):
            alias.merged_into = survivor
            note(uow, alias.subject_id, FactKind.MERGED, True, into=survivor)
        gone.merged_at = uow.now
        uow.session.flush()
        uow.record(SubjectsMerged(subject_id=survivor, alias_id=other))

    def _move_attributes(self, uow: UnitOfWork, *, source: str, target: str) -> None:
        """Hand over the fields that the target has not; of the others the account's own hold."""
        known = {row.name for row in store.attributes_of(uow.session, target)}
        for row in store.attributes_of(uow.session, source):
            if row.name not in known:
                where = place("subject_attribute", row.name, source)
                plain = self._sealer.open(uow.session, source, PROFILE, where, row.sealed)
                where = place("subject_attribute", row.name, target)
                sealed = self._sealer.seal(uow.session, target, PROFILE, where, plain, at=uow.now)
                moved = store.AttributeRow(subject_id=target, name=row.name, sealed=sealed)
                moved.changed_at = row.changed_at
                uow.session.add(moved)
            uow.session.delete(row)
        uow.session.flush()


def note_inherited(uow: UnitOfWork, kept: store.SubjectRow, gone: store.SubjectRow) -> None:
    """Note what holds of the survivor from the merge on because it held of the other."""
    for kind, mine, theirs in (
        (FactKind.RESTRICTED, kept.restricted_at, gone.restricted_at),
        (FactKind.BLOCKED, kept.blocked_at, gone.blocked_at),
        (FactKind.DECEASED, kept.deceased_at, gone.deceased_at),
    ):
        if mine is None and theirs is not None:
            note(uow, kept.subject_id, kind, True)
    until = max(_there(kept.minor_until, gone.minor_until), default=None)
    if until != kept.minor_until:
        note(uow, kept.subject_id, FactKind.MINOR, True, value_at=until)


def _there(*moments: datetime | None) -> Iterable[datetime]:
    return [moment for moment in moments if moment is not None]


def _earlier(*moments: datetime | None) -> datetime | None:
    return min(_there(*moments), default=None)
