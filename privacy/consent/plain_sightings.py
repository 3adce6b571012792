"""What decisions read of plain people: those about whom nothing counts but their own last word.

Nearly everybody is: of age, not merged, restricted, blocked or dead, with a proved address where one is
needed, without an objection to the purpose and on no list. One lean statement tells who is and what they
said last; of everybody else it tells only that they are not, and `store.sighting_by` reads them whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from policies.vocabulary import SaidBy
from privacy.consent.event_store import ObjectionRow, StateRow
from privacy.consent.store import took_their_word
from privacy.consent.suppression_store import excluded, suppressed_since
from privacy.pseudonyms.store import DomainRow, PseudonymRow
from privacy.subjects.store import IdentifierRow, SubjectRow

Asked = tuple[str, str, bool]
"""(pseudonym, unit, whether lists of whom not to write to count for it)."""

#: What every row begins with, the place of its question before it where there are many.
COLUMNS: Final = (
    "subject_id",
    "plain",
    "event_id",
    "action",
    "at",
    "notice_version",
    "expires_at",
    "explicit",
)

_SUBJECT = cast("sa.Table", SubjectRow.__table__)
_STATE = cast("sa.Table", StateRow.__table__)
_OBJECTION = cast("sa.Table", ObjectionRow.__table__)
_PROVED = cast("sa.Table", IdentifierRow.__table__).alias("proved")
_PSEUDONYM = cast("sa.Table", PseudonymRow.__table__)
_DOMAIN = cast("sa.Table", DomainRow.__table__)

#: Any of these being set makes somebody not plain.
_NOTABLE: Final = (
    _SUBJECT.c.merged_into,
    _SUBJECT.c.restricted_at,
    _SUBJECT.c.leaving_at,
    _SUBJECT.c.blocked_at,
    _SUBJECT.c.minor_until,
    _SUBJECT.c.deceased_at,
    _SUBJECT.c.erased_at,
)
#: Whose word is the person's own or stands for it, at any age; a guardian's counts for a minor alone.
_OWN: Final = tuple(each.value for each in SaidBy if each is not SaidBy.GUARDIAN)


def _plain(purpose: sa.ColumnElement[str], lists: sa.ColumnElement[bool]) -> sa.Case[int]:
    listed = sa.or_(suppressed_since(_SUBJECT, purpose).is_not(None), excluded(_SUBJECT))
    condition = sa.and_(
        *(each.is_(None) for each in _NOTABLE),
        sa.or_(_STATE.c.said_by.is_(None), *(_STATE.c.said_by == each for each in _OWN)),
        sa.or_(took_their_word(_STATE), _PROVED.c.subject_id.is_not(None)),
        _OBJECTION.c.subject_id.is_(None),
        sa.or_(~lists, ~listed),
    )
    # By CASE, since SQLite then stops at the first that does not hold.
    return sa.case((condition, sa.literal_column("1")), else_=sa.literal_column("0"))


def _instant(column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    # As it is stored, in UTC and without its zone: that is cheaper to read and to compare.
    return column if dialect == "sqlite" else sa.func.timezone(sa.literal_column("'UTC'"), column)


def _columns(
    dialect: str, purpose: sa.ColumnElement[str], lists: sa.ColumnElement[bool]
) -> list[sa.ColumnElement[Any]]:
    return [
        _SUBJECT.c.subject_id,
        _plain(purpose, lists).label("plain"),
        _STATE.c.event_id,
        _STATE.c.action,
        _instant(_STATE.c.at, dialect).label("at"),
        _STATE.c.notice_version,
        _instant(_STATE.c.expires_at, dialect).label("expires_at"),
        _STATE.c.explicit,
    ]


def _with_words(people: sa.FromClause, purpose: sa.ColumnElement[str]) -> sa.FromClause:
    # Joined, where EXISTS would do: SQLite begins a subquery anew for each row. Whoever has proved
    # several addresses has a row for each of them, all alike.
    person = _SUBJECT.c.subject_id
    return (
        people.join(_SUBJECT, person == _PSEUDONYM.c.subject_id)
        .outerjoin(_STATE, sa.and_(_STATE.c.subject_id == person, _STATE.c.purpose == purpose))
        .outerjoin(
            _OBJECTION, sa.and_(_OBJECTION.c.subject_id == person, _OBJECTION.c.purpose == purpose)
        )
        .outerjoin(
            _PROVED, sa.and_(_PROVED.c.subject_id == person, _PROVED.c.verified_at.is_not(None))
        )
    )


def _of_domain() -> sa.ScalarSelect[int]:
    return (
        sa.select(_DOMAIN.c.domain_id)
        .where(_DOMAIN.c.name == sa.bindparam("of_domain"))
        .scalar_subquery()
    )


@cache
def one_plain(dialect: str) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement of one person and purpose: `COLUMNS`.

    Its parameters are `of_domain`, `of_value`, `of_purpose` and `of_lists`. It has no row where the
    pseudonym was issued to nobody, and may have several that say the same. Its values are to be taken as the driver gives them.
    """
    purpose: sa.BindParameter[str] = sa.bindparam("of_purpose", type_=sa.Text)
    lists = sa.bindparam("of_lists", type_=sa.Boolean)
    return (
        sa.select(*_columns(dialect, purpose, lists))
        .select_from(_with_words(_PSEUDONYM, purpose))
        .where(
            _PSEUDONYM.c.domain_id == _of_domain(),
            _PSEUDONYM.c.value == sa.bindparam("of_value", type_=sa.Text),
        )
    )


