"""Finding many people at once by what they are known by, and creating those whom nobody knew.

What `Subjects.by` does for one, in a few statements for a thousand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from policies.vocabulary import RetentionClass
from privacy.ids import new_id
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
_ADD_SUBJECTS = sa.insert(_SUBJECT)
_ADD_IDENTIFIERS = sa.insert(_IDENTIFIER)


class Arrivals:
    """The people of many words at once.

    Args:
        sealer: keeps the secret that their pseudonyms are computed over.
        identifiers: turns what was typed into what is stored.
    """

    def __init__(self, sealer: Sealer, identifiers: Identifiers) -> None:
        self._sealer = sealer
        self._identifiers = identifiers

    def by_many(self, uow: UnitOfWork, wanted: Collection[Identifier]) -> dict[Identifier, str]:
        """Return whom each identifier finds, creating a person for each that finds nobody.

        Of a new person the blind index alone is kept. Joins the caller's transaction.
        """
        indexes = {each: self._identifiers.index(each) for each in wanted}
        while True:
            found = _find(uow.session, indexes)
            missing = [each for each in indexes if each not in found]
            if not missing:
                return found
            # In one order: two lists never wait in a ring.
            missing.sort(key=lambda each: (each.kind, indexes[each]))
            try:
                with uow.savepoint():
                    return found | self._create(uow, {each: indexes[each] for each in missing})
            except IntegrityError:  # another request created one of them at the same moment
                if found.keys() == _find(uow.session, indexes).keys():
                    raise  # it was something else, and would be again

    def _create(
        self, uow: UnitOfWork, missing: Mapping[Identifier, bytes]
    ) -> dict[Identifier, str]:
        made = {each: new_id(uow.ids) for each in missing}
        self._sealer.make_ready(
            uow.session, list(made.values()), RetentionClass.PROFILE, at=uow.now
        )
        uow.session.execute(
            _ADD_SUBJECTS,
            [
                {
                    "subject_id": subject_id,
                    "sid_sealed": self._sealer.seal(
                        uow.session,
                        subject_id,
                        RetentionClass.PROFILE,
                        place("subject", "sid", subject_id),
                        uow.ids.random_bytes(SID_BYTES),
                        at=uow.now,
                    ),
                    "created_at": uow.now,
                }
                for subject_id in made.values()
            ],
        )
        uow.session.execute(
            _ADD_IDENTIFIERS,
            [
                {
                    "identifier_id": new_id(uow.ids),
                    "subject_id": subject_id,
                    "kind": each.kind.value,
                    "index_version": INDEX_VERSION,
                    "blind_index": missing[each],
                    "sealed": None,
                    "created_at": uow.now,
                }
                for each, subject_id in made.items()
            ],
        )
        uow.record_many([(SubjectCreated(subject_id=each), {}) for each in made.values()])
        return made


def _find(session: Session, indexes: Mapping[Identifier, bytes]) -> dict[Identifier, str]:
    found: dict[Identifier, str] = {}
    for kind in sorted({each.kind for each in indexes}):
        named = {index: each for each, index in indexes.items() if each.kind is kind}
        listed = list(named)
        for start in range(0, len(listed), _PAGE):
            page = {"of_kind": kind.value, "of_indexes": listed[start : start + _PAGE]}
            for row in session.execute(_FIND_MANY, page):
                found[named[row.blind_index]] = row.subject_id
    return found
