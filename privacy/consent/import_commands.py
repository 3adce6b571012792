"""`placet consents import` and `placet consents export`."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import click

from policies.errors import DomainError
from privacy.clock import Clock, rfc3339
from privacy.consent.exports import ConsentExports
from privacy.consent.imports import ConsentImports, Progress
from privacy.consent.imports_reader import Format

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
#: On what is no terminal, a line so often.
EVERY: Final = timedelta(seconds=10)
#: New objects between two searches for cycles, which by default take a fifth of the time.
_SEARCH_AFTER: Final = 200_000


@dataclass(frozen=True, slots=True)
class Bulk:
    """What the commands need of a deployment."""

    imports: ConsentImports
    exports: ConsentExports
    clock: Clock


class Teller:
    """Shows how far an import has come: a line that changes on a terminal, now and then a new one else.

    Args:
        size: bytes of the file.
        clock: the present instant.
    """

    def __init__(self, size: int, clock: Clock) -> None:
        self._size = max(size, 1)
        self._clock = clock
        self._began = self._said = clock()
        self._first: Progress | None = None
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, progress: Progress) -> None:
        """Say it."""
        now = self._clock()
        first = self._first = self._first or progress
        if not self._is_terminal and now - self._said < EVERY:
            return
        self._said = now
        seconds = (now - self._began).total_seconds()
        lines, done = progress.line - first.line, progress.position - first.position
        text = f"{progress.position / self._size:.0%}, line {progress.line}"
        if seconds > 0 and lines > 0 and done > 0:
            left = timedelta(seconds=round((self._size - progress.position) * seconds / done))
            text += f", {lines / seconds:,.0f} lines/s, {left} left"
        text += f"; {progress.recorded} recorded, {progress.refused} refused"
        click.echo(
            f"\r{text}\x1b[K" if self._is_terminal else text, err=True, nl=not self._is_terminal
        )

    def end(self) -> None:
        """Leave the line."""
        if self._is_terminal:
            click.echo(err=True)


def group(deployment: Callable[[], Bulk]) -> click.Group:
    """Return the group of commands about many consents.

    Args:
        deployment: gives what they need when a command runs.
    """

    @click.group("consents")
    def consents() -> None:
        """Take existing consents in, and all evidence out: docs/operations.md."""

    @consents.command("import")
    @click.argument("file", type=FILE)
    @click.option(
        "--format",
        "format_",
        type=click.Choice([each.value for each in Format]),
        help="Of FILE; by its name where left out.",
    )
    @click.option("--dry-run", is_flag=True, help="Look at every row and keep nothing.")
    @click.option("--resume", is_flag=True, help="Go on where it was broken off, or begin.")
    @click.option(
        "--refused",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Where refused rows are written; FILE.refused.csv where left out. An import begins with"
        " an empty one and goes on with its own. A dry run writes FILE.dry-run.csv anew, and to a"
        " file named here only while nothing is in it.",
    )
    @click.option("--source", default="", help="Where FILE is from, in words.")
    @click.option("--domain", default="", help="The application domain whose pseudonyms it holds.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def import_(
        file: Path,
        format_: str | None,
        dry_run: bool,
        resume: bool,
        refused: Path | None,
        source: str,
        domain: str,
        as_json: bool,
    ) -> None:
        """Record what people said before, from a CSV or JSON lines: each row once, or refused.

        Whatever breaks it off, call it again with --resume.
        """
        if len(source) > 200:
            raise click.ClickException("--source: at most 200 characters")
        # A dry run must not write over what an import has refused.
        ending = "dry-run.csv" if dry_run else "refused.csv"
        told = refused or file.with_name(f"{file.name}.{ending}")
        if dry_run and refused is not None and refused.is_file() and refused.stat().st_size:
            raise click.ClickException(
                f"{refused}: holds refused rows already, and a dry run writes over none;"
                " name another file"
            )
        bulk = deployment()
        began = bulk.clock()
        teller = Teller(file.stat().st_size, bulk.clock)
        try:
            with _few_searches():
                done = bulk.imports.run(
                    file,
                    _format(file, format_),
                    told,
                    source=source or file.name,
                    domain=domain,
                    resume=resume,
                    dry_run=dry_run,
                    tell=teller,
                )
        except DomainError as error:
            raise click.ClickException(error.detail) from None
        finally:
            teller.end()
        before = done.finished_at is not None and done.finished_at < began
        _summary(done, told, before=before, dry_run=dry_run, as_json=as_json)

    @consents.command("export")
    @click.option(
        "--since", help="What was written down from this instant on, ISO 8601 with a time zone."
    )
    @click.option(
        "--format",
        "format_",
        type=click.Choice([each.value for each in Format]),
        default=Format.JSONL.value,
        show_default=True,
    )
    @click.option(
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A file, which only its owner may read; standard output where left out.",
    )
    def export(since: str | None, format_: str, output: Path | None) -> None:
        """Write every consent event, in the order of recording. The export itself is recorded."""
        lines = deployment().exports.lines(Format(format_), _instant(since))
        if output is None:
            sys.stdout.writelines(lines)
            return
        try:
            _write(output, lines)
        except OSError as error:
            raise click.ClickException(f"{output}: {error.strerror}") from None

    return consents


@contextmanager
def _few_searches() -> Iterator[None]:
    """Let Python look for cycles seldom: rows leave none behind, and each look goes through all."""
    before = gc.get_threshold()
    gc.set_threshold(_SEARCH_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _write(output: Path, lines: Iterable[str]) -> None:
    """Write a file that only its owner may read and that is there once it is whole."""
    unfinished = output.with_name(f".{output.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as target:
        target.writelines(lines)
        target.flush()
        os.fsync(descriptor)
    unfinished.replace(output)


def _format(file: Path, named: str | None) -> Format:
    if named is not None:
        return Format(named)
    suffix = file.suffix.lower().lstrip(".")
    if suffix in set(Format):
        return Format(suffix)
    raise click.ClickException("--format: csv or jsonl; the name of the file does not tell")


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.ClickException("--since: is no instant of ISO 8601") from None
    if at.tzinfo is None:
        raise click.ClickException("--since: needs a time zone, such as Z")
    return at


def _summary(done: Progress, told: Path, *, before: bool, dry_run: bool, as_json: bool) -> None:
    if as_json:
        summary = {
            "import_id": done.import_id or None,
            "recorded": done.recorded,
            "repeated": done.repeated,
            "refused": done.refused,
            "refused_file": str(told) if done.refused and not before else None,
            "dry_run": dry_run,
            "imported_before": before,
            "finished_at": rfc3339(done.finished_at) if done.finished_at else None,
        }
        click.echo(json.dumps(summary))
        return
    if before and done.finished_at is not None:
        click.echo(f"this file was imported on {rfc3339(done.finished_at)}; nothing was changed")
    counts = f"{done.recorded} recorded, {done.repeated} known before, {done.refused} refused"
    click.echo(f"dry run: {counts}; nothing was kept" if dry_run else counts)
    if done.refused and not before:
        click.echo(f"refused rows, each with its reason: {told}")
