"""Tables of who must not be written to: our own suppression list, and imported exclusion lists.

Both hold keyed hashes alone: they tell whether an address is on the list, and no address.
Source: LOPDGDD Art. 15.2, 23.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from privacy.subjects.store import IdentifierRow, all_ids
from privacy.tables import DECIDES, OPERATIONAL, Base, UtcDateTime

#: The purpose of a row about all direct marketing, whatever the register comes to call it.
ALL_MARKETING: Final = "*"


class SuppressionRow(Base):
    """An address that must get no direct marketing of one purpose, or of any.

    It names no subject: it outlives the person's data, and finds whoever comes back under it.
    """

    __tablename__ = "suppression"
    __table_args__ = {"info": DECIDES}  # noqa: RUF012 - SQLAlchemy's own form

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    index_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blind_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16), primary_key=True)
    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    entry_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("audit_entry.entry_id"))


class MarketingWantedRow(Base):
    """An address that may get marketing of one purpose, in spite of an objection to all of it.

    The person took the objection back for that purpose, which rests on no consent; an objection
    after it, to the purpose or to all, deletes the row. Source: LOPDGDD Art. 23(4).
    """

    __tablename__ = "marketing_wanted"
    __table_args__ = {"info": DECIDES}  # noqa: RUF012 - SQLAlchemy's own form

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    index_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blind_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16), primary_key=True)
    purpose: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    entry_id: Mapped[str] = mapped_column(sa.String(32), sa.ForeignKey("audit_entry.entry_id"))


class ExclusionListRow(Base):
    """An exclusion list of others, such as the Lista Robinson.

    Attributes:
        in_force: the import whose rows count; None before the first has ended.
        imported_at: when that one ended, aware UTC.
        addresses: how many addresses it holds.
    """

    __tablename__ = "exclusion_list"
    __table_args__ = {"info": DECIDES}  # noqa: RUF012 - SQLAlchemy's own form

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    in_force: Mapped[str | None] = mapped_column(sa.String(32))
    imported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    addresses: Mapped[int] = mapped_column(server_default="0", default=0)
    entry_id: Mapped[str | None] = mapped_column(
        sa.String(32), sa.ForeignKey("audit_entry.entry_id")
    )


class ExclusionImportRow(Base):
    """An import that has begun: how far it came, so that it goes on from there.

    Attributes:
        source_digest: SHA-256 of the file in hex; another file begins anew.
        lines_done: how many lines of it are in `exclusion`, or were refused.
        refused: how many were refused.
    """

    __tablename__ = "exclusion_import"
    __table_args__ = ({"info": OPERATIONAL},)

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    import_id: Mapped[str] = mapped_column(sa.String(32))
    source_digest: Mapped[str] = mapped_column(sa.String(64))
    lines_done: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ExclusionRow(Base):
    """One address of one import; it counts while its list says that the import is in force.

    Written without an entry each: the entry of the import that puts them in force is theirs.
    """

    __tablename__ = "exclusion"
    __table_args__ = (sa.Index(None, "import_id"), {"info": OPERATIONAL})

    kind: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    index_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blind_index: Mapped[bytes] = mapped_column(sa.LargeBinary(16), primary_key=True)
    import_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)


_IDENTIFIER = cast("sa.Table", IdentifierRow.__table__)
_SUPPRESSION = cast("sa.Table", SuppressionRow.__table__)
_WANTED = cast("sa.Table", MarketingWantedRow.__table__)
_EXCLUSION = cast("sa.Table", ExclusionRow.__table__)
_LIST = cast("sa.Table", ExclusionListRow.__table__)


def _same_address(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.kind == _IDENTIFIER.c.kind,
        table.c.index_version == _IDENTIFIER.c.index_version,
        table.c.blind_index == _IDENTIFIER.c.blind_index,
    )


def suppressed_since(
    subject: sa.Table, purpose: sa.ColumnElement[str]
) -> sa.ScalarSelect[datetime | None]:
    """Return, for a larger statement, since when an address of the person is suppressed."""
    wanted = (
        sa.exists()
        .where(
            _WANTED.c.kind == _SUPPRESSION.c.kind,
            _WANTED.c.index_version == _SUPPRESSION.c.index_version,
            _WANTED.c.blind_index == _SUPPRESSION.c.blind_index,
            _WANTED.c.purpose == purpose,
        )
        .correlate_except(_WANTED)
    )
    return (
        sa.select(sa.func.max(_SUPPRESSION.c.since))
        .select_from(_IDENTIFIER.join(_SUPPRESSION, _same_address(_SUPPRESSION)))
        .where(
            _IDENTIFIER.c.subject_id == subject.c.subject_id,
            sa.or_(
                _SUPPRESSION.c.purpose == purpose,
                sa.and_(_SUPPRESSION.c.purpose == ALL_MARKETING, ~wanted),
            ),
        )
        .correlate_except(_IDENTIFIER, _SUPPRESSION)
        .scalar_subquery()
    )


def excluded(subject: sa.Table) -> sa.Exists:
    """Return, for a larger statement, whether an address of the person is on an exclusion list."""
    return (
        sa.exists()
        .select_from(
            _IDENTIFIER.join(_EXCLUSION, _same_address(_EXCLUSION)).join(
                _LIST, _LIST.c.in_force == _EXCLUSION.c.import_id
            )
        )
        .where(_IDENTIFIER.c.subject_id == subject.c.subject_id)
        .correlate(subject)
    )


_OWN = (  # built once: each grant of a marketing purpose asks it
    sa.select(_SUPPRESSION)
    .select_from(_IDENTIFIER.join(_SUPPRESSION, _same_address(_SUPPRESSION)))
    .where(_IDENTIFIER.c.subject_id == sa.bindparam("of_subject"))
)
_OWN_OF_PURPOSE = _OWN.where(_SUPPRESSION.c.purpose == sa.bindparam("of_purpose"))


def addresses_of(session: Session, subject_id: str) -> Sequence[IdentifierRow]:
    """Return everything that finds the person, kept or known by its blind index alone."""
    return session.scalars(
        sa.select(IdentifierRow).where(IdentifierRow.subject_id.in_(all_ids(subject_id)))
    ).all()


def suppressions_of(
    session: Session, subject_id: str, purpose: str | None = None
) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """Return the suppressions that hold for a person's addresses, of one purpose or all."""
    if purpose is None:
        return session.execute(_OWN, {"of_subject": subject_id}).all()
    return session.execute(_OWN_OF_PURPOSE, {"of_subject": subject_id, "of_purpose": purpose}).all()


