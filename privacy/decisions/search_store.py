"""What a search for people reads: a stretch of a domain, and in it those who are alike together.

Nearly everybody is plain: nothing is noted of them, they object to nothing and are on no list, so that
their own last word decides alone. Plain people whose words differ in nothing that a decision reads are
one row, with their pseudonyms in one string: the database hands over a few rows however many there are.
Of everybody else it tells the pseudonyms alone, and they are read as a question about one is.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import Alias

from privacy.consent.event_store import INDEX_OF_GIVEN, IS_GIVEN, ObjectionRow, StateRow
from privacy.consent.model import TYPED_BY_THE_PERSON
from privacy.consent.suppression_store import (
    ExclusionRow,
    SuppressionRow,
    excluded,
    suppressed_since,
)
from privacy.pseudonyms.store import DomainRow, PseudonymRow
from privacy.subjects.store import IdentifierRow, SubjectRow, is_notable
from privacy.tables import UtcDateTime

Statement = sa.Select[*tuple[Any, ...]]


class _OfIndex(Alias):
    """A table that SQLite reads by one index alone, whatever it knows of how the rows are spread.

    Of itself it takes the primary key's, which leads to the table once more for each person.
    """

    inherit_cache = False


@compiles(_OfIndex, "sqlite")
def _by_index(alias: _OfIndex, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    table: str = compiler.visit_alias(alias, **options)  # type: ignore[no-untyped-call]  # so it is there
    return f"{table} INDEXED BY {INDEX_OF_GIVEN}"


_PEOPLE = cast("sa.Table", PseudonymRow.__table__)
_DOMAIN = cast("sa.Table", DomainRow.__table__)
_STATE = cast("sa.Table", StateRow.__table__)
_OBJECTION = cast("sa.Table", ObjectionRow.__table__)
_IDENTIFIER = cast("sa.Table", IdentifierRow.__table__)
_SUPPRESSION = cast("sa.Table", SuppressionRow.__table__)
_EXCLUSION = cast("sa.Table", ExclusionRow.__table__)
#: What somebody gave, of those alone whom the index holds.
_GIVEN = _OfIndex._construct(_STATE, name="given")  # noqa: SLF001 - `Table.alias` makes one so
#: The person, where anything of `NOTABLE` is noted; else nothing.
_NOTABLE = cast("sa.Table", SubjectRow.__table__).alias("notable")
_BLANK: Final[sa.ColumnElement[str]] = sa.literal_column("' '")
_UNIT: Final[sa.BindParameter[str]] = sa.bindparam("of_unit", type_=sa.Text)
_AT: Final = sa.bindparam("of_at", type_=UtcDateTime)


@cache
def everybody(dialect: str) -> Statement:
    """Return the statement of a domain's next people: how many, who, and the `last` of them.

    Its parameters are `of_domain`, `of_after` and `of_stretch`, how many. The `names`, with blanks
    between, are in their order and without aliases, which are of the `people` too.
    """
    stretch = (
        sa.select(_PEOPLE.c.value, _PEOPLE.c.subject_id)
        .where(_of_domain(), _PEOPLE.c.value > sa.bindparam("of_after", type_=sa.Text))
        .order_by(_PEOPLE.c.value)
        .limit(sa.bindparam("of_stretch", type_=sa.Integer))
        .subquery("stretch")
    )
    value = stretch.c.value
    # SQLite knows no order in an aggregate, and keeps that of the stretch.
    blank = _BLANK if dialect == "sqlite" else aggregate_order_by(_BLANK, value)
    return sa.select(
        _names(dialect, sa.case((_NOTABLE.c.merged_into.is_(None), value)), blank),
        sa.func.count().label("people"),
        sa.func.max(value).label("last"),
    ).select_from(_with_notable(stretch))


@cache
def present(dialect: str) -> Statement:
    """Return the statement of who is not erased, and no alias: `names`.

    Its parameters are `of_domain`, `of_after` and `of_last`, the stretch's last pseudonym.
    """
    return _of_stretch(sa.select(_names(dialect)), _with_notable(_PEOPLE))


@cache
def alike(dialect: str, *, by_consent: bool, lists: bool) -> Statement:
    """Return the statement of who may be permitted among a stretch's people: one row for those alike.

    Whom `decide` would deny for want of a consent that was given and has not ended is left in the
    database; it decides of everybody else. Its parameters are `of_domain`, `of_after`, `of_last`,
    `of_unit` and, by consent, `of_at`, the instant, and `of_dated`, whether the day of a consent counts.

    Args:
        dialect: of the database.
        by_consent: the purpose rests on consent.
        lists: lists of whom not to write to count for it.

    Returns:
        `names` and whether they are `plain`; by consent also what `fact_of` takes: they are alike in
        all of it but the instants, of which it is one of theirs, on the same side of `of_at`.
    """
    people = _with_notable(_PEOPLE)
    if not by_consent:
        # Nobody says anything of such a purpose: of whom it is known all the same, nothing is plain.
        plain = _is_plain(_has(_STATE, _STATE.c.purpose == _UNIT), lists=lists).label("plain")
        return _of_stretch(sa.select(plain, _names(dialect)), people).group_by("plain")
    people = people.outerjoin(
        _GIVEN,
        sa.and_(
            _GIVEN.c.subject_id == _PEOPLE.c.subject_id,
            _GIVEN.c.purpose == _UNIT,
            sa.text(f"given.{IS_GIVEN}"),
        ),
    )
    last_word = (
        *(_GIVEN.c.action, _GIVEN.c.notice_version, _GIVEN.c.explicit, _GIVEN.c.said_by),
        (_GIVEN.c.at <= _AT).label("begun"),
        _GIVEN.c.expires_at.is_(None).label("endless"),
        sa.case((sa.bindparam("of_dated", type_=sa.Boolean), _GIVEN.c.at)).label("dated"),
        _verified().label("verified"),
        _is_plain(lists=lists).label("plain"),
    )
    instants = (
        sa.func.max(_GIVEN.c.at).label("at"),
        sa.func.min(_GIVEN.c.expires_at).label("expires_at"),
        # That they can be read, too.
        sa.func.min(_GIVEN.c.at).label("first_at"),
        sa.func.max(_GIVEN.c.expires_at).label("last_end"),
    )
    return (
        _of_stretch(sa.select(*last_word, *instants, _names(dialect)), people)
        .where(
            # In a form that keeps the joins outer ones, so that no database begins with the states.
            sa.func.coalesce(_GIVEN.c.action, "") != "",
            sa.func.coalesce(_GIVEN.c.expires_at > _AT, sa.true()),
        )
        .group_by(*(each.name for each in last_word))
    )


def _names(
    dialect: str,
    value: sa.ColumnElement[str] = _PEOPLE.c.value,
    blank: sa.ColumnElement[str] = _BLANK,
) -> sa.Label[str]:
    joined = sa.func.group_concat if dialect == "sqlite" else sa.func.string_agg
    return joined(value, blank, type_=sa.Text).label("names")


def _of_domain() -> sa.ColumnElement[bool]:
    named = sa.select(_DOMAIN.c.domain_id).where(
        _DOMAIN.c.name == sa.bindparam("of_domain", type_=sa.Text)
    )
    return _PEOPLE.c.domain_id == named.scalar_subquery()


def _with_notable(people: sa.Table | sa.Subquery) -> sa.FromClause:
    noted = sa.and_(_NOTABLE.c.subject_id == people.c.subject_id, is_notable(_NOTABLE))
    return people.outerjoin(_NOTABLE, noted)


def _of_stretch(selected: Statement, people: sa.FromClause) -> Statement:
    return selected.select_from(people).where(
        _of_domain(),
        _PEOPLE.c.value > sa.bindparam("of_after", type_=sa.Text),
        _PEOPLE.c.value <= sa.bindparam("of_last", type_=sa.Text),
        _NOTABLE.c.merged_into.is_(None),
        _NOTABLE.c.erased_at.is_(None),
    )


def _verified() -> sa.ColumnElement[bool]:
    """As `store.VERIFIED`, of people whose own rows are not read."""
    return sa.or_(
        sa.and_(*(_GIVEN.c.channel != each.value for each in sorted(TYPED_BY_THE_PERSON))),
        _has(_IDENTIFIER, _IDENTIFIER.c.verified_at.is_not(None)),
    )


def _is_plain(*known: sa.ColumnElement[bool], lists: bool) -> sa.ColumnElement[bool]:
    # Where a table is empty nobody is looked for in it.
    objected = _has(_OBJECTION, _OBJECTION.c.purpose == _UNIT)
    against = [
        _NOTABLE.c.subject_id.is_not(None),
        sa.and_(_is_filled(_OBJECTION), objected),
        *known,
    ]
    if lists:
        against += [
            sa.and_(_is_filled(_SUPPRESSION), suppressed_since(_PEOPLE, _UNIT).is_not(None)),
            sa.and_(_is_filled(_EXCLUSION), excluded(_PEOPLE)),
        ]
    return sa.not_(sa.or_(*against))


def _has(table: sa.Table, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether a table has such a row of the person."""
    one: sa.ColumnElement[int] = sa.literal_column("1")
    row = sa.select(one).where(table.c.subject_id == _PEOPLE.c.subject_id, condition).limit(one)
    # By EXISTS, PostgreSQL may read the whole table at once instead of the rows of these people.
    return row.correlate(_PEOPLE).scalar_subquery().is_not(None)


def _is_filled(table: sa.Table) -> sa.ColumnElement[bool]:
    inside = table.alias("any_" + table.name)
    return sa.exists(sa.select(sa.literal_column("1")).select_from(inside))