@cache
def many_plain(dialect: str) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement of many people and purposes: `place`, counted from 0, and `COLUMNS`.

    Its parameters are `of_domain` and those of `wanted_plain`; it is otherwise as `one_plain`.
    """
    wanted = _wanted_sqlite() if dialect == "sqlite" else _wanted_postgresql()
    people = wanted.join(
        _PSEUDONYM,
        sa.and_(_PSEUDONYM.c.domain_id == wanted.c.domain_id, _PSEUDONYM.c.value == wanted.c.value),
    )
    columns = _columns(dialect, wanted.c.purpose, wanted.c.lists)
    return sa.select(wanted.c.place, *columns).select_from(_with_words(people, wanted.c.purpose))


def wanted_plain(dialect: str, asked: Iterable[Asked]) -> dict[str, object]:
    """Return the parameters of `many_plain` that say which people and purposes."""
    if dialect == "sqlite":
        return {"of_asked": msgspec.json.encode(asked).decode()}
    values, units, lists = zip(*asked, strict=True)
    flags = ("t" if each else "f" for each in lists)
    return {"of_values": _lines(values), "of_units": _lines(units), "of_lists": _lines(flags)}


def _lines(texts: Iterable[str]) -> str:
    """Return one text for all: of an array the driver looks at each element, at 1 us apiece.

    What has a line's end in it names nobody, and so does the empty text in its place.
    """
    return "\n".join(text if "\n" not in text else "" for text in texts)


def _wanted_sqlite() -> sa.CTE:
    asked = sa.func.json_each(sa.bindparam("of_asked", type_=sa.Text)).table_valued(
        sa.column("key", sa.Integer), sa.column("value", sa.Text), name="asked"
    )
    return (
        sa.select(
            asked.c.key.label("place"),
            sa.func.json_extract(asked.c.value, "$[0]", type_=sa.Text).label("value"),
            sa.func.json_extract(asked.c.value, "$[1]", type_=sa.Text).label("purpose"),
            sa.func.json_extract(asked.c.value, "$[2]", type_=sa.Boolean).label("lists"),
            _of_domain().label("domain_id"),
        )
        .select_from(asked)
        .cte("wanted")
        .prefix_with("MATERIALIZED")  # else SQLite begins with the domain, and looks through it all
    )


def _wanted_postgresql() -> sa.CTE:
    values, units, lists = (
        sa.func.string_to_array(sa.bindparam(name, type_=sa.Text), sa.literal_column("E'\\n'"))
        for name in ("of_values", "of_units", "of_lists")
    )
    asked = (
        sa.func.unnest(values, units, sa.cast(lists, postgresql.ARRAY(sa.Boolean)))
        .table_valued(
            sa.column("value", sa.Text),
            sa.column("purpose", sa.Text),
            sa.column("lists", sa.Boolean),
            with_ordinality="ordinal",
            name="asked",
        )
        .render_derived()
    )
    return sa.select(
        (asked.c.ordinal - 1).label("place"),
        asked.c.value,
        asked.c.purpose,
        asked.c.lists,
        _of_domain().label("domain_id"),
    ).cte("wanted")
