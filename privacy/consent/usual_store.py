"""What the usual words of applications read and write, many in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, Final, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from policies.vocabulary import RetentionClass
from privacy.bulk import Insert
from privacy.consent.sightings import pairs_of, wanted_of
from privacy.consent.standing_store import LATEST
from privacy.consent.store import EventRow, ObjectionRow, RegisterRevisionRow, StateRow
from privacy.consent.suppression_store import suppressed
from privacy.database import Door
from privacy.keys.store import DataKey
from privacy.prepared import Connections, Prepared, driver_of
from privacy.pseudonyms.store import PseudonymRow
from privacy.subjects.store import SubjectRow

_EVENT = cast("sa.Table", EventRow.__table__)
_STATE = cast("sa.Table", StateRow.__table__)
_OBJECTION = cast("sa.Table", ObjectionRow.__table__)
_SUBJECT = cast("sa.Table", SubjectRow.__table__)
_PSEUDONYM = cast("sa.Table", PseudonymRow.__table__)
_KEY = cast("sa.Table", DataKey.__table__)
_REVISION = cast("sa.Table", RegisterRevisionRow.__table__)

ADD_KEYS: Final = Insert(_KEY, [column.name for column in _KEY.columns])
ADD_EVENTS: Final = Insert(
    _EVENT, [column.name for column in _EVENT.columns if column.name != "ordinal"]
)
MOVE_STATES: Final = Insert(
    _STATE, ["subject_id", "purpose", *LATEST], replacing=["subject_id", "purpose"]
)


def _people(wanted: sa.FromClause) -> sa.FromClause:
    """Whom pseudonyms name by now."""
    named = _SUBJECT.alias("named")
    current = sa.func.coalesce(named.c.merged_into, named.c.subject_id)
    return (
        wanted.join(
            _PSEUDONYM,
            sa.and_(
                _PSEUDONYM.c.domain_id == wanted.c.domain_id, _PSEUDONYM.c.value == wanted.c.value
            ),
        )
        .join(named, named.c.subject_id == _PSEUDONYM.c.subject_id)
        .join(_SUBJECT, _SUBJECT.c.subject_id == current)
    )


@cache
def _found(dialect: str) -> sa.Select[*tuple[Any, ...]]:
    wanted = pairs_of(dialect)
    purpose: sa.ColumnElement[str] = wanted.c.purpose
    of_person = _SUBJECT.c.subject_id
    return (
        sa.select(
            wanted.c.value,
            purpose.label("purpose"),
            of_person,
            _SUBJECT.c.minor_until,
            _SUBJECT.c.deceased_at,
            _OBJECTION.c.since.label("objected_since"),
            suppressed(_SUBJECT, purpose).label("suppressed"),
            sa.exists()
            .where(_REVISION.c.digest == sa.bindparam("of_revision"))
            .label("is_published"),
            _KEY.c.epoch,
            _KEY.c.wrapped,
            *(_STATE.c[name] for name in LATEST),
        )
        .select_from(_people(wanted))
        .outerjoin(_STATE, sa.and_(_STATE.c.subject_id == of_person, _STATE.c.purpose == purpose))
        .outerjoin(
            _OBJECTION,
            sa.and_(_OBJECTION.c.subject_id == of_person, _OBJECTION.c.purpose == purpose),
        )
        .outerjoin(
            _KEY,
            sa.and_(
                _KEY.c.holder == of_person,
                _KEY.c.retention == RetentionClass.CONSENT_EVIDENCE.value,
            ),
        )
        .where(_SUBJECT.c.erased_at.is_(None), _SUBJECT.c.merged_into.is_(None))
    )


@cache
def _held(dialect: str) -> sa.Select[*tuple[Any, ...]]:
    """Hold people until the transaction ends, in one order, so that nobody waits in a ring.

    The rest of the transaction plans no statement anew: to plan `_found` costs ten times more than
    to answer it.
    """
    generic = sa.func.set_config(
        *map(sa.literal_column, ("'plan_cache_mode'", "'force_generic_plan'", "true"))
    )
    return (
        sa.select(_SUBJECT.c.subject_id, generic.label("generic"))
        .select_from(_people(pairs_of(dialect)))
        .order_by(_SUBJECT.c.subject_id)
        .with_for_update(of=_SUBJECT)
    )


class UsualStore:
    """Reads what usual words meet.

    Args:
        engine: of the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._dialect = engine.dialect.name
        connections = Connections(engine)
        self._found = Prepared(connections, partial(_found, self._dialect))
        # On SQLite the writing door itself lets nobody else in.
        self._held = (
            None
            if self._dialect == "sqlite"
            else Prepared(connections, partial(_held, self._dialect))
        )

    def hold(
        self, door: Door, domain: str, revision: str, pairs: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Any]:
        """Hold people until the transaction ends, and return what stands of each pair.

        Args:
            door: the writing one.
            domain: the application's.
            revision: digest of the register in force.
            pairs: (pseudonym, purpose).

        Returns:
            A row by pair, where the pseudonym names somebody who is neither erased nor an alias;
            but for whom a merge made of the people held while they were waited for.
        """
        driver, wanted = driver_of(door), wanted_of(self._dialect, pairs)
        held = None
        if self._held is not None:
            connection = cast("psycopg.Connection[Any]", driver)
            held = self._held.send(connection, of_domain=domain, **wanted)
        # A statement of its own: it sees what was committed before they were held.
        rows = self._found.rows(driver, of_domain=domain, of_revision=revision, **wanted)
        if held is not None:  # a pseudonym may lead to a survivor by now, whom nobody holds
            people = {subject_id for subject_id, _generic in held.fetchall()}
            rows = [row for row in rows if row.subject_id in people]
        return {(row.value, row.purpose): row for row in rows}
