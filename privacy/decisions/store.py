"""How often was asked: per person, application, purpose, day and outcome.

Counts come a few thousand at a time, as JSON in one parameter, and are resolved and added by the
database itself: so one costs some microseconds, not the tens that a parameter each would.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.decisions.model import Outcome, Use
from privacy.pseudonyms.store import DomainRow, PseudonymRow
from privacy.subjects.store import SubjectRow, all_ids
from privacy.tables import OPERATIONAL, Base

#: Held in PostgreSQL by who writes counts, and by who erases people, whose counts nobody writes then.
COUNTS_LOCK: Final = 7_074_364


class UseRow(Base):
    """A day's count; a log of each check would itself profile the person."""

    __tablename__ = "decision_use"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    subject_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    domain: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date, primary_key=True, index=True)
    outcome: Mapped[str] = mapped_column(sa.String(8), primary_key=True)
    count: Mapped[int] = mapped_column(sa.BigInteger)


class SpooledRow(Base):
    """How far a batch of counts is written; kept until its file is gone."""

    __tablename__ = "decision_use_spooled"
    __table_args__ = {"info": OPERATIONAL}  # noqa: RUF012 - SQLAlchemy's own form

    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    #: Bytes of its file.
    written: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")


def written_of(session: Session, name: str) -> int:
    """Return how many bytes of a batch's file are written; 0: none."""
    return session.scalar(sa.select(SpooledRow.written).where(SpooledRow.name == name)) or 0


def note_written(session: Session, name: str, written: int) -> None:
    """Note how far a batch is written, in the transaction that writes it."""
    session.merge(SpooledRow(name=name, written=written))


def forget_batch(session: Session, name: str) -> None:
    """Forget a batch whose file is gone."""
    session.execute(sa.delete(SpooledRow).where(SpooledRow.name == name))


def wait_for_writers(session: Session) -> None:
    """Let nobody write counts until the transaction ends; SQLite has one writer anyway."""
    if not _is_sqlite(session):
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(COUNTS_LOCK)))


def may_write(session: Session) -> bool:
    """As `wait_for_writers`, without waiting; False: somebody erases people or writes counts."""
    return _is_sqlite(session) or bool(
        session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(COUNTS_LOCK)))
    )


def subjects_named(session: Session, domain: str, values: Collection[str]) -> dict[str, str]:
    """Return pseudonym -> whom it names by now, for those that name somebody in this domain."""
    statement = _NAMED_SQLITE if _is_sqlite(session) else _NAMED_POSTGRESQL
    wanted = {"of_domain": domain, "of_values": json.dumps(list(values))}
    return {row[0]: row[1] for row in session.execute(statement, wanted)}


def add_counts(session: Session, groups: str, rows: str) -> None:
    """Add counts to what is stored, but for people who are erased. `may_write` was asked before.

    Args:
        session: the caller's.
        groups: JSON, a list of [domain, purpose, day, outcome].
        rows: JSON, a list of [subject id, place in groups, count], no two of them alike.
    """
    statement = _ADD_SQLITE if _is_sqlite(session) else _ADD_POSTGRESQL
    session.execute(statement, {"of_groups": groups, "of_rows": rows})


def of_subject(session: Session, subject_id: str) -> list[Use]:
    """Return a person's uses, newest day first."""
    key = (UseRow.domain, UseRow.purpose, UseRow.day, UseRow.outcome)
    query = (
        sa.select(*key, sa.func.sum(UseRow.count))
        .where(UseRow.subject_id.in_(all_ids(subject_id)))
        .group_by(*key)
        .order_by(UseRow.day.desc(), UseRow.domain, UseRow.purpose, UseRow.outcome.desc())
    )
    return [
        Use(domain, purpose, day, Outcome(outcome), int(count))
        for domain, purpose, day, outcome, count in session.execute(query)
    ]


def delete_before(session: Session, day: date) -> None:
    """Delete the counts of the days before."""
    session.execute(sa.delete(UseRow).where(UseRow.day < day))


def delete_of(session: Session, subject_id: str) -> None:
    """Delete a person's counts."""
    session.execute(sa.delete(UseRow).where(UseRow.subject_id == subject_id))


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


_USE, _SUBJECT, _PSEUDONYM, _DOMAIN = (
    cast("sa.Table", row.__table__) for row in (UseRow, SubjectRow, PseudonymRow, DomainRow)
)


