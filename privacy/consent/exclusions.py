"""Importing, listing and dropping exclusion lists of others, such as the Lista Robinson.

An import writes in portions and notes in each how far it came, so that it goes on after a crash;
the list changes to the new content at once, at the end. Direct marketing to whoever is on a list is
denied, but for a consent in force. Source: LOPDGDD Art. 23.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from policies.errors import InvalidInput, NotFound
from privacy.actor import SYSTEM
from privacy.consent import exclusion_store as store
from privacy.consent.exclusion_files import Line, lines_of, read_lines
from privacy.consent.suppression_model import ExclusionListImported
from privacy.consent.suppression_store import ExclusionListRow
from privacy.ids import new_id
from privacy.subjects.identifiers import Identifiers
from privacy.unit_of_work import Runtime

#: Lines to one transaction: short enough that nobody waits for it.
PORTION: Final = 2_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ExclusionList:
    """A list in force; `imported_at` is aware UTC."""

    name: str
    addresses: int
    imported_at: datetime


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended: `lines` and `refused` count from the file's beginning."""

    name: str
    addresses: int
    lines: int
    refused: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: the last line dealt with, and the refused ones since the last word."""

    line: int
    refused: tuple[Line, ...]


class Exclusions:
    """The exclusion lists of this deployment.

    Args:
        runtime: the two doors.
        identifiers: reads addresses, and computes their blind indexes.
    """

    def __init__(self, runtime: Runtime, identifiers: Identifiers) -> None:
        self._runtime = runtime
        self._identifiers = identifiers

    def import_file(self, name: str, path: Path, tell: Callable[[Progress], None]) -> Imported:
        """Put a file's addresses in force in place of what the list held. Resumable, idempotent.

        Args:
            name: of the list.
            path: the file: see `exclusion_files`.
            tell: is told of each portion once it is durable.

        Raises:
            InvalidInput: the name is none, or no line of the file could be used; the list then
                stays as it was.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput("letters, digits and hyphens, as in robinson-2026", field="list")
        digest = _digest(path)
        import_id, done, refused = self._begin(name, digest)
        with path.open("rb") as file:
            lines = read_lines(lines_of(file), self._identifiers.read, after=done)
            while portion := list(islice(lines, PORTION)):
                done = portion[-1].number
                wrong = tuple(line for line in portion if line.refused)
                refused += len(wrong)
                if not self._add(name, import_id, portion, done, refused):
                    break
                tell(Progress(done, wrong))
        return self._end(name, import_id, digest, done, refused)

    def lists(self, session: Session) -> list[ExclusionList]:
        """Return the lists in force, by name."""
        return [
            ExclusionList(row.name, row.addresses, row.imported_at)
            for row in store.lists(session)
            if row.imported_at is not None
        ]

    def drop(self, name: str) -> None:
        """Take a list out of force, and give up an import of it that has begun.

        Raises:
            NotFound: there is none of that name.
        """
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row, begun = store.list_named(uow.session, name), store.import_of(uow.session, name)
            if row is None and begun is None:
                raise NotFound("there is no exclusion list of that name", field="list")
            if row is not None:
                uow.session.delete(row)
            if begun is not None:
                uow.session.delete(begun)
            uow.record(ExclusionListImported(list_name=name, addresses=0))
            uow.touch_everyone()
            uow.commit()
        self._sweep()

    def _begin(self, name: str, digest: str) -> tuple[str, int, int]:
        """Return the import to go on with: its id, the lines done, those refused."""
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = store.begin(uow.session, name, new_id(uow.ids), digest, uow.now)
            uow.commit()
            return row.import_id, row.lines_done, row.refused

    def _add(self, name: str, import_id: str, portion: list[Line], done: int, refused: int) -> bool:
        """Add a portion; False where another process brought the same import to its end."""
        addresses = {
            (each.kind.value, self._identifiers.index(each))
            for line in portion
            for each in line.found
        }
        with self._runtime.unit_of_work(SYSTEM) as uow:
            row = store.import_of(uow.session, name)
            if row is None or row.import_id != import_id:
                _check_ended(store.list_named(uow.session, name), import_id)
                return False
            store.add(uow.session, import_id, sorted(addresses))
            if row.lines_done < done:  # another process may be further on in the same file
                row.lines_done, row.refused = done, refused
            uow.commit()
            return True

    def _end(self, name: str, import_id: str, digest: str, lines: int, refused: int) -> Imported:
        with self._runtime.unit_of_work(SYSTEM) as uow:
            begun = store.import_of(uow.session, name)
            if begun is None or begun.import_id != import_id:
                ended = _check_ended(store.list_named(uow.session, name), import_id)
                return Imported(name, ended.addresses, lines, refused)
            addresses = store.count(uow.session, import_id)
            if not addresses:
                uow.session.delete(begun)
                uow.commit()
                raise InvalidInput("no line of the file could be used", field="file")
            row = store.list_named(uow.session, name)
            if row is None:
                row = ExclusionListRow(name=name)
                uow.session.add(row)
            row.in_force, row.imported_at, row.addresses = import_id, uow.now, addresses
            row.entry_id = uow.record(
                ExclusionListImported(list_name=name, addresses=addresses, source_digest=digest),
                {"lines": lines, "refused": refused},
            )
            uow.session.delete(begun)
            uow.touch_everyone()
            uow.commit()
        self._sweep()
        return Imported(name, addresses, lines, refused)

    def _sweep(self) -> None:
        """Delete what no list holds any more, in portions."""
        gone = True
        while gone:
            with self._runtime.unit_of_work(SYSTEM) as uow:
                gone = bool(store.delete_forgotten(uow.session))
                uow.commit()


def _check_ended(row: ExclusionListRow | None, import_id: str) -> ExclusionListRow:
    """Return the list that an import is in force of: another process brought it to its end.

    Raises:
        NotFound: it is not; another file took its place, or it was given up.
    """
    if row is None or row.in_force != import_id:
        raise NotFound("another import of this list began meanwhile", field="list")
    return row


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
