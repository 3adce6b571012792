"""Finding many people at once by what they are known by, and creating those whom nobody knew.

What `Subjects.by` does for one, in a few statements for a thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.vocabulary import RetentionClass
from privacy.audit.entry_form import gap
from privacy.audit.leaf import NONCE_BYTES
from privacy.audit.log import AuditLog
from privacy.bulk import Insert
from privacy.ids import neighbouring_ids
from privacy.keys.blind_index import INDEX_VERSION
from privacy.keys.sealing import Sealer, place
from privacy.subjects.identifiers import Identifier, Identifiers
from privacy.subjects.model import SubjectCreated
from privacy.subjects.store import IdentifierRow, SubjectRow
from privacy.unit_of_work import UnitOfWork

SID_BYTES: Final = 16
#: Identifiers named in one statement.
_PAGE: Final = 500

_SUBJECT = cast("sa.Table", SubjectRow.__table__)
_IDENTIFIER = cast("sa.Table", IdentifierRow.__table__)
_FIND_MANY = sa.select(
    _IDENTIFIER.c.kind, _IDENTIFIER.c.blind_index, _IDENTIFIER.c.subject_id
).where(
    _IDENTIFIER.c.kind == sa.bindparam("of_kind"),
    _IDENTIFIER.c.index_version == INDEX_VERSION,
    _IDENTIFIER.c.blind_index.in_(sa.bindparam("of_indexes", expanding=True)),
)
_ADD_SUBJECTS: Final = Insert(_SUBJECT, ("subject_id", "sid_sealed", "created_at"))
_ADD_IDENTIFIERS: Final = Insert(
    _IDENTIFIER,
    ("identifier_id", "subject_id", "kind", "index_version", "blind_index", "created_at"),
)


class Met(NamedTuple):
    """Who is found by identifiers: the subject ids, and those of them that are new."""

    people: dict[Identifier, str]
    new: frozenset[str]


class Arrivals:
    """The people of many words at once.

    Args:
        sealer: keeps the secret that their pseudonyms are computed over.
        identifiers: turns what was typed into what is stored.
        log: drafts the entries.
    """

    def __init__(self, sealer: Sealer, identifiers: Identifiers, log: AuditLog) -> None:
        self._sealer = sealer
        self._identifiers = identifiers
        self._log = log

    def by_many(self, uow: UnitOfWork, wanted: Collection[Identifier]) -> Met:
        """Return whom each identifier finds, creating a person for each that finds nobody.

        Of a new person the blind index alone is kept. Joins the caller's transaction.
        """
        indexes = {each: self._identifiers.index(each) for each in wanted}
        while True:
            found = _find(uow.session, indexes)
            missing = [each for each in indexes if each not in found]
            if not missing:
                return Met(found, frozenset())
            # In one order: two lists never wait in a ring.
            missing.sort(key=lambda each: (each.kind, indexes[each]))
            try:
                with uow.savepoint():
                    made = self._create(uow, {each: indexes[each] for each in missing})
                    return Met(found | made, frozenset(made.values()))
            except IntegrityError:  # another request created one of them at the same moment
                if found.keys() == _find(uow.session, indexes).keys():
                    raise  # it was something else, and would be again

    def _create(
        self, uow: UnitOfWork, missing: Mapping[Identifier, bytes]
    ) -> dict[Identifier, str]:
        made = dict(zip(missing, neighbouring_ids(uow.ids, len(missing)), strict=True))
        people = list(made.values())
        keys = self._sealer.make_new(uow.session, people, RetentionClass.PROFILE, at=uow.now)
        _ADD_SUBJECTS.run_values(
            uow.session,
            [
                (
                    each,
                    self._sealer.seal_under(
                        keys[each],
                        place("subject", "sid", each),
                        uow.ids.random_bytes(SID_BYTES),
                    ),
                    uow.now,
                )
                for each in people
            ],
        )
        identifier_ids = neighbouring_ids(uow.ids, len(people))
        _ADD_IDENTIFIERS.run_values(
            uow.session,
            [
                (of_it, subject_id, each.kind.value, INDEX_VERSION, missing[each], uow.now)
                for of_it, (each, subject_id) in zip(identifier_ids, made.items(), strict=True)
            ],
        )
        self._record(uow, keys)
        return made

    def _record(self, uow: UnitOfWork, keys: Mapping[str, bytes]) -> None:
        """Write the entry of each new person, with their key."""
        form = self._log.form(
            SubjectCreated(subject_id=gap("subject_id")), {}, at=uow.now, actor=uow.actor.name
        )
        seal_under = self._sealer.seal_under
        uow.record_drafted(
            [
                (
                    SubjectCreated(subject_id=subject_id),
                    form.draft(
                        entry_id,
                        uow.ids.random_bytes(NONCE_BYTES),
                        subject_id,
                        {"subject_id": subject_id},
                        key,
                        seal_under,
                    ),
                )
                for entry_id, (subject_id, key) in zip(
                    neighbouring_ids(uow.ids, len(keys)), keys.items(), strict=True
                )
            ]
        )


def _find(session: Session, indexes: Mapping[Identifier, bytes]) -> dict[Identifier, str]:
    found: dict[Identifier, str] = {}
    for kind in sorted({each.kind for each in indexes}):
        named = {index: each for each, index in indexes.items() if each.kind is kind}
        listed = sorted(named)
        for start in range(0, len(listed), _PAGE):
            page = {"of_kind": kind.value, "of_indexes": listed[start : start + _PAGE]}
            for row in session.execute(_FIND_MANY, page):
                found[named[row.blind_index]] = row.subject_id
    return found