def _each_sqlite(parameter: str, name: str) -> sa.TableValuedAlias:
    return sa.func.json_each(sa.bindparam(parameter, type_=sa.Text)).table_valued(
        sa.column("key", sa.Integer), sa.column("value", sa.Text), name=name
    )


def _each_postgresql(parameter: str, name: str) -> sa.TableValuedAlias:
    parsed = sa.cast(sa.bindparam(parameter, type_=sa.Text), postgresql.JSONB(none_as_null=True))
    return (
        sa.func.jsonb_array_elements(parsed)
        .table_valued(sa.column("value", postgresql.JSONB), with_ordinality="key", name=name)
        .render_derived()
    )


def _named(values: sa.FromClause, value: sa.ColumnElement[str]) -> sa.Select[*tuple[Any, ...]]:
    domain_id = (
        sa.select(_DOMAIN.c.domain_id)
        .where(_DOMAIN.c.name == sa.bindparam("of_domain"))
        .scalar_subquery()
    )
    of_domain = sa.and_(_PSEUDONYM.c.domain_id == domain_id, _PSEUDONYM.c.value == value)
    return sa.select(
        _PSEUDONYM.c.value, sa.func.coalesce(_SUBJECT.c.merged_into, _SUBJECT.c.subject_id)
    ).select_from(
        values.join(_PSEUDONYM, of_domain).join(
            _SUBJECT, _SUBJECT.c.subject_id == _PSEUDONYM.c.subject_id
        )
    )


def _adding(
    insert: sqlite.Insert | postgresql.Insert, rows: sa.FromClause, groups: sa.FromClause
) -> sa.Insert:
    added = (
        sa.select(
            rows.c.subject_id,
            groups.c.domain,
            groups.c.purpose,
            groups.c.day,
            groups.c.outcome,
            rows.c.number,
        )
        .select_from(
            rows.join(groups, groups.c.place == rows.c.place).join(
                _SUBJECT, _SUBJECT.c.subject_id == rows.c.subject_id
            )
        )
        .where(_SUBJECT.c.erased_at.is_(None))
    )
    names = ["subject_id", "domain", "purpose", "day", "outcome"]
    adding = insert.from_select([*names, "count"], added)
    return adding.on_conflict_do_update(
        index_elements=names, set_={"count": _USE.c.count + adding.excluded.count}
    )


_GROUP: Final = ("domain", "purpose", "day", "outcome")


def _statements_sqlite() -> tuple[sa.Select[*tuple[Any, ...]], sa.Insert]:
    def at(json_: sa.FromClause, place: int) -> sa.Function[Any]:
        return sa.func.json_extract(json_.c.value, f"$[{place}]")

    values = _each_sqlite("of_values", "wanted")
    row, group = _each_sqlite("of_rows", "row"), _each_sqlite("of_groups", "grp")
    # Materialised: SQLite would read the JSON anew for each of the other's rows.
    groups = (
        sa.select(
            group.c.key.label("place"),
            *(at(group, place).label(name) for place, name in enumerate(_GROUP)),
        )
        .cte("groups")
        .prefix_with("MATERIALIZED")
    )
    rows = (
        sa.select(
            at(row, 0).label("subject_id"), at(row, 1).label("place"), at(row, 2).label("number")
        )
        .cte("rows")
        .prefix_with("MATERIALIZED")
    )
    return _named(values, values.c.value), _adding(sqlite.insert(_USE), rows, groups)


def _statements_postgresql() -> tuple[sa.Select[*tuple[Any, ...]], sa.Insert]:
    values = _each_postgresql("of_values", "wanted")
    row, group = _each_postgresql("of_rows", "row"), _each_postgresql("of_groups", "grp")
    types = {"day": sa.Date()}
    groups = sa.select(
        (group.c.key - 1).label("place"),
        *(
            sa.cast(group.c.value[place].astext, types.get(name, sa.Text())).label(name)
            for place, name in enumerate(_GROUP)
        ),
    ).subquery("groups")
    rows = sa.select(
        row.c.value[0].astext.label("subject_id"),
        sa.cast(row.c.value[1], sa.BigInteger).label("place"),
        sa.cast(row.c.value[2], sa.BigInteger).label("number"),
    ).subquery("rows")
    named = _named(values, values.c.value.op("#>>")(sa.literal_column("'{}'")))
    return named, _adding(postgresql.insert(_USE), rows, groups)


_NAMED_SQLITE, _ADD_SQLITE = _statements_sqlite()
_NAMED_POSTGRESQL, _ADD_POSTGRESQL = _statements_postgresql()
