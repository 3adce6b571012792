"""`placet register lint` and `placet register publish`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from policies.register import publication
from policies.register.linter import lint
from policies.register.loader import load
from policies.register.model import Register
from policies.register.problems import RegisterError
from privacy.clock import Clock

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def register_commands(
    default_path: Callable[[], Path],
    clock: Clock,
    into_database: Callable[[Path], bool],
) -> click.Group:
    """Return the group of commands about the register.

    Args:
        default_path: where this deployment's register is.
        clock: the present instant.
        into_database: puts the register in that folder in force; tells whether it was new.
    """

    @click.group("register")
    def group() -> None:
        """Check and publish the company's register: docs/register.md."""

    @group.command("lint")
    @click.argument("path", type=FOLDER, required=False)
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def lint_command(path: Path | None, as_json: bool) -> None:
        """Say what the law would object to. Exit 1 where there is an error."""
        register = _load(path or default_path())
        findings = lint(register)
        errors = sum(each.level == "error" for each in findings)
        if as_json:
            members = ("level", "file", "entry", "field", "message", "article")
            described = [{name: getattr(each, name) for name in members} for each in findings]
            click.echo(json.dumps({"findings": described}, ensure_ascii=False, indent=2))
        else:
            for each in findings:
                click.echo(str(each))
            click.echo(
                f"{len(register.purposes)} purposes, {len(register.notices)} notices: "
                f"{errors} errors, {len(findings) - errors} warnings"
            )
        if errors:
            raise SystemExit(1)

    @group.command("publish")
    @click.argument("path", type=FOLDER, required=False)
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def publish_command(path: Path | None, as_json: bool) -> None:
        """Put every draft notice in force, from today on. Idempotent; exit 1 where refused."""
        folder = path or default_path()
        zone = ZoneInfo(_load(folder).controller.time_zone)
        try:
            revisions = publication.publish(folder, clock().astimezone(zone).date())
            is_new = into_database(folder)
        except RegisterError as error:
            raise _refused(error) from None
        revision = load(folder).revision
        if as_json:
            published = [
                {"notice": each.notice, "version": each.version, "digest": each.digest}
                for each in revisions
            ]
            answer = {"register_revision": revision, "new": is_new, "published": published}
            click.echo(json.dumps(answer, indent=2))
            return
        for each in revisions:
            click.echo(f"published {each.notice} {each.version} ({each.digest})")
        state = "in force" if is_new else "was in force already"
        click.echo(f"register {revision} {state}")
        if is_new:
            click.echo("restart Placet: running processes go on with the register they began with")

    return group


def _load(path: Path) -> Register:
    try:
        return load(path)
    except RegisterError as error:
        raise _refused(error) from None


def _refused(error: RegisterError) -> click.ClickException:
    return click.ClickException(f"the register is refused:\n{error}")
