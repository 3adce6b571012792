"""What a transaction changes, noted whichever way it does so: by ORM, Core, text or the driver.

`UnitOfWork.commit` demands an event of whoever changed an audited table, and a name of whoever changed
what decisions read. A door that is not for writing is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from privacy.tables import ADMITS, DECIDES


class UnauditedChange(Exception):
    """A transaction changed rows and recorded no event: a defect of ours, never the caller's."""


class UntouchedChange(Exception):
    """A transaction changed what decisions read and said of nobody: a defect of ours as well.

    Whoever remembers the state before would go on answering from it.
    """


class ReadOnlyDoor(Exception):
    """A change was tried through the reading door: a defect of ours."""


@dataclass(slots=True)
class Changes:
    """What one transaction has changed so far.

    Attributes:
        audited: the tables that want an event; where raw SQL changed them, its text.
        facts: whether a table that decisions read is among them.
        admission: whether a row that tells who calls was changed or deleted.
    """

    audited: set[str] = field(default_factory=set)
    facts: bool = False
    admission: bool = False

    def copy(self) -> Changes:
        """Return what it is now, to come back to it."""
        return Changes(set(self.audited), self.facts, self.admission)

    def become(self, other: Changes) -> None:
        """Take over what the other is."""
        self.audited, self.facts, self.admission = set(other.audited), other.facts, other.admission


def guard(engine: Engine) -> None:
    """Note what each transaction of an engine changes; once per engine."""
    event.listen(engine, "begin", forget_changes)
    event.listen(engine, "before_cursor_execute", _note_statement)


def changes_of(connection: Connection) -> Changes:
    """Return what the connection's transaction has changed so far."""
    changes: Changes = connection.info["placet_changed"]
    return changes


def note_change(connection: Connection, table: sa.Table, *, only_adds: bool) -> None:
    """Note a change that goes to the driver past SQLAlchemy; before it is made.

    Args:
        connection: of a session that `Database.writing` or its kin opened.
        table: what is changed.
        only_adds: no row that was there is changed.

    Raises:
        ReadOnlyDoor: the session came through the reading door.
    """
    door = connection.get_execution_options().get("placet_door")
    if door is not None:  # as in `_note_statement`
        _note(connection, door, table.name, table.info, only_adds=only_adds)


def forget_changes(connection: Connection) -> None:
    """Begin each transaction with nothing changed, whoever had the pooled connection before."""
    connection.info["placet_changed"] = Changes()


#: What makes raw SQL a change, wherever it stands; `FOR UPDATE` locks and changes nothing.
_CHANGING = re.compile(
    r"(?<!FOR )(?<!KEY )\b(INSERT|UPDATE|DELETE|REPLACE INTO|MERGE|TRUNCATE|COPY|CREATE|ALTER|DROP)\b",
    re.IGNORECASE,
)


def _changed_by(statement: str, context: Any) -> Iterator[tuple[str, Mapping[str, bool], bool]]:  # noqa: ANN401 - untyped in SQLAlchemy
    """Yield (name, `info`, whether rows are only added) for each table that a statement changes."""
    compiled = context.compiled
    if compiled is None or isinstance(compiled.statement, sa.TextClause | sa.TextualSelect):
        if _CHANGING.search(statement):  # of which table, nobody can tell
            yield statement.strip(), DECIDES | ADMITS, False
        return
    changing = [cte.element for cte in compiled.ctes or () if cte.element.is_dml]
    if context.isinsert or context.isupdate or context.isdelete:
        changing.append(compiled.statement)
    for each in changing:
        yield each.table.name, each.table.info, each.is_insert


def _note_statement(
    connection: Connection,
    _cursor: object,
    statement: str,
    _parameters: object,
    context: Any,  # noqa: ANN401 - SQLAlchemy's execution context has no public type
    _many: bool,
) -> None:
    """Remember what this transaction changes, whichever way it does so."""
    door = connection.get_execution_options().get("placet_door")
    if door is None:  # migrations and the tests' own look behind our back
        return
    for name, info, only_adds in _changed_by(statement, context):
        _note(connection, door, name, info, only_adds=only_adds)


def _note(
    connection: Connection, door: str, name: str, info: Mapping[str, bool], *, only_adds: bool
) -> None:
    if door != "writing":
        raise ReadOnlyDoor(f"{name} was changed through the reading door")
    changes = changes_of(connection)
    if not info.get("operational"):
        changes.audited.add(name)
    changes.facts |= info.get("decides", False)
    # Who is unknown is never remembered: a row more lets nobody in who was kept out.
    changes.admission |= info.get("admits", False) and not only_adds
