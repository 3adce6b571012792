"""Importing the consents that a company has on record: many rows, each recorded once or refused.

A batch of rows is one transaction with the place in the file that it ends at, so whatever kills the
process, the next one goes on behind the last row that was recorded. The file of refused rows is cut
back to the length that this transaction knows of: none is lost there either, and none is told twice.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from policies.errors import Conflict, DomainError, InvalidInput
from policies.register.model import Register
from policies.vocabulary import ConsentAction, SaidBy
from privacy.actor import SYSTEM
from privacy.consent import imports_store as store
from privacy.consent import recording_store
from privacy.consent.imports_model import (
    ImportBegun,
    ImportFinished,
    ImportRow,
    RowRefused,
    row_from,
)
from privacy.consent.imports_reader import Format, Place, Read, open_rows
from privacy.consent.model import (
    Act,
    ConsentEvent,
    Shown,
    consent_purpose,
    giving,
    refusing,
    shown_once,
)
from privacy.consent.recording import Recording
from privacy.ids import new_id
from privacy.pseudonyms.service import Pseudonyms
from privacy.subjects.arrivals import Arrivals
from privacy.subjects.identifiers import Identifier, Identifiers
from privacy.unit_of_work import Runtime, UnitOfWork

BATCH: Final = 1_000


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


@dataclass(frozen=True, slots=True)
class _Known:
    """A row with everything that can be known of it before anybody is looked for."""

    read: Read
    row: ImportRow
    shown: Shown
    validity_months: int
    identifier: Identifier | None


class ConsentImports:
    """Reads files of existing consents.

    Args:
        runtime: the doors to the database; each batch is a unit of work of its own.
        register: the register in force.
        recording: how events are written.
        identifiers: reads addresses and numbers.
        arrivals: finds the people behind them, and creates those nobody knew.
        pseudonyms: finds people by an application's names.
    """

    def __init__(
        self,
        runtime: Runtime,
        register: Register,
        recording: Recording,
        identifiers: Identifiers,
        arrivals: Arrivals,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._runtime = runtime
        self._register = register
        self._recording = recording
        self._identifiers = identifiers
        self._arrivals = arrivals
        self._pseudonyms = pseudonyms
        self._zone = ZoneInfo(register.controller.time_zone)

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
            Conflict: it was begun before, or somebody else is importing it.
        """
        digest = _digest(path)
        file, reader = open_rows(path, format)
        with file:
            progress = self._begun(digest, source, reader.start, resume=resume, dry_run=dry_run)
            if progress.finished_at is not None:
                return progress
            with _open_refused(refused, progress.refused_bytes) as told:
                place = Place(progress.position, progress.line)
                while True:
                    batch = list(islice(reader.rows(place), size))
                    if batch:
                        place = batch[-1].after
                    progress = self._batch(progress, batch, place, told, domain, dry_run=dry_run)
                    tell(progress)
                    if len(batch) < size:
                        break
        return progress if dry_run else self._finished(progress)

    # ---- one import

    def _begun(
        self, digest: str, source: str, start: Place, *, resume: bool, dry_run: bool
    ) -> Progress:
        """Return where to begin."""
        if dry_run:
            return Progress(start.offset, start.line)
        with self._runtime.unit_of_work(SYSTEM) as uow:
            before = store.of_digest(uow.session, digest)
            if before is not None:
                if before.finished_at is None and not resume:
                    raise Conflict("this file was begun before: go on with --resume")
                return _progress(before)
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
        known = self._known(batch, refusals)
        with self._runtime.unit_of_work(SYSTEM) as uow:
            said, repeated = self._said(uow, known, domain, progress.import_id, refusals)
            self._recording.append_many(uow, said)
            lines = _lines(batch, refusals)
            after = replace(
                progress,
                position=place.offset,
                line=place.line,
                recorded=progress.recorded + len(said),
                repeated=progress.repeated + repeated,
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

    # ---- rows

    def _known(self, batch: Sequence[Read], refusals: dict[int, RowRefused]) -> list[_Known]:
        """Return what can be known of the rows without the database; the others go to `refusals`."""
        known: list[_Known] = []
        now = self._runtime.clock()
        for read in batch:
            try:
                known.append(self._read(read, now))
            except RowRefused as refusal:
                refusals[read.line] = refusal
        return known

    def _read(self, read: Read, now: datetime) -> _Known:
        if isinstance(read.cells, RowRefused):
            raise read.cells
        row = row_from(read.cells, self._zone)
        try:
            row = replace(row, at=row.at.astimezone(UTC))
        except (OverflowError, ValueError):
            raise RowRefused("at", "is no instant that can be kept") from None
        if row.at > now:
            raise RowRefused("at", "lies in the future")
        kind, name = row.name
        try:
            purpose = consent_purpose(self._register, row.purpose)
            shown = shown_once(self._register, purpose, row.notice_version, row.language)
            identifier = (
                None if kind is None else self._identifiers.read(kind, name, field=kind.value)
            )
        except DomainError as error:
            raise RowRefused(error.field or "", error.detail) from None
        return _Known(read, row, shown, purpose.validity_months, identifier)

    def _said(
        self,
        uow: UnitOfWork,
        known: Sequence[_Known],
        domain: str,
        import_id: str,
        refusals: dict[int, RowRefused],
    ) -> tuple[list[tuple[ConsentEvent, Shown]], int]:
        """Return the events of the rows, and how many were imported before."""
        identifiers = {each.identifier for each in known if each.identifier is not None}
        names = {each.row.name[1] for each in known if each.identifier is None}
        found = self._arrivals.by_many(uow, identifiers) if identifiers else {}
        named = self._pseudonyms.resolve_many(uow.session, domain, names) if names else {}
        people = [
            found[each.identifier] if each.identifier is not None else named.get(each.row.name[1])
            for each in known
        ]
        held = recording_store.hold_many(uow.session, {each for each in people if each})
        before = store.imported(uow.session, held)
        said: list[tuple[ConsentEvent, Shown]] = []
        repeated = 0
        for each, subject_id in zip(known, people, strict=True):
            row = each.row
            if subject_id is None or subject_id not in held:
                column = each.identifier.kind.value if each.identifier else "pseudonym"
                refusals[each.read.line] = RowRefused(column, "nobody is known by it")
                continue
            key = (subject_id, row.purpose, row.action.value, row.at)
            if key in before:
                repeated += 1
                continue
            until, is_deceased = held[subject_id]
            if row.action is ConsentAction.GIVEN and is_deceased:
                column = each.identifier.kind.value if each.identifier else "pseudonym"
                refusals[each.read.line] = RowRefused(column, "this person has died")
                continue
            if row.action is ConsentAction.GIVEN and until is not None and row.at < until:
                told = "a parent or guardian had to consent for this person"
                refusals[each.read.line] = RowRefused("at", told)
                continue
            before.add(key)
            said.append((self._event(uow, each, subject_id, import_id), each.shown))
        return said, repeated

    def _event(
        self, uow: UnitOfWork, known: _Known, subject_id: str, import_id: str
    ) -> ConsentEvent:
        row = known.row
        act = Act(
            event_id=new_id(uow.ids),
            subject_id=subject_id,
            purpose=row.purpose,
            at=row.at,
            channel=row.channel,
            recorded_by=uow.actor.name,
            register_revision=self._register.revision,
            said_by=SaidBy.IMPORT,
            recorded_at=uow.now,
        )
        if row.action is ConsentAction.GIVEN:
            event = giving(
                act,
                known.shown,
                validity_months=known.validity_months,
                zone=self._zone,
                explicit=row.explicit,
            )
        else:
            event = replace(refusing(act, known.shown), action=row.action)
        evidence = f"; {row.evidence}" if row.evidence else ""
        return replace(event, reason=f"import {import_id}{evidence}")


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_refused(path: Path, length: int) -> BinaryIO:
    """Open the file of refused rows where a committed batch left it, or anew.

    Raises:
        InvalidInput: it is shorter than it was: rows were lost.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    file = os.fdopen(descriptor, "r+b")
    if os.fstat(descriptor).st_size < length:
        file.close()
        raise InvalidInput(f"{path.name} is shorter than it was; name the file of refused rows")
    file.truncate(length)
    file.seek(length)
    return file


def _lines(batch: Sequence[Read], refusals: Mapping[int, RowRefused]) -> bytes:
    """Return the lines of the file of refused rows, in their order."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for read in batch:
        refusal = refusals.get(read.line)
        if refusal is not None:
            original = read.original.decode(errors="backslashreplace")
            writer.writerow((read.line, refusal.field, refusal.reason, original))
    return text.getvalue().encode(errors="backslashreplace")
