"""Importing the consents that a company has on record: many rows, each recorded once or refused.

A batch of rows is one transaction with the place in the file that it ends at, so whatever kills the
process, the next one goes on behind the last row that was recorded. The file of refused rows is cut
back to the length that this transaction knows of: none is lost there either, and none is told twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy.exc import IntegrityError

from policies.errors import Conflict
from policies.register.model import Register
from privacy.actor import SYSTEM
from privacy.consent import guardian_store
from privacy.consent import imports_store as store
from privacy.consent.imports_model import ImportBegun, ImportFinished, RowRefused
from privacy.consent.imports_reader import Format, Place, Read, open_rows
from privacy.consent.imports_refused import cut, lines_of, open_refused
from privacy.consent.imports_words import ImportedWords
from privacy.consent.imports_writing import PlainWords
from privacy.consent.recording import Recording
from privacy.ids import new_id
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.identifiers import Identifiers
from privacy.unit_of_work import Runtime

#: Rows of a batch: more of them cost each less, and let other writers wait for longer.
BATCH: Final = 500
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import has come.

    Attributes:
        position: bytes of the file that are done.
        line: number of the next row's line.
        recorded: rows that became events.
        repeated: rows that were imported before, by this or another file.
        refused: rows that are in the file of refused rows.
        refused_bytes: that file's length.
        import_id: 32 hexadecimal digits; empty for a dry run.
        finished_at: aware UTC; None: it goes on.
    """

    position: int
    line: int
    recorded: int = 0
    repeated: int = 0
    refused: int = 0
    refused_bytes: int = 0
    import_id: str = ""
    finished_at: datetime | None = None


