"""`placet audit`: verify the log or an export of it; show the checkpoint and the key."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from privacy.audit import bundle, store
from privacy.audit.encoding import b64
from privacy.audit.export import BundleError, load
from privacy.audit.log import AuditLog
from privacy.audit.note import NoteError, Verifier
from privacy.audit.sequencer import read_verifier
from privacy.audit.verification import CrossCheck, Verification, verify_log
from privacy.unit_of_work import Runtime

BAD = 1
#: A log of more entries than this says how far its verification has come.
LONG_LOG = 10_000


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the commands need of a deployment.

    Attributes:
        runtime: the reading door.
        log: opens payloads.
        keys_folder: holds `log.vkey`.
        kept_checkpoint: the newest checkpoint as the worker keeps it outside the database.
        cross_checks: compare business rows with the entries that recorded them.
    """

    runtime: Runtime
    log: AuditLog
    keys_folder: Path
    kept_checkpoint: Path
    cross_checks: Sequence[CrossCheck] = ()


def group(deployment: Callable[[], Deployment]) -> click.Group:
    """Return the commands; `deployment` is called only by those that need one."""

    @click.group()
    def audit() -> None:
        """The log that proves itself."""

    @audit.command()
    @click.option(
        "--export",
        "export_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Check this export instead of the database; needs no deployment.",
    )
    @click.option("--key", "vkey", help="The log's key line, from where you trust it.")
    @click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file with the log's key line.",
    )
    @click.option(
        "--checkpoint",
        "checkpoints",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        help="A checkpoint kept elsewhere, which the log must fit; may stand several times.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def verify(
        export_file: Path | None,
        vkey: str | None,
        key_file: Path | None,
        checkpoints: tuple[Path, ...],
        *,
        as_json: bool,
    ) -> None:
        """Check that nothing was altered, removed or added.

        Exit code 0: all holds. 1: something does not, and the first bad entry's number is
        printed. 2: the check could not be made.
        """
        if vkey and key_file:
            raise click.UsageError("give --key or --key-file, not both")
        if key_file:
            vkey = key_file.read_text(encoding="utf-8", errors="replace").strip()
        trusted = None if vkey is None else _read_key(vkey)
        if export_file is None:
            ok = _verify_database(_opened(deployment), trusted, checkpoints, as_json=as_json)
        elif checkpoints:
            raise click.UsageError("an export brings its checkpoint along; leave out --checkpoint")
        else:
            ok = _verify_export(export_file, trusted, as_json=as_json)
        raise SystemExit(0 if ok else BAD)

    @audit.command()
    def checkpoint() -> None:
        """Print the newest signed checkpoint; keep it where nobody here can reach it."""
        with _opened(deployment).runtime.snapshot() as session:
            latest = store.latest_checkpoint(session)
        if latest is None:
            raise click.ClickException("nothing was logged yet")
        click.echo(latest.note, nl=False)

    @audit.command()
    def key() -> None:
        """Print the log's verification key."""
        click.echo(_log_key(_opened(deployment)).vkey)

    return audit


def _opened(deployment: Callable[[], Deployment]) -> Deployment:
    """A deployment that cannot be opened is no finding about its log: exit code 2."""
    try:
        return deployment()
    except click.ClickException as error:
        raise click.UsageError(error.format_message()) from None


def _read_key(vkey: str) -> Verifier:
    try:
        return Verifier.from_vkey(vkey)
    except NoteError as error:
        raise click.UsageError(f"the key: {error}") from None


def _log_key(deployment: Deployment) -> Verifier:
    try:
        return read_verifier(deployment.keys_folder)
    except FileNotFoundError:
        raise click.UsageError("this deployment has no log key yet; run: placet setup") from None


def _verify_database(
    deployment: Deployment,
    trusted: Verifier | None,
    checkpoints: Sequence[Path],
    *,
    as_json: bool,
) -> bool:
    verifier = trusted or _log_key(deployment)
    own = [deployment.kept_checkpoint] if deployment.kept_checkpoint.exists() else []
    kept = [path.read_text(encoding="utf-8", errors="replace") for path in (*own, *checkpoints)]
    with deployment.runtime.snapshot() as session:
        found = verify_log(
            session,
            deployment.log,
            verifier,
            kept=kept,
            cross_checks=deployment.cross_checks,
            progress=_progress,
        )
    if as_json:
        click.echo(json.dumps(_database_result(found)))
        return found.ok
    if found.ok:
        click.echo(
            f"ok: {found.size} entries, {found.erased} of them erased; {found.pending} pending"
        )
        return True
    _echo_first_bad(found.first_bad)
    for finding in found.findings:
        where = "the log" if finding.index is None else f"entry {finding.index}"
        click.echo(f"  {where}: {finding.message}")
    return False


def _database_result(found: Verification) -> dict[str, object]:
    return {
        "ok": found.ok,
        "size": found.size,
        "pending": found.pending,
        "erased": found.erased,
        "first_bad": found.first_bad,
        "findings": [{"index": f.index, "message": f.message} for f in found.findings],
    }


def _verify_export(path: Path, trusted: Verifier | None, *, as_json: bool) -> bool:
    try:
        report = bundle.verify(load(path.read_bytes()), trusted.vkey if trusted else None)
    except BundleError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "first_bad": None, "error": str(error)}))
        else:
            click.echo(f"not verified: {error}")
        return False
    if as_json:
        click.echo(json.dumps(_export_result(report)))
        return report.ok
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"log {report.origin}, key fingerprint {report.key_fingerprint}")
    if report.ok:
        click.echo(
            f"ok: {report.checked} entries of {report.size}; "
            f"{report.disclosed} disclosed, {report.erased} erased"
        )
        return True
    _echo_first_bad(report.first_bad)
    for problem in report.problems:
        click.echo(f"  {problem.code.value}: {problem.message}")
    return False


def _export_result(report: bundle.Report) -> dict[str, object]:
    return {
        "ok": report.ok,
        "origin": report.origin,
        "key_fingerprint": report.key_fingerprint,
        "key_trusted": report.key_trusted,
        "size": report.size,
        "root": None if report.root is None else b64(report.root),
        "checked": report.checked,
        "disclosed": report.disclosed,
        "erased": report.erased,
        "withheld": report.withheld,
        "first_bad": report.first_bad,
        "problems": [
            {"index": p.index, "code": p.code.value, "message": p.message} for p in report.problems
        ],
        "warnings": list(report.warnings),
    }


def _echo_first_bad(index: int | None) -> None:
    click.echo("not verified" if index is None else f"not verified: first bad entry {index}")


def _progress(done: int, total: int) -> None:
    if total > LONG_LOG:
        click.echo(f"checked {done} of {total} entries", err=True)