def suppressed(subject: sa.Table, purpose: sa.ColumnElement[str]) -> sa.Exists:
    """Return, for a larger statement, whether an address of the person is listed for a unit."""
    return (
        sa.exists()
        .select_from(_IDENTIFIER.join(_SUPPRESSION, _same_address(_SUPPRESSION)))
        .where(_IDENTIFIER.c.subject_id == subject.c.subject_id, _SUPPRESSION.c.purpose == purpose)
        .correlate_except(_IDENTIFIER, _SUPPRESSION)
    )


def suppress(
    session: Session, address: IdentifierRow, purpose: str, since: datetime, entry_id: str
) -> None:
    """Put an address on the list, or move what is there to the later instant."""
    key = (address.kind, address.index_version, address.blind_index, purpose)
    row = session.get(SuppressionRow, key)
    if row is None:
        names = ("kind", "index_version", "blind_index", "purpose")
        row = SuppressionRow(**dict(zip(names, key, strict=True)), since=since, entry_id=entry_id)
        session.add(row)
    elif row.since < since:
        row.since, row.entry_id = since, entry_id
    session.flush()


def release(session: Session, rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> None:
    """Take addresses off the list, as `suppressions_of` returned them."""
    for row in rows:
        session.execute(
            sa.delete(SuppressionRow).where(
                SuppressionRow.kind == row.kind,
                SuppressionRow.index_version == row.index_version,
                SuppressionRow.blind_index == row.blind_index,
                SuppressionRow.purpose == row.purpose,
            )
        )


def wanted_of(session: Session, subject_id: str) -> Sequence[MarketingWantedRow]:
    """Return what a person's addresses may get in spite of an objection to all marketing."""
    row = MarketingWantedRow
    query = (
        sa.select(row)
        .join(IdentifierRow, _same_address(_WANTED))
        .where(IdentifierRow.subject_id.in_(all_ids(subject_id)))
    )
    return session.scalars(query).unique().all()


def want(
    session: Session,
    suppressed: Sequence[sa.Row[*tuple[Any, ...]]],
    purpose: str,
    since: datetime,
    entry_id: str,
) -> None:
    """Let addresses get marketing of one purpose that an objection to all keeps out of it."""
    session.add_all(
        MarketingWantedRow(
            kind=row.kind,
            index_version=row.index_version,
            blind_index=row.blind_index,
            purpose=purpose,
            since=since,
            entry_id=entry_id,
        )
        for row in suppressed
    )
    session.flush()


def want_no_more(session: Session, rows: Iterable[MarketingWantedRow]) -> None:
    """Delete what `wanted_of` returned."""
    for row in rows:
        session.delete(row)
    session.flush()


def lists_naming(session: Session, subject_id: str) -> Sequence[str]:
    """Return the exclusion lists in force that hold an address of the person."""
    query = (
        sa.select(_LIST.c.name)
        .distinct()
        .select_from(
            _IDENTIFIER.join(_EXCLUSION, _same_address(_EXCLUSION)).join(
                _LIST, _LIST.c.in_force == _EXCLUSION.c.import_id
            )
        )
        .where(_IDENTIFIER.c.subject_id == subject_id)
        .order_by(_LIST.c.name)
    )
    return session.scalars(query).all()
