"""What decisions read of many people and purposes at once, in one statement.

The columns are those of `store.sighting_by`, so that a single question and many see the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from privacy.consent.model import NOBODY, Sighting, StateUnreadable
from privacy.consent.store import (
    sighting_by,
    sighting_of_pseudonym,
    to_sighting,
)
from privacy.pseudonyms.store import DomainRow, PseudonymRow
from privacy.subjects.store import SubjectRow

#: People and purposes in one statement.
CHUNK: Final = 1_000

_SUBJECT = cast("sa.Table", SubjectRow.__table__)
_PSEUDONYM = cast("sa.Table", PseudonymRow.__table__)
_DOMAIN = cast("sa.Table", DomainRow.__table__)
_NAMED = _SUBJECT.alias("named")
_CURRENT = sa.func.coalesce(_NAMED.c.merged_into, _NAMED.c.subject_id)


def _of_domain() -> sa.ScalarSelect[int]:
    return (
        sa.select(_DOMAIN.c.domain_id)
        .where(_DOMAIN.c.name == sa.bindparam("of_domain"))
        .scalar_subquery()
    )


def _many(wanted: sa.FromClause) -> sa.Select[*tuple[Any, ...]]:
    purpose: sa.ColumnElement[str] = wanted.c.purpose
    people = (
        wanted.join(
            _PSEUDONYM,
            # The domain beside the value: each pseudonym is found by its key, none is looked through.
            sa.and_(
                _PSEUDONYM.c.domain_id == wanted.c.domain_id, _PSEUDONYM.c.value == wanted.c.value
            ),
        )
        .join(_NAMED, _PSEUDONYM.c.subject_id == _NAMED.c.subject_id)
        .join(_SUBJECT, _SUBJECT.c.subject_id == _CURRENT)
    )
    return sighting_by(purpose, people).add_columns(_PSEUDONYM.c.value, purpose.label("of_purpose"))


def _wanted_sqlite() -> sa.FromClause:
    # One parameter whatever the count, so that the statement is made once.
    pairs = sa.func.json_each(sa.bindparam("of_pairs", type_=sa.Text)).table_valued(
        sa.column("value", sa.Text), name="pair"
    )
    return (
        sa.select(
            sa.func.json_extract(pairs.c.value, "$[0]", type_=sa.Text).label("value"),
            sa.func.json_extract(pairs.c.value, "$[1]", type_=sa.Text).label("purpose"),
            _of_domain().label("domain_id"),
        )
        .select_from(pairs)
        .cte("wanted")
        .prefix_with("MATERIALIZED")  # else SQLite begins with the domain, and looks through it all
    )


def _wanted_postgresql() -> sa.FromClause:
    texts = postgresql.ARRAY(sa.Text)
    pairs = (
        sa.func.unnest(
            sa.bindparam("of_values", type_=texts), sa.bindparam("of_units", type_=texts)
        )
        .table_valued(sa.column("value", sa.Text), sa.column("purpose", sa.Text), name="pair")
        .render_derived()
    )
    return sa.select(pairs.c.value, pairs.c.purpose, _of_domain().label("domain_id")).cte("wanted")


# Built once: making a statement costs more than the database needs to answer it.
_MANY_SQLITE = _many(_wanted_sqlite())
_MANY_POSTGRESQL = _many(_wanted_postgresql())


def sightings(
    session: Session, domain: str, pairs: Sequence[tuple[str, str]], at: datetime
) -> dict[tuple[str, str], Sighting | StateUnreadable]:
    """Return what is known of whom pseudonyms name, each with a purpose.

    Args:
        session: one snapshot.
        domain: the pseudonyms' domain.
        pairs: (pseudonym, unit).
        at: aware; the instant asked about.

    Returns:
        Something for each pair: `NOBODY` where the pseudonym names nobody, and the error where a
        state could not be read whole, so that the others still get their answers.
    """
    found: dict[tuple[str, str], Sighting | StateUnreadable] = dict.fromkeys(pairs, NOBODY)
    listed = list(found)
    for start in range(0, len(listed), CHUNK):
        chunk = listed[start : start + CHUNK]
        try:
            rows = _rows(session, domain, chunk, at)
        except (TypeError, ValueError, sa.exc.DBAPIError):
            # Of a row that cannot be read nobody learns whose it is: each by itself.
            found.update(_one_by_one(session, domain, chunk, at))
            continue
        for row in rows:
            found[row.value, row.of_purpose] = _read(row)
    return found


def _rows(
    session: Session, domain: str, pairs: Sequence[tuple[str, str]], at: datetime
) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    dialect = session.get_bind().dialect.name
    wanted = wanted_of(dialect, pairs) | {"of_domain": domain, "of_at": at}
    return session.execute(many(dialect), wanted).all()


def many(dialect: str) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement of many people and purposes in a dialect's own SQL."""
    return _MANY_SQLITE if dialect == "sqlite" else _MANY_POSTGRESQL


def wanted_of(dialect: str, pairs: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Return the parameters of `many` that say which people and purposes."""
    if dialect == "sqlite":
        return {"of_pairs": json.dumps(pairs)}
    values, units = zip(*pairs, strict=True)
    return {"of_values": list(values), "of_units": list(units)}


def _read(row: sa.Row[*tuple[Any, ...]]) -> Sighting | StateUnreadable:
    try:
        return to_sighting(row) or NOBODY
    except (TypeError, ValueError) as error:
        return StateUnreadable(type(error).__name__)


def _one_by_one(
    session: Session, domain: str, pairs: Sequence[tuple[str, str]], at: datetime
) -> Iterator[tuple[tuple[str, str], Sighting | StateUnreadable]]:
    for value, unit in pairs:
        try:
            found = sighting_of_pseudonym(session, domain, value, unit, at)
        except (TypeError, ValueError, sa.exc.DBAPIError) as error:
            yield (value, unit), StateUnreadable(type(error).__name__)
        else:
            yield (value, unit), found or NOBODY


def pairs_of(dialect: str) -> sa.FromClause:
    """Return, for a larger statement, the pairs that `wanted_of` gives: value, purpose, domain_id."""
    return _wanted_sqlite() if dialect == "sqlite" else _wanted_postgresql()