class ConsentImports:
    """Reads files of existing consents.

    Args:
        runtime: the doors to the database; each batch is a unit of work of its own.
        register: the register in force.
        recording: how events are written.
        identifiers: reads addresses and numbers.
        arrivals: finds the people behind them, and creates those nobody knew.
        pseudonyms: finds people by an application's names.
        plain: writes words with nothing in their way; None: they are written as all others.
    """

    def __init__(
        self,
        runtime: Runtime,
        register: Register,
        recording: Recording,
        identifiers: Identifiers,
        arrivals: Arrivals,
        pseudonyms: Pseudonyms,
        plain: PlainWords | None,
    ) -> None:
        self._runtime = runtime
        self._recording = recording
        self._plain = plain
        self._rows = ImportedWords(
            register, identifiers, arrivals, pseudonyms, plainly=plain is not None
        )

    def run(
        self,
        path: Path,
        format: Format,  # noqa: A002 - what it is called
        refused: Path,
        *,
        source: str,
        domain: str,
        resume: bool,
        dry_run: bool,
        tell: Callable[[Progress], None],
        size: int = BATCH,
    ) -> Progress:
        """Import a file, or the rest of it.

        Args:
            path: the file; it must not change meanwhile.
            format: of the file.
            refused: where refused rows are written; it holds personal data.
            source: where the file is from, in words.
            domain: whose pseudonyms name people; "" where none does.
            resume: go on behind what was recorded before; without anything before, begin.
            dry_run: look at every row and keep nothing.
            tell: told after each batch.
            size: rows of a batch.

        Returns:
            What became of the rows. A file that was imported before is not read again.

        Raises:
            InvalidInput: it does not begin with the names of its columns.
            InvalidInput: or the file of refused rows is none that it can be, or another import's.
            Conflict: it was begun before, somebody else is importing it, or it changed meanwhile;
                what was recorded stays, and is known when it comes again.
        """
        file, reader = open_rows(path, format)
        with file:
            source_file = _Source(file)
            done = None if dry_run else self._before(source_file.digest, resume=resume)
            if done is not None and done.finished_at is not None:
                return done
            is_new = done is None and not dry_run
            with open_refused(refused, file, must_be_empty=is_new) as told:
                progress = self._begun(
                    source_file.digest, source, reader.start, resume=resume, dry_run=dry_run
                )
                if progress.finished_at is not None:  # somebody else's, at this moment
                    return progress
                place = Place(progress.position, progress.line)
                coming = None if dry_run else reader.rows(place)
                cut(told, refused, progress.refused_bytes, coming)
                while True:
                    batch = list(islice(reader.rows(place), size))
                    if batch:
                        place = batch[-1].after
                    source_file.check_unchanged()
                    progress = self._batch(progress, batch, place, told, domain, dry_run=dry_run)
                    tell(progress)
                    if len(batch) < size:
                        break
                return progress if dry_run else self._finished(progress)

    # ---- one import

    def _before(self, digest: str, *, resume: bool) -> Progress | None:
        """Return how far a file of this content has come; None where it was never begun."""
        with self._runtime.snapshot() as session:
            return _come_so_far(store.of_digest(session, digest), resume=resume)

    def _begun(
        self, digest: str, source: str, start: Place, *, resume: bool, dry_run: bool
    ) -> Progress:
        """Return where to begin."""
        if dry_run:
            return Progress(start.offset, start.line)
        with self._runtime.unit_of_work(SYSTEM) as uow:
            before = _come_so_far(store.of_digest(uow.session, digest), resume=resume)
            if before is not None:
                return before
            record = store.ImportRecord(
                import_id=new_id(uow.ids),
                digest=digest,
                source=source,
                position=start.offset,
                line=start.line,
                recorded=0,
                repeated=0,
                refused=0,
                refused_bytes=0,
                begun_at=uow.now,
                finished_at=None,
            )
            uow.session.add(record)
            try:
                uow.session.flush()
            except IntegrityError:
                raise Conflict("somebody else is importing this file") from None
            uow.record(
                ImportBegun(import_id=record.import_id), {"sha256": digest, "source": source}
            )
            uow.commit()
            return _progress(record)

    def _finished(self, progress: Progress) -> Progress:
        with self._runtime.unit_of_work(SYSTEM) as uow:
            ended = {"finished_at": uow.now}
            if not store.advance(uow.session, progress.import_id, progress.position, ended):
                raise Conflict("somebody else is importing this file")
            uow.record(
                ImportFinished(import_id=progress.import_id),
                {
                    "recorded": progress.recorded,
                    "repeated": progress.repeated,
                    "refused": progress.refused,
                },
            )
            uow.commit()
            return replace(progress, finished_at=uow.now)

    def _batch(
        self,
        progress: Progress,
        batch: Sequence[Read],
        place: Place,
        told: BinaryIO,
        domain: str,
        *,
        dry_run: bool,
    ) -> Progress:
        """Record a batch with the place that it ends at; refused rows are on the disk before."""
        refusals: dict[int, RowRefused] = {}
        known = self._rows.known(batch, self._runtime.clock(), refusals)
        with self._runtime.unit_of_work(SYSTEM) as uow:
            said = self._rows.said(uow, known, domain, progress.import_id, refusals)
            if self._plain is not None:
                self._plain.append_many(
                    uow,
                    said.plain,
                    events=self._rows.events,
                    new=said.new,
                    stood=said.stood,
                    import_id=progress.import_id,
                )
            self._recording.append_many(uow, said.events)
            for event_id, guardianship_id in said.rests_on:
                guardian_store.note_word(uow.session, event_id, guardianship_id)
            lines = lines_of(batch, refusals)
            after = replace(
                progress,
                position=place.offset,
                line=place.line,
                recorded=progress.recorded + said.rows,
                repeated=progress.repeated + said.repeated,
                refused=progress.refused + len(refusals),
                refused_bytes=progress.refused_bytes + len(lines),
            )
            told.write(lines)
            if dry_run:
                return after
            told.flush()
            os.fsync(told.fileno())
            values = {
                "position": after.position,
                "line": after.line,
                "recorded": after.recorded,
                "repeated": after.repeated,
                "refused": after.refused,
                "refused_bytes": after.refused_bytes,
            }
            if not store.advance(uow.session, progress.import_id, progress.position, values):
                raise Conflict("somebody else is importing this file")
            uow.commit()
        return after


def _progress(record: store.ImportRecord) -> Progress:
    return Progress(
        position=record.position,
        line=record.line,
        recorded=record.recorded,
        repeated=record.repeated,
        refused=record.refused,
        refused_bytes=record.refused_bytes,
        import_id=record.import_id,
        finished_at=record.finished_at,
    )


def _come_so_far(record: store.ImportRecord | None, *, resume: bool) -> Progress | None:
    """What is known of an import.

    Raises:
        Conflict: it was begun before and is not to go on.
    """
    if record is not None and record.finished_at is None and not resume:
        raise Conflict("this file was begun before: go on with --resume")
    return _progress(record) if record is not None else None


class _Source:
    """The open file, which must stay what it was when its digest was taken."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stamp = self._now()
        file.seek(0)
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
        self.digest = digest.hexdigest()

    def check_unchanged(self) -> None:
        """Refuse what was read of a file that somebody writes to.

        Raises:
            Conflict: its size or time of change is another by now.
        """
        if self._now() != self._stamp:
            raise Conflict("the file changed while it was read: import it again once it is whole")

    def _now(self) -> tuple[int, int]:
        stat = os.fstat(self._file.fileno())
        return stat.st_size, stat.st_mtime_ns
