"""`placet exclusion import|list|drop`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click

from policies.errors import InvalidInput, NotFound
from privacy.clock import rfc3339
from privacy.consent.exclusions import Exclusions, Progress
from privacy.unit_of_work import Runtime

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def group(deployment: Callable[[], tuple[Runtime, Exclusions]]) -> click.Group:
    """Return the group of commands about exclusion lists.

    Args:
        deployment: gives the runtime and the lists when a command runs.
    """

    @click.group("exclusion")
    def exclusion() -> None:
        """Exclusion lists such as the Lista Robinson: docs/operations.md."""

    @exclusion.command("import")
    @click.argument("file", type=FILE)
    @click.option("--list", "name", required=True, help="The list's name, such as robinson.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def import_(file: Path, name: str, as_json: bool) -> None:
        """Put the addresses of FILE in force as the list's whole content.

        One e-mail address or telephone number a line, or a CSV whose header names the columns.
        Each refused line is told by number and reason on standard error. Called again after a
        crash, with the same file, it goes on where it was.
        """

        def tell(progress: Progress) -> None:
            for line in progress.refused:
                click.echo(f"line {line.number}: {line.refused}", err=True)
            click.echo(f"{progress.line} lines", err=True)

        _runtime, exclusions = deployment()
        try:
            done = exclusions.import_file(name, file, tell)
        except (InvalidInput, NotFound) as error:
            raise click.ClickException(error.detail) from None
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "list": done.name,
                        "addresses": done.addresses,
                        "lines": done.lines,
                        "refused": done.refused,
                    }
                )
            )
            return
        click.echo(
            f"{done.name}: {done.addresses} addresses in force, {done.refused} lines refused"
        )

    @exclusion.command("list")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def list_(as_json: bool) -> None:
        """Show the lists in force."""
        runtime, exclusions = deployment()
        with runtime.snapshot() as session:
            found = exclusions.lists(session)
        if as_json:
            described = [
                {
                    "list": each.name,
                    "addresses": each.addresses,
                    "imported_at": rfc3339(each.imported_at),
                }
                for each in found
            ]
            click.echo(json.dumps({"lists": described}, indent=2))
            return
        for each in found:
            click.echo(f"{each.name}  {each.addresses}  {rfc3339(each.imported_at)}")

    @exclusion.command("drop")
    @click.argument("name")
    def drop(name: str) -> None:
        """Take the list NAME out of force."""
        _runtime, exclusions = deployment()
        try:
            exclusions.drop(name)
        except NotFound as error:
            raise click.ClickException(error.detail) from None
        click.echo(f"{name}: dropped")

    return exclusion
